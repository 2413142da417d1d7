"""What a model said about a collection of images, as tables."""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array

from toolkit import checks, manifests, taxonomy
from toolkit.confidence import written
from toolkit.htmltable import described
from toolkit.results.lift import lifted, require_version, untranslated, warn_of_kept, warn_of_models

NO_SUMMARY: Final = f"no {manifests.SUMMARY_NAME} beside the results"
"""Why it is not known which images failed."""

Floor = Literal["job", "caller", "smallest confidence seen"]
GUESSED: Final = "smallest confidence seen"
"""Nobody told the floor."""


class Counted(Protocol):
    """`Results`, or a `CollectionSummary`: whatever can say how many images have each confidence of a label."""

    @property
    def n_images(self) -> int:
        """Number of analyzed images."""

    @property
    def min_confidence(self) -> float:
        """Nothing is known below it (percent)."""

    @property
    def floor_source(self) -> Floor:
        """Who says so."""

    @property
    def models(self) -> list[str]:
        """The models that answered, as `Results` has them."""

    def label_names(self) -> list[str]:
        """Every label that was reported."""

    def histogram(self, label: str) -> pd.Series:
        """Numbers of images by confidence."""


@dataclass(frozen=True, repr=False)
class Results:
    """What a model said about a collection: three tables and the floor below which it said nothing.

    Attributes
    ----------
    images
        One row an analyzed image (a manifest line; a duplicated line is a row of its own): `image` (0 to n_images - 1),
        `source_ref`, `model_version`, `project_version` (the adapter that answered, missing for the base model),
        `content_type` (the likeliest, missing where none was reported).
    labels
        One row an (image, label): `image`, `name`, `parent` (empty for level 1), `level`, `confidence` (float32,
        0–100).
        An image without labels has no row here; it is a result all the same.
    errors
        One row a line that was not analyzed: `file`, `line` (from 1), `source_ref`, `code`, `message`. These images are
        in no denominator: an image that failed is not safe, it is unknown.
    min_confidence
        The run's floor in percent: nothing below it was reported.
    floor_source
        Who says so: the `job`, the `caller`, or, for a bare file, the `smallest confidence seen` in it.
    errors_known
        Whether a summary that can be read stands beside every manifest. Only summaries name the images that failed:
        where one is missing, there may be more of them than `errors` says.
    sources
        The manifests that this was read from.
    translated
        Whether `to_taxonomy` has put the labels into the tree of model 7.0, whichever model answered.
    """

    images: pd.DataFrame
    labels: pd.DataFrame
    errors: pd.DataFrame
    min_confidence: float
    floor_source: Floor
    errors_known: bool
    sources: tuple[str, ...] = ()
    translated: bool = False

    @property
    def failures(self) -> str:
        """How many images failed, in words; where that is not known, that it is not."""
        return failures_in_words(len(self.errors), known=self.errors_known)

    @property
    def n_images(self) -> int:
        """Number of analyzed images, flagged or not."""
        return len(self.images)

    @property
    def project_versions(self) -> list[str]:
        """ARNs of the adapters that answered; empty when the base model answered everywhere."""
        return sorted(self.images["project_version"].dropna().unique())

    @cached_property
    def model_versions(self) -> list[str]:
        """Versions of the models that answered, where they say it."""
        return sorted(self.images["model_version"].dropna().unique())

    @cached_property
    def models(self) -> list[str]:
        """Each version of the model that answered, with the ARN of the adapter behind it where one did."""
        versions = self.images[["model_version", "project_version"]].drop_duplicates().astype("str").fillna("")
        return sorted({f"{model} {adapter}".strip() for model, adapter in versions.itertuples(index=False)} - {""})

    def not_answered_by(self, asked: Collection[str | None]) -> int:
        """Number of images that another model answered than the adapters that were asked for.

        Parameters
        ----------
        asked
            ARNs; None among them is the base model.
        """
        adapters = {arn for arn in asked if arn}
        if not adapters or None in asked:  # which images were meant for the base model is not known
            return int((~self.images["project_version"].isin(adapters) & self.images["project_version"].notna()).sum())
        return int((~self.images["project_version"].isin(adapters)).sum())

    def warn_unless_answered_by(self, asked: Collection[str | None]) -> None:
        """An expired adapter is silently ignored by AWS, and the base model answers: that must not stay silent.

        Warns (UserWarning) where another model answered; parameters as in `not_answered_by`.
        """
        if strangers := self.not_answered_by(asked):
            names = ", ".join(sorted(arn for arn in asked if arn)) or "the base model"
            warnings.warn(
                f"{strangers:,} of {self.n_images:,} images were not answered by the adapter that was asked for "
                f"({names}); has it expired?",
                stacklevel=3,
            )

    def with_errors(self, file: str, errors: Sequence[manifests.LineError]) -> "Results":
        """The same run with further images that were not analyzed.

        Parameters
        ----------
        file
            Where that is written.
        errors
            One for each image.
        """
        rows = [(file, error.line, error.source_ref or "", error.code, error.message) for error in errors]
        more = pd.DataFrame(rows, columns=list(self.errors.columns)).astype(self.errors.dtypes.to_dict())
        return replace(self, errors=pd.concat([self.errors, more], ignore_index=True))

    def distinct(self) -> "Results":
        """The same run with every image once: of lines that name the same image, the first counts.

        A manifest's lines are all analyzed, duplicates too, and all count. As evidence of how good a threshold is, an
        image counts only once.
        """
        return self.where(~self.images["source_ref"].duplicated().to_numpy())

    def where(self, chosen: NDArray[np.bool_]) -> "Results":
        """The same run with some of its images only; what failed stays.

        Parameters
        ----------
        chosen
            One value an image, shape (n_images,).

        Examples
        --------
        >>> results.where(results.images["content_type"] == "Illustrated").n_images  # doctest: +SKIP
        12
        """
        kept = np.asarray(chosen, dtype=bool)
        if kept.all():
            return self
        labels = self.labels[kept[self.labels["image"]]]
        place = np.cumsum(kept) - 1
        images = self.images[kept].assign(image=np.arange(int(kept.sum()))).reset_index(drop=True)
        labels = labels.assign(image=place[labels["image"]]).reset_index(drop=True)
        return replace(self, images=images, labels=labels)

    def label_names(self) -> list[str]:
        """Every label that was reported at least once, the most frequent first."""
        counts = self.labels["name"].value_counts()
        return [str(name) for name in counts[counts > 0].index]

    def scores(self, label: str | Collection[str]) -> NDArray[np.float32]:
        """Confidence of one label for every image; of several, the highest.

        Parameters
        ----------
        label
            A moderation label, or several; one that was never reported gives NaN everywhere.

        Returns
        -------
        numpy.ndarray
            float32, shape (n_images,), percent; NaN where the label was not reported (that is: below
            `min_confidence`). If a line names a label twice, the higher confidence counts.

        Notes
        -----
        Warns (UserWarning) where a model answered whose labels are not those of model 7.0: curves, policies and
        comparisons all ask here. See `to_taxonomy`.
        """
        self._told_of_models  # noqa: B018  (says it once)
        scores = np.full(self.n_images, np.nan, dtype=np.float32)
        names = [label] if isinstance(label, str) else label
        rows = self.labels[self.labels["name"].isin([taxonomy.canonical(name) for name in names])]
        np.fmax.at(scores, rows["image"].to_numpy(), rows["confidence"].to_numpy())
        return scores

    def histogram(self, label: str | Collection[str]) -> pd.Series:
        """How many images have each confidence of a label, at full resolution.

        Returns
        -------
        pandas.Series
            Numbers of images, indexed by confidence (float32, percent, ascending). Images on which the label was not
            reported are not in it.
        """
        return histogram_of(self.scores(label))

    def cooccurrence(self) -> pd.DataFrame:
        """Which labels come together.

        Returns
        -------
        pandas.DataFrame
            Square, one row and one column a label, the most frequent first: numbers of images that have both; on the
            diagonal, of images that have the label.
        """
        column = self.labels["name"].cat
        kinds = len(column.categories)
        image, code = np.divmod(np.unique(_pairs(self.labels)), kinds)
        has = coo_array((np.ones(len(image), dtype=np.int64), (image, code)), shape=(self.n_images, kinds)).tocsr()
        names = self.label_names()
        order = column.categories.get_indexer(pd.Index(names, dtype=object))
        return pd.DataFrame((has.T @ has).toarray()[np.ix_(order, order)], index=names, columns=names)

    def to_taxonomy(self, version: str) -> "Results":
        """The same run in the label tree of model 7.0; what older models said is translated.

        A label of model 6.1 becomes its counterpart, with that one's ancestors at the confidence of their likeliest
        child. Warns (UserWarning) of labels without a counterpart, which are kept as they are. What was translated
        before stays as it is.

        Parameters
        ----------
        version
            "7.0".

        Returns
        -------
        Results
            `model_version` still says which model answered.

        Raises
        ------
        InvalidArgument
            Another version.
        """
        require_version(version)
        found, kept = translated(self)
        warn_of_kept(kept)
        return found

    def require(self, threshold: float, label: str = "threshold") -> None:
        """Refuses a threshold that this run cannot speak about.

        Raises
        ------
        BelowFloor
            It is under `min_confidence`.
        """
        checks.not_below(self.min_confidence, threshold, label, guessed=self.floor_source == GUESSED)

    def overview(self) -> pd.DataFrame:
        """Every reported label with its counts, the tree's top first.

        Returns
        -------
        pandas.DataFrame
            `label`, `parent`, `level`, `images` (number of images with the label), `share` (of the analyzed images,
            0–1), `median_confidence` (percent, over the images that have it; of an image that names the label twice,
            the higher confidence counts). Warns as `scores`.
        """
        self._told_of_models  # noqa: B018  (says it once)
        groups = highest(self.labels).groupby("name", observed=True)
        table = pd.DataFrame(
            {
                "parent": groups["parent"].first().astype(str),
                "level": groups["level"].first().astype(int),
                "images": groups.size(),
                "median_confidence": groups["confidence"].median(),
            }
        )
        table["share"] = table["images"] / max(self.n_images, 1)
        table = table.rename_axis("label").reset_index().astype({"label": str})
        table = table.sort_values(["level", "images", "label"], ascending=[True, False, True], ignore_index=True)
        return table[["label", "parent", "level", "images", "share", "median_confidence"]]

    @cached_property
    def _told_of_models(self) -> bool:
        """Warns the first time that somebody asks: what is so of each label need not be said of each."""
        versions = untranslated(self.model_versions) if self.translated else self.model_versions
        if versions:
            what = f"{self.sources[0]}{' …' if len(self.sources) > 1 else ''}" if self.sources else "these results"
            remedy = f'translate them with results.to_taxonomy("{taxonomy.MODEL_VERSION}")'
            warn_of_models(what, versions, f"{remedy}, --taxonomy {taxonomy.MODEL_VERSION}")
        return bool(versions)

    def __repr__(self) -> str:
        flagged = self.labels["image"].nunique()
        adapter = f", adapter {', '.join(self.project_versions)}" if self.project_versions else ""
        return (
            f"Results({self.n_images:,} images, {flagged:,} with labels, {self.failures}; "
            f"nothing known below {written(self.min_confidence)} ({self.floor_source}){adapter})"
        )

    def _repr_html_(self) -> str:
        facts = {
            "images": self.n_images,
            "with a label": int(self.labels["image"].nunique()),
            "not analyzed": self.failures,
            "nothing known below": f"{written(self.min_confidence)} ({self.floor_source})",
            "answered by": ", ".join(self.project_versions) or "the base model",
            "labels": ", ".join(self.label_names()[:8]) or "none",
        }
        return described("Results", facts)


def translated(results: Results) -> tuple[Results, pd.DataFrame]:
    """The run in the tree of model 7.0, and the labels that have no place there; see `Results.to_taxonomy`."""
    if results.translated:
        return results, results.labels.iloc[:0]
    images, labels, kept = lifted(results.images, results.labels)
    return replace(results, images=images, labels=labels, translated=True), kept


def highest(labels: pd.DataFrame) -> pd.DataFrame:
    """Of the `labels` of `Results`, one row an image and label: the higher confidence where an image names it twice."""
    pair = pd.Series(_pairs(labels), index=labels.index)
    repeated = labels["confidence"][pair.duplicated(keep=False)]
    if repeated.empty:
        return labels
    lower = pair[repeated.sort_values().index].duplicated(keep="last")
    return labels.drop(lower.index[lower])


def _pairs(labels: pd.DataFrame) -> NDArray[np.int64]:
    """One number for each (image, label)."""
    name = labels["name"].cat
    image: NDArray[np.int64] = labels["image"].to_numpy(np.int64)
    return image * len(name.categories) + name.codes.to_numpy(np.int64)


def histogram_of(scores: NDArray[np.float32]) -> pd.Series:
    """Numbers of images by confidence, as `Results.histogram`; NaN is not counted."""
    values, counts = np.unique(scores[~np.isnan(scores)], return_counts=True)
    return pd.Series(counts, index=pd.Index(values, name="confidence"), name="images")


def failures_in_words(lines: int, *, known: bool) -> str:
    """How many images failed; where not every manifest has its summary, that there may be more."""
    if known:
        return f"{lines:,} failed"
    at_least = f"at least {lines:,} failed, other " if lines else ""
    return f"{at_least}failures unknown: {NO_SUMMARY}"
