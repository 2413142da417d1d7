"""What any number of manifests say together: counts that add up exactly, in any order, and what follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit import checks, taxonomy
from toolkit.confidence import written
from toolkit.curves import Interval, ThresholdCurve, curve_of_scores
from toolkit.curves.making import warn_of_repeated, warn_of_unmatched
from toolkit.errors import InvalidArgument, NotLabelled
from toolkit.policy import Policy, Rule, forecast_of
from toolkit.results import GUESSED
from toolkit.results.reading import concat, warn_of_floors
from toolkit.results.table import Floor, failures_in_words
from toolkit.truth import Truth

LABEL: Final = ["name", "parent", "level"]
"""Columns that tell a label in `CollectionSummary.counts`."""
_JUDGED: Final = ["label", "confidence", "present", "weight"]


class Answered(NamedTuple):
    """What a manifest is about, in few words: whether two of them may count the same images as two models see them.

    `first` and `last` are the names of its images that come first and last in the order of characters; `models` are the
    versions that answered, those of an adapter with its ARN; `versions` those of the base models alone. `seen` is the
    smallest confidence (percent), `tops` the number of labels of level 1.
    """

    first: str
    last: str
    models: tuple[str, ...]
    manifest: str
    versions: tuple[str, ...]
    seen: float
    tops: int


@dataclass(frozen=True, repr=False)
class CollectionSummary:
    """Counts that stand for any number of manifests; two of them add up to a third with `+`.

    Attributes
    ----------
    n_images
        Number of analyzed images.
    n_flagged
        Of these, with any label.
    counts
        One row a label and distinct confidence: `name`, `parent`, `level`, `confidence` (float32, percent), `images`.
        Of an image that names a label twice, the higher confidence counts.
    judged
        One row a label, confidence (NaN where not reported), truth (`present`) and `weight`: `images`, of those that
        people judged. Empty without truth.
    seen
        Which of the truth's images (sorted by source_ref) are in the collection, bool.
    decisions
        Images by decision of the policy; empty without one.
    errors
        Lines not analyzed, by error code.
    errors_known
        Whether a summary that can be read stands beside every manifest.
    min_confidence, floor_source
        As in `Results`.
    answered
        One a manifest with images, sorted: which names, and which models.
    truth, policy
        What was counted with.
    """

    n_images: int
    n_flagged: int
    counts: pd.DataFrame
    judged: pd.DataFrame
    seen: NDArray[np.bool_]
    decisions: pd.Series
    errors: pd.Series
    errors_known: bool
    min_confidence: float
    floor_source: Floor
    answered: tuple[Answered, ...] = ()
    truth: Truth | None = None
    policy: Policy | None = None

    def __add__(self, other: "CollectionSummary") -> "CollectionSummary":
        """The counts of both.

        Raises
        ------
        InvalidArgument
            They were counted with different labelled samples or policies, or have different floors; or they are of
            different models and may be of the same images, as in `summarize`.
        """
        _require_counted_alike(self, other)
        return warn_of_one_guess(added([self, other]))

    @property
    def failures(self) -> str:
        """How many images failed, in words; where that is not known, that it is not."""
        return failures_in_words(int(self.errors.sum()), known=self.errors_known)

    @property
    def models(self) -> list[str]:
        """The models that answered, as `Results.models`."""
        return sorted(set(chain.from_iterable(one.models for one in self.answered)))

    def label_names(self) -> list[str]:
        """Every label that was reported at least once, the most frequent first."""
        images = self.counts.groupby("name", observed=True)["images"].sum().sort_values(ascending=False, kind="stable")
        return [str(name) for name in images.index]

    def histogram(self, label: str) -> pd.Series:
        """How many images have each confidence of a label, at full resolution; as `Results.histogram`.

        Raises
        ------
        InvalidArgument
            Several labels.
        """
        _require_one_label(label)
        rows = self.counts[self.counts["name"] == taxonomy.canonical(label)]
        images: pd.Series = rows.groupby("confidence")["images"].sum()
        return images

    def overview(self) -> pd.DataFrame:
        """Every reported label with its counts, the tree's top first; as `Results.overview`."""
        groups = self.counts.groupby("name", observed=True)
        table = groups[["parent", "level"]].first().assign(images=groups["images"].sum())
        table["share"] = table["images"] / max(self.n_images, 1)
        medians = [_median(self.histogram(str(name))) for name in table.index]
        table["median_confidence"] = np.array(medians, dtype=np.float32)
        table = table.rename_axis("label").reset_index().astype({"label": "str", "parent": "str", "level": "int64"})
        return table.sort_values(["level", "images", "label"], ascending=[True, False, True], ignore_index=True)

    def curve(
        self, label: str, *, confidence_level: float = 0.95, interval: Interval = "clopper-pearson"
    ) -> ThresholdCurve:
        """The curve of one label on the judged images; as `threshold_curve`, and warns as that does.

        Raises
        ------
        NotLabelled
            There is no truth, nobody judged `label`, or none of the judged images is in the collection.
        InvalidArgument
            Several labels, or `confidence_level` or `interval` is not usable.
        """
        _require_one_label(label)
        if self.truth is None:
            raise NotLabelled(f"{label}: summarized without labelled samples; give `truth` to summarize.")
        judged = self.truth.of(label)
        rows = self.judged[self.judged["label"] == taxonomy.canonical(label)]
        if rows.empty:
            raise NotLabelled(
                f"{label}: none of the {len(judged):,} labelled images is among the {self.n_images:,} analyzed ones "
                f"(labelled: {judged.index[0]}); the source_ref of both must be written the same way."
            )
        each = rows.loc[rows.index.repeat(rows["images"])]
        there = self.seen[images_of(self.truth).get_indexer(judged.index)]
        repeated = len(each) - int(there.sum())
        warn_of_repeated(label, repeated, len(each))
        warn_of_unmatched(judged.index, there, self.answered[0].first)
        return curve_of_scores(
            label,
            each["confidence"].to_numpy(),
            each["present"].to_numpy(bool),
            weights=None if self.truth.weights is None else each["weight"].to_numpy(),
            min_confidence=self.min_confidence,
            confidence_level=confidence_level,
            interval=interval,
            unmatched=int((~there).sum()),
            floor_guessed=self.floor_source == GUESSED,
            repeated=repeated,
        )

    def forecast(self, *, confidence_level: float = 0.95) -> pd.DataFrame:
        """What the policy would do with a thousand images like these; as `Policy.forecast`, and warns as it does.

        Raises
        ------
        BelowFloor
            The collection cannot speak about one of the thresholds.
        InvalidArgument
            There is no policy, or `confidence_level` is not between 0 and 1.
        """
        if self.policy is None:
            raise InvalidArgument("summarized without a policy; give `policy` to summarize.")
        checks.confidence_level(confidence_level)
        self.policy.require(self.min_confidence, guessed=self.floor_source == GUESSED)
        self.policy.warn_of_misfits(self)
        return forecast_of(self.decisions, confidence_level)

    def __repr__(self) -> str:
        return (
            f"CollectionSummary({self.n_images:,} images, {self.n_flagged:,} with labels, {self.failures}; "
            f"nothing known below {written(self.min_confidence)} ({self.floor_source}))"
        )


# -- adding up --------------------------------------------------------------------------------------------------------


def added(parts: Sequence[CollectionSummary]) -> CollectionSummary:
    """The counts of all parts; sorted, so that the order of the parts leaves no trace in what is computed from them."""
    answered = tuple(sorted(chain.from_iterable(part.answered for part in parts)))
    _require_one_model(answered)
    return CollectionSummary(
        n_images=sum(part.n_images for part in parts),
        n_flagged=sum(part.n_flagged for part in parts),
        counts=_total([part.counts for part in parts], [*LABEL, "confidence"]),
        judged=_total([part.judged for part in parts], _JUDGED),
        seen=np.logical_or.reduce([part.seen for part in parts]),
        decisions=_added_counts([part.decisions for part in parts]),
        errors=_added_counts([part.errors for part in parts]),
        errors_known=all(part.errors_known for part in parts),
        min_confidence=min(part.min_confidence for part in parts),
        floor_source=parts[0].floor_source,
        answered=answered,
        truth=parts[0].truth,
        policy=parts[0].policy,
    )


def _total(tables: Sequence[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """Numbers of images by key, in the order of the keys."""
    whole = concat(tables)
    for key in whole.select_dtypes("category"):
        names = pd.Index(sorted(whole[key].cat.categories), dtype="str")
        whole[key] = whole[key].cat.reorder_categories(names)
    return whole.groupby(keys, dropna=False, observed=True)["images"].sum().reset_index()


def _added_counts(counts: Sequence[pd.Series]) -> pd.Series:
    whole: pd.Series = pd.concat(counts).groupby(level=0).sum()
    return whole


def _median(histogram: pd.Series) -> float:
    """Of the confidences that a histogram counts; the mean of the middle two."""
    upto, total = histogram.cumsum().to_numpy(), int(histogram.sum())
    middle = np.searchsorted(upto, [(total - 1) // 2, total // 2], side="right")
    return float(histogram.index.to_numpy()[middle].mean(dtype=np.float64))


def images_of(truth: Truth) -> pd.Index:
    """The images that people judged, sorted; in this order `CollectionSummary.seen` counts them."""
    images: pd.Index = pd.Index(np.unique(truth.table["source_ref"].to_numpy(object)), dtype="str")
    return images


# -- what does not add up ---------------------------------------------------------------------------------------------


def _require_one_label(label: object) -> None:
    if not isinstance(label, str):
        raise InvalidArgument(
            f"{label!r}: a summary does not know which labels an image has together; name one label, or take the "
            f"manifests from read_results."
        )


def _require_counted_alike(one: CollectionSummary, other: CollectionSummary) -> None:
    if not _same_truth(one.truth, other.truth):
        raise InvalidArgument("these summaries were counted with different labelled samples; give both the same truth.")
    if _rules(one.policy) != _rules(other.policy):
        raise InvalidArgument("these summaries were counted with different policies; give both the same.")
    sources = {one.floor_source, other.floor_source}
    if sources != {GUESSED} and (len(sources) > 1 or one.min_confidence != other.min_confidence):
        raise InvalidArgument(
            f"nothing is known below {written(one.min_confidence)} in one of these summaries, and below "
            f"{written(other.min_confidence)} in the other ({one.floor_source}, {other.floor_source}); keep them apart."
        )


def _same_truth(one: Truth | None, other: Truth | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or (one.table.equals(other.table) and _same_weights(one.weights, other.weights))


def _rules(policy: Policy | None) -> dict[str, Rule] | None:
    return None if policy is None else dict(policy.rules)


def _same_weights(one: pd.Series | None, other: pd.Series | None) -> bool:
    return one is other if one is None or other is None else one.equals(other)


def warn_of_one_guess(whole: CollectionSummary) -> CollectionSummary:
    """The same; warned of where its floor was guessed, and its manifests seem to have different ones."""
    if whole.floor_source == GUESSED and len(whole.answered) > 1:
        images = whole.counts[whole.counts["level"] == 1].groupby("confidence")["images"].sum()
        upto = np.append(0, images.cumsum().to_numpy())
        seen = [one.seen for one in whole.answered]
        below = upto[np.searchsorted(images.index.to_numpy(), np.array(seen, dtype=np.float32))]
        warn_of_floors([one.manifest for one in whole.answered], seen, [one.tops for one in whole.answered], below)
    return whole


def _require_one_model(answered: Sequence[Answered]) -> None:
    """Refuses what may be runs of different models on the same images; `answered` is sorted."""
    furthest: dict[tuple[str, ...], Answered] = {}  # of each set of models, the manifest that reaches furthest
    for one in answered:
        for models, before in furthest.items():
            if before.last >= one.first and len({*models, *one.models}) > 1:
                raise InvalidArgument(
                    f"{before.manifest} and {one.manifest} are runs of different models, and by their names perhaps of "
                    f"the same images; summarize those of each model by themselves."
                )
        if one.models not in furthest or furthest[one.models].last < one.last:
            furthest[one.models] = one
