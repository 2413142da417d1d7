"""What a model said about a collection of images."""

import gzip
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, Protocol, runtime_checkable

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from toolkit import checks, manifests, storage, taxonomy
from toolkit.errors import BelowFloor, InvalidArgument, NotFound, UnreadableManifest

UNREADABLE_LINE: Final = "UNREADABLE_LINE"
"""Error code, ours, of a line of the results manifest itself that cannot be read."""

NO_SUMMARY: Final = f"no {manifests.SUMMARY_NAME} beside the results"
"""Why it is not known which images failed."""

ERROR_COLUMNS: Final = ["file", "line", "source_ref", "code", "message"]

_NAMED: Final = 5
"""Files that an error names at most."""

_MAX_LINE: Final = manifests.MAX_LINE_BYTES
_LABEL = 'STRUCT("Confidence" FLOAT, "Name" VARCHAR, "ParentName" VARCHAR, "TaxonomyLevel" INTEGER)[]'
_CONTENT = 'STRUCT("Confidence" FLOAT, "Name" VARCHAR)[]'
_ANSWER = (
    f'STRUCT("ModerationLabels" {_LABEL}, "ModerationModelVersion" VARCHAR, '
    f'"ContentTypes" {_CONTENT}, "ProjectVersion" VARCHAR)'
)
# One scan, nothing unnested in SQL: flattening lists in Arrow costs half of what UNNEST does.
_SCAN = f"""
    SELECT "source-ref" AS source_ref, "detect-moderation-labels" AS answer
    FROM read_json($path, format='newline_delimited', maximum_object_size={_MAX_LINE},
                   columns={{'source-ref': 'VARCHAR', 'detect-moderation-labels': '{_ANSWER}'}})
"""  # noqa: S608  (made of constants only; the path is a parameter)

Floor = Literal["job", "caller", "smallest confidence seen"]
Source = str | PathLike[str]


@runtime_checkable
class HasResults(Protocol):
    """A job, a group of jobs, a run: whatever can hand over its own results."""

    def results(self) -> "Results":
        """What it found."""


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
    """

    images: pd.DataFrame
    labels: pd.DataFrame
    errors: pd.DataFrame
    min_confidence: float
    floor_source: Floor
    errors_known: bool

    @property
    def failures(self) -> str:
        """How many images failed, in words; where that is not known, that it is not."""
        if self.errors_known:
            return f"{len(self.errors):,} failed"
        at_least = f"at least {len(self.errors):,} failed, other " if len(self.errors) else ""
        return f"{at_least}failures unknown: {NO_SUMMARY}"

    @property
    def n_images(self) -> int:
        """Number of analyzed images, flagged or not."""
        return len(self.images)

    @property
    def project_versions(self) -> list[str]:
        """ARNs of the adapters that answered; empty when the base model answered everywhere."""
        return sorted(self.images["project_version"].dropna().unique())

    def label_names(self) -> list[str]:
        """Every label that was reported at least once, the most frequent first."""
        counts = self.labels["name"].value_counts()
        return [str(name) for name in counts[counts > 0].index]

    def scores(self, label: str) -> NDArray[np.float32]:
        """Confidence of one label for every image.

        Parameters
        ----------
        label
            A moderation label; one that was never reported gives NaN everywhere.

        Returns
        -------
        numpy.ndarray
            float32, shape (n_images,), percent; NaN where the label was not reported (that is: below
            `min_confidence`). If a line names a label twice, the higher confidence counts.
        """
        scores = np.full(self.n_images, np.nan, dtype=np.float32)
        rows = self.labels[self.labels["name"] == taxonomy.canonical(label)]
        np.fmax.at(scores, rows["image"].to_numpy(), rows["confidence"].to_numpy(np.float32))
        return scores

    def require(self, threshold: float, label: str = "threshold") -> None:
        """Refuses a threshold that this run cannot speak about.

        Raises
        ------
        BelowFloor
            It is under `min_confidence`.
        """
        if np.float32(threshold) < np.float32(self.min_confidence):
            raise BelowFloor(
                f"{label} at {threshold:g}: this run reported nothing below {self.min_confidence:g}; "
                f"rerun the job with MinConfidence {threshold:g} or lower."
            )

    def overview(self) -> pd.DataFrame:
        """Every reported label with its counts, the tree's top first.

        Returns
        -------
        pandas.DataFrame
            `label`, `parent`, `level`, `images` (number of images with the label), `share` (of the analyzed images,
            0–1), `median_confidence` (percent, over the images that have it).
        """
        groups = self.labels.groupby("name", observed=True)
        table = pd.DataFrame(
            {
                "parent": groups["parent"].first().astype(str),
                "level": groups["level"].first().astype(int),
                "images": groups["image"].nunique(),
                "median_confidence": groups["confidence"].median(),
            }
        )
        table["share"] = table["images"] / max(self.n_images, 1)
        table = table.rename_axis("label").reset_index().astype({"label": str})
        table = table.sort_values(["level", "images", "label"], ascending=[True, False, True], ignore_index=True)
        return table[["label", "parent", "level", "images", "share", "median_confidence"]]

    def __repr__(self) -> str:
        flagged = self.labels["image"].nunique()
        adapter = f", adapter {', '.join(self.project_versions)}" if self.project_versions else ""
        return (
            f"Results({self.n_images:,} images, {flagged:,} with labels, {self.failures}; "
            f"nothing known below {self.min_confidence:g} ({self.floor_source}){adapter})"
        )


def read_results(
    source: Source | Sequence[Source] | HasResults,
    *,
    min_confidence: float | None = None,
    session: storage.Session | None = None,
) -> Results:
    """Loads results manifests into tables.

    Parameters
    ----------
    source
        Path or S3 URI of a results manifest (`.jsonl`, or `.jsonl.gz` on this machine), several of them, or a job. The
        summary that stands beside a manifest is read too; where there is none, or none that may be read, it is not
        known which images failed, and `errors_known` is False.
    min_confidence
        The floor of the run in percent, 0–100. A job knows its own. For a bare file, None takes the smallest
        confidence seen, and the result says so. It says what the job was, and leaves nothing out: a file with
        confidences below it comes from another job.
    session
        For S3; None is boto3's default.

    Returns
    -------
    Results

    Raises
    ------
    NotFound, Unreachable
        A manifest cannot be had.
    RequestRefused
        S3 answered with an error.
    UnreadableManifest
        More than half of a file's lines are broken. A single broken line is a row in `errors`.
    InvalidArgument
        `min_confidence` is out of its range, or above a confidence in the file.
    """
    if min_confidence is not None:
        checks.within("min_confidence", min_confidence, 0, 100)
    if isinstance(source, HasResults):
        return source.results()
    sources: list[Source] = [source] if isinstance(source, (str, PathLike)) else list(source)
    if not sources:
        raise NotFound("no results manifest given; name at least one.")
    images, labels, broken = _stack([_read_one(uri, session) for uri in sources])
    failed = [_summary_errors(uri, session) for uri in sources]
    errors = pd.concat([*(table for table in failed if table is not None), broken], ignore_index=True)
    floor, floor_source = _floor(labels, min_confidence)
    return Results(images, labels, errors, floor, floor_source, all(table is not None for table in failed))


_Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def _floor(labels: pd.DataFrame, min_confidence: float | None) -> tuple[float, Floor]:
    # A file without any label says nothing at all, not even at 100.
    seen = float(labels["confidence"].min()) if len(labels) else 100.0
    if min_confidence is None:
        return seen, "smallest confidence seen"
    if np.float32(seen) < np.float32(min_confidence):
        raise InvalidArgument(
            f"min_confidence is {min_confidence:g}, but confidences down to {np.float32(seen)!s} were reported; "
            f"give the MinConfidence that the job had, or leave it out."
        )
    return float(min_confidence), "caller"


def _stack(parts: Sequence[_Tables]) -> _Tables:
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0, *(len(images) for images, _, _ in parts[:-1])])
    images = pd.concat([part[0] for part in parts], ignore_index=True)
    images["image"] = np.arange(len(images))
    labels = pd.concat(
        [part[1].assign(image=part[1]["image"] + offset) for part, offset in zip(parts, offsets, strict=True)],
        ignore_index=True,
    )
    errors = pd.concat([part[2] for part in parts], ignore_index=True)
    for column in ("name", "parent"):
        labels[column] = labels[column].astype("category")
    return images, labels, errors


def _read_one(uri: Source, session: storage.Session | None) -> _Tables:
    if not storage.is_s3(uri):
        path = Path(uri)
        if path.is_dir():
            raise NotFound(_folder_instead(path))
        if not path.is_file():
            raise NotFound(f"reading {uri}: no such file; point at a job's {manifests.RESULTS_NAME}.")
        return _scan(path, str(uri))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "results.jsonl.gz" if str(uri).endswith(".gz") else "results.jsonl")
        path.write_bytes(storage.read(uri, session=session))
        return _scan(path, str(uri))


def _folder_instead(folder: Path) -> str:
    """Names the results in a folder that was given instead of them, as deep as workspaces and jobs put them."""
    found = [str(path) for depth in ("", "*/", "*/*/") for path in sorted(folder.glob(depth + manifests.RESULTS_NAME))]
    if not found:
        return f"{folder}: a folder without any {manifests.RESULTS_NAME}; point at a job's {manifests.RESULTS_NAME}."
    more = f" or one of {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return f"{folder}: a folder; name the results in it: {' or '.join(found[:_NAMED])}{more}."


def _summary_errors(uri: Source, session: storage.Session | None) -> pd.DataFrame | None:
    """The images that failed; None where no summary is to be had."""
    folder = str(uri).rpartition("/")[0] if storage.is_s3(uri) else Path(uri).parent
    summary_uri = storage.join(folder, manifests.SUMMARY_NAME)
    try:
        data = storage.read(summary_uri, session=session)
    except NotFound:  # not there, or not ours to read: either way nobody says which images failed
        return None
    summary = manifests.parse_summary(data, summary_uri)
    return _error_table([(summary_uri, e.line, e.source_ref, e.code, e.message) for e in summary.errors])


def _error_table(rows: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=ERROR_COLUMNS)
    return table.astype({"file": "str", "line": "int64", "source_ref": "str", "code": "str", "message": "str"})


def _scan(path: Path, name: str) -> _Tables:
    """Fast path: DuckDB with the schema given. Where that finds anything amiss, every line is looked at by itself."""
    tables = _scan_strictly(path)
    if tables is not None:
        return *tables, _error_table([])
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder, "sound.jsonl")
        broken = _sort_out(path, sound, name)
        tables = _scan_strictly(sound)
    if tables is None:
        raise UnreadableManifest(f"{name}: not the results of a moderation job; point at a job's results.jsonl.")
    return *tables, _error_table(broken)


def _scan_strictly(path: Path) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Images and labels; None where DuckDB, or a check of what its types let through, finds anything amiss."""
    try:
        with duckdb.connect() as connection:
            table = connection.sql(_SCAN, params={"path": str(path)}).to_arrow_table()
    except duckdb.Error:
        return None
    images = table.column("source_ref").combine_chunks()
    answer = table.column("answer").combine_chunks()
    labels = pc.struct_field(answer, "ModerationLabels")
    flat = labels.flatten()
    names = pc.struct_field(flat, "Name")
    confidences = pc.struct_field(flat, "Confidence")
    if any(column.null_count for column in (images, answer, labels, names, confidences)):
        return None
    values = confidences.to_numpy(zero_copy_only=False)
    if not np.all((values >= 0) & (values <= 100)):  # NaN is neither
        return None
    return _image_table(images, answer), _label_table(labels, flat)


def _sort_out(path: Path, sound: Path, name: str) -> list[tuple[Any, ...]]:
    """Copies the lines that are sound, and says what is wrong with the others."""
    broken: list[tuple[Any, ...]] = []
    lines = 0
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as source, sound.open("wb") as copy:
            for number, raw in enumerate(source, start=1):
                if not raw.strip():
                    continue
                lines += 1
                try:
                    manifests.parse_result_line(raw)
                    copy.write(raw.rstrip(b"\r\n") + b"\n")
                except ValueError as error:
                    broken.append((name, number, None, UNREADABLE_LINE, str(error)))
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableManifest(f"{name}: cannot be read ({error}); is it the whole file?") from error
    if len(broken) > lines / 2:
        first = "; ".join(f"line {row[1]}: {row[4]}" for row in broken[:3])
        raise UnreadableManifest(
            f"{name}: {len(broken)} of {lines} lines are not results of a moderation job ({first}); "
            f"point at a job's {manifests.RESULTS_NAME}."
        )
    return broken


def _image_table(source_refs: pa.Array, answer: pa.StructArray) -> pd.DataFrame:
    content = pc.struct_field(answer, "ContentTypes")
    return pd.DataFrame(
        {
            "image": np.arange(len(source_refs)),
            "source_ref": source_refs.to_pandas().astype("str"),
            "model_version": _category(pc.struct_field(answer, "ModerationModelVersion")),
            "project_version": _category(pc.struct_field(answer, "ProjectVersion")),
            "content_type": _likeliest(content),
        }
    )


def _likeliest(content: pa.ListArray) -> pd.Categorical:
    """Name of the content type with the highest confidence of each image; missing where there is none."""
    lengths = pc.fill_null(pc.list_value_length(content), 0).to_numpy(zero_copy_only=False)
    flat = content.flatten()
    owner = np.repeat(np.arange(len(content)), lengths)
    confidence = pc.struct_field(flat, "Confidence").to_numpy(zero_copy_only=False)
    names = np.full(len(content), None, dtype=object)
    order = np.argsort(confidence, kind="stable")
    names[owner[order]] = pc.struct_field(flat, "Name").to_numpy(zero_copy_only=False)[order]
    return pd.Categorical(names)


def _category(column: pa.Array) -> pd.Categorical:
    encoded = column.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return pd.Categorical.from_codes(codes, categories=encoded.dictionary.to_pylist())


def _label_table(labels: pa.ListArray, flat: pa.StructArray) -> pd.DataFrame:
    lengths = pc.list_value_length(labels).to_numpy(zero_copy_only=False)
    table = pd.DataFrame(
        {
            "image": np.repeat(np.arange(len(labels)), lengths),
            "name": _category(pc.struct_field(flat, "Name")),
            "parent": _category(pc.fill_null(pc.struct_field(flat, "ParentName"), "")),
            "level": pc.struct_field(flat, "TaxonomyLevel").to_pandas().astype("Int8"),
            "confidence": pc.struct_field(flat, "Confidence").to_numpy(zero_copy_only=False).astype(np.float32),
        }
    )
    return _complete(table)


def _complete(labels: pd.DataFrame) -> pd.DataFrame:
    """Current spellings, and levels where the response left them out."""
    for column in ("name", "parent"):
        old = labels[column].cat.categories
        if any(taxonomy.canonical(name) != name for name in old):
            labels[column] = labels[column].astype(object).map(taxonomy.canonical).astype("category")
    unknown = labels["level"].isna()
    if unknown.any():
        guess = [
            taxonomy.level(str(name)) or (2 if parent else 1)
            for name, parent in labels.loc[unknown, ["name", "parent"]].itertuples(index=False)
        ]
        labels.loc[unknown, "level"] = guess
    return labels.astype({"level": "int8"})
