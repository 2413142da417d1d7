"""The runs that a command line names, each with the floor that somebody knows."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

import toolkit as tk
from toolkit import checks, parallel, storage
from toolkit.confidence import written
from toolkit.detect import floor_beside
from toolkit.errors import InvalidArgument
from toolkit.results import GUESSED, FloorsDiffer, list_manifests
from toolkit.results.reading import floor_of, smallest
from toolkit.workspace import runs_of


def read_run(
    results: str,
    min_confidence: float | None,
    taxonomy: str | None,
    session: storage.Session,
    option: str | None = "--min-confidence",
) -> tk.Results:
    """A run, with the floor that the workspace around it or `detect.json` beside it tells, else the one that the caller
    gives, else the smallest confidence seen.

    Parameters
    ----------
    results
        A manifest, glob, folder or prefix.
    min_confidence
        What the caller says, percent; None where nothing was said.
    taxonomy
        As `Results.to_taxonomy`; None leaves the labels.
    session
        For S3.
    option
        What the caller's word is called on the command line; None where it is meant for other runs, too, and does not
        count for those of which the floor is known.

    Raises
    ------
    InvalidArgument
        Floors that are told differ, or are not what the caller says; else as `read_results`.
    NotFound, Unreachable, RequestRefused, UnreadableManifest
        As `read_results`.
    """
    if min_confidence is not None:
        checks.within("min_confidence", min_confidence, 0, 100)
    uris = list_manifests(results, session=session)
    told = [floor for batch in parallel.in_batches(partial(_told, session=session), uris, None) for floor in batch]
    known = sorted({floor for floor in told if floor is not None})
    if len(known) > 1:
        raise _apart(results, known[0], known[-1])
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = tk.read_results(uris, session=session)
    seen = np.float32(smallest(found.labels))
    believed = bool(known) and np.float32(known[0]) <= seen  # else it is told of another run
    if known and not believed and None in told:
        raise _apart(results, float(seen), known[0])
    if believed and option is not None and min_confidence not in (None, known[0]):
        raise InvalidArgument(
            f"{results}: its MinConfidence was {written(known[0])}, as its workspace or detect.json tells, and not "
            f"{written(min_confidence)}; leave {option} out."
        )
    floor, source = floor_of(float(seen), None if believed and None not in told else min_confidence)
    if believed and None not in told:
        floor, source = known[0], "job"
    for one in heard:
        if source == GUESSED or not issubclass(one.category, FloorsDiffer):  # they do not, as somebody knows
            warnings.warn(one.message, one.category, stacklevel=2)
    return in_taxonomy(replace(found, min_confidence=floor, floor_source=source), taxonomy)


def read_two(
    one: str, other: str, min_confidence: float | None, taxonomy: str | None, session: storage.Session
) -> list[tk.Results]:
    """Two runs, as `read_run`; what the caller says counts for those of which nobody else knows the floor.

    Raises
    ------
    InvalidArgument
        It is known of both, and not what the caller says of either; else as `read_run`.
    """
    runs = [read_run(uri, min_confidence, taxonomy, session, option=None) for uri in (one, other)]
    if min_confidence is not None and all(r.floor_source == "job" and r.min_confidence != min_confidence for r in runs):
        raise InvalidArgument(
            f"the MinConfidence of both runs is known ({written(runs[0].min_confidence)} and "
            f"{written(runs[1].min_confidence)}), and it is not {written(min_confidence)}; leave --min-confidence out."
        )
    return runs


def evidence(found: tk.Results, confidence_level: float | None) -> tk.Results:
    """The run as evidence: for a promise, an image that stands there twice counts once."""
    return found if confidence_level is None else found.distinct()


def in_taxonomy(found: tk.Results, taxonomy: str | None) -> tk.Results:
    """The run with the labels of that version; None leaves them. Raises as `Results.to_taxonomy`."""
    return found if taxonomy is None else found.to_taxonomy(taxonomy)


def _told(uris: Sequence[str], session: storage.Session) -> list[float | None]:
    """The floor of each manifest, as its workspace or `detect.json` tells; None where neither does."""
    known = iter(runs_of([uri for uri in uris if not storage.is_s3(uri)]))
    runs = [None if storage.is_s3(uri) else next(known) for uri in uris]
    return [
        floor_beside(uri, session=session) if run is None else run.min_confidence
        for uri, run in zip(uris, runs, strict=True)
    ]


def _apart(results: str, low: float, high: float) -> InvalidArgument:
    return InvalidArgument(
        f"{results}: runs of different MinConfidence, as one says nothing below {written(high)} and another goes down "
        f"to {written(low)}; name them one by one."
    )
