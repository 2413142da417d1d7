"""From what a person names (paths, URIs, globs, prefixes, a job) to `Results`."""

import glob
import math
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from fnmatch import fnmatchcase
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_list_like, union_categoricals

from toolkit import checks, manifests, parallel, storage
from toolkit.confidence import written
from toolkit.errors import InvalidArgument, NotFound
from toolkit.results import scan
from toolkit.results.table import Floor, Results

Source = str | PathLike[str]
Opener = storage.Session | Callable[[], storage.Session]
"""How to reach S3: a session, or, for work on other processes, a function without arguments that makes one there, such
as `functools.partial(tk.connect, "http://127.0.0.1:4555")`: a session cannot travel."""

Read = tuple[scan.Tables, pd.DataFrame | None]
"""A manifest, and the errors that the summary beside it names; None where there is no summary."""

_NAMES: Final = (manifests.RESULTS_NAME, f"{manifests.RESULTS_NAME}.gz")

_EVIDENT: Final = math.log(1e-6)
"""Of the chance under which manifests are not taken for having one floor."""

MISSING_LINE: Final = "MISSING_LINE"
"""Code of an image that the summary counts as analyzed, and the results do not have."""
_MISSING: Final = "the summary counts one more analyzed line than there are; the results may be cut off."


class FloorsDiffer(UserWarning):
    """One floor was guessed for manifests that seem to have different ones."""


@runtime_checkable
class HasResults(Protocol):
    """A job, a group of jobs, a run: whatever can hand over its own results."""

    def results(self) -> Results:
        """What it found."""


def read_results(
    source: Source | Sequence[Source] | HasResults,
    *,
    min_confidence: float | None = None,
    session: Opener | None = None,
    executor: Executor | None = None,
) -> Results:
    """Loads results manifests into tables.

    Parameters
    ----------
    source
        A results manifest, as a path or S3 URI (`.jsonl` or `.jsonl.gz`); a glob of them (`out/*/results.jsonl`; in S3
        `*` also matches `/`); a folder or an `s3://bucket/prefix/`, of which every `results.jsonl` (or `.jsonl.gz`) is
        read, however deep (but not behind links to other folders); several of all these; or a job. A file may also hold
        responses of DetectModerationLabels, one a line; those that do not name their image in `source-ref` are called
        after their line in the file. Of an adapter output manifest, this reads what the adapter said (see
        `read_adapter_output`). The summary that stands beside a manifest is read too; where there is none, or none that
        may be read, it is not known which images failed, and `errors_known` is False.
    min_confidence
        The floor of the run in percent, 0–100. A job knows its own. For bare files, None takes the smallest
        confidence seen, and the result says so. It says what the job was, and leaves nothing out: a file with
        confidences below it comes from another job.
    session
        For S3; None is boto3's default. For an executor with other processes, a function that makes one.
    executor
        Where to read many manifests; None reads them in threads of this process. All rows come back into memory: for
        more than fits there, see `summarize`.

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
        `min_confidence` is out of its range, or above a confidence in a file; or the manifests are several runs of
        different models on the same images; or a folder, prefix or glob holds a manifest twice, compressed and not.

    Warns
    -----
    FloorsDiffer
        Nobody said a floor, and the manifests seem to have different ones; a UserWarning.
    """
    if min_confidence is not None:
        checks.within("min_confidence", min_confidence, 0, 100)
    if isinstance(source, HasResults):
        return source.results()
    uris = list_manifests(source, session=session)
    batches = parallel.in_batches(partial(_read_many, session=session), uris, executor)
    parts = [one for batch in batches for one in batch]
    results = put_together(uris, parts, min_confidence)
    if min_confidence is None:
        _warn_of_one_guess(uris, [tables.labels for tables, _ in parts])
    return results


def put_together(uris: Sequence[str], parts: Sequence[Read], min_confidence: float | None = None) -> Results:
    """One run from its manifests. Raises as `read_results`."""
    tables = _stack([tables for tables, _ in parts])
    _require_one_model(tables.images, uris)
    failed = [table for _, table in parts]
    # Manifests of one folder share its summary, which counts once.
    places = [place_of_summary(uri) for uri in uris]
    shared = Counter(places)
    once = {
        place: table if shared[place] == 1 else without_missing(table)
        for place, table in zip(places, failed, strict=True)
        if table is not None
    }
    errors = pd.concat([*once.values(), tables.errors], ignore_index=True)
    floor, floor_source = floor_of(smallest(tables.labels), min_confidence)
    known = all(table is not None for table in failed)
    return Results(tables.images, tables.labels, errors, floor, floor_source, known, tuple(uris))


def list_manifests(source: Source | Sequence[Source], *, session: Opener | None = None) -> list[str]:
    """The manifests that a person means: globs, folders and prefixes become what is in them; none is named twice.

    Raises
    ------
    NotFound
        Nothing is there.
    InvalidArgument
        Of what a glob, folder or prefix means, one is `x.jsonl` and another `x.jsonl.gz` beside it: most likely the
        same images, which would count twice. Both are read where each is named.
    Unreachable, RequestRefused
    """
    alone = isinstance(source, (str, PathLike)) or not is_list_like(source)
    sources: Sequence[Any] = [source] if alone else list(source)  # type: ignore[arg-type]
    for one in sources:
        if not isinstance(one, (str, PathLike)):
            raise InvalidArgument(f"{one!r}: no path or URI; name manifests, or read a job alone (read_results(job)).")
    if not sources:
        raise NotFound("no results manifest given; name at least one.")
    found = [uri for one in sources for uri in _named(one, session)]
    return list({_place(uri): uri for uri in found}.values())


def without_missing(failed: pd.DataFrame) -> pd.DataFrame:
    """What failed by a summary that several manifests share: nobody knows how many lines of it are whose."""
    return failed[failed["code"] != MISSING_LINE]


def place_of_summary(uri: str) -> str:
    """Where the summary beside a manifest stands; the same for all manifests of a folder, however each is spelled."""
    return _place(_summary_of(uri))


def _place(uri: str) -> str:
    """The one name of a file that a person may call by many."""
    return uri if storage.is_s3(uri) else str(Path(uri).resolve())


def floor_of(seen: float, min_confidence: float | None) -> tuple[float, Floor]:
    """The floor of bare files, and who says so; `seen` is the smallest confidence in them.

    Raises
    ------
    InvalidArgument
        The caller's `min_confidence` is above it.
    """
    if min_confidence is None:
        return seen, "smallest confidence seen"
    if np.float32(seen) < np.float32(min_confidence):
        raise InvalidArgument(
            f"min_confidence is {written(min_confidence)}, but confidences down to {written(seen)} were reported; "
            f"give the MinConfidence that the job had, or leave it out."
        )
    return float(min_confidence), "caller"


def smallest(labels: pd.DataFrame) -> float:
    """The smallest confidence; 100 where no label was reported, which says nothing at all below that."""
    return float(labels["confidence"].min()) if len(labels) else 100.0


def read_each(uris: Iterable[str], session: Opener | None = None, layout: scan.Layout | None = None) -> Iterator[Read]:
    """Several manifests, one after the other, with one session and one connection."""
    opened = _open(session)
    with duckdb.connect() as connection:
        for uri in uris:
            tables = _tables(connection, uri, opened, layout)
            yield tables, _summary_errors(uri, opened, len(tables.images) + len(tables.errors))


def _read_many(uris: Sequence[str], session: Opener | None) -> list[Read]:
    return list(read_each(uris, session))


def _open(session: Opener | None) -> storage.Session | None:
    return session if session is None or isinstance(session, storage.Session) else session()


def warn_of_floors(uris: Sequence[str], seen: Sequence[float], tops: Sequence[int], below: NDArray[np.int64]) -> None:
    """Warns (FloorsDiffer) that one floor was guessed for manifests that seem to have different ones.

    If all had the same, and were alike, the lowest confidences would be anybody's: where a manifest has none of them,
    and the chance of that is under one in a million, its floor is another, or what it shows. Labels of level 1 are
    counted, because those below them repeat their confidence.

    Parameters
    ----------
    uris
        One a manifest.
    seen
        The smallest confidence in each, percent.
    tops
        How many labels of level 1 each has.
    below
        How many labels of level 1, of all manifests together, lie below its smallest confidence.
    """
    total = sum(tops)
    chances = [_log_chance(total, own, int(lower)) for own, lower in zip(tops, below, strict=True)]
    high, low = int(np.argmin(chances)), int(np.argmin(seen))
    if chances[high] < _EVIDENT:
        warnings.warn(
            f"{uris[low]} reports nothing below {written(seen[low])}, and {uris[high]} nothing below "
            f"{written(seen[high])}: if their jobs had different MinConfidence, read them apart, as rates below the "
            f"higher one would count what is not known; if it was one for all, say it (min_confidence, "
            f"--min-confidence).",
            FloorsDiffer,
            stacklevel=3,
        )


def _log_chance(total: int, own: int, lower: int) -> float:
    """Of the chance that, of so many, none of the lowest is one's own: of a draw without replacement."""
    ways = [math.lgamma(n + 1) for n in (total - own, total - own - lower, total, total - lower)]
    return ways[0] - ways[1] - ways[2] + ways[3]


def _warn_of_one_guess(uris: Sequence[str], labels: Sequence[pd.DataFrame]) -> None:
    if len(uris) > 1:
        tops = [table["confidence"].to_numpy()[table["level"].to_numpy() == 1] for table in labels]
        seen = [smallest(table) for table in labels]
        below = np.searchsorted(np.sort(np.concatenate(tops)), np.array(seen, dtype=np.float32))
        warn_of_floors(uris, seen, [len(each) for each in tops], below)


# -- what is meant ----------------------------------------------------------------------------------------------------


def _named(source: Source, session: Opener | None) -> list[str]:
    uri = str(source)
    if not uri.strip():
        raise NotFound("the name of the results is empty; point at a job's results, or . for this folder.")
    found = list(_found_in_s3(uri, session) if storage.is_s3(uri) else _found_here(uri))
    if not found:
        raise NotFound(f"{uri}: no {manifests.RESULTS_NAME} there; point at a job's results, or where jobs put them.")
    if twice := [one for one in found if one.lower().endswith(".gz") and one[: -len(".gz")] in found]:
        raise InvalidArgument(
            f"{uri}: {min(twice)} is there, and so is the same without .gz, which would count every image twice; "
            f"move one of them away, or name the one that you mean."
        )
    return found


def _found_here(name: str) -> Iterator[str]:
    path = Path(name)
    if path.is_dir():
        yield from (str(file) for file in sorted(path.rglob("*")) if file.name in _NAMES and file.is_file())
        return
    # A name that is there stands for itself, whatever it looks like.
    matches = [str(path)] if path.is_file() else sorted(glob.glob(name, recursive=True))  # noqa: PTH207
    matches = matches if path.is_file() else [match for match in matches if not match.endswith(manifests.SUMMARY_NAME)]
    if not matches:
        raise NotFound(f"reading {name}: no such file; point at a job's {manifests.RESULTS_NAME}.")
    for match in matches:
        if Path(match).is_dir():
            yield from _found_here(match)
        elif Path(match).is_file():
            yield match
        else:
            raise InvalidArgument(f"reading {match}: not a file, but a pipe or a device; save what it gives in a file.")


def _found_in_s3(uri: str, session: Opener | None) -> Iterator[str]:
    opened = _open(session)
    if "*" in uri:
        below = storage.list_files(uri.partition("*")[0], session=opened)
        pattern = uri.replace("[", "[[]").replace("?", "[?]")  # these stand for themselves in a key
        yield from (key for key in below if fnmatchcase(key, pattern))
    elif uri.endswith("/"):
        yield from (key for key in storage.list_files(uri, session=opened) if key.rpartition("/")[2] in _NAMES)
    else:
        yield uri


# -- reading ----------------------------------------------------------------------------------------------------------


def _tables(
    connection: duckdb.DuckDBPyConnection, uri: str, session: storage.Session | None, layout: scan.Layout | None
) -> scan.Tables:
    if not storage.is_s3(uri):
        return scan.scan(connection, Path(uri), uri, layout)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, manifests.RESULTS_NAME)
        path.write_bytes(storage.read(uri, session=session))
        return scan.scan(connection, path, uri, layout)


def _summary_of(uri: str) -> str:
    folder = uri.rpartition("/")[0] if storage.is_s3(uri) else Path(uri).parent
    return storage.join(folder, manifests.SUMMARY_NAME)


def _summary_errors(uri: str, session: storage.Session | None, lines: int) -> pd.DataFrame | None:
    """The images that failed, and those that are missing among the lines; None where no summary is to be had."""
    summary_uri = _summary_of(uri)
    try:
        data = storage.read(summary_uri, session=session)
    except NotFound:  # not there, or not ours to read: either way nobody says which images failed
        return None
    summary = manifests.parse_summary(data, summary_uri)
    errors = [(summary_uri, e.line, e.source_ref, e.code, e.message) for e in summary.errors]
    if uri.rpartition("/")[2] in _NAMES:  # what jobs call them, each in a folder of its own
        errors += [(uri, 0, None, MISSING_LINE, _MISSING)] * max(0, summary.valid - lines)
    return scan.error_table(errors)


# -- putting together -------------------------------------------------------------------------------------------------


def _stack(parts: Sequence[scan.Tables]) -> scan.Tables:
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0, *(len(part.images) for part in parts[:-1])])
    images = concat([part.images for part in parts])
    images["image"] = np.arange(len(images))
    labels = concat([part.labels for part in parts])
    labels["image"] += np.repeat(offsets, [len(part.labels) for part in parts])
    errors = pd.concat([part.errors for part in parts], ignore_index=True)
    return scan.Tables(images, labels, errors)


def concat(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of the same columns, one below the other; as pandas does it, but a category stays one."""
    whole = {
        name: union_categoricals([table[name] for table in tables])
        if isinstance(first, pd.CategoricalDtype)
        else pd.concat([table[name] for table in tables], ignore_index=True)
        for name, first in tables[0].dtypes.items()
    }
    return pd.DataFrame(whole)


def _require_one_model(images: pd.DataFrame, uris: Sequence[str]) -> None:
    """Refuses runs of different models on the same images: every image would count once a model."""
    models = [images[name].cat.codes for name in ("project_version", "model_version")]
    if len(uris) == 1 or all(codes.nunique() < 2 for codes in models):
        return
    answers = pd.DataFrame({"image": images["source_ref"], "one": models[0], "other": models[1]}).drop_duplicates()
    if answers["image"].duplicated().any():
        raise InvalidArgument(
            f"these {len(uris)} manifests are runs of different models on the same images; read them one by one: "
            f"{', '.join(uris[:5])}{' …' if len(uris) > 5 else ''}."
        )
