"""What an adapter is trained on: people's judgements as a ground-truth manifest, and whether there are enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Final

import pandas as pd

from toolkit import manifests, storage, taxonomy
from toolkit.errors import InvalidArgument, NotLabelled
from toolkit.results import Results
from toolkit.truth import Truth

MIN_TESTING: Final = 20
MIN_FALSE_POSITIVES: Final = 20
MIN_FALSE_NEGATIVES: Final = 50
MAX_IMAGES: Final = 10_000
"""AWS's counts for training a custom moderation adapter."""


@dataclass(frozen=True, repr=False)
class GroundTruth:
    """Images with their level-1 labels, as an adapter is trained on or tested with.

    Attributes
    ----------
    table
        One row an image: `source_ref`, and for each label a bool.
    labels
        The level-1 labels that it speaks of.
    rolled_up
        Label of a lower level, as people gave it, to the level-1 label that it became.
    left_out
        Images of which not all of these labels are known. The format has no word for "not judged": an image that does
        not name a label is one without it.
    """

    table: pd.DataFrame
    labels: tuple[str, ...]
    rolled_up: dict[str, str]
    left_out: int

    @property
    def counts(self) -> pd.DataFrame:
        """One row a label: `label`, `present`, `absent` (numbers of images)."""
        present = [int(self.table[label].sum()) for label in self.labels]
        return pd.DataFrame(
            {"label": self.labels, "present": present, "absent": [len(self.table) - n for n in present]}
        )

    def __repr__(self) -> str:
        each = ", ".join(f"{row.label} {row.present}" for row in self.counts.itertuples())
        return f"GroundTruth({self.in_words} Present: {each})"

    @property
    def in_words(self) -> str:
        """What was made of the judgements, for people."""
        rolled = ", ".join(f"{low} as {high}" for low, high in self.rolled_up.items())
        return (
            f"{len(self.table):,} images of {', '.join(self.labels)}"
            + (f"; rolled up to level 1: {rolled}" if rolled else "")
            + (f"; {self.left_out:,} left out, as not all of these labels were judged on them" if self.left_out else "")
            + "."
        )

    def to_lines(self) -> list[str]:
        """The manifest, line by line."""
        named = [tuple(row) for row in self.table[list(self.labels)].to_numpy()]
        return [
            manifests.to_line(
                manifests.ground_truth_record(ref, [one for one, there in zip(self.labels, row, strict=True) if there])
            )
            for ref, row in zip(self.table["source_ref"], named, strict=True)
        ]

    def write(self, destination: str | PathLike[str], *, session: storage.Session | None = None) -> None:
        """Writes the manifest to a path or S3 URI. Raises as `storage.write`."""
        storage.write(destination, "".join(self.to_lines()).encode(), session=session)


def ground_truth(truth: Truth, labels: Sequence[str] | None = None) -> GroundTruth:
    """What people said, in the form that adapters are trained on: level-1 labels, all of them known on each image.

    Parameters
    ----------
    truth
        Judgements of any level. A present label implies its level-1 label; what is said to be absent below level 1
        says nothing about it.
    labels
        Level-1 labels to train; one of a lower level stands for its level-1 label. None takes those that are present
        on at least one image.

    Returns
    -------
    GroundTruth

    Raises
    ------
    NotLabelled
        Nobody judged a label, or no image was judged for all of them.
    InvalidArgument
        A label is in no taxonomy, or the images are not all in one bucket in S3.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("s3://b/1.jpg", "Smoking", True), ("s3://b/2.jpg", "Drugs & Tobacco", False)]
    >>> ground_truth(Truth(pd.DataFrame(rows, columns=["source_ref", "label", "present"]))).rolled_up
    {'Smoking': 'Drugs & Tobacco'}
    """
    chosen = tuple(dict.fromkeys(_top(label) for label in (labels or truth.tunable_labels())))
    known = pd.concat([truth.of(label).rename(label) for label in chosen], axis=1)
    whole = known.dropna()
    if whole.empty:
        raise NotLabelled(
            f"on no image is it known of all of {', '.join(chosen)}; judge them together, or train fewer labels."
        )
    buckets = sorted({storage.split_s3(ref)[0] if storage.is_s3(ref) else "" for ref in whole.index})
    if len(buckets) > 1 or "" in buckets:
        where = ", ".join(bucket or "none" for bucket in buckets)
        raise InvalidArgument(
            f"the images of an adapter lie in one bucket in S3, and these in {where}; copy them into one."
        )
    present = truth.table.loc[truth.table["present"], "label"].unique()
    rolled = {low: _top(low) for low in sorted(map(str, present)) if taxonomy.level(low) != 1 and _top(low) in chosen}
    table = whole.astype(bool).rename_axis("source_ref").reset_index()
    return GroundTruth(table, chosen, rolled, len(known) - len(whole))


def _top(label: str) -> str:
    """The level-1 label that a label belongs to."""
    name = taxonomy.canonical(label)
    if taxonomy.level(name) is None:
        raise InvalidArgument(f"{label}: in no taxonomy, and an adapter learns level-1 labels only; name one of these.")
    above = taxonomy.ancestors(name)
    return next((one for one in above if taxonomy.level(one) == 1), name)


def shortfalls(
    training: GroundTruth,
    testing: GroundTruth | None = None,
    *,
    base: Results | None = None,
    threshold: float = 50.0,
) -> list[str]:
    """What AWS would find missing before it trains an adapter; empty where all is there.

    AWS asks for 20 test images, for 50 misses or 20 false alarms of the base model on a label that is to be improved,
    and for no more than 10,000 images.

    Parameters
    ----------
    training, testing
        None for the latter lets the service split the training images.
    base
        A run of the base model on the training images; None leaves its mistakes uncounted, and says so. Where too few
        are found, it says how many of the images the run did not analyze.
    threshold
        MinConfidence at which a mistake is one, percent.

    Raises
    ------
    BelowFloor
        The run says nothing at this threshold.
    InvalidArgument
        The run analyzed none of the training images.
    """
    found = []
    images = len(training.table) + (0 if testing is None else len(testing.table))
    if images > MAX_IMAGES:
        found.append(f"{images:,} images, and an adapter takes {MAX_IMAGES:,}")
    if testing is not None and len(testing.table) < MIN_TESTING:
        found.append(f"{len(testing.table)} test images of at least {MIN_TESTING}")
    need = f"AWS asks for {MIN_FALSE_POSITIVES} false alarms or {MIN_FALSE_NEGATIVES} misses of the base model"
    if base is None:
        found.append(f"the base model's mistakes were not counted, as no run of it was given ({need} on a label)")
        return found
    analyzed = int(training.table["source_ref"].isin(base.images["source_ref"]).sum())
    if not analyzed:
        raise InvalidArgument(
            "the run of the base model (base, --base) analyzed none of the training images; give one that did."
        )
    whole = len(training.table)
    partly = "" if analyzed == whole else f", as the run analyzed only {analyzed:,} of {whole:,} training images"
    for label in training.labels:
        wrong, missed = _mistakes(training, base, label, threshold)
        if wrong < MIN_FALSE_POSITIVES and missed < MIN_FALSE_NEGATIVES:
            found.append(f"{label}: {wrong} false alarms and {missed} misses at {threshold:g}{partly} ({need})")
    return found


def _mistakes(training: GroundTruth, base: Results, label: str, threshold: float) -> tuple[int, int]:
    """False alarms and misses of a run on these images."""
    base.require(threshold, label)
    flagged = pd.Series(base.scores(label) >= threshold, index=base.images["source_ref"])
    judged = training.table.set_index("source_ref")[label]
    both = pd.concat([judged.rename("present"), flagged[~flagged.index.duplicated()].rename("flagged")], axis=1)
    both = both.dropna().astype(bool)
    return int((both["flagged"] & ~both["present"]).sum()), int((~both["flagged"] & both["present"]).sum())
