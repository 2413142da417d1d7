"""One results manifest on this machine becomes two tables.

Fast path: one DuckDB scan with the schema given, and checks of what its types let through. Where that finds anything
amiss, or what may be, every line is looked at by itself, the broken ones are named, and the sound ones are scanned
again. What the scan lets through the line-by-line reader lets through too, so that a line fares the same whatever
stands around it: the few distinct names and versions of a file are read by the same functions, and those functions
overlook what a scan cannot see, such as a number in quotes for a level.
"""

import gzip
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from toolkit import manifests, taxonomy
from toolkit.errors import UnreadableManifest
from toolkit.results import lexical

UNREADABLE_LINE: Final = "UNREADABLE_LINE"
"""Error code, ours, of a line of the results manifest itself that cannot be read."""

ERROR_COLUMNS: Final = ["file", "line", "source_ref", "code", "message"]

_LABELS = 'STRUCT("Confidence" FLOAT, "Name" VARCHAR, "ParentName" VARCHAR, "TaxonomyLevel" FLOAT)[]'
_CONTENT = 'STRUCT("Confidence" FLOAT, "Name" VARCHAR)[]'
_ANSWER: Final = {
    "ModerationLabels": _LABELS,
    "ModerationModelVersion": "VARCHAR",
    "ContentTypes": _CONTENT,
    "ProjectVersion": "VARCHAR",
}
_STRUCT: Final = "STRUCT(" + ", ".join(f'"{name}" {kind}' for name, kind in _ANSWER.items()) + ")"

_GLOB: Final = re.compile(r"([*?[])")
"""What DuckDB takes for a pattern in a path; in brackets it stands for itself."""
_LOOKED_AT: Final = 100
"""Lines by which a file's layout is told."""
_PERHAPS_NO_TEXT: Final = re.compile(r"^(\s*[\[{\"].*|[-+.0-9e]+|true|false|-?nan|-?inf(inity)?)$", re.IGNORECASE)
"""What DuckDB makes of a number, a list or an object in a column of text."""
_PERHAPS_NO_VERSION: Final = re.compile(rf"(?!\d{{1,3}}(\.\d{{1,3}})?$){_PERHAPS_NO_TEXT.pattern}", re.IGNORECASE)
"""The same without such numbers as `7.0`, which are a version either way."""


class Tables(NamedTuple):
    """Images and labels as in `Results`, and the lines that could not be read."""

    images: pd.DataFrame
    labels: pd.DataFrame
    errors: pd.DataFrame


@dataclass(frozen=True)
class Layout:
    """Where a line of a file says what a model said.

    Attributes
    ----------
    columns
        Name to DuckDB type of what is read of a line.
    answer
        The answer, in SQL.
    parse
        Reads and checks one line; raises ValueError. What it gives says the same, and nothing else.
    meant
        What such a file is, for errors.
    named
        Whether every line must name its image.
    """

    columns: Mapping[str, str]
    answer: str
    parse: Callable[[bytes], dict[str, Any]]
    meant: str = f"the results of a moderation job; point at a job's {manifests.RESULTS_NAME}"
    named: bool = True


_TEST_IMAGES: Final = "an adapter's output on its test images; point at what TestingDataResult.Output names"


def _under(key: str, **settings: Any) -> Layout:
    def parse(raw: bytes) -> dict[str, Any]:
        result = manifests.parse_result_line(raw, key)
        return {"source-ref": result.source_ref, key: result.answer.record()}

    return Layout({key: _STRUCT}, f'"{key}"', parse, **settings)


def _parse_response(raw: bytes) -> dict[str, Any]:
    source_ref, answer = manifests.parse_response_line(raw)
    return ({"source-ref": source_ref} if source_ref is not None else {}) | answer.record()


RESULTS: Final = _under(manifests.RESULT_KEY)
"""A results manifest; also what the adapter said in an adapter output manifest."""
BASE: Final = _under(manifests.BASE_KEY, meant=_TEST_IMAGES)
"""What the base model said in an adapter output manifest."""
RESPONSES: Final = Layout(
    _ANSWER,
    "struct_pack(" + ", ".join(f'"{name}" := "{name}"' for name in _ANSWER) + ")",
    _parse_response,
    named=False,
)
"""Responses of DetectModerationLabels, one a line, that may or may not name their image."""


def scan(connection: duckdb.DuckDBPyConnection, path: Path, name: str, layout: Layout | None = None) -> Tables:
    """Reads one manifest.

    Parameters
    ----------
    connection
        To any database; nothing is kept there. One for many manifests saves the time that opening one takes.
    path
        On this machine; decompressed first if it is compressed with gzip, whatever its name.
    name
        What to call it in errors.
    layout
        None for whichever of RESULTS and RESPONSES it is.

    Raises
    ------
    UnreadableManifest
        More than half of its lines are broken, or it cannot be decompressed.
    """
    with tempfile.TemporaryDirectory() as folder:
        if _is_compressed(path):
            path = _decompressed(path, Path(folder, "whole.jsonl"), name)
        layout = layout or _layout(path)
        try:
            return Tables(*_strictly(connection, path, name, layout), error_table([]))
        except _Amiss:
            sound = Path(folder, "sound.jsonl")
            broken = _sort_out(path, sound, name, layout)
            return Tables(*_strictly(connection, sound, name, layout, sound=True), error_table(broken))


def error_table(rows: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
    """The table `errors` of `Results`."""
    table = pd.DataFrame(list(rows), columns=ERROR_COLUMNS)
    return table.astype({"file": "str", "line": "int64", "source_ref": "str", "code": "str", "message": "str"})


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"  # how gzip begins, and no line of JSON


def _decompressed(path: Path, target: Path, name: str) -> Path:
    try:
        with gzip.open(path, "rb") as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1024 * 1024)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableManifest(f"{name}: cannot be read ({error}); is it the whole file?") from error
    return target


def _layout(path: Path) -> Layout:
    """The layout of most of the first lines: one odd line says nothing about the others."""
    responses = 0
    with path.open("rb") as file:
        for raw in islice(manifests.lines_of(file), _LOOKED_AT):
            try:
                record = manifests.parse_object(raw.strip(), forgiving=True)
            except ValueError:
                continue
            results = manifests.RESULT_KEY in record
            responses += ("ModerationLabels" in record and not results) - results
    return RESPONSES if responses > 0 else RESULTS


# -- the fast path ----------------------------------------------------------------------------------------------------


class _Amiss(Exception):
    """A line somewhere is not what it should be."""


def _strictly(
    connection: duckdb.DuckDBPyConnection, path: Path, name: str, layout: Layout, *, sound: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Images and labels.

    Nothing is unnested in SQL, and no chunk is copied into one: flattening lists in Arrow costs half of what UNNEST
    does. Lines that were looked at one by one (`sound`) need no second check of what DuckDB makes text of.

    Raises
    ------
    _Amiss
        DuckDB, or a check of what it let through, found something.
    """
    if not sound:
        _require(lexical.ends_safely(path))
    with ThreadPoolExecutor(2) as beside:  # DuckDB, Arrow, numpy and reading let go of the interpreter: all run at once
        as_text = None if sound else beside.submit(lexical.has_confidence_as_text, path)
        table = _scanned(connection, path, layout, sound=sound)
        refs, answer = table.column("source_ref"), table.column("answer")
        _require(not answer.null_count and not (refs.null_count and layout.named))
        images = beside.submit(_image_table, _named(refs, path, name), answer)
        if as_text is not None:
            _require(not lexical.has_long_line(path))
            _require_names(refs)
        labels = _label_table(pc.struct_field(answer, "ModerationLabels"), beside)
        if as_text is not None:
            _require_texts(images.result(), labels)
            _require(not (as_text.result() or (_perhaps_true(answer) and lexical.has_confidence_as_truth(path))))
        return images.result(), labels


def _scanned(connection: duckdb.DuckDBPyConnection, path: Path, layout: Layout, *, sound: bool) -> pa.Table:
    """What DuckDB reads: `source_ref` and `answer`."""
    columns = {"source-ref": "VARCHAR"} | dict(layout.columns)
    longest = 2 * manifests.MAX_LINE_BYTES if sound else manifests.MAX_LINE_BYTES  # written out, a line takes more room
    query = f"""
        SELECT "source-ref" AS source_ref, {layout.answer} AS answer
        FROM read_json($path, format='newline_delimited', maximum_object_size={longest}, columns={columns},
            compression='none', hive_partitioning=false)
    """  # noqa: S608  (made of constants only; the path is a parameter)
    here = _GLOB.sub(r"[\1]", str(path.absolute()))  # nothing in a name means anything to DuckDB then, nor does a ~
    try:
        return connection.sql(query, params={"path": here}).to_arrow_table()
    except duckdb.Error as error:
        raise _Amiss from error


def _require(holds: object) -> None:
    if not holds:
        raise _Amiss


def _require_names(refs: pa.ChunkedArray) -> None:
    """DuckDB makes text of whatever stands in place of an image's name."""
    if not pc.all(pc.starts_with(refs, "s3://")).as_py():
        doubtful = pc.match_substring_regex(refs, f"^$|{_PERHAPS_NO_TEXT.pattern}", ignore_case=True)
        _require(not pc.any(doubtful).as_py())


def _require_texts(images: pd.DataFrame, labels: pd.DataFrame) -> None:
    """The same of the names and versions that a file has few of."""
    for column in (images["project_version"], images["content_type"], labels["name"], labels["parent"]):
        _require(not any(map(_PERHAPS_NO_TEXT.match, column.cat.categories)))
    _require(not any(map(_PERHAPS_NO_VERSION.match, images["model_version"].cat.categories)))


def _perhaps_true(answer: pa.ChunkedArray) -> bool:
    """Whether a confidence is 0 or 1, which is what DuckDB makes of false and true."""
    lists = (pc.list_flatten(pc.struct_field(answer, key)) for key in ("ModerationLabels", "ContentTypes"))
    return any(np.isin(_confidences(items), (0, 1)).any() for items in lists)


def _named(refs: pa.ChunkedArray, path: Path, name: str) -> pa.ChunkedArray:
    """Responses that do not name their image are called after their line."""
    if not refs.null_count:
        return refs
    _require(len(refs) == _count_lines(path))  # DuckDB passes over empty ones
    return pc.coalesce(refs, pa.array([_name_of_line(name, number) for number in range(1, len(refs) + 1)]))


def _name_of_line(name: str, line: int) -> str:
    return f"{name}#{line}"


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in manifests.lines_of(file))


def _image_table(refs: pa.ChunkedArray, answer: pa.ChunkedArray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": np.arange(len(refs)),
            "source_ref": pd.Series(refs, dtype=pd.StringDtype("pyarrow", na_value=np.nan)).astype("str"),
            "model_version": _category(answer, "ModerationModelVersion", manifests.model_version_of),
            "project_version": _category(answer, "ProjectVersion", _project_version_of),
            "content_type": _likeliest(pc.struct_field(answer, "ContentTypes")),
        },
        copy=False,
    )


def _project_version_of(answer: Mapping[str, Any]) -> str | None:
    return manifests.text_of(answer, "ProjectVersion")


def _likeliest(content: pa.ChunkedArray) -> pd.Categorical:
    """Name of the content type with the highest confidence of each image; missing where there is none."""
    flat = pc.list_flatten(content)
    names = _category(flat, "Name", manifests.name_of)
    owner = _owners(content)
    confidence = _confidences(flat)
    codes = np.full(len(content), -1, dtype=names.codes.dtype)
    order = np.lexsort((confidence, owner)) if np.any(owner[1:] == owner[:-1]) else slice(None)
    codes[owner[order]] = names.codes[order]  # the last of an image counts: its likeliest
    return pd.Categorical.from_codes(codes, categories=names.categories)


def _owners(lists: pa.ChunkedArray) -> NDArray[np.int64]:
    """The row of each item of flattened lists; a missing list has none."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    return np.repeat(np.arange(len(lists)), lengths)


def _label_table(labels: pa.ChunkedArray, beside: ThreadPoolExecutor) -> pd.DataFrame:
    flat = pc.list_flatten(labels)
    _require(not (labels.null_count or flat.null_count))
    parent = beside.submit(_category, flat, "ParentName", _canonical_parent_of)
    table = pd.DataFrame(
        {
            "image": _owners(labels),
            "name": _category(flat, "Name", _canonical_name_of),
            "parent": parent.result(),
            "level": pc.struct_field(flat, "TaxonomyLevel").to_numpy(),
            "confidence": _confidences(flat),
        },
        copy=False,
    )
    return table.assign(level=_levels(table))


def _canonical_name_of(item: Mapping[str, Any]) -> str:
    return taxonomy.canonical(manifests.name_of(item))


def _canonical_parent_of(item: Mapping[str, Any]) -> str:
    return taxonomy.canonical(manifests.parent_of(item))


def _levels(table: pd.DataFrame) -> NDArray[np.int8]:
    """Levels, also where the response left them out."""
    level = table["level"].to_numpy()
    unknown = np.isnan(level)
    _require(np.all(unknown | ((level >= 1) & (level <= 9) & (level == np.floor(level)))))
    if unknown.any():
        level = level.copy()
        left_out = table.loc[unknown, ["name", "parent"]].itertuples(index=False)
        level[unknown] = [manifests.usual_level(name, parent) for name, parent in left_out]
    return level.astype(np.int8)


def _confidences(items: pa.ChunkedArray) -> NDArray[np.float32]:
    """Confidences in percent."""
    confidences: NDArray[np.float32] = pc.struct_field(items, "Confidence").to_numpy()
    _require(np.all((confidences >= 0) & (confidences <= 100)))  # NaN is neither, and so is none
    return confidences


def _category(items: pa.ChunkedArray, key: str, read: Callable[[Mapping[str, Any]], str | None]) -> pd.Categorical:
    """A field of text; its few distinct values are read by the function that reads them line by line."""
    column = pc.struct_field(items, key)
    encoded = column.dictionary_encode().unify_dictionaries()
    texts = encoded.chunk(0).dictionary.to_pylist() if encoded.num_chunks else []
    try:
        values = [read({key: text}) for text in texts]
        values += [read({})] if column.null_count else []  # the last one, which is what -1 means
    except ValueError as error:
        raise _Amiss from error
    names = pd.Index(dict.fromkeys(value for value in values if value is not None), dtype="str")
    places = pd.Categorical(values, categories=names).codes  # in one byte each where the names are few
    codes = [places[pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False)] for chunk in encoded.chunks]
    return pd.Categorical.from_codes(np.concatenate(codes) if codes else [], categories=names)


# -- what is wrong ----------------------------------------------------------------------------------------------------


def _sort_out(path: Path, sound: Path, name: str, layout: Layout) -> list[tuple[Any, ...]]:
    """Writes what the sound lines say, and says what is wrong with the others."""
    broken: list[tuple[Any, ...]] = []
    lines = 0
    with path.open("rb") as source, sound.open("wb") as copy:
        for number, raw in enumerate(manifests.lines_of(source), start=1):
            # Of a line that is too long only the beginning is here, and that may be blank.
            line = raw.strip() if len(raw) <= manifests.MAX_LINE_BYTES else raw
            if not line:
                continue
            lines += 1
            try:
                record = {"source-ref": _name_of_line(name, number)} | layout.parse(line)
                copy.write(manifests.to_line(record).encode("utf-8"))
            except ValueError as error:
                broken.append((name, number, None, UNREADABLE_LINE, str(error)))
    if len(broken) > lines / 2:
        first = "; ".join(f"line {row[1]}: {row[4]}" for row in broken[:3])
        raise UnreadableManifest(
            f"{name}: {len(broken)} of {lines} lines cannot be read ({first}); this is not {layout.meant}."
        )
    return broken
