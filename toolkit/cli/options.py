"""Options and arguments that several commands take."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

import toolkit as tk
from toolkit import storage
from toolkit.detect import floor_beside
from toolkit.errors import NotFound
from toolkit.results import GUESSED
from toolkit.workspace import run_of


def named_folder(text: str | Path) -> Path:
    """A folder as a person names it; an empty name is a mistake (often of a shell variable), not the current folder.

    Raises
    ------
    NotFound
    """
    if not str(text).strip():
        raise NotFound("the folder's name is empty; write one, or . for the current folder.")
    return Path(text)


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]
Endpoint = Annotated[
    str | None,
    typer.Option("--endpoint", help="URL of an endpoint of your own, such as the local service's. Default: AWS."),
]
Region = Annotated[str | None, typer.Option(help="AWS region. Default: your AWS configuration's.")]
Profile = Annotated[str | None, typer.Option(help="AWS profile. Default: your AWS configuration's.")]
Floor = Annotated[
    float | None,
    typer.Option(
        "--min-confidence",
        min=0,
        max=100,
        help="The run's MinConfidence. Default: what its workspace or detect.json knows, else the smallest seen.",
    ),
]
Taxonomy = Annotated[
    str | None,
    typer.Option("--taxonomy", help="7.0: translate what model 6.1 said. Default: labels as the model named them."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before money is spent.")]
PriceTable = Annotated[
    Path | None, typer.Option("--prices", help="Price table of your own. Default: the toolkit's, with its date.")
]
AdapterName = Annotated[
    str | None, typer.Option("--adapter", help="Custom moderation adapter: its ARN, or the name of its project.")
]
TruthFile = Annotated[str, typer.Option("--truth", help="Labelled samples: CSV, Parquet or a ground-truth manifest.")]
ResultsFile = Annotated[
    str, typer.Argument(help="A results manifest (path or S3 URI); a glob, folder or s3://bucket/prefix/ of them.")
]


def evidence(found: tk.Results, confidence_level: float | None) -> tk.Results:
    """The run as evidence: for a promise, an image that stands there twice counts once."""
    return found if confidence_level is None else found.distinct()


def read_run(results: str, min_confidence: float | None, taxonomy: str | None, session: storage.Session) -> tk.Results:
    """A run, with the floor that the caller gives, or else the one that the workspace around it or `detect.json` tells.

    Raises as `read_results` and `in_taxonomy`.
    """
    run = None if storage.is_s3(results) or min_confidence is not None else run_of(results)
    if run is not None:
        found = tk.read_results(results, min_confidence=run.min_confidence, session=session)
        return in_taxonomy(replace(found, floor_source="job"), taxonomy)
    found = tk.read_results(results, min_confidence=min_confidence, session=session)
    if found.floor_source == GUESSED:
        floor = _floor_beside(found.sources, session)
        if floor is not None and floor <= found.min_confidence:
            found = replace(found, min_confidence=floor, floor_source="job")
    return in_taxonomy(found, taxonomy)


def _floor_beside(sources: Sequence[str], session: storage.Session) -> float | None:
    """The one floor that `detect.json` beside each of these manifests tells; None where they do not agree."""
    floors: set[float | None] = set()
    for source in sources:
        floors.add(floor_beside(source, session=session))
        if None in floors or len(floors) > 1:
            return None
    return floors.pop()


def in_taxonomy(found: tk.Results, taxonomy: str | None) -> tk.Results:
    """The run with the labels of that version; None leaves them. Raises as `Results.to_taxonomy`."""
    return found if taxonomy is None else found.to_taxonomy(taxonomy)
