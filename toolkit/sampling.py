"""Which images to label next, with the probability that each had of being picked."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from toolkit import checks, taxonomy
from toolkit.curves import binomial_interval
from toolkit.errors import InvalidSample
from toolkit.results import Results

STRATEGIES: Final = ("uniform", "confidence", "threshold")

_BANDS: Final = 10
_NEAR: Final = 10.0

Ints = NDArray[np.int64]


def sample_for_labeling(
    results: Results,
    n: int,
    label: str,
    *,
    strategy: str = "confidence",
    threshold: float | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Picks images to label, so that rates computed from them later are true for the whole collection.

    Parameters
    ----------
    results
        The run; an image that stands twice in it can be picked once.
    n
        How many to pick; all images if there are not more.
    label
        The moderation label to be judged.
    strategy
        `uniform`: every image has the same chance. `confidence`: as many from each tenth of the confidence
        range as from the images on which the label was not reported, so that a rare label is seen. `threshold`:
        half of them from within 10 points of `threshold`, the rest from both sides of that.
    threshold
        Percent, not below the run's floor; for the strategy of that name.
    seed
        The same seed picks the same images; 0 or more.

    Returns
    -------
    pandas.DataFrame
        One row a picked image, in random order: `source_ref`, `label`, `confidence` (percent; NaN where not reported),
        `probability` (of having been picked, above 0 and at most 1), `weight` (its inverse). Fill in a column `present`
        and keep `weight` or `probability`: `read_truth` and `make_truth` carry it on, and every rate makes up for the
        unequal chances.
        Keep the rows that nobody judged, too: their weights may be all that shows that the chances were unequal.

    Raises
    ------
    InvalidSample
        There is no such label, n is too small, the seed is negative, the strategy is unknown, or `threshold` came
        without one.
    InvalidArgument
        `n` or `seed` is not a whole number, or `threshold` not a number between 0 and 100.
    BelowFloor
        The run reported nothing at `threshold`.
    """
    checks.whole("n", n)
    checks.whole("seed", seed)
    if n < 1:
        raise InvalidSample(f"n is {n}; ask for at least one image.")
    if seed < 0:
        raise InvalidSample(f"seed is {seed}; give 0 or a larger whole number.")
    if strategy not in STRATEGIES:
        raise InvalidSample(f"strategy {strategy!r}: choose one of {', '.join(STRATEGIES)}.")
    if threshold is not None:
        checks.within("threshold", threshold, 0, 100)
    if threshold is not None and strategy == "threshold":
        results.require(threshold, label)
    if advice := taxonomy.advice_on_unknown(label, results.label_names()):
        raise InvalidSample(f"{label}: no such label; {advice}")
    images = pd.DataFrame({"source_ref": results.images["source_ref"], "confidence": results.scores(label)})
    images = images.drop_duplicates("source_ref", ignore_index=True)
    random = np.random.default_rng(seed)
    strata, shares = _strata(images["confidence"].to_numpy(float), strategy, threshold, results.min_confidence)
    sizes = np.bincount(strata, minlength=len(shares))
    taken = _allocate(n, sizes, shares)
    picked = np.concatenate(
        [random.choice(np.flatnonzero(strata == s), size=taken[s], replace=False) for s in range(len(shares))]
    ).astype(np.int64)
    random.shuffle(picked)
    probability = (taken / np.maximum(sizes, 1))[strata[picked]]
    return (
        images.iloc[picked]
        .assign(label=label, probability=probability, weight=1 / probability)
        .reset_index(drop=True)[["source_ref", "label", "confidence", "probability", "weight"]]
    )


def positives_needed(half_width: float = 0.05, *, recall: float = 0.5, confidence_level: float = 0.95) -> int:
    """How many labelled images that show a label it takes to know its recall this closely.

    Parameters
    ----------
    half_width
        Of the interval, between 0 and 0.5: 0.05 is ± 5 percentage points.
    recall
        What it is thought to be, 0–1; 0.5 takes the most images.
    confidence_level
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    int
        The smallest number from which on the Clopper–Pearson interval (`binomial_interval`) is no wider.

    Raises
    ------
    InvalidArgument
        A number is out of its range.

    Examples
    --------
    >>> positives_needed(0.05), positives_needed(0.05, recall=0.95)
    (402, 97)
    """
    checks.within("half_width", half_width, 0.01, 0.5, ends=False)
    checks.within("recall", recall, 0, 1)
    checks.confidence_level(confidence_level)
    most = 2 * int(np.ceil((ndtri(0.5 + confidence_level / 2) / (2 * half_width)) ** 2)) + 200
    trials = np.arange(1, most)
    low, high = binomial_interval(np.round(recall * trials), trials, confidence_level)
    wide = np.flatnonzero((high - low) / 2 > half_width)
    return int(trials[wide[-1]] + 1) if len(wide) else 1


def _strata(
    confidence: NDArray[np.float64], strategy: str, threshold: float | None, floor: float
) -> tuple[Ints, NDArray[np.float64]]:
    """The stratum of each image, and the share of the sample that each stratum should get."""
    if strategy == "uniform":
        return np.zeros(len(confidence), dtype=np.int64), np.ones(1)
    reported = ~np.isnan(confidence)
    if strategy == "confidence":
        edges = np.linspace(floor, 100, _BANDS + 1)[1:-1]
        return np.where(reported, 1 + np.digitize(confidence, edges), 0), np.ones(_BANDS + 1)
    if threshold is None:
        raise InvalidSample("the strategy 'threshold' needs a threshold; give one in percent.")
    near = reported & (np.abs(confidence - threshold) <= _NEAR)
    above = reported & (confidence > threshold) & ~near
    return np.select([near, above], [0, 1], 2), np.array([2.0, 1.0, 1.0])


def _allocate(n: int, sizes: Ints, shares: NDArray[np.float64]) -> Ints:
    """How many to take from each stratum: by share, what one cannot give goes to the others; at least one from each.

    A stratum from which nothing is taken would be a part of the collection of which nothing is learnt.
    """
    taken = np.minimum(sizes, 1)
    if n < taken.sum():
        raise InvalidSample(f"n is {n}; ask for at least {taken.sum()} images, one from each part of the collection.")
    left = min(n, int(sizes.sum())) - int(taken.sum())
    while left > 0:
        wanting = np.where(taken < sizes, shares, 0.0)
        part = np.minimum(np.floor(left * wanting / wanting.sum()).astype(np.int64), sizes - taken)
        if not part.any():
            part[np.argmax(wanting)] = 1
        taken = taken + part
        left -= int(part.sum())
    return taken
