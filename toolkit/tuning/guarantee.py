"""Thresholds at which a rate holds on new data too, with a stated probability.

Learn-then-Test [1]_: each threshold is a null hypothesis ("here the rate misses its limit"), tested with an exact
binomial p-value. The tests are made in a fixed order that never looks at the truth, each at the full level, and stop
at the first that fails; then the probability that any threshold passed wrongly is at most `1 - confidence_level`, so
any of those that passed may be chosen, the best-looking one too.

The order decides whether this is of use. A rate that can only rise or fall with the threshold (recall, fpr, flagged)
is tested at every threshold, from its safe end. Precision is not like that: it is tested downwards from the highest
scores, beginning at the first threshold at which enough images are flagged for the test to pass at all, and then at
flagged counts that grow by a twentieth. A model whose surest answers are its worst would stop that walk at once; so a
tenth of the level goes to a second walk, from the lowest threshold upwards.

References
----------
.. [1] A. N. Angelopoulos, S. Bates, E. J. Candès, M. I. Jordan, L. Lei (2021). Learn then Test: Calibrating Predictive
   Algorithms to Achieve Risk Control. arXiv:2110.01052.
"""

import math
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc

from toolkit.curves import ThresholdCurve
from toolkit.tuning.objective import Bound

_GROWTH: Final = 1.05
_DOWN: Final = 0.9  # share of the level that the walk down gets; the walk up gets the rest
_MOST: Final = 10_000_000  # no one labels more
# 0.3 ** 2 is 0.9 * (1 - 0.9), and a little more in floating point.
_ROUNDING: Final = 1 + 1e-9

Rows = NDArray[np.int64]


def guaranteed(curve: ThresholdCurve, bound: Bound, confidence_level: float) -> Rows:
    """Rows of `curve.rates` at which the bound holds on new data, all of them at once with that probability.

    Parameters
    ----------
    curve
        On images labelled at random from those that the promise is about.
    bound
        What must hold.
    confidence_level
        Between 0 and 1.

    Returns
    -------
    numpy.ndarray
        Row numbers, ascending; empty when nothing can be promised.
    """
    p_values = _p_values(curve, bound)
    passed = []
    for order, share in _sequences(curve, bound, confidence_level):
        holds = p_values[order] <= _level(share, confidence_level)
        passed.append(order[: len(order) if holds.all() else int(np.argmin(holds))])
    return np.unique(np.concatenate(passed))


def fewest(bound: Bound, confidence_level: float) -> int:
    """How many images must be flagged, all rightly, before a test of a precision can pass: the n from which on
    limit ** n is at most the walk down's share of 1 - confidence_level.

    >>> fewest(Bound("precision", 0.9), 0.95)
    30
    """
    if bound.limit >= 1:
        return _MOST
    if bound.limit <= 0:
        return 1
    return max(1, math.ceil(math.log(_level(_DOWN, confidence_level)) / math.log(bound.limit)))


def enough(bound: Bound, rate: float, confidence_level: float) -> int | None:
    """How many images in the rate's denominator would keep the promise, if the rate stays what it is on the sample.

    Parameters
    ----------
    bound
        What must hold.
    rate
        On the sample, 0–1.
    confidence_level
        Between 0 and 1.

    Returns
    -------
    int or None
        None when the rate is not better than its limit: then no number will do.
    """
    if (rate <= bound.limit) if bound.at_least else (rate >= bound.limit):
        return None
    share = _DOWN if bound.rate == "precision" else 1.0
    n = 1
    while n < _MOST:
        count = math.floor(rate * n + 1e-9) if bound.at_least else math.ceil(rate * n - 1e-9)
        if _tail(np.array([count]), np.array([n]), bound)[0] <= _level(share, confidence_level):
            return n
        n = max(n + 1, math.ceil(n * 1.02))
    return None


def _level(share: float, confidence_level: float) -> float:
    """The largest p-value at which a test of a walk with this share passes."""
    return share * (1 - confidence_level) * _ROUNDING


def nearest(curve: ThresholdCurve, bound: Bound, among: NDArray[np.bool_]) -> int:
    """The row of `curve.rates` that speaks most clearly for the bound, of those that are true in `among`."""
    return int(np.argmin(np.where(among, _p_values(curve, bound), np.inf)))


def _sequences(curve: ThresholdCurve, bound: Bound, confidence_level: float) -> list[tuple[Rows, float]]:
    """The orders in which rows are tested, each with its share of the level."""
    upwards = np.arange(len(curve.rates))
    downwards = upwards[::-1]
    if bound.rate == "recall":
        return [(upwards, 1.0)]  # highest at the lowest threshold
    if bound.rate != "precision":
        return [(downwards, 1.0)]
    flagged = (curve.rates["tp"] + curve.rates["fp"]).to_numpy()
    wanted = float(fewest(bound, confidence_level))
    chosen = []
    for row in downwards:
        if flagged[row] >= wanted:
            chosen.append(row)
            wanted = max(flagged[row] + 1, flagged[row] * _GROWTH)
    return [(np.array(chosen, dtype=np.int64), _DOWN), (np.array(chosen[::-1], dtype=np.int64), 1 - _DOWN)]


def _p_values(curve: ThresholdCurve, bound: Bound) -> NDArray[np.float64]:
    count, total = _fraction(curve, bound.rate)
    return _tail(count, total, bound)


def _fraction(curve: ThresholdCurve, rate: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table: pd.DataFrame = curve.rates
    tp, fp = table["tp"].to_numpy(), table["fp"].to_numpy()
    if rate == "precision":
        return tp, tp + fp
    if rate == "recall":
        return tp, np.full(len(table), curve.positives)
    if rate == "fpr":
        return fp, np.full(len(table), curve.negatives)
    return tp + fp, np.full(len(table), curve.positives + curve.negatives)


def _tail(count: NDArray[np.int64], total: NDArray[np.int64], bound: Bound) -> NDArray[np.float64]:
    """How likely a count as good as this is where the rate just misses its limit."""
    if bound.at_least:
        # P(X >= count); scipy's survival function starts at P(X > k), and knows nothing of k = -1.
        return np.where(count > 0, bdtrc(np.maximum(count - 1, 0), total, bound.limit), 1.0)
    return np.asarray(bdtr(count, total, bound.limit), dtype=np.float64)
