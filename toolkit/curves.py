"""Every threshold's confusion counts, rates and intervals for one label."""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from toolkit import checks
from toolkit.errors import BelowFloor, InvalidArgument
from toolkit.results import Results
from toolkit.truth import Truth

Floats = NDArray[np.float64]

RATES: Final = {
    "precision": (("tp",), ("tp", "fp")),
    "recall": (("tp",), ("tp", "fn")),
    "fpr": (("fp",), ("fp", "tn")),
    "flagged": (("tp", "fp"), ("tp", "fp", "fn", "tn")),
}
"""Each rate as the cells that make its numerator and its denominator."""

# What is summed over the images of a cell: how many there are, their weights, and their squared weights.
_COUNT, _WEIGHT, _SQUARE = 0, 1, 2


def binomial_interval(successes: ArrayLike, trials: ArrayLike, confidence_level: float = 0.95) -> tuple[Floats, Floats]:
    """Clopper–Pearson interval of a proportion: exact, a little wide.

    Parameters
    ----------
    successes, trials
        Counts, of one shape.
    confidence_level
        Coverage, between 0 and 1.

    Returns
    -------
    low, high
        Arrays of that shape, between 0 and 1; NaN where there were no trials.

    Raises
    ------
    InvalidArgument
        `confidence_level` is not between 0 and 1.

    References
    ----------
    .. [1] C. J. Clopper and E. S. Pearson (1934). Biometrika 26(4), 404–413.

    Examples
    --------
    >>> low, high = binomial_interval(9, 10)
    >>> round(float(low), 3), round(float(high), 3)
    (0.555, 0.997)
    """
    checks.confidence_level(confidence_level)
    k, n = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(trials, dtype=float))
    tail = (1 - confidence_level) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(k > 0, betaincinv(k, n - k + 1, tail), 0.0)
        high = np.where(k < n, betaincinv(k + 1, n - k, 1 - tail), 1.0)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


@dataclass(frozen=True)
class OperatingPoint:
    """One threshold and what happens there.

    `threshold` is in percent (0–100); `tp`, `fp`, `fn`, `tn` are numbers of labelled images; rates lie between 0 and 1,
    each with the ends of its interval, and are NaN where their denominator is 0. `flagged` is the share of the images
    at or above the threshold. Where labelled images carry weights, the rates are weighted and the numbers are not.
    """

    threshold: float
    tp: int
    fp: int
    fn: int
    tn: int
    precision: float
    recall: float
    fpr: float
    f1: float
    flagged: float
    precision_low: float
    precision_high: float
    recall_low: float
    recall_high: float
    fpr_low: float
    fpr_high: float
    flagged_low: float
    flagged_high: float


_COUNTS: Final = ("tp", "fp", "fn", "tn")
_COLUMNS: Final = [field.name for field in fields(OperatingPoint)]


@dataclass(frozen=True, repr=False)
class ThresholdCurve:
    """What every threshold would do for one label, on the images that people judged.

    Attributes
    ----------
    label
        The moderation label.
    table
        One row a distinct confidence, ascending; the columns of `OperatingPoint`. Empty when the label was reported on
        no judged image.
    totals
        Shape (2, 3): for judged images without and with the label, how many there are, the sum of their weights, and of
        their squared weights.
    weighted
        Whether the labelled images were picked with unequal probabilities, which the rates and intervals make up for.
    unmatched
        Judged images that this run has no result for (they failed, or were not in it); they do not count.
    min_confidence
        The run's floor in percent; nothing is known below it.
    confidence_level
        Coverage of the `_low` and `_high` columns.
    """

    label: str
    table: pd.DataFrame
    totals: Floats
    weighted: bool
    unmatched: int
    min_confidence: float
    confidence_level: float

    @property
    def positives(self) -> int:
        """Judged images with the label."""
        return int(self.totals[1, _COUNT])

    @property
    def negatives(self) -> int:
        """Judged images without the label."""
        return int(self.totals[0, _COUNT])

    def at(self, threshold: float) -> OperatingPoint:
        """What happens at one threshold: images with confidence >= threshold are flagged.

        Raises
        ------
        BelowFloor
            The run reported nothing there, or the threshold is above 100.
        """
        if not np.float32(self.min_confidence) <= np.float32(threshold) <= 100:
            raise BelowFloor(
                f"{self.label} at {threshold:g}: this run reported nothing below {self.min_confidence:g}; "
                f"rerun the job with MinConfidence {threshold:g} or lower."
                if threshold < self.min_confidence
                else f"{self.label} at {threshold:g}: confidences end at 100; name a threshold up to 100."
            )
        thresholds = self.table["threshold"].to_numpy(np.float32)
        row = int(np.searchsorted(thresholds, np.float32(threshold)))
        if row < len(self.table):
            found = self.table.iloc[[row]]
        else:
            nothing = np.zeros((1, 2, 3))  # above the highest confidence, no image is flagged
            found = _rates(nothing, self.totals, self.confidence_level, weighted=self.weighted)
        values = found.assign(threshold=float(threshold)).iloc[0]
        counts = {name: int(values[name]) for name in _COUNTS}
        rates = {name: float(values[name]) for name in _COLUMNS if name not in _COUNTS}
        return OperatingPoint(**counts, **rates)  # type: ignore[arg-type]

    @property
    def average_precision(self) -> float:
        """Area under precision over recall as a step function, 0–1; NaN without positives.

        Images on which the label was not reported rank last, all tied: the run says no more about them.
        The sum is scikit-learn's: the recall gained at each threshold times the precision there.
        """
        if not self.positives:
            return float("nan")
        prevalence = self.totals[1, _WEIGHT] / self.totals[:, _WEIGHT].sum()
        recall = np.concatenate([[1.0], self.table["recall"].to_numpy()])
        precision = np.concatenate([[prevalence], self.table["precision"].to_numpy()])
        return float(np.sum((recall - np.append(recall[1:], 0.0)) * precision))

    def __repr__(self) -> str:
        return (
            f"ThresholdCurve({self.label}: {self.positives} present, {self.negatives} absent, "
            f"{len(self.table)} thresholds from {self.min_confidence:g}, "
            f"average precision {self.average_precision:.3f})"
        )


def threshold_curve(results: Results, truth: Truth, label: str, *, confidence_level: float = 0.95) -> ThresholdCurve:
    """Confusion counts of one label at every threshold that can change them.

    Parameters
    ----------
    results
        What the model reported; n_images rows.
    truth
        What people said about some of these images. Images it leaves out, or calls unknown for `label`, do not count;
        neither do images that the run could not analyze. An image that stands twice in the run counts twice.
    label
        A moderation label of any taxonomy level.
    confidence_level
        Coverage of the `_low` and `_high` columns, between 0 and 1.

    Returns
    -------
    ThresholdCurve
        `table` has one row for each distinct confidence of a judged image (percent, float32, ascending); counts are
        numbers of images, rates lie between 0 and 1 and are NaN where nothing was counted.

    Raises
    ------
    NotLabelled
        Nobody judged `label`, or none of the judged images was analyzed; the message names what was judged.
    InvalidArgument
        `confidence_level` is not between 0 and 1.

    Notes
    -----
    An image is flagged at t when its confidence is >= t. Intervals are Clopper–Pearson [1]_: exact, a little wide, and
    each true for a threshold fixed beforehand; the interval at the best of many thresholds is not a promise. Where the
    labelled images carry weights, rates are weighted and the intervals are Korn and Graubard's [2]_: Clopper–Pearson at
    the effective sample size, from a linearised variance.

    References
    ----------
    .. [1] C. J. Clopper and E. S. Pearson (1934). Biometrika 26(4), 404–413.
    .. [2] E. L. Korn and B. I. Graubard (1998). Survey Methodology 24(2), 193–201.
    """
    known, present = truth.matched(label, results.images["source_ref"])
    judged = truth.of(label).index
    return curve_of_scores(
        label,
        results.scores(label)[known],
        present[known],
        weights=truth.weights_of(results.images["source_ref"][known]),
        min_confidence=results.min_confidence,
        confidence_level=confidence_level,
        unmatched=int((~judged.isin(results.images["source_ref"])).sum()),
    )


def curve_of_scores(
    label: str,
    scores: ArrayLike,
    present: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    min_confidence: float = 0.0,
    confidence_level: float = 0.95,
    unmatched: int = 0,
) -> ThresholdCurve:
    """A threshold curve from plain arrays, for scores that come from elsewhere.

    Parameters
    ----------
    label
        What to call it.
    scores
        Confidence of n judged images, percent (0–100); NaN where the label was not reported.
    present
        Whether the label is on them, shape (n,): bool, or 1 and 0. An image that was not judged has no place here.
    weights
        How many images of the collection each stands for (the inverse of its probability of being picked), positive,
        shape (n,); None where every image had the same chance.
    min_confidence, confidence_level, unmatched
        As in `ThresholdCurve`.

    Raises
    ------
    InvalidArgument
        The arrays are not of one length, hold something else than what is said above, or `min_confidence` or
        `confidence_level` is out of its range.

    Examples
    --------
    >>> curve_of_scores("Gambling", [90, 80, float("nan")], [True, False, True]).at(85).recall
    0.5
    """
    checks.within("min_confidence", min_confidence, 0, 100)
    score, there, weight = _columns(scores, present, weights)
    sums = np.stack([np.ones(len(score)), weight, weight**2], axis=1)
    reported = ~np.isnan(score)
    thresholds, group = np.unique(score[reported], return_inverse=True)
    flagged = np.zeros((len(thresholds), 2, 3))
    np.add.at(flagged, (group, there[reported].astype(int)), sums[reported])
    # Counting from the top: at each threshold, everything at or above it is flagged.
    flagged = flagged[::-1].cumsum(axis=0)[::-1]
    totals = np.stack([sums[~there].sum(axis=0), sums[there].sum(axis=0)])
    weighted = weights is not None
    table = _rates(flagged, totals, confidence_level, weighted=weighted).assign(threshold=thresholds)
    return ThresholdCurve(label, table[_COLUMNS], totals, weighted, unmatched, min_confidence, confidence_level)


def _columns(
    scores: ArrayLike, present: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_], Floats]:
    """What the caller gave as arrays of one length, checked; without weights, each image stands for one."""
    said = np.asarray(present)
    try:
        score = np.asarray(scores, dtype=np.float32)
        weight = np.ones(said.shape) if weights is None else np.asarray(weights, dtype=float)
    except (TypeError, ValueError) as error:
        raise InvalidArgument("scores and weights are numbers; give NaN where a label was not reported.") from error
    if not (score.ndim == 1 and score.shape == said.shape == weight.shape):
        raise InvalidArgument(
            f"scores {score.shape}, present {said.shape} and weights {weight.shape}: give one value an image in each."
        )
    if not np.all(np.isnan(score) | ((score >= 0) & (score <= 100))):
        raise InvalidArgument("a score is not from 0 to 100; give percent, and NaN where a label was not reported.")
    if pd.isna(said).any() or not np.isin(said, [False, True]).all():
        raise InvalidArgument("present is neither true nor false for an image; leave out images that were not judged.")
    if not np.all((weight > 0) & np.isfinite(weight)):
        raise InvalidArgument("a weight is not positive; give the inverse of the probability of being picked.")
    return score, said.astype(bool), weight


def _rates(flagged: Floats, totals: Floats, confidence_level: float, *, weighted: bool) -> pd.DataFrame:
    """All columns of `OperatingPoint` but one, from the sums over flagged images, shape (thresholds, 2, 3)."""
    cells = {
        "tp": flagged[:, 1],
        "fp": flagged[:, 0],
        "fn": totals[1] - flagged[:, 1],
        "tn": totals[0] - flagged[:, 0],
    }
    table = pd.DataFrame({name: np.rint(sums[:, _COUNT]).astype(np.int64) for name, sums in cells.items()})
    for rate, (above, below) in RATES.items():
        k, n = (np.sum([cells[name] for name in names], axis=0) for names in (above, below))
        with np.errstate(invalid="ignore", divide="ignore"):
            table[rate] = np.where(n[:, _COUNT] > 0, k[:, _WEIGHT] / n[:, _WEIGHT], np.nan)
        successes, trials = _effective(k, n) if weighted else (k[:, _COUNT], n[:, _COUNT])
        table[f"{rate}_low"], table[f"{rate}_high"] = binomial_interval(successes, trials, confidence_level)
    tp, fp, fn = (cells[name][:, _WEIGHT] for name in ("tp", "fp", "fn"))
    with np.errstate(invalid="ignore", divide="ignore"):
        table["f1"] = 2 * tp / (2 * tp + fp + fn)
    return table


def _effective(k: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Successes and trials of the simple random sample that would be as sure as this weighted one (Korn and Graubard).

    The variance of the weighted rate is linearised: the sum of squared weights times squared deviations, over the
    squared sum of weights. At a rate of 0 or 1, where it vanishes, Kish's effective sample size takes its place.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = k[:, _WEIGHT] / n[:, _WEIGHT]
        variance = (k[:, _SQUARE] * (1 - 2 * rate) + rate**2 * n[:, _SQUARE]) / n[:, _WEIGHT] ** 2
        inside = (rate > 1e-12) & (rate < 1 - 1e-12)
        trials = np.where(inside, rate * (1 - rate) / variance, n[:, _WEIGHT] ** 2 / n[:, _SQUARE])
    trials = np.where(n[:, _COUNT] > 0, np.minimum(trials, n[:, _COUNT]), 0.0)
    return np.where(trials > 0, np.clip(rate, 0, 1) * trials, 0.0), trials
