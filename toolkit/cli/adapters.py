"""`modkit adapters …`: the custom moderation models of an account."""

from pathlib import Path
from typing import Annotated, Any

import typer

import toolkit as tk
from toolkit import storage
from toolkit.adapters import Adapter, find_adapter
from toolkit.cli import output
from toolkit.cli.options import Endpoint, Json, Profile, Region
from toolkit.service.lifecycle import AdapterStatus, mark_adapter

app = typer.Typer(help="List adapters; mark one of the local service's as deprecated or expired.", no_args_is_help=True)


@app.command("list")
def list_(
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """List adapters with their status and F1 score, newest project first."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = [_record(adapter) for adapter in tk.list_adapters(session)]
    if as_json:
        output.print_json({"adapters": found})
        return
    for one in found:
        score = "" if one["f1"] is None else f"F1 {one['f1']:.3f}"
        typer.echo(f"{one['status']:20}  {score:8}  {one['arn']}")
    if not found:
        typer.echo("no adapters yet")


@app.command()
def mark(
    arn: Annotated[str, typer.Argument(help="ARN of the adapter (modkit adapters list).")],
    status: Annotated[AdapterStatus, typer.Argument(help="TRAINING_COMPLETED takes the other two back.")],
    directory: Annotated[Path, typer.Option("--dir", help="The local service's folder; it may be running.")] = Path(
        "modkit-service"
    ),
    as_json: Json = False,
) -> None:
    """Mark an adapter of the local service, to see what AWS's adapters do when they grow old.

    A DEPRECATED adapter still answers. An EXPIRED one is ignored: the base model answers, and names no adapter.
    """
    mark_adapter(directory, arn, status)
    if as_json:
        output.print_json({"arn": arn, "status": status})
    else:
        typer.echo(f"{arn} is {status} now")


def _record(adapter: Adapter) -> dict[str, Any]:
    return {"arn": adapter.arn, "project_arn": adapter.project_arn, "status": adapter.status, "f1": adapter.f1}


def arn_of(adapter: str | None, session: storage.Session) -> str | None:
    """The ARN of an adapter that a person names; None for None. Raises as `find_adapter`."""
    if adapter is None or adapter.startswith("arn:"):
        return adapter
    return find_adapter(adapter, session=session).arn
