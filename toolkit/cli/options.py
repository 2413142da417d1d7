"""Options and arguments that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit.errors import NotFound


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
