"""Areas under curves, from counts.

Images are grouped by confidence, ascending; the first group are those on which the label was not reported. They rank
last, all tied: the run says no more about them. Every function takes an array of shape (…, groups, 2): the sum of the
weights of each group's images without and with the label.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def average_precision(groups: Floats) -> Floats:
    """Area under precision over recall as a step function, 0–1; NaN without positives.

    The sum is scikit-learn's: the recall gained at each threshold times the precision there.
    """
    flagged = _from_the_top(groups)
    tp, everything = flagged[..., 1], flagged.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(everything > 0, tp / everything, 0.0)
        area: Floats = (groups[..., 1] * precision).sum(axis=-1) / tp[..., 0]
    return area


def roc_auc(groups: Floats) -> Floats:
    """Area under recall over the false-positive rate, 0–1; NaN without positives or without negatives.

    The chance that an image with the label has a higher confidence than one without; a tie counts half.
    """
    flagged = _from_the_top(groups)
    above = flagged[..., 1] - groups[..., 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        won = groups[..., 0] * (above + groups[..., 1] / 2)
        area: Floats = won.sum(axis=-1) / (flagged[..., 0, 1] * flagged[..., 0, 0])
    return area


def _from_the_top(groups: Floats) -> Floats:
    """What is at each group's confidence or above it."""
    flagged: Floats = groups[..., ::-1, :].cumsum(axis=-2)[..., ::-1, :]
    return flagged
