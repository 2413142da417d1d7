"""What a run costs, said before it is started."""

import sys
from pathlib import Path

import typer
from rich.text import Text

import toolkit as tk
from toolkit import storage
from toolkit.cli import output
from toolkit.errors import InvalidArgument


def confirm(images: int, session: storage.Session, prices: Path | None, yes: bool, *, adapter: bool = False) -> None:
    """Says what so many images cost, and asks; on an endpoint of this machine they cost nothing.

    Raises
    ------
    InvalidArgument
        Nobody is there to be asked, and `yes` was not said.
    Abort
        The answer was no.
    """
    if storage.is_local(session):
        return
    said = tk.Prices.load(prices).in_words(images) + ("; an adapter may cost more" if adapter else "")
    if not yes and not sys.stdin.isatty():
        raise InvalidArgument(f"{said}: add --yes to go on without being asked.")
    output.people.print(Text(f"{said}."), soft_wrap=True)
    if not yes:
        typer.confirm("Go on?", abort=True, err=True)
