"""What a threshold is for, in words that a person writes and a table can be judged by."""

import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from toolkit.curves import ThresholdCurve
from toolkit.errors import InvalidObjective

OBJECTIVES: Final = (
    "f1", "f2", "precision>=0.95", "recall>=0.9", "fpr<=0.01", "flagged<=0.05", "cost fp=1 fn=10",
)  # fmt: skip
"""One example of each objective that `choose_threshold` understands."""

_BOUND: Final = re.compile(r"(precision|recall|fpr|flagged)\s*(>=|<=)\s*(\S+)")
_COST: Final = re.compile(r"cost\s+fp=(\S+)\s+fn=(\S+)")
_SIGN: Final = {"precision": ">=", "recall": ">=", "fpr": "<=", "flagged": "<="}

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bound:
    """A rate that must be reached (`>=`) or not passed (`<=`); among the thresholds that keep to it, the one that does
    best on the other side: the highest recall, or for a bound on recall the highest precision.
    """

    rate: str
    limit: float

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return _SIGN[self.rate] == ">="

    @property
    def wish(self) -> str:
        """What is looked for, in words."""
        return f"highest {self._other} with {self.rate} {_SIGN[self.rate]} {self.limit:g}"

    @property
    def _other(self) -> str:
        return "precision" if self.rate == "recall" else "recall"

    def allowed(self, curve: ThresholdCurve) -> NDArray[np.bool_]:
        """Which rows of a curve keep to it on the sample."""
        values = curve.rates[self.rate].to_numpy(float)
        return values >= self.limit if self.at_least else values <= self.limit

    def value(self, curve: ThresholdCurve) -> Floats:
        """How good each row is; the highest is the best."""
        return curve.rates[self._other].to_numpy(float)


@dataclass(frozen=True)
class FScore:
    """The weighted harmonic mean of precision and recall; recall weighs `beta` times as much."""

    beta: float

    @property
    def wish(self) -> str:
        """What is looked for, in words."""
        return f"highest F{self.beta:g}"

    def allowed(self, curve: ThresholdCurve) -> NDArray[np.bool_]:
        """Every row."""
        return np.ones(len(curve.thresholds), dtype=bool)

    def value(self, curve: ThresholdCurve) -> Floats:
        """The score of each row, 0–1."""
        square = self.beta * self.beta
        tp, fp, fn = (curve.weights[name] for name in ("tp", "fp", "fn"))
        score: Floats = (1 + square) * tp / ((1 + square) * tp + square * fn + fp)
        return score


@dataclass(frozen=True)
class Cost:
    """What a wrong flag and a missed image cost, in any unit."""

    fp: float
    fn: float

    @property
    def wish(self) -> str:
        """What is looked for, in words."""
        return "lowest cost"

    def allowed(self, curve: ThresholdCurve) -> NDArray[np.bool_]:
        """Every row."""
        return np.ones(len(curve.thresholds), dtype=bool)

    def value(self, curve: ThresholdCurve) -> Floats:
        """The cost of each row's mistakes, negative: the highest is the best."""
        weights = curve.weights
        return -(self.fp * weights["fp"] + self.fn * weights["fn"])


Objective = Bound | FScore | Cost


def read_objective(text: str) -> Objective:
    """The objective that a person wrote.

    Raises
    ------
    InvalidObjective
        It cannot be read; the message lists what can.

    >>> read_objective("Precision >= 0.95")
    Bound(rate='precision', limit=0.95)
    """
    if not isinstance(text, str):
        raise _unreadable(text)
    words = text.strip().lower()
    if words in {"f1", "f2"}:
        return FScore(float(words[1]))
    try:
        if (bound := _BOUND.fullmatch(words)) and bound[2] == _SIGN[bound[1]] and 0 <= float(bound[3]) <= 1:
            return Bound(bound[1], float(bound[3]))
        if cost := _COST.fullmatch(words):
            fp, fn = float(cost[1]), float(cost[2])
            if min(fp, fn) >= 0 and math.isfinite(fp + fn):
                return Cost(fp, fn)
    except ValueError as error:
        raise _unreadable(text) from error
    raise _unreadable(text)


def _unreadable(text: object) -> InvalidObjective:
    return InvalidObjective(
        f"{text!r} is not an objective (rates lie between 0 and 1, costs are finite); write one like: "
        f"{', '.join(OBJECTIVES)}."
    )
