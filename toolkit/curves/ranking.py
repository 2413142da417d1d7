"""How sure the areas under a curve are."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit import checks
from toolkit.curves.curve import ThresholdCurve
from toolkit.curves.measures import average_precision, roc_auc
from toolkit.errors import InvalidArgument

Floats = NDArray[np.float64]

MEASURES: Final = {"average_precision": average_precision, "roc_auc": roc_auc}


def ranking_intervals(
    curve: ThresholdCurve, *, replicates: int = 1000, confidence_level: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Average precision and ROC AUC with bootstrap intervals.

    Parameters
    ----------
    curve
        On images picked uniformly.
    replicates
        How many samples to draw, at least 1.
    confidence_level
        Coverage, between 0 and 1.
    seed
        The same seed gives the same interval; 0 or more.

    Returns
    -------
    pandas.DataFrame
        Indexed by measure (average_precision, roc_auc): `value`, `low`, `high`, all 0–1; NaN where there are no
        positives, or for ROC AUC no negatives.

    Raises
    ------
    InvalidArgument
        There is no labelled image, they carry weights, or a number is out of its range.

    Notes
    -----
    Percentile bootstrap: images are drawn again with replacement, and the whole curve is made anew each time. Drawing
    images is drawing from the counts of each confidence, so a replicate costs no sorting.
    """
    checks.confidence_level(confidence_level)
    checks.within("replicates", replicates, 1, 1_000_000)
    checks.whole("replicates", replicates, 1)
    checks.whole("seed", seed, 0)
    if curve.weighted:
        raise InvalidArgument(f"{curve.label}: weighted samples are not drawn again; label images picked uniformly.")
    if not curve.positives + curve.negatives:
        raise InvalidArgument(f"{curve.label}: no image on this curve is judged; label some images first.")
    drawn = _bootstrap(curve, replicates, seed)
    tail = (1 - confidence_level) / 2
    rows = {}
    for name, measure in MEASURES.items():
        finite = drawn[name][np.isfinite(drawn[name])]
        low, high = np.quantile(finite, [tail, 1 - tail]) if len(finite) else (np.nan, np.nan)
        rows[name] = {"value": float(measure(curve.groups)), "low": low, "high": high}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("measure")


def _bootstrap(curve: ThresholdCurve, replicates: int, seed: int) -> dict[str, Floats]:
    """Each measure of each replicate, shape (replicates,).

    Only images on which the label was reported are drawn one by one; of the others, who are all tied, it is enough to
    know how many there are with the label and without.
    """
    counts = curve.groups.astype(np.int64)
    reported = np.repeat(np.arange(2, counts.size), counts[1:].ravel())  # the cell of each image
    chances = np.array([*counts[0], len(reported)]) / counts.sum()
    random = np.random.default_rng(seed)
    found = {name: np.empty(replicates) for name in MEASURES}
    for row in range(replicates):
        *tied, drawn = random.multinomial(counts.sum(), chances)
        again = np.bincount(reported[random.integers(0, max(len(reported), 1), drawn)], minlength=counts.size)
        again[:2] = tied
        for name, measure in MEASURES.items():
            found[name][row] = measure(again.reshape(counts.shape).astype(float))
    return found
