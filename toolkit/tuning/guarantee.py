"""Thresholds at which a rate holds on new data too, with a stated probability.

Learn-then-Test [1]_: each threshold is a null hypothesis ("here the rate misses its limit"), tested with an exact
binomial p-value. The tests are made in a fixed order that never looks at the truth, each at the full level, and stop
at the first that fails; then the probability that any threshold passed wrongly is at most `1 - confidence_level`, so
any of those that passed may be chosen, the best-looking one too.

The order decides whether this is of use. A rate that can only rise or fall with the threshold (recall, fpr, flagged)
is tested at every threshold, from its safe end. Precision is not like that: it is tested downwards from the highest
scores, beginning at the first threshold at which enough images are flagged for the test to pass at all, and then at
flagged counts that grow by a twentieth.

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
_MOST: Final = 10_000_000  # no one labels more

Rows = NDArray[np.int64]


def guaranteed(curve: ThresholdCurve, bound: Bound, confidence_level: float) -> Rows:
    """Rows of `curve.table` at which the bound holds on new data, all of them at once with that probability.

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
        Row numbers, in the order in which they were tested; empty when nothing can be promised.
    """
    order = _order(curve, bound, 1 - confidence_level)
    passed = _p_values(curve, bound)[order] <= 1 - confidence_level
    return order[: len(order) if passed.all() else int(np.argmin(passed))]


def fewest(bound: Bound, confidence_level: float) -> int:
    """How many images must be flagged, all rightly, before any test of a precision can pass: limit ** n <= 1 - level.

    >>> fewest(Bound("precision", 0.9), 0.95)
    29
    """
    if bound.limit >= 1:
        return _MOST
    return max(1, math.ceil(math.log(1 - confidence_level) / math.log(bound.limit))) if bound.limit > 0 else 1


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
    n = 1
    while n < _MOST:
        count = math.floor(rate * n + 1e-9) if bound.at_least else math.ceil(rate * n - 1e-9)
        if _tail(np.array([count]), np.array([n]), bound)[0] <= 1 - confidence_level:
            return n
        n = max(n + 1, math.ceil(n * 1.02))
    return None


def nearest(curve: ThresholdCurve, bound: Bound) -> int:
    """The row of `curve.table` that speaks most clearly for the bound."""
    return int(np.argmin(_p_values(curve, bound)))


def _order(curve: ThresholdCurve, bound: Bound, level: float) -> Rows:
    table = curve.table
    if bound.rate == "recall":
        return np.arange(len(table))  # highest at the lowest threshold
    downwards = np.arange(len(table))[::-1]
    if bound.rate != "precision":
        return downwards
    flagged = (table["tp"] + table["fp"]).to_numpy()[downwards]
    wanted = float(fewest(bound, 1 - level))
    chosen = []
    for row, count in zip(downwards, flagged, strict=True):
        if count >= wanted:
            chosen.append(row)
            wanted = max(count + 1, count * _GROWTH)
    return np.array(chosen, dtype=np.int64)


def _p_values(curve: ThresholdCurve, bound: Bound) -> NDArray[np.float64]:
    count, total = _fraction(curve, bound.rate)
    return _tail(count, total, bound)


def _fraction(curve: ThresholdCurve, rate: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table: pd.DataFrame = curve.table
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
