"""What people said as the output manifest of a SageMaker Ground Truth labeling job, for tools that read these."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike

import pandas as pd

from toolkit import manifests, storage, taxonomy
from toolkit.errors import NotLabelled
from toolkit.truth.table import Truth
from toolkit.words import counted


@dataclass(frozen=True, repr=False)
class Annotations:
    """Images with the labels that were chosen for each, as a labeling job for several labels leaves them.

    Attributes
    ----------
    table
        One row an image: `source_ref`, and for each label a bool.
    labels
        The labels that it speaks of.
    left_out
        Images of which not all of these labels are known. The format has no word for "not judged": a label that an
        image was not given is absent.
    weights
        How many images of the collection each stands for, in the order of the table; None where all stand for as many.
        The format has no word for it: they are an attribute of their own, `sampling-weight`.
    """

    table: pd.DataFrame
    labels: tuple[str, ...]
    left_out: int
    weights: tuple[float, ...] | None

    def __repr__(self) -> str:
        return f"Annotations({self.in_words})"

    @property
    def in_words(self) -> str:
        """What was made of the judgements, for people."""
        return (
            f"{counted(len(self.table), 'image')} of {', '.join(self.labels)}"
            + (f"; {self.left_out:,} left out, as not all of these labels were judged on them" if self.left_out else "")
            + ("; with their weights, in `sampling-weight`" if self.weights is not None else "")
            + "."
        )

    def to_lines(self) -> list[str]:
        """The manifest, line by line."""
        now = datetime.now(UTC)
        chosen = self.table[list(self.labels)].to_numpy(bool)
        weights = self.weights or [None] * len(chosen)
        return [
            manifests.to_line(manifests.annotation_record(ref, self.labels, row.nonzero()[0].tolist(), now, weight))
            for ref, row, weight in zip(self.table["source_ref"], chosen, weights, strict=True)
        ]

    def write(self, destination: str | PathLike[str], *, session: storage.Session | None = None) -> None:
        """Writes the manifest to a path or S3 URI. Raises as `storage.write`."""
        storage.write(destination, "".join(self.to_lines()).encode(), session=session)


def annotations(truth: Truth, labels: str | Iterable[str] | None = None) -> Annotations:
    """What people said, in the form of SageMaker Ground Truth (image classification, several labels).

    `read_truth` gives the same back of every image that is in it.

    Parameters
    ----------
    truth
        Judgements; what follows from them in the tree counts, too.
    labels
        Which one, or ones; None takes all that were judged. Images of which not all of them are known are left out: a
        manifest of fewer labels, or of one, has more images.

    Returns
    -------
    Annotations

    Raises
    ------
    NotLabelled
        Nobody judged a label, no image was judged for all of them, or no label was named.

    Examples
    --------
    >>> rows = [("s3://b/1.jpg", "Gambling", True), ("s3://b/1.jpg", "Pills", False), ("s3://b/2.jpg", "Pills", True)]
    >>> annotations(Truth(pd.DataFrame(rows, columns=["source_ref", "label", "present"])))
    Annotations(1 image of Gambling, Pills; 1 left out, as not all of these labels were judged on them.)
    """
    truth.require_judgements()
    named = truth.labels if labels is None else [labels] if isinstance(labels, str) else labels
    chosen = tuple(dict.fromkeys(taxonomy.canonical(str(label)) for label in named))
    if not chosen:
        raise NotLabelled("no label named; name at least one, or leave labels out for all that were judged.")
    known = pd.concat([truth.of(label).rename(label) for label in chosen], axis=1)
    whole = known.dropna()
    if whole.empty:
        raise NotLabelled(
            f"on no image is it known of all of {', '.join(chosen)}; judge them together, or write fewer labels."
        )
    table = whole.astype(bool).rename_axis("source_ref").reset_index()
    weights = truth.weights_of(table["source_ref"])
    return Annotations(
        table, chosen, len(known) - len(whole), weights=None if weights is None else tuple(weights.tolist())
    )
