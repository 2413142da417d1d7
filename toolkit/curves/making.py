"""A curve from runs and labelled samples, or from plain arrays."""

import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from toolkit import checks
from toolkit.confidence import written
from toolkit.curves.curve import Floats, ThresholdCurve
from toolkit.curves.intervals import Interval, require_interval
from toolkit.errors import InvalidArgument
from toolkit.results import GUESSED, Results
from toolkit.truth import Truth


def threshold_curve(
    results: Results,
    truth: Truth,
    label: str | Iterable[str],
    *,
    confidence_level: float = 0.95,
    interval: Interval = "clopper-pearson",
) -> ThresholdCurve:
    """Confusion counts of one label at every threshold that can change them.

    Parameters
    ----------
    results
        What the model reported; n_images rows.
    truth
        What people said about some of these images. Images it leaves out, or calls unknown for `label`, do not count;
        neither do images that the run could not analyze. An image that stands twice in the run counts twice, of which
        this warns (UserWarning): see `Results.distinct`. It also warns where the run has no result for more than half
        of the judged images.
    label
        A moderation label of any taxonomy level; or several, for the curve of "any of these labels" at one threshold:
        an image has the highest of their confidences, is positive if one of them is there, and negative if none is.
    confidence_level
        Coverage of the `_low` and `_high` columns, between 0 and 1.
    interval
        What they are: `clopper-pearson` or `wilson`.

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
        `confidence_level` is not between 0 and 1, the interval is unknown, or `results` or `truth` is none.

    Notes
    -----
    An image is flagged at t when its confidence is >= t. Intervals are Clopper–Pearson [1]_ (exact, a little wide) or
    Wilson's, each true for a threshold fixed beforehand; the interval at the best of many thresholds is not a promise.
    Where the labelled images carry weights, rates are weighted and the intervals are Fay's [2]_ from a linearised
    variance (`weighted_interval`); with equal weights those are Clopper and Pearson's. A weighted rate is the ratio of
    two unbiased sums; it is nearly unbiased where its denominator holds more than a few of the heaviest images.

    References
    ----------
    .. [1] C. J. Clopper and E. S. Pearson (1934). Biometrika 26(4), 404–413.
    .. [2] M. P. Fay (1999). Communications in Statistics – Theory and Methods 28(9), 2141–2160.
    """
    checks.kind("results", results, Results, "read_results")
    checks.kind("truth", truth, Truth, "read_truth")
    label = label if isinstance(label, str) else list(dict.fromkeys(label))
    refs = results.images["source_ref"]
    known, present = truth.matched(label, refs)
    judged = truth.of(label).index
    name = label if isinstance(label, str) else " or ".join(label)
    repeated = int(refs[known].duplicated().sum())
    warn_of_repeated(name, repeated, int(known.sum()))
    there = judged.isin(refs[known])
    warn_of_unmatched(judged, there, refs.iloc[int(known.argmin())])
    return curve_of_scores(
        name,
        results.scores(label)[known],
        present[known],
        weights=truth.weights_of(refs[known]),
        min_confidence=results.min_confidence,
        confidence_level=confidence_level,
        interval=interval,
        unmatched=int((~there).sum()),
        floor_guessed=results.floor_source == GUESSED,
        repeated=repeated,
    )


def warn_of_repeated(label: str, repeated: int, lines: int) -> None:
    """Says (UserWarning) that so many of the judged lines name an image once more; nothing where none does."""
    if repeated:
        warnings.warn(
            f"{label}: {repeated:,} of {lines:,} judged lines name an image once more; the intervals take each for an "
            f"image of its own (read_results(…).distinct() leaves them out).",
            stacklevel=3,
        )


def warn_of_unmatched(judged: pd.Index, there: NDArray[np.bool_], example: str, run: str = "the run") -> None:
    """Says (UserWarning) that the run has no result for more than half of the judged images; nothing where it has.

    Parameters
    ----------
    judged
        Their names.
    there
        Which of them have a result.
    example
        An image of the run; best one that nobody judged.
    run
        What to call it.
    """
    missing = judged[~there]
    if 2 * len(missing) > len(judged):
        warnings.warn(
            f"{len(missing):,} of {len(judged):,} judged images have no result in {run}, and do not count (judged: "
            f"{missing[0]}; in {run}: {example}); if they should, write the source_ref of both the same way.",
            stacklevel=3,
        )


def curve_of_scores(
    label: str,
    scores: ArrayLike,
    present: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    min_confidence: float = 0.0,
    confidence_level: float = 0.95,
    interval: Interval = "clopper-pearson",
    unmatched: int = 0,
    floor_guessed: bool = False,
    repeated: int = 0,
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
    min_confidence, confidence_level, interval, unmatched, floor_guessed, repeated
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
    checks.confidence_level(confidence_level)
    require_interval(interval)
    score, there, weight = _columns(scores, present, weights)
    if np.any(score < np.float32(min_confidence)):
        lowest = written(float(np.nanmin(score)))
        raise InvalidArgument(
            f"a score is {lowest}, below min_confidence {written(min_confidence)}; give NaN where a label was not "
            f"reported, or a lower min_confidence."
        )
    reported = np.flatnonzero(~np.isnan(score))
    thresholds, place = np.unique(score[reported], return_inverse=True)
    group = np.zeros(len(score), dtype=np.int64)
    group[reported] = place + 1
    cell = 2 * group + there
    size = 2 * (len(thresholds) + 1)
    count = np.bincount(cell, minlength=size).astype(float)
    sums = [count, count, count]
    if weights is not None:
        sums = [count, *(np.bincount(cell, weight**power, minlength=size) for power in (1, 2))]
    cells = np.stack(sums, axis=1).reshape(-1, 2, 3)
    heaviest = np.zeros(len(cells))
    np.maximum.at(heaviest, group, weight)
    return ThresholdCurve(
        label, thresholds, cells, heaviest, weights is not None, unmatched, min_confidence, confidence_level, interval,
        floor_guessed, repeated,
    )  # fmt: skip


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
