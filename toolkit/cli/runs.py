"""The runs that a command line names, each with the floor that somebody knows."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import toolkit as tk
from toolkit import parallel, storage
from toolkit.confidence import written
from toolkit.detect import floor_beside
from toolkit.errors import InvalidArgument
from toolkit.results import FloorsDiffer, list_manifests, smallest
from toolkit.workspace import run_of


def read_run(
    results: str,
    min_confidence: float | None,
    taxonomy: str | None,
    session: storage.Session,
    option: str = "--min-confidence",
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
        What the caller's word is called on the command line.

    Raises
    ------
    InvalidArgument
        Floors that are told differ, or are not what the caller says; else as `read_results`.
    NotFound, Unreachable, RequestRefused, UnreadableManifest
        As `read_results`.
    """
    uris = list_manifests(results, session=session)
    told = [floor for batch in parallel.in_batches(partial(_told, session=session), uris, None) for floor in batch]
    known = sorted({floor for floor in told if floor is not None})
    if len(known) > 1:
        raise _apart(results, known[0], known[-1])
    with warnings.catch_warnings():
        if None not in told:
            warnings.simplefilter("ignore", FloorsDiffer)  # they do not
        found = tk.read_results(uris, min_confidence=min_confidence, session=session)
    seen = smallest(found.labels)
    if known and None in told and seen < known[0]:
        raise _apart(results, seen, known[0])
    if known and None not in told and known[0] <= seen:  # else it is told of another run
        if min_confidence not in (None, known[0]):
            raise InvalidArgument(
                f"{results}: its MinConfidence was {written(known[0])}, as its workspace or detect.json tells, and not "
                f"{written(min_confidence)}; leave {option} out."
            )
        found = replace(found, min_confidence=known[0], floor_source="job")
    return in_taxonomy(found, taxonomy)


def evidence(found: tk.Results, confidence_level: float | None) -> tk.Results:
    """The run as evidence: for a promise, an image that stands there twice counts once."""
    return found if confidence_level is None else found.distinct()


def in_taxonomy(found: tk.Results, taxonomy: str | None) -> tk.Results:
    """The run with the labels of that version; None leaves them. Raises as `Results.to_taxonomy`."""
    return found if taxonomy is None else found.to_taxonomy(taxonomy)


def _told(uris: Sequence[str], session: storage.Session) -> list[float | None]:
    """The floor of each manifest, as its workspace or `detect.json` tells; None where neither does."""
    runs = [None if storage.is_s3(uri) else run_of(uri) for uri in uris]
    floors = [None if run is None else run.min_confidence for run in runs]
    return [floor_beside(u, session=session) if floor is None else floor for u, floor in zip(uris, floors, strict=True)]


def _apart(results: str, low: float, high: float) -> InvalidArgument:
    return InvalidArgument(
        f"{results}: runs of different MinConfidence, as one says nothing below {written(high)} and another goes down "
        f"to {written(low)}; name them one by one."
    )
