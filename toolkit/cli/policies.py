"""`modkit policy …`: many thresholds at once, what they do with a run, and their form for other systems."""

import enum
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

import toolkit as tk
from toolkit.cli import output
from toolkit.cli.options import (
    Endpoint,
    Floor,
    Json,
    Profile,
    Region,
    ResultsFile,
    Taxonomy,
    TruthFile,
)
from toolkit.cli.runs import evidence, read_run
from toolkit.confidence import written
from toolkit.errors import InvalidPolicy
from toolkit.policy import decisions_of

app = typer.Typer(help="Choose a policy, apply it to a run, or export it.", no_args_is_help=True)

PolicyFile = Annotated[Path, typer.Argument(help="A policy file (modkit policy choose, modkit tune --save).")]


class Form(enum.StrEnum):
    """What a policy can be exported as."""

    A2I = "a2i"
    PYTHON = "python"


@app.command()
def choose(
    results: ResultsFile,
    truth: TruthFile,
    destination: Annotated[Path, typer.Argument(help="The policy file to write.")],
    block: Annotated[
        list[str] | None,
        typer.Option(
            help="Objective to block by: precision>=0.9 for every judged label, or 'Gambling: precision>=0.9'."
        ),
    ] = None,
    review: Annotated[list[str] | None, typer.Option(help="Objective to review by, written likewise.")] = None,
    confidence_level: Annotated[
        float | None, typer.Option(help="Promise all objectives at once on new images with this probability.")
    ] = None,
    min_confidence: Floor = None,
    taxonomy: Taxonomy = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Choose block and review thresholds for many labels at once, and write them as a policy."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = evidence(read_run(results, min_confidence, taxonomy, session), confidence_level)
    samples = tk.read_truth(truth, session=session)
    wanted = _objectives({"block": block or [], "review": review or []}, samples)
    chosen = tk.choose_policy(found, samples, wanted, confidence_level=confidence_level)
    if not chosen.policy.rules:
        reasons = " ".join(f"{label}, {band}: {choice.reason}" for (label, band), choice in chosen.choices.items())
        raise InvalidPolicy(f"{destination}: not written, as no label has a threshold. {reasons}")
    chosen.policy.save(destination)
    if as_json:
        document = {"thresholds": output.records(chosen.table), "min_confidence": chosen.policy.min_confidence}
        output.print_json(document | {"confidence_level": confidence_level, "file": str(destination)})
        return output.unreadable(found)
    columns = ["label", "band", "objective", "threshold", "precision", "recall"]
    rows = [[row["label"], row["band"], row["objective"], *_figures(row)] for row in output.records(chosen.table)]
    output.screen.print(output.table("Thresholds", columns, rows, numbers=columns[3:]))
    for (label, band), choice in chosen.choices.items():
        if choice.threshold is None:
            output.screen.print(Text(f"{label}, {band}: {choice.reason}"))
    output.screen.print(Text(str(destination)))
    return output.unreadable(found)


def _figures(row: Mapping[str, Any]) -> list[str]:
    if row["threshold"] is None:
        return ["–"] * 3
    rates = (
        f"{row[rate]:.3f} [{row[f'{rate}_low']:.3f}–{row[f'{rate}_high']:.3f}]" for rate in ("precision", "recall")
    )
    return [written(row["threshold"]), *rates]


def _objectives(given: Mapping[str, Sequence[str]], samples: tk.Truth) -> dict[str, dict[str, str]]:
    """Label to band to objective, from `objective` (for all labels) and `label: objective` (for one, goes before)."""
    wanted: dict[str, dict[str, str]] = {}
    named = [(band, *text.rpartition(":")[::2]) for band, texts in given.items() for text in texts]
    for band, label, objective in sorted(named, key=lambda each: bool(each[1])):
        for one in [label.strip()] if label else samples.tunable_labels():
            wanted.setdefault(one, {})[band] = objective.strip()
    return wanted


@app.command()
def apply(
    policy: PolicyFile,
    results: ResultsFile,
    min_confidence: Floor = None,
    taxonomy: Taxonomy = None,
    save: Annotated[Path | None, typer.Option(help="Write each image's decision here: .csv or .parquet.")] = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Say how many images would be allowed, reviewed and blocked, per thousand and with intervals."""
    rules = tk.Policy.load(policy)
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = read_run(results, min_confidence, taxonomy, session)
    forecast = rules.forecast(found)
    if save is not None:
        output.save_table(decisions_of(rules.rules, found), save)
    if as_json:
        failed = len(found.errors) if found.errors_known else None
        document = {"forecast": output.records(forecast), "not_analyzed": failed}
        output.print_json(document | {"min_confidence": rules.min_confidence})
        return output.unreadable(found)
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
    return output.unreadable(found)


@app.command()
def export(policy: PolicyFile, form: Annotated[Form, typer.Argument(help="For A2I, or as a Python function.")]) -> None:
    """Print a policy as Amazon A2I activation conditions, or as a Python function without dependencies."""
    rules = tk.Policy.load(policy)
    typer.echo(json.dumps(rules.to_a2i(), indent=2) if form is Form.A2I else rules.to_python())
