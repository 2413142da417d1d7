"""`modkit summary | tune | sample | compare | drift | report`: what results say."""

from pathlib import Path
from typing import Annotated, Final

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
from toolkit.cli.runs import evidence, in_taxonomy, read_run, read_two
from toolkit.errors import InvalidPolicy, InvalidSample, NotLabelled
from toolkit.policy import policy_of

_SHOWN: Final = 20
"""Images without a result that are listed; the others are counted."""


def summary(
    results: ResultsFile,
    min_confidence: Floor = None,
    taxonomy: Taxonomy = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Say what a run found: images, failures, labels."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = read_run(results, min_confidence, taxonomy, session)
    overview = found.overview()
    document = {
        "images": found.n_images,
        "flagged": int(found.labels["image"].nunique()),
        "min_confidence": found.min_confidence,
        "floor_source": found.floor_source,
        "labels": output.records(overview),
        "errors": output.records(found.errors),
        "errors_known": found.errors_known,
    }

    def show() -> None:
        output.screen.print(Text(repr(found)))
        rows = [
            [row.label, row.parent, row.level, f"{row.images:,}", f"{row.share:.2%}", f"{row.median_confidence:.1f}"]
            for row in overview.itertuples()
        ]
        columns = ["label", "parent", "level", "images", "share", "median confidence"]
        output.screen.print(output.table("Labels", columns, rows, numbers=columns[2:]))
        if len(found.errors):
            errors = [[e.line, e.source_ref if isinstance(e.source_ref, str) else "", e.code, e.message]
                      for e in found.errors.head(_SHOWN).itertuples()]  # fmt: skip
            output.screen.print(output.table("Not analyzed", ["line", "image", "code", "message"], errors))
        if len(found.errors) > _SHOWN:
            counts = ", ".join(f"{count:,} {code}" for code, count in found.errors["code"].value_counts().items())
            output.screen.print(Text(f"the first {_SHOWN} of {len(found.errors):,} ({counts}); --json lists all."))

    output.show(document, as_json, show)
    output.unreadable(found)


def tune(
    results: ResultsFile,
    truth: TruthFile,
    label: Annotated[list[str] | None, typer.Option(help="May be given several times. Default: all judged.")] = None,
    objective: Annotated[str, typer.Option(help="For example precision>=0.9, recall>=0.95, f1, cost fp=1 fn=10.")] = (
        "precision>=0.9"
    ),
    confidence_level: Annotated[
        float | None,
        typer.Option(help="Promise the objective on new images with this probability, such as 0.95."),
    ] = None,
    min_confidence: Floor = None,
    taxonomy: Taxonomy = None,
    save: Annotated[Path | None, typer.Option(help="Write the thresholds as a policy file.")] = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Pick a threshold for each label that people judged, and say how sure its rates are."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = evidence(read_run(results, min_confidence, taxonomy, session), confidence_level)
    samples = tk.read_truth(truth, session=session)
    labels = dict.fromkeys(label or samples.tunable_labels())
    curves = [tk.threshold_curve(found, samples, name) for name in labels]
    choices = [tk.choose_threshold(curve, objective, confidence_level=confidence_level) for curve in curves]
    document = {
        "objective": objective,
        "confidence_level": confidence_level,
        "labels": {
            choice.label: output.choice_record(curve, choice) for choice, curve in zip(choices, curves, strict=True)
        },
    }
    if save is not None and any(choice.threshold is not None for choice in choices):
        # Before anything is printed: nobody may be listening.
        policy_of({(choice.label, "block"): choice for choice in choices}, found, samples).save(save)
    output.show(
        document, as_json, lambda: output.show_choices(output.screen, {"": list(zip(curves, choices, strict=True))})
    )
    if save is not None and all(choice.threshold is None for choice in choices):
        raise InvalidPolicy(f"{save}: not written, as no label has a threshold; ask for less, or label more images.")
    output.unreadable(found)


def sample(
    results: ResultsFile,
    label: Annotated[str, typer.Option(help="The moderation label to be judged.")],
    destination: Annotated[Path, typer.Argument(help="Where to write the images to label: .csv or .parquet.")],
    n: Annotated[int, typer.Option("-n", min=1, help="How many images.")] = 200,
    strategy: Annotated[
        str, typer.Option(help="uniform, confidence (a rare label is seen) or threshold (most of them near one).")
    ] = "confidence",
    threshold: Annotated[float | None, typer.Option(min=0, max=100, help="For the strategy of that name.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed picks the same images.")] = 0,
    min_confidence: Floor = None,
    taxonomy: Taxonomy = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Pick images to label; fill in the column `present` (1 or 0) and keep the column `weight` or `probability`."""
    if destination.exists():
        raise InvalidSample(f"{destination}: is there already, perhaps with labels in it; name another file.")
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = read_run(results, min_confidence, taxonomy, session)
    picked = tk.sample_for_labeling(found, n, label, strategy=strategy, threshold=threshold, seed=seed)
    output.save_table(picked.assign(present=""), destination)
    output.show({"images": len(picked), "file": str(destination)}, as_json, lambda: typer.echo(destination))
    output.unreadable(found)


def compare(
    base: Annotated[str, typer.Argument(help="Results manifest of the model in use; or an adapter's output alone.")],
    label: Annotated[str, typer.Option(help="A moderation label.")],
    threshold: Annotated[float, typer.Option(min=0, max=100, help="MinConfidence of the base.")],
    truth: Annotated[
        str | None, typer.Option(help="Labelled samples. Default, for an adapter's output alone: the labels in it.")
    ] = None,
    candidate: Annotated[
        str | None,
        typer.Argument(
            help="Results manifest of the model to judge, on the same images. Left out, the first one is what a "
            "training wrote of its test images, which holds both models."
        ),
    ] = None,
    candidate_threshold: Annotated[
        float | None, typer.Option(min=0, max=100, help="MinConfidence of the candidate. Default: the base's.")
    ] = None,
    min_confidence: Floor = None,
    taxonomy: Taxonomy = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Say what a candidate model changes for one label, and whether that is more than chance."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    at = (threshold, threshold if candidate_threshold is None else candidate_threshold)
    if candidate is not None and truth is None:
        raise NotLabelled("no labelled samples given; name them (--truth).")
    if candidate is None:
        runs = [in_taxonomy(run, taxonomy) for run in tk.read_adapter_output(base, session=session)]
    else:
        runs = read_two(base, candidate, min_confidence, taxonomy, session)
    found = tk.compare(runs[0], runs[1], tk.read_truth(truth or base, session=session), label, at)
    document = {
        "label": label,
        "thresholds": list(at),
        "judged": found.judged,
        "unpaired": found.unpaired,
        "unmatched": found.unmatched,
        "fixed": found.fixed,
        "broken": found.broken,
        "p_value": found.p_value,
        "rates": output.records(found.rates),
        "flips": output.records(found.flips),
    }
    output.show(document, as_json, lambda: output.show_comparison(output.screen, found))
    output.unreadable(*runs)


def drift(
    before: Annotated[str, typer.Argument(help="Results of the earlier run: as in summary.")],
    after: Annotated[str, typer.Argument(help="Results of the later run.")],
    policy: Annotated[
        Path | None, typer.Option(help="A policy file: also say which images it would decide differently.")
    ] = None,
    min_confidence: Floor = None,
    taxonomy: Taxonomy = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Say how far what the model reports has shifted between two runs; no labelled samples needed."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    rules = tk.Policy.load(policy) if policy else None
    runs = read_two(before, after, min_confidence, taxonomy, session)
    found = tk.drift(runs[0], runs[1], policy=rules)
    document = {
        "labels": output.records(found.labels),
        "min_confidence": found.min_confidence,
        "decisions": None if found.decisions is None else found.decisions.to_dict("index"),
        "flips": None if found.flips is None else output.records(found.flips),
    }
    output.show(document, as_json, lambda: output.show_drift(output.screen, found))
    output.unreadable(*runs)


def report(
    results: ResultsFile,
    destination: Annotated[str, typer.Argument(help="The HTML file to write.")],
    truth: Annotated[str | None, typer.Option(help="Labelled samples.")] = None,
    objective: Annotated[str, typer.Option(help="As in tune.")] = "precision>=0.9",
    policy: Annotated[Path | None, typer.Option(help="The policy file in use, to show what it does.")] = None,
    min_confidence: Floor = None,
    taxonomy: Taxonomy = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML file about a run."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = read_run(results, min_confidence, taxonomy, session)
    samples = tk.read_truth(truth, session=session) if truth else None
    rules = tk.Policy.load(policy) if policy else None
    runs = {Path(results).parent.name or "run": found}
    tk.write_report(destination, runs, samples, objective=objective, policy=rules)
    output.show({"report": destination}, as_json, lambda: typer.echo(destination))
    output.unreadable(found)
