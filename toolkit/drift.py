"""Two runs and no truth: has what the model says shifted?"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit import checks
from toolkit.errors import InvalidArgument
from toolkit.policy import DECISIONS, Policy
from toolkit.results import GUESSED, Counted, Results

Floats = NDArray[np.float64]

_MODERATE: Final = 0.1
_LARGE: Final = 0.25
_BY_CHANCE: Final = 0.05
_EXPECTED: Final = 5
"""Images that a run must be able to expect in a bin, for Pearson's test to be one."""


@dataclass(frozen=True, repr=False)
class Drift:
    """How a later run differs from an earlier one.

    Attributes
    ----------
    labels
        One row a label, the largest shift first: `label`, `before` and `after` (share of the images with the label,
        0–1), `psi` (population stability index), `shift` (none below 0.1; else unclear where chance may have made the
        index that large, as in small runs it does; else moderate below 0.25, and large), `ks` (Kolmogorov–Smirnov
        statistic, 0–1) and its `p_value`.
    decisions
        Images by decision before (rows) and after (columns), of those in both runs; None without a policy.
    flips
        One row an image in both runs on which the policy decides differently: `source_ref`, `before`, `after`; None
        without a policy.
    min_confidence
        The higher of the two floors, percent; below it nothing was compared.
    """

    labels: pd.DataFrame
    decisions: pd.DataFrame | None
    flips: pd.DataFrame | None
    min_confidence: float

    def __repr__(self) -> str:
        large = self.labels[self.labels["shift"] == "large"]["label"].tolist()
        flipped = "" if self.flips is None else f", {len(self.flips):,} decisions changed"
        return f"Drift({len(self.labels)} labels, large shift in {', '.join(large) or 'none'}{flipped})"


def drift(before: Counted, after: Counted, *, policy: Policy | None = None, bins: int = 10) -> Drift:
    """How a later run differs from an earlier one: another month, another model, another MinConfidence.

    Parameters
    ----------
    before, after
        Two runs (or summaries of collections), of the same images or of others.
    policy
        Also says which images it would decide differently; takes two runs with images in common.
    bins
        Into how many the confidences of the earlier run are cut, at their quantiles; 2 to 100. Tied images stay
        together, and each of few distinct confidences has a bin to itself. Images on which the label was not reported
        are a bin of their own.

    Returns
    -------
    Drift

    Raises
    ------
    BelowFloor
        A run cannot speak about one of the policy's thresholds.
    InvalidArgument
        `bins` is out of its range, `policy` is none, a run has no images, or it reported nothing and its floor is not
        known; or with a policy: a summary was given, or there is no image in both runs.

    Notes
    -----
    The index [1]_ is the sum over the bins of (a - b) ln(a / b), where b and a are the shares of the images in a bin
    before and after; half an image is added to each bin, so that an empty one does not make it infinite. The
    Kolmogorov–Smirnov test is the two-sample one with its asymptotic p-value; images on which the label was not
    reported are tied below the floor, which makes the p-value an upper bound. One of twenty labels has a p-value below
    0.05 by chance. A large index is called unclear where neither that test nor Pearson's chi-squared, on bins that
    expect five images of each run, tells it from chance (at 0.025 each, so 0.05 together).

    References
    ----------
    .. [1] B. Yurdakul (2018). Statistical Properties of Population Stability Index. Western Michigan University.
    """
    if policy is not None:
        checks.kind("policy", policy, Policy, "Policy.load")
    checks.whole("bins", bins)
    checks.within("bins", bins, 2, 100)
    if not (before.n_images and after.n_images):
        raise InvalidArgument("one of the two runs has no images; compare runs that have some.")
    for run in (before, after):
        if run.floor_source == GUESSED and not run.label_names():
            raise InvalidArgument(
                "one of the two runs reported nothing, and nobody said what its MinConfidence was; say it "
                "(min_confidence, --min-confidence): else nothing can be compared."
            )
    floor = max(before.min_confidence, after.min_confidence)
    labels = dict.fromkeys([*before.label_names(), *after.label_names()])
    table = pd.DataFrame(
        [_shift(label, before, after, floor, bins) for label in labels],
        columns=["label", "before", "after", "psi", "by_chance", "ks", "p_value"],
    )
    psi = table["psi"]
    readings = [psi < _MODERATE, table.pop("by_chance").astype(bool), psi < _LARGE]
    reading = np.select(readings, ["none", "unclear", "moderate"], "large")
    table.insert(4, "shift", reading)
    table = table.sort_values(["psi", "label"], ascending=[False, True], ignore_index=True)
    decisions, flips = (None, None) if policy is None else _decided(before, after, policy)
    return Drift(table, decisions, flips, floor)


def _shift(
    label: str, before: Counted, after: Counted, floor: float, bins: int
) -> tuple[str, float, float, float, bool, float, float]:
    histograms = [run.histogram(label) for run in (before, after)]
    histograms = [each[each.index >= np.float32(floor)] for each in histograms]
    totals = [before.n_images, after.n_images]
    one, two = (float(each.sum()) / total for each, total in zip(histograms, totals, strict=True))
    ks = _ks(histograms, totals)
    p_value = _p_value(ks, totals)
    by_chance = min(p_value, _p_value_of_bins(histograms, totals, bins)) >= _BY_CHANCE / 2
    return label, one, two, _psi(histograms, totals, bins), by_chance, ks, p_value


def _psi(histograms: list[pd.Series], totals: list[int], bins: int) -> float:
    edges = _edges(histograms, totals, bins)
    shares = []
    for histogram, total in zip(histograms, totals, strict=True):
        place = np.searchsorted(edges, histogram.index.to_numpy(), side="right")
        reported: Floats = np.bincount(place, histogram.to_numpy(float), minlength=len(edges) + 1).astype(float)
        counts = np.append(reported, total - reported.sum()) + 0.5
        shares.append(counts / counts.sum())
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def _edges(histograms: list[pd.Series], totals: list[int], bins: int) -> NDArray[np.float32]:
    """The confidences at which the inner bins begin: the nearest to the quantiles of the earlier run.

    Where quantiles fall together on what is tied, the bins that this saves cut what both runs have most of; there are
    never more of them than images in the earlier run, as bins for each image of a rare label would show mere chance.
    """
    first = histograms[0]
    shares = pd.concat([each / total for each, total in zip(histograms, totals, strict=True)]).groupby(level=0).sum()
    values, below = shares.index.to_numpy(np.float32), np.append(0, shares.cumsum().to_numpy())
    cuts = {0, len(values)}
    if len(first) > 1:
        upto = first.cumsum().to_numpy()
        begins = first.index.to_numpy(np.float32)[1:]
        cuts.update(np.searchsorted(values, begins[_nearest(upto[:-1], upto[-1] * np.arange(1, bins) / bins)]))
    while len(cuts) <= min(bins, len(values), first.sum()):
        ends = np.sort(list(cuts))
        most = np.argmax(np.where(np.diff(ends) > 1, np.diff(below[ends]), 0))
        low, high = ends[most], ends[most + 1]
        cuts.update(low + 1 + _nearest(below[low + 1 : high], below[[low, high]].mean(keepdims=True)))
    edges: NDArray[np.float32] = values[np.sort(list(cuts))[1:-1]]
    return edges


def _nearest(ascending: Floats, wanted: Floats) -> NDArray[np.intp]:
    """For each wanted number, the place of the one that is nearest to it."""
    return np.searchsorted((ascending[:-1] + ascending[1:]) / 2, wanted)


def _ks(histograms: list[pd.Series], totals: list[int]) -> float:
    """The largest distance between the shares at or above a confidence."""
    values = np.unique(np.concatenate([each.index.to_numpy() for each in histograms]))
    reached = []
    for histogram, total in zip(histograms, totals, strict=True):
        counts = np.zeros(len(values))
        counts[np.searchsorted(values, histogram.index.to_numpy())] = histogram.to_numpy()
        reached.append(counts[::-1].cumsum() / total)
    return float(np.max(np.abs(reached[0] - reached[1]), initial=0.0))


def _p_value(ks: float, totals: list[int]) -> float:
    from scipy.stats import kstwo  # loads slowly, and few who import the toolkit compare runs

    return float(kstwo.sf(ks, max(1, round(totals[0] * totals[1] / sum(totals)))))


def _p_value_of_bins(histograms: list[pd.Series], totals: list[int], bins: int) -> float:
    """Pearson's chi-squared test on bins in which each run may expect five images, or one if there are no two such.

    They are cut from both runs together, and not, as those of the index, from one of them: few images there would make
    bins of which chance knows nothing.
    """
    from scipy.stats import chi2_contingency

    values = histograms[0].index.union(histograms[1].index)
    # First those on which the label was not reported, as if they had the lowest confidence of all.
    each = [np.append(n - h.sum(), h.reindex(values, fill_value=0)) for h, n in zip(histograms, totals, strict=True)]
    before = np.append(0, np.sum(each, axis=0).cumsum())
    least = _EXPECTED * before[-1] / min(totals)
    width = max(least, (before[-1] - before[1]) / bins)
    starts = [0]
    while before[-1] - before[starts[-1]] >= width + least:
        starts.append(int(np.searchsorted(before, before[starts[-1]] + width)))
    if before[-1] - before[starts[-1]] < least:  # what is tied cannot be cut
        starts.pop()
    if len(starts) < 2:
        return 1.0
    return float(chi2_contingency(np.add.reduceat(each, starts, axis=1), correction=False).pvalue)


def _decided(before: Counted, after: Counted, policy: Policy) -> tuple[pd.DataFrame, pd.DataFrame]:
    if not (isinstance(before, Results) and isinstance(after, Results)):
        raise InvalidArgument("decisions are compared image by image, so of two runs; leave the policy out.")
    each = [
        policy.decide(run).drop_duplicates("source_ref").set_index("source_ref")["decision"].astype("str")
        for run in (before, after)
    ]
    pairs = pd.concat(each, axis=1, keys=["before", "after"], join="inner").rename_axis("source_ref").reset_index()
    if pairs.empty:
        raise InvalidArgument("the two runs have no image in common; leave the policy out, or compare its forecasts.")
    table = pd.crosstab(pairs["before"], pairs["after"])
    table = table.reindex(index=list(DECISIONS), columns=list(DECISIONS), fill_value=0)
    return table, pairs[pairs["before"] != pairs["after"]].reset_index(drop=True)
