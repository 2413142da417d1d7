"""What people said about a sample of a collection, as a table."""

import difflib
import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit import storage, taxonomy
from toolkit.errors import InvalidArgument, NotLabelled
from toolkit.htmltable import described

CHANCES: Final = "chances"
UNEQUAL: Final = "unequal"
"""In a column of that name: what a saved table says where its weights do not."""


@dataclass(frozen=True, repr=False)
class Truth:
    """Labels that people gave: present, absent, or (by not being here) unknown.

    Attributes
    ----------
    table
        One row a judgement: `source_ref`, `label`, `present` (bool). At most one row an (image, label). What is not in
        the table was not judged; it is not a negative.
    weights
        How many images of the collection each judged image stands for, indexed by source_ref (the inverse of its
        probability of being picked, see `sample_for_labeling`); None where every image had the same chance. They may
        all be equal: the images that were judged are alike then, but the sample that they come from was not uniform.
    source
        What it was read from.
    """

    table: pd.DataFrame
    weights: pd.Series | None = None
    source: str = "table"

    @property
    def labels(self) -> list[str]:
        """Every label that was judged on at least one image."""
        return sorted(self.table["label"].unique())

    @property
    def present_labels(self) -> list[str]:
        """Every label that was found present on at least one image, the most frequent first."""
        counts = self.table.loc[self.table["present"], "label"].value_counts()
        return [str(label) for label in sorted(counts.index, key=lambda label: (-counts[label], label))]

    def require_judgements(self) -> None:
        """Refuses samples in which nobody has said anything yet.

        Raises
        ------
        NotLabelled
        """
        if self.table.empty:
            raise NotLabelled(
                "these labelled samples hold no judgement at all; write 1 or 0 into the column present of some rows."
            )

    def tunable_labels(self) -> list[str]:
        """`present_labels`, of which there is at least one.

        Raises
        ------
        NotLabelled
            Nobody judged anything, or every judgement is that a label is absent.
        """
        self.require_judgements()
        if not self.present_labels:
            raise NotLabelled(
                f"no label is present on any of the {self.n_images:,} judged images (judged: "
                f"{', '.join(self.labels)}); judge images that show one, or name a label."
            )
        return self.present_labels

    @property
    def n_images(self) -> int:
        """Number of images with at least one judgement."""
        return int(self.table["source_ref"].nunique())

    def on(self, source_refs: Collection[str]) -> "Truth":
        """The judgements of some images only, with their weights.

        Examples
        --------
        >>> rows = [("s3://b/1.jpg", "Gambling", True), ("s3://b/2.jpg", "Gambling", False)]
        >>> truth = Truth(pd.DataFrame(rows, columns=["source_ref", "label", "present"]))
        >>> truth.on(["s3://b/2.jpg"])
        Truth(1 images; present/judged: Gambling 0/1)
        """
        kept = self.table["source_ref"].isin(list(source_refs))
        weights = None if self.weights is None else self.weights[self.weights.index.isin(list(source_refs))]
        return replace(self, table=self.table[kept].reset_index(drop=True), weights=weights)

    def of(self, label: str | Iterable[str]) -> pd.Series:
        """What is known about one label, the tree included; of several, whether any of them is there.

        A present label implies its ancestors, an absent one its descendants; a judgement of the label itself goes
        before what others imply. Where a label is present and one above it absent, the two contradict each other, and
        nothing follows from either: of what they would imply, the image is unknown.

        Parameters
        ----------
        label
            A moderation label of any level, or several: True where one of them is there, False where all are absent.

        Returns
        -------
        pandas.Series
            bool, indexed by source_ref; only images of which something is known.

        Raises
        ------
        NotLabelled
            Nothing is known of this label on any image; the message names the labels that were judged.
        """
        if not isinstance(label, str):
            return self._of_any(list(label))
        label = taxonomy.canonical(label)
        itself = self.table[self.table["label"] == label].set_index("source_ref")["present"]
        rows = self._undisputed
        below = rows[rows["label"].isin(taxonomy.descendants(label)) & rows["present"]]["source_ref"].unique()
        above = rows[rows["label"].isin(taxonomy.ancestors(label)) & ~rows["present"]]["source_ref"].unique()
        implied = pd.concat([pd.Series(True, index=below), pd.Series(False, index=above)])
        implied = implied.drop(index=itself.index, errors="ignore")
        known = pd.concat([itself, implied]).astype(bool).rename(label).rename_axis("source_ref")
        if known.empty:
            raise NotLabelled(self._nothing_known(label))
        judged: pd.Series = known.sort_index()
        return judged

    @cached_property
    def _undisputed(self) -> pd.DataFrame:
        """The judgements that none contradicts."""
        torn = contradictions(self.table)
        kept = np.ones(len(self.table), dtype=bool)
        kept[torn["row"]] = kept[torn["row_above"]] = False
        return self.table[kept]

    def _of_any(self, labels: Collection[str]) -> pd.Series:
        if not labels:
            raise NotLabelled("no label given; name at least one.")
        each = pd.concat([self.of(label).astype("boolean") for label in labels], axis=1)
        there, absent = each.fillna(False).any(axis=1), ~each.fillna(True).any(axis=1)
        known: pd.Series = there[there | absent].astype(bool)
        if known.empty:
            raise NotLabelled(f"{', '.join(labels)}: on no image is it known of all of them; judge them together.")
        return known.rename_axis("source_ref")

    def weights_of(self, source_refs: pd.Series) -> NDArray[np.float64] | None:
        """The weights of judged images, shape (n,); None where every image had the same chance."""
        return None if self.weights is None else self.weights.reindex(source_refs).to_numpy(float)

    def matched(
        self, label: str | Iterable[str], source_refs: pd.Series
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Truth of one label, or of any of several, laid over a list of images.

        Parameters
        ----------
        label
            A moderation label, or several.
        source_refs
            Images, n of them; one that stands there twice is matched twice.

        Returns
        -------
        known, present
            Two bool arrays of shape (n,): whether the image was judged, and whether the label is on it (False where not
            known).

        Raises
        ------
        NotLabelled
            As `of`, or none of these images was judged.
        """
        label = label if isinstance(label, str) else list(label)
        truth = self.of(label)
        found = truth.index.get_indexer(pd.Index(source_refs))
        known = found >= 0
        if not known.any():
            analyzed = "".join(f", analyzed: {each}" for each in source_refs[:1])
            raise NotLabelled(
                f"{label}: none of the {len(truth):,} labelled images is among the {len(source_refs):,} analyzed ones "
                f"(labelled: {truth.index[0]}{analyzed}); the source_ref of both must be written the same way."
            )
        return known, known & truth.to_numpy()[found]

    def save(self, path: str | PathLike[str], *, session: storage.Session | None = None) -> None:
        """Writes the judgements, weights included, as CSV or Parquet; `read_truth` gives the same back.

        Where all weights are equal, a column `chances` says that they count all the same.

        Parameters
        ----------
        path
            Path or S3 URI, ending in `.csv` or `.parquet`.
        session
            For S3; None is boto3's default.

        Raises
        ------
        InvalidArgument
            Another ending.
        NotFound, Unreachable, RequestRefused
            It cannot be written.
        """
        table, file = self.with_weights(), io.BytesIO()
        if str(path).lower().endswith(".parquet"):
            table.to_parquet(file, index=False)
        elif str(path).lower().endswith(".csv"):
            table.astype({"present": int}).to_csv(file, index=False)
        else:
            raise InvalidArgument(f"{path}: labelled samples are saved as .csv or .parquet; name it so.")
        storage.write(path, file.getvalue(), session=session)

    def with_weights(self) -> pd.DataFrame:
        """The judgements as `save` writes them.

        Returns
        -------
        pandas.DataFrame
            `source_ref`, `label`, `present`; with weights also `weight`, and `chances` where they are all equal.
        """
        if self.weights is None:
            return self.table
        table = self.table.assign(weight=self.weights.reindex(self.table["source_ref"]).to_numpy())
        return table if table["weight"].nunique() > 1 else table.assign(**{CHANCES: UNEQUAL})

    def _nothing_known(self, label: str) -> str:
        if not self.labels:
            return f"{label}: these labelled samples hold no judgement at all; label some images first."
        near = difflib.get_close_matches(label, self.labels, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        return f"{label}: nobody judged it; these labels were judged: {', '.join(self.labels)}{hint}"

    def __repr__(self) -> str:
        counts = self.table.groupby("label")["present"].agg(["sum", "size"])
        each = ", ".join(f"{label} {row['sum']}/{row['size']}" for label, row in counts.iterrows())
        return f"Truth({self.n_images:,} images; present/judged: {each or 'nothing'})"

    def _repr_html_(self) -> str:
        counts = self.table.groupby("label")["present"].agg(["sum", "size"])
        each = {str(label): f"present on {row['sum']:,} of {row['size']:,}" for label, row in counts.iterrows()}
        weighted = None if self.weights is None else "picked with unequal chances, which the rates make up for"
        return described("Truth", {"images": self.n_images, **each, "weights": weighted})


def contradictions(judged: pd.DataFrame) -> pd.DataFrame:
    """Labels that are present where one above them is absent.

    Parameters
    ----------
    judged
        As `Truth.table`.

    Returns
    -------
    pandas.DataFrame
        One row a pair of judgements: `source_ref`, `label` (present), `above` (absent), and at which positions of the
        table the two stand: `row`, `row_above`.
    """
    rows = judged.assign(row=np.arange(len(judged)))
    present, absent = rows[rows["present"]].drop(columns="present"), rows[~rows["present"]].drop(columns="present")
    above = [(label, one) for label in present["label"].unique() for one in taxonomy.ancestors(label)]
    pairs = present.merge(pd.DataFrame(above, columns=["label", "above"]), on="label")
    return pairs.merge(absent.rename(columns={"label": "above"}), on=["source_ref", "above"], suffixes=("", "_above"))
