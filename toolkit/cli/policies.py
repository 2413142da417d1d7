"""`modkit policy …`: what a policy file does with a run, and its form for other systems."""

import enum
import json
from pathlib import Path
from typing import Annotated

import typer

import toolkit as tk
from toolkit.cli import output
from toolkit.cli.options import Endpoint, Floor, Json, Profile, Region, ResultsFile

app = typer.Typer(help="Apply a policy to a run, or export it.", no_args_is_help=True)

PolicyFile = Annotated[Path, typer.Argument(help="A policy file (modkit tune --save).")]


class Form(enum.StrEnum):
    """What a policy can be exported as."""

    A2I = "a2i"
    PYTHON = "python"


@app.command()
def apply(
    policy: PolicyFile,
    results: ResultsFile,
    min_confidence: Floor = None,
    save: Annotated[Path | None, typer.Option(help="Write each image's decision here: .csv or .parquet.")] = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Say how many images would be allowed, reviewed and blocked, per thousand and with intervals."""
    rules = tk.Policy.load(policy)
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = tk.read_results(results, min_confidence=min_confidence, session=session)
    forecast = rules.forecast(found)
    if save is not None:
        output.save_table(rules.decide(found), save)
    if as_json:
        failed = len(found.errors) if found.errors_known else None
        document = {"forecast": output.records(forecast), "not_analyzed": failed}
        output.print_json(document | {"min_confidence": rules.min_confidence})
        return
    columns = ["decision", "images", "per thousand", "95 % interval"]
    rows = [
        [
            row["decision"],
            f"{row['images']:,}",
            f"{row['per_thousand']:.1f}",
            f"[{row['per_thousand_low']:.1f}–{row['per_thousand_high']:.1f}]",
        ]
        for row in forecast.to_dict("records")
    ]
    title = f"{found.n_images:,} images; not decided: {found.failures}"
    output.screen.print(output.table(title, columns, rows, numbers=columns[1:]))


@app.command()
def export(policy: PolicyFile, form: Annotated[Form, typer.Argument(help="For A2I, or as a Python function.")]) -> None:
    """Print a policy as Amazon A2I activation conditions, or as a Python function without dependencies."""
    rules = tk.Policy.load(policy)
    typer.echo(json.dumps(rules.to_a2i(), indent=2) if form is Form.A2I else rules.to_python())
