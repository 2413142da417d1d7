"""What happens where manifests are read: rows in, counts out."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit import taxonomy
from toolkit.errors import NotLabelled
from toolkit.policy import Policy, decisions_of
from toolkit.results import GUESSED, Opener, Results
from toolkit.results.reading import put_together, read_each, smallest, without_missing
from toolkit.results.table import highest, translated
from toolkit.summarize.summary import LABEL, Answered, CollectionSummary, added, images_of
from toolkit.truth import Truth

_UNKNOWN: Final = -1


@dataclass(frozen=True)
class Asked:
    """What a worker has to know of the truth: three values by judged image (sorted) and label."""

    images: pd.Index
    labels: list[str]
    said: NDArray[np.int8]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, truth: Truth | None) -> "Asked":
        """Of labelled samples; None asks nothing."""
        if truth is None:
            return cls(pd.Index([], dtype="str"), [], np.zeros((0, 0), dtype=np.int8), np.zeros(0))
        images = images_of(truth)
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


def reduced(
    items: Sequence[tuple[str, bool, bool]],
    asked: Asked,
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
    return added(parts)


def _counted(results: Results, asked: Asked, policy: Policy | None) -> CollectionSummary:
    decisions = pd.Series(dtype="int64")
    if policy is not None:  # whether the run can speak about it is asked once, of all the manifests together
        decisions = decisions_of(policy.rules, results)["decision"].astype("str").value_counts()
    place = asked.images.get_indexer(pd.Index(results.images["source_ref"]))
    seen = np.zeros(len(asked.images), dtype=bool)
    seen[place[place >= 0]] = True
    return CollectionSummary(
        n_images=results.n_images,
        n_flagged=int(results.labels["image"].nunique()),
        counts=highest(results.labels)[[*LABEL, "confidence"]].assign(images=1),
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
    names = results.images["source_ref"]
    where, known = ", ".join(results.sources), tuple(results.model_versions)
    tops = int((highest(results.labels)["level"] == 1).sum())
    return (Answered(names.min(), names.max(), tuple(results.models), where, known, smallest(results.labels), tops),)


def _judged(results: Results, asked: Asked, place: NDArray[np.intp]) -> pd.DataFrame:
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
