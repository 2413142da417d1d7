"""An objective and a curve give a threshold."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit.curves import OperatingPoint, ThresholdCurve
from toolkit.errors import InvalidObjective

OBJECTIVES: Final = (
    "f1", "f2", "precision>=0.95", "recall>=0.9", "fpr<=0.01", "flagged<=0.05", "cost fp=1 fn=10",
)  # fmt: skip
"""One example of each objective that `choose_threshold` understands."""

_BOUND: Final = re.compile(r"(precision|recall|fpr|flagged)\s*(>=|<=)\s*(\S+)")
_COST: Final = re.compile(r"cost\s+fp=(\S+)\s+fn=(\S+)")
_DIRECTION: Final = {"precision": ">=", "recall": ">=", "fpr": "<=", "flagged": "<="}


@dataclass(frozen=True)
class Choice:
    """The threshold that an objective chose, or why there is none.

    Attributes
    ----------
    label, objective
        What was asked.
    threshold
        Percent, 0–100; None when no threshold serves the objective.
    point
        What happens at the threshold on the judged images; None without a threshold.
    reason
        One sentence: why this threshold, or what stands in the way of any.
    positives, negatives
        Judged images with and without the label.
    """

    label: str
    objective: str
    threshold: float | None
    point: OperatingPoint | None
    reason: str
    positives: int
    negatives: int


@dataclass(frozen=True)
class _Objective:
    """Which rows of a curve will do, and which of these is best (the highest `value`)."""

    allowed: NDArray[np.bool_]
    value: NDArray[np.float64]
    wish: str


def choose_threshold(curve: ThresholdCurve, objective: str) -> Choice:
    """The threshold that serves an objective best on this sample.

    Parameters
    ----------
    curve
        From `threshold_curve`.
    objective
        `f1` or `f2` (the F score, recall weighing once or twice); `precision>=0.95` (among the thresholds that reach
        it, the one with the highest recall); `recall>=0.9` (… the highest precision); `fpr<=0.01` or `flagged<=0.05`
        (… the highest recall); `cost fp=1 fn=10` (the lowest sum of what mistakes cost). Rates are 0–1.

    Returns
    -------
    Choice
        Between thresholds that are equally good, the highest: it flags the fewest images.

    Raises
    ------
    InvalidObjective
        The objective cannot be read.

    Notes
    -----
    This is the best on this sample. The sample is one of many that could have been drawn, and the best of many
    thresholds looks better than it is; `Choice.point` carries intervals that say how much room there is.
    """
    wanted = _read_objective(objective, curve.table)
    why_none = _obstacle(curve, wanted, objective)
    if why_none:
        return Choice(curve.label, objective, None, None, why_none, curve.positives, curve.negatives)
    best = np.max(wanted.value[wanted.allowed])
    row = int(np.flatnonzero(wanted.allowed & (wanted.value == best))[-1])
    threshold = float(curve.table["threshold"].iloc[row])
    point = curve.at(threshold)
    judged = curve.positives + curve.negatives
    reason = f"{wanted.wish} of the {len(curve.table)} thresholds that {judged} judged images tell apart."
    return Choice(curve.label, objective, threshold, point, reason, curve.positives, curve.negatives)


def _read_objective(objective: str, table: pd.DataFrame) -> _Objective:
    text = objective.strip().lower()
    anything = np.ones(len(table), dtype=bool)
    if text in {"f1", "f2"}:
        return _Objective(anything, _f_score(table, float(text[1])), f"highest {text.upper()}")
    if bound := _BOUND.fullmatch(text):
        rate, sign, limit = bound[1], bound[2], _number(bound[3], objective)
        if sign == _DIRECTION[rate] and 0 <= limit <= 1:
            values = table[rate].to_numpy(float)
            allowed = values >= limit if sign == ">=" else values <= limit
            other = "precision" if rate == "recall" else "recall"
            return _Objective(allowed, table[other].to_numpy(float), f"highest {other} with {rate} {sign} {limit:g}")
    if cost := _COST.fullmatch(text):
        fp, fn = _number(cost[1], objective), _number(cost[2], objective)
        if fp >= 0 and fn >= 0:
            return _Objective(anything, -(fp * table["fp"] + fn * table["fn"]).to_numpy(float), "lowest cost")
    raise _unreadable(objective)


def _number(text: str, objective: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise _unreadable(objective) from error


def _unreadable(objective: str) -> InvalidObjective:
    return InvalidObjective(
        f"{objective!r} is not an objective (rates lie between 0 and 1); write one like: {', '.join(OBJECTIVES)}."
    )


def _f_score(table: pd.DataFrame, weight: float) -> NDArray[np.float64]:
    square = weight * weight
    tp, fp, fn = (table[name].to_numpy(float) for name in ("tp", "fp", "fn"))
    score: NDArray[np.float64] = (1 + square) * tp / ((1 + square) * tp + square * fn + fp)
    return score


def _obstacle(curve: ThresholdCurve, wanted: _Objective, objective: str) -> str | None:
    """One sentence on why no threshold will do; None if one will."""
    label, table = curve.label, curve.table
    judged = f"the {curve.positives + curve.negatives} judged images"
    if not curve.positives:
        return f"{label} is on none of {judged}; label some images that show it."
    if not curve.negatives:
        return f"{label} is on all of {judged}; label some images that do not show it."
    if table.empty or not table["tp"].any():
        return (
            f"the model reported {label} on none of the {curve.positives} judged images that show it "
            f"(nothing is known below {curve.min_confidence:g})."
        )
    if not wanted.allowed.any():
        rate = objective.strip().lower().split(">")[0].split("<")[0].strip()
        values = table[rate]
        row = int(values.to_numpy().argmax() if ">" in objective else values.to_numpy().argmin())
        best = table.iloc[row]
        return (
            f"no threshold reaches {objective} on {judged}; the nearest is {rate} {best[rate]:.3f} "
            f"at {best['threshold']:.2f}, with recall {best['recall']:.3f}."
        )
    best_value = float(np.max(wanted.value[wanted.allowed]))
    if wanted.wish.startswith("lowest cost"):
        cost = _COST.fullmatch(objective.strip().lower())
        if cost and float(cost[2]) * curve.positives <= -best_value:
            return f"flagging nothing costs no more than the best threshold on {judged}."
    elif best_value <= 0:
        return (
            f"the thresholds that reach {objective} on {judged} find none of the {curve.positives} images with {label}."
        )
    return None
