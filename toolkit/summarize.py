"""What thousands of manifests say together, without all of their rows ever being in one place.

Each manifest is reduced where it is read to counts: how many images have each confidence of each label, how many of
the judged ones with that confidence have it rightly, how many a policy would block. Counts add up exactly, in whatever
order and on however many machines, and from them come the same distributions, curves and forecasts as from the rows.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import chain
from os import PathLike
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit import checks, parallel, taxonomy
from toolkit.confidence import written
from toolkit.curves import Interval, ThresholdCurve, curve_of_scores
from toolkit.curves.making import warn_of_repeated
from toolkit.errors import InvalidArgument, NotLabelled
from toolkit.policy import Policy, Rule, decisions_of, forecast_of
from toolkit.results import GUESSED, Opener, Results, list_manifests
from toolkit.results.lift import require_version, untranslated, warn_of_models
from toolkit.results.reading import (
    concat,
    floor_of,
    place_of_summary,
    put_together,
    read_each,
    smallest,
    warn_of_floors,
    without_missing,
)
from toolkit.results.table import Floor, failures_in_words, highest, translated
from toolkit.truth import Truth

_LABEL: Final = ["name", "parent", "level"]
_JUDGED: Final = ["label", "confidence", "present", "weight"]
_UNKNOWN: Final = -1


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
        return _warn_of_one_guess(_sum([self, other]))

    @property
    def failures(self) -> str:
        """How many images failed, in words; where that is not known, that it is not."""
        return failures_in_words(int(self.errors.sum()), known=self.errors_known)

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
        there = self.seen[_images_of(self.truth).get_indexer(judged.index)]
        repeated = len(each) - int(there.sum())
        warn_of_repeated(label, repeated, len(each))
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
        self.policy.warn_of_unknown(self)
        return forecast_of(self.decisions, confidence_level)

    def __repr__(self) -> str:
        return (
            f"CollectionSummary({self.n_images:,} images, {self.n_flagged:,} with labels, {self.failures}; "
            f"nothing known below {written(self.min_confidence)} ({self.floor_source}))"
        )


def summarize(
    sources: str | PathLike[str] | Sequence[str | PathLike[str]],
    truth: Truth | None = None,
    policy: Policy | None = None,
    *,
    min_confidence: float | None = None,
    taxonomy: str | None = None,
    session: Opener | None = None,
    executor: Executor | None = None,
) -> CollectionSummary:
    """Reads and reduces any number of manifests; what comes back fits in memory however many they are.

    Runs of different models on the same images are refused, because every image would count once a model. Names of
    images are not compared one by one, as `read_results` does: two manifests are refused if more than one model
    answered in them (model version, or ARN of an adapter) and, in the order of characters, the names in one begin
    before the names in the other end. That finds every image that two models answered in different manifests, and
    refuses some runs that share no image. Lines of the same manifest always all count.

    Parameters
    ----------
    sources
        As in `read_results`: paths, S3 URIs, globs, folders, prefixes.
    truth
        Labelled samples, for curves.
    policy
        For forecasts.
    min_confidence
        The floor of the runs in percent; None takes the smallest confidence seen, and the summary says so.
    taxonomy
        "7.0" translates what model 6.1 said, as `Results.to_taxonomy`; labels without a counterpart are kept as they
        are. None leaves all labels as they are, and warns (UserWarning) where they are not those of model 7.0.
    session
        For S3; for an executor with other processes, a function that makes one (`functools.partial(tk.connect, …)`).
    executor
        Any `concurrent.futures.Executor`, such as `distributed.Client(…).get_executor()`; None takes threads of
        this process.

    Returns
    -------
    CollectionSummary
        The same to the last digit, wherever the work was done.

    Raises
    ------
    NotFound, Unreachable, RequestRefused, UnreadableManifest
        As `read_results`.
    InvalidArgument
        `min_confidence` is out of its range, or above a confidence in a file; or the manifests may be runs of different
        models on the same images; or a folder holds a manifest twice, as `list_manifests`; or another taxonomy.

    Warns
    -----
    UserWarning
        As `read_results`.
    """
    if min_confidence is not None:
        checks.within("min_confidence", min_confidence, 0, 100)
    uris = list_manifests(sources, session=session)
    if taxonomy is not None:
        require_version(taxonomy)
    work = partial(_reduce, asked=_Asked.of(truth), policy=policy, translate=taxonomy is not None, session=session)
    # Manifests of one folder share its summary, which counts once.
    places = pd.Index([place_of_summary(uri) for uri in uris])
    first, alone = ~places.duplicated(), ~places.duplicated(keep=False)
    items = list(zip(uris, first.tolist(), alone.tolist(), strict=True))
    whole = _fold(parallel.in_batches(work, items, executor))
    _warn_of_models(whole, translated=taxonomy is not None)
    floor, floor_source = floor_of(whole.min_confidence, min_confidence)
    return _warn_of_one_guess(
        replace(whole, min_confidence=floor, floor_source=floor_source, truth=truth, policy=policy)
    )


@dataclass(frozen=True)
class _Asked:
    """What a worker has to know of the truth: three values by judged image (sorted) and label."""

    images: pd.Index
    labels: list[str]
    said: NDArray[np.int8]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, truth: Truth | None) -> "_Asked":
        if truth is None:
            return cls(pd.Index([], dtype="str"), [], np.zeros((0, 0), dtype=np.int8), np.zeros(0))
        images = _images_of(truth)
        known = _known(truth)
        said = np.full((len(images), len(known)), _UNKNOWN, dtype=np.int8)
        for column, judged in enumerate(known.values()):
            said[images.get_indexer(judged.index), column] = judged
        weights = truth.weights_of(images.to_series())
        return cls(images, list(known), said, np.ones(len(images)) if weights is None else weights)


def _known(truth: Truth) -> dict[str, pd.Series]:
    """What is known of every label of which anything is, by itself or through the tree."""
    kin = {name for label in truth.labels for name in (label, *taxonomy.ancestors(label), *taxonomy.descendants(label))}
    found = {}
    for label in sorted(kin):
        with suppress(NotLabelled):  # one above another that is absent: nothing follows for it
            found[label] = truth.of(label)
    return found


def _images_of(truth: Truth) -> pd.Index:
    images: pd.Index = pd.Index(np.unique(truth.table["source_ref"].to_numpy(object)), dtype="str")
    return images


def _reduce(
    items: Sequence[tuple[str, bool, bool]],
    asked: _Asked,
    policy: Policy | None,
    translate: bool,
    session: Opener | None,
) -> CollectionSummary:
    """What a worker does: some manifests in, each with whether it is the first beside its summary, and the only one;
    counts out.
    """
    parts = []
    read = read_each([uri for uri, _, _ in items], session)
    for (uri, first, alone), (tables, failed) in zip(items, read, strict=True):
        if failed is not None and not alone:
            failed = without_missing(failed) if first else failed.iloc[:0]
        results = put_together([uri], [(tables, failed)])
        if translate:
            results, _ = translated(results)
        # Of models one warning tells, for all the manifests together.
        parts.append(_counted(replace(results, translated=True), asked, policy))
    return _sum(parts)


def _counted(results: Results, asked: _Asked, policy: Policy | None) -> CollectionSummary:
    decisions = pd.Series(dtype="int64")
    if policy is not None:  # whether the run can speak about it is asked once, of all the manifests together
        decisions = decisions_of(policy.rules, results)["decision"].astype("str").value_counts()
    place = asked.images.get_indexer(pd.Index(results.images["source_ref"]))
    seen = np.zeros(len(asked.images), dtype=bool)
    seen[place[place >= 0]] = True
    return CollectionSummary(
        n_images=results.n_images,
        n_flagged=int(results.labels["image"].nunique()),
        counts=highest(results.labels)[[*_LABEL, "confidence"]].assign(images=1),
        judged=_judged(results, asked, place),
        seen=seen,
        decisions=decisions,
        errors=results.errors["code"].value_counts(),
        errors_known=results.errors_known,
        min_confidence=smallest(results.labels),
        floor_source=GUESSED,
        answered=_answered(results),
    )


def _answered(results: Results) -> tuple[Answered, ...]:
    if not results.n_images:
        return ()
    versions = results.images[["model_version", "project_version"]].drop_duplicates().astype("str").fillna("")
    models = sorted({f"{model} {adapter}".strip() for model, adapter in versions.itertuples(index=False)} - {""})
    names = results.images["source_ref"]
    where, known = ", ".join(results.sources), tuple(results.model_versions)
    tops = int((highest(results.labels)["level"] == 1).sum())
    return (Answered(names.min(), names.max(), tuple(models), where, known, smallest(results.labels), tops),)


def _judged(results: Results, asked: _Asked, place: NDArray[np.intp]) -> pd.DataFrame:
    """One row a judged image and label."""
    rows = np.flatnonzero(place >= 0)
    said = asked.said[place[rows]]
    image, label = np.nonzero(said != _UNKNOWN)
    scores = np.full(said.shape, np.nan, dtype=np.float32)
    for column, name in enumerate(asked.labels):
        scores[:, column] = results.scores(name)[rows]
    return pd.DataFrame(
        {
            "label": pd.Categorical.from_codes(label, categories=pd.Index(asked.labels, dtype="str")),
            "confidence": scores[image, label],
            "present": said[image, label] == 1,
            "weight": asked.weights[place[rows[image]]],
            "images": 1,
        }
    )


# -- adding up --------------------------------------------------------------------------------------------------------


def _fold(parts: Iterable[CollectionSummary]) -> CollectionSummary:
    """Adds up as in merge sort, like with like: each count is touched a few times, not once a part."""
    piles: list[tuple[int, CollectionSummary]] = []
    for part in parts:
        size = 1
        while piles and piles[-1][0] == size:
            part, size = _sum([piles.pop()[1], part]), 2 * size
        piles.append((size, part))
    return reduce(lambda right, left: _sum([left, right]), (part for _, part in reversed(piles)))


def _sum(parts: Sequence[CollectionSummary]) -> CollectionSummary:
    """The counts of all parts; sorted, so that the order of the parts leaves no trace in what is computed from them."""
    answered = tuple(sorted(chain.from_iterable(part.answered for part in parts)))
    _require_one_model(answered)
    return CollectionSummary(
        n_images=sum(part.n_images for part in parts),
        n_flagged=sum(part.n_flagged for part in parts),
        counts=_total([part.counts for part in parts], [*_LABEL, "confidence"]),
        judged=_total([part.judged for part in parts], _JUDGED),
        seen=np.logical_or.reduce([part.seen for part in parts]),
        decisions=_added([part.decisions for part in parts]),
        errors=_added([part.errors for part in parts]),
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


def _added(counts: Sequence[pd.Series]) -> pd.Series:
    whole: pd.Series = pd.concat(counts).groupby(level=0).sum()
    return whole


def _median(histogram: pd.Series) -> float:
    """Of the confidences that a histogram counts; the mean of the middle two."""
    upto, total = histogram.cumsum().to_numpy(), int(histogram.sum())
    middle = np.searchsorted(upto, [(total - 1) // 2, total // 2], side="right")
    return float(histogram.index.to_numpy()[middle].mean(dtype=np.float64))


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


def _warn_of_one_guess(whole: CollectionSummary) -> CollectionSummary:
    """The same; warned of where its floor was guessed, and its manifests seem to have different ones."""
    if whole.floor_source == GUESSED and len(whole.answered) > 1:
        images = whole.counts[whole.counts["level"] == 1].groupby("confidence")["images"].sum()
        upto = np.append(0, images.cumsum().to_numpy())
        seen = [one.seen for one in whole.answered]
        below = upto[np.searchsorted(images.index.to_numpy(), np.array(seen, dtype=np.float32))]
        warn_of_floors([one.manifest for one in whole.answered], seen, [one.tops for one in whole.answered], below)
    return whole


def _warn_of_models(whole: CollectionSummary, *, translated: bool) -> None:
    versions = sorted(set(chain.from_iterable(one.versions for one in whole.answered)))
    versions = untranslated(versions) if translated else versions
    warn_of_models("this summary", versions, f'translate them with summarize(…, taxonomy="{taxonomy.MODEL_VERSION}")')


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
