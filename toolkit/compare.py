"""Two models on the same images: what changed, and is it real."""

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import bdtr

from toolkit import checks, taxonomy
from toolkit.confidence import written
from toolkit.curves.making import warn_of_unmatched
from toolkit.errors import InvalidArgument, NotLabelled
from toolkit.results import Results
from toolkit.truth import Truth
from toolkit.tuning.choice import never_reported

REPLICATES: Final = 10_000

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, repr=False)
class Comparison:
    """What a candidate changes for one label, on the images that both models analyzed.

    Attributes
    ----------
    label
        The moderation label.
    thresholds
        Of base and candidate, percent.
    rates
        One row a measure (precision, recall, fp, fn, flagged): `measure`, `base`, `candidate`, `difference`
        (candidate less base), `low` and `high` of the difference. Precision, recall and flagged lie between 0 and 1;
        fp and fn are numbers of judged images. NaN where there was nothing to count.
    flips
        One row an image that only one of them flags: `source_ref`, `base` and `candidate` (confidence in percent, NaN
        where not reported), `change` ("flagged now" or "no longer flagged"), `present` (what people said; missing where
        not judged).
    judged
        Images that both analyzed and people judged; what `rates` and `p_value` are about.
    unpaired
        Images that only one of the two analyzed; they are left out.
    fixed, broken
        Judged images that only the candidate gets right, and that only the base gets right.
    p_value
        McNemar's exact test: how likely fixed and broken would be so unequal if neither model were better.
    confidence_level
        Coverage of `low` and `high`.
    unmatched
        Judged images that not both have a result for; they do not count.
    """

    label: str
    thresholds: tuple[float, float]
    rates: pd.DataFrame
    flips: pd.DataFrame
    judged: int
    unpaired: int
    fixed: int
    broken: int
    p_value: float
    confidence_level: float
    unmatched: int = 0

    def improvement(self, measure: str) -> float:
        """By how much the candidate lowers the number of `fp` or `fn`, as a share of the base's, the way AWS shows it.

        Returns
        -------
        float
            1 means all of them are gone, negative means more; NaN where the base had none.

        Raises
        ------
        InvalidArgument
            Another measure.
        """
        if measure not in {"fp", "fn"}:
            raise InvalidArgument(f"{measure!r}: improvements are of fp or fn; name one of the two.")
        row = self.rates.set_index("measure").loc[measure]
        return float(-row["difference"] / row["base"]) if row["base"] else float("nan")

    def __repr__(self) -> str:
        return (
            f"Comparison({self.label} at {written(self.thresholds[0])} and {written(self.thresholds[1])}: "
            f"{self.judged:,} judged images, "
            f"{self.fixed} fixed, {self.broken} broken, p = {self.p_value:.3g}; {len(self.flips):,} flips)"
        )


def compare(
    base: Results,
    candidate: Results,
    truth: Truth,
    label: str,
    threshold: float | tuple[float, float],
    *,
    confidence_level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """What a candidate model changes for one label, pairing image with image.

    Parameters
    ----------
    base, candidate
        Two runs. Images are paired by source_ref; of an image that stands twice in a run, the first line counts.
    truth
        What people said about some of these images.
    label
        A moderation label.
    threshold
        Percent; one for both, or one for each.
    confidence_level
        Coverage of the intervals of the differences, between 0 and 1.
    seed
        Of the bootstrap; the same seed gives the same interval.

    Returns
    -------
    Comparison

    Raises
    ------
    BelowFloor
        A run reported nothing at its threshold.
    NotLabelled
        No image that both analyzed was judged, or the judged images carry weights.
    InvalidArgument
        `confidence_level` is not between 0 and 1, a threshold not between 0 and 100, or a run or `truth` is none.

    Warns
    -----
    UserWarning
        Neither model reported the label on any judged image that shows it; or more than half of the judged images are
        not in both runs.

    Notes
    -----
    Differences have paired bootstrap intervals (percentile, 10,000 replicates): images are drawn again, each with both
    models' answers, so what both get wrong does not blur the difference. Whether one model is right more often is
    McNemar's test [1]_ in its exact, binomial form.

    References
    ----------
    .. [1] Q. McNemar (1947). Psychometrika 12(2), 153–157.
    """
    for name, run in (("base", base), ("candidate", candidate)):
        checks.kind(name, run, Results, "read_results")
    checks.kind("truth", truth, Truth, "read_truth")
    checks.confidence_level(confidence_level)
    both = threshold if isinstance(threshold, tuple) else (threshold, threshold)
    for each in both:
        checks.within("threshold", each, 0, 100)
    if len(both) != 2:
        raise InvalidArgument(f"threshold is {threshold!r}; give one for both models, or one for each.")
    at_base, at_candidate = both
    base.require(at_base, label)
    candidate.require(at_candidate, label)
    pairs = _paired(base, candidate, label)
    before = pairs["base"].to_numpy(np.float32) >= np.float32(at_base)
    after = pairs["candidate"].to_numpy(np.float32) >= np.float32(at_candidate)
    if pairs.empty:
        raise NotLabelled(f"{label}: the two runs have no image in common; compare runs on the same collection.")
    known, present = truth.matched(label, pairs["source_ref"])
    if truth.weights is not None:
        raise NotLabelled(f"{label}: models are compared on samples without weights; label images picked uniformly.")
    judged = truth.of(label).index
    example = pairs["source_ref"].iloc[int(known.argmin())]
    warn_of_unmatched(judged, judged.isin(pairs["source_ref"]), example, "both runs")
    _warn_if_never_reported(label, base, candidate, pairs[present])
    cells = _cells(present[known], before[known], after[known])
    right_before, right_after = before[known] == present[known], after[known] == present[known]
    fixed, broken = int((right_after & ~right_before).sum()), int((right_before & ~right_after).sum())
    return Comparison(
        label=label,
        thresholds=(float(at_base), float(at_candidate)),
        rates=_differences(cells, confidence_level, seed),
        flips=_flips(pairs, before, after, known, present),
        judged=int(known.sum()),
        unpaired=base.images["source_ref"].nunique() + candidate.images["source_ref"].nunique() - 2 * len(pairs),
        fixed=fixed,
        broken=broken,
        p_value=float(min(1.0, 2 * bdtr(min(fixed, broken), fixed + broken, 0.5))) if fixed + broken else 1.0,
        confidence_level=confidence_level,
        unmatched=len(judged) - int(known.sum()),
    )


def _warn_if_never_reported(label: str, base: Results, candidate: Results, shown: pd.DataFrame) -> None:
    """`shown` are the pairs on which people said that the label is there."""
    if shown.empty or shown[["base", "candidate"]].notna().any(axis=None):
        return
    floor = max(base.min_confidence, candidate.min_confidence)
    advice = taxonomy.advice_on_unknown(label, [*base.label_names(), *candidate.label_names()])
    said = never_reported("both models", label, len(shown), floor)
    warnings.warn(f"{said}; {advice}" if advice else f"{said}.", stacklevel=3)


def _paired(base: Results, candidate: Results, label: str) -> pd.DataFrame:
    def scores(results: Results, name: str) -> pd.DataFrame:
        table = pd.DataFrame({"source_ref": results.images["source_ref"], name: results.scores(label)})
        return table.drop_duplicates("source_ref")

    return scores(base, "base").merge(scores(candidate, "candidate"), on="source_ref")


def _cells(present: Flags, before: Flags, after: Flags) -> Floats:
    """Number of images in each of the eight combinations of truth, base and candidate; shape (2, 2, 2)."""
    cells = np.zeros((2, 2, 2))
    np.add.at(cells, (present.astype(int), before.astype(int), after.astype(int)), 1)
    return cells


def _differences(cells: Floats, confidence_level: float, seed: int) -> pd.DataFrame:
    total = int(cells.sum())
    # Drawing images again is drawing from these eight counts: one multinomial a replicate, whatever the sample's size.
    drawn = np.random.default_rng(seed).multinomial(total, cells.ravel() / total, size=REPLICATES)
    base, candidate = _measures(cells[None]), _measures(cells[None], candidate=True)
    again = drawn.reshape(-1, 2, 2, 2).astype(np.float64)
    spread_base, spread_candidate = _measures(again), _measures(again, candidate=True)
    tail = (1 - confidence_level) / 2
    rows = []
    for name in base:
        values = spread_candidate[name] - spread_base[name]
        finite = values[np.isfinite(values)]
        low, high = np.quantile(finite, [tail, 1 - tail]) if len(finite) else (np.nan, np.nan)
        before, after = float(base[name][0]), float(candidate[name][0])
        rows.append((name, before, after, after - before, float(low), float(high)))
    return pd.DataFrame(rows, columns=["measure", "base", "candidate", "difference", "low", "high"])


def _measures(cells: Floats, *, candidate: bool = False) -> dict[str, Floats]:
    """Each measure of one model, for many tables of cells at once; shape (replicates,)."""
    counts = cells.sum(axis=2 if candidate else 3)  # now: replicate, present, flagged
    fn, tp = counts[:, 1, 0], counts[:, 1, 1]
    fp = counts[:, 0, 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "fp": fp.astype(float),
            "fn": fn.astype(float),
            "flagged": (tp + fp) / counts.sum(axis=(1, 2)),
        }


def _flips(pairs: pd.DataFrame, before: Flags, after: Flags, known: Flags, present: Flags) -> pd.DataFrame:
    flipped = before != after
    table = pairs[flipped].copy()
    table["change"] = pd.Categorical(
        np.where(after[flipped], "flagged now", "no longer flagged"), categories=["flagged now", "no longer flagged"]
    )
    said = pd.Series(present[flipped], dtype="boolean", index=table.index)
    table["present"] = said.where(known[flipped])
    flips: pd.DataFrame = table.reset_index(drop=True)
    return flips
