"""`modkit adapter …`: the custom moderation models of an account."""

import hashlib
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

import toolkit as tk
from toolkit import manifests, storage
from toolkit.cli import output
from toolkit.cli.options import Endpoint, Json, Profile, Region, Taxonomy, TruthFile
from toolkit.cli.runs import read_run
from toolkit.confidence import written
from toolkit.errors import InvalidArgument, NotFound
from toolkit.report import write_figures
from toolkit.results import GUESSED
from toolkit.service.lifecycle import AdapterStatus, mark_adapter

app = typer.Typer(help="Custom moderation models: train, wait, list, evaluate, delete.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the adapter (of its project), name/version, or ARN.")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", help="Level-1 label to train; can be repeated. Default: those that are present."),
]


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
def manifest(
    truth: Annotated[str, typer.Argument(help="Labelled samples: CSV, Parquet or a ground-truth manifest.")],
    destination: Annotated[str, typer.Argument(help="Where to write it: a path, or s3://bucket/training.jsonl.")],
    label: Labels = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Write labelled samples as the ground truth that adapters are trained on: level-1 labels only."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = tk.ground_truth(tk.read_truth(truth, session=session), label)
    found.write(destination, session=session)
    document = _truth_record(found) | {"manifest": destination}
    output.show(document, as_json, lambda: typer.echo(f"{destination}: {found.in_words}"))


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="Of the adapter; its project is made where there is none.")],
    destination: Annotated[str, typer.Argument(metavar="OUTPUT", help="s3://bucket/prefix/ for what training writes.")],
    truth: TruthFile,
    testing: Annotated[
        str | None, typer.Option("--test", help="Labelled samples to test with. Default: a part of the others.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Results of the base model on the training images, to count its mistakes.")
    ] = None,
    base_min_confidence: Annotated[
        float | None, typer.Option(min=0, max=100, help="MinConfidence of --base. Default: what is known of it.")
    ] = None,
    taxonomy: Taxonomy = None,
    label: Labels = None,
    version_name: Annotated[str, typer.Option("--version", help="Of the adapter; new in its project.")] = "v1",
    min_confidence: Annotated[float | None, typer.Option(min=0, max=100, help="To evaluate at. Default: 50.")] = None,
    kms_key_id: Annotated[str | None, typer.Option(help="Key that encrypts what training writes.")] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Train though AWS would ask for more images.")] = False,
    wait: Annotated[bool, typer.Option(help="Until it is trained; on AWS that takes hours.")] = True,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Train an adapter on labelled samples, once it is clear that there are enough of them.

    AWS asks for 20 test images, and for 50 misses or 20 false alarms of the base model on a label. The local service
    takes fewer, so there --anyway is not needed.
    """
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    training = tk.ground_truth(tk.read_truth(truth, session=session), label)
    tested = tk.ground_truth(tk.read_truth(testing, session=session), training.labels) if testing else None
    threshold = 50.0 if min_confidence is None else min_confidence
    run = None if base is None else _base(base, base_min_confidence, taxonomy, threshold, session)
    missing = tk.shortfalls(training, tested, base=run, threshold=threshold)
    output.people.print(Text(f"training on {training.in_words}"), soft_wrap=True)
    if missing and not anyway and not storage.is_local(session):
        raise InvalidArgument(f"{name}: {'; '.join(missing)}: add --anyway to train all the same.")
    for sentence in missing:
        output.people.print(Text(f"{sentence}."), style="yellow", soft_wrap=True)
    for one in tk.list_adapters(session):
        if (one.name, one.version) == (name, version_name):
            raise InvalidArgument(_taken(one))
    folder = storage.join(destination, name, version_name)
    adapter = tk.train_adapter(
        name,
        _write(training, folder, "training", session),
        destination,
        testing=None if tested is None else _write(tested, folder, "testing", session),
        version_name=version_name,
        min_confidence=min_confidence,
        kms_key_id=kms_key_id,
        session=session,
    )
    if wait:
        adapter.wait()
    document = _record(adapter) | {"training": _truth_record(training), "shortfalls": missing}
    output.show(document, as_json, lambda: typer.echo(_in_words(adapter)))


@app.command("wait")
def wait_(
    name: Name,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Wait until an adapter is trained: one version (name/version, or its ARN), or the newest of that name."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    adapter = max(_named(name, session), key=lambda one: one.arn.rpartition("/")[2])  # ends with the time of its making
    adapter.wait()
    output.show(_record(adapter), as_json, lambda: typer.echo(_in_words(adapter)))


@app.command()
def evaluate(
    source: Annotated[
        str, typer.Argument(help="An adapter's name or ARN, or its evaluation: a path or S3 URI (.json).")
    ],
    label: Annotated[str | None, typer.Option(help="One label only.")] = None,
    threshold: Annotated[float | None, typer.Option(min=5, max=100, help="One threshold only (5, 10, …).")] = None,
    html: Annotated[Path | None, typer.Option(help="Also draw it, into this file.", metavar="FILE.html")] = None,
    save: Annotated[Path | None, typer.Option(help="Also write the table, as CSV or Parquet.")] = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Show what a training says of its adapter: base model and adapter, at thresholds from 5 to 100."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    if storage.is_s3(source) or source.endswith(".json"):
        found = tk.read_evaluation(source, session=session)
    else:
        found = tk.find_adapter(source, session=session).evaluation()
    if label is not None and label not in found.labels:
        raise NotFound(f"{label}: not evaluated; these labels were: {', '.join(found.labels)}.")
    table = found.table()
    chosen = table if label is None else table.loc[table["label"] == label]
    if threshold is not None:
        known = sorted(set(chosen["threshold"]))
        if threshold not in known:
            names = ", ".join(f"{one:g}" for one in known)
            raise NotFound(f"threshold {threshold:g}: not evaluated; these were: {names}.")
        chosen = chosen.loc[chosen["threshold"] == threshold]
    if save is not None:
        output.save_table(chosen, save)
    if html is not None:
        figures = [tk.plots.evaluation(table, one) for one in ([label] if label else found.labels)]
        write_figures(html, f"Evaluation of {found.project_version}", figures)
    document = _evaluation_record(found) | {"thresholds": output.records(chosen)}
    output.show(document, as_json, lambda: output.show_evaluation(output.screen, found, chosen))


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Delete an adapter: one version (name/version, or its ARN), or the project with all of them. No way leads back."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    if not yes and not sys.stdin.isatty():
        raise InvalidArgument(f"deleting {name} leaves no way back: add --yes to go on without being asked.")
    if not yes:
        typer.confirm(f"Delete {name}? There is no way back.", abort=True, err=True)
    if "/" in name:
        found = _named(name, session)
        for one in found:
            one.delete()
        gone = len(found)
    else:
        gone = tk.delete_project(name, session=session)
    output.show({"deleted": name, "versions": gone}, as_json, lambda: typer.echo(f"{name} is deleted"))


@app.command()
def mark(
    arn: Annotated[str, typer.Argument(help="ARN of the adapter (modkit adapter list).")],
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


def _base(
    base: str, min_confidence: float | None, taxonomy: str | None, threshold: float, session: storage.Session
) -> tk.Results:
    """The base model's run. Raises as `read_run`, and InvalidArgument where its floor is unknown, and matters."""
    option = "--base-min-confidence"
    try:
        with warnings.catch_warnings(record=True) as heard:
            run = read_run(base, min_confidence, taxonomy, session, option)
    except InvalidArgument as error:
        raise InvalidArgument(f"--base {base}: {error}") from error
    for one in heard:  # here --min-confidence is the adapter's
        warnings.warn(str(one.message).replace("--min-confidence", option), stacklevel=2)
    if run.floor_source == GUESSED and run.min_confidence > threshold:
        seen = f"nothing below {written(run.min_confidence)}" if run.label_names() else "nothing"
        raise InvalidArgument(
            f"{base}: reported {seen}, and nobody said what its MinConfidence was; say it ({option})."
        )
    return run


def _write(found: tk.GroundTruth, folder: str, part: str, session: storage.Session) -> str:
    """Writes ground truth under a name made of its content, so that none with other content is replaced."""
    digest = hashlib.sha256("".join(found.to_lines()).encode()).hexdigest()[:16]
    place = storage.join(folder, f"{part}-{digest}.jsonl")
    found.write(place, session=session)
    return place


def _taken(adapter: tk.Adapter) -> str:
    which = f"{adapter.name}/{adapter.version}"
    if adapter.status == "TRAINING_IN_PROGRESS":
        return f"{which}: is being trained; wait for it (modkit adapter wait {which}), or give another --version."
    return f"{which}: is there already ({adapter.status}); give another --version."


def _named(name: str, session: storage.Session) -> list[tk.Adapter]:
    """The versions of that name, or the one that `name/version` or an ARN names. Raises NotFound without any."""
    found = [one for one in tk.list_adapters(session) if name in {one.name, f"{one.name}/{one.version}", one.arn}]
    if not found:
        raise NotFound(f"{name}: no such adapter in this account and region; `modkit adapter list` shows them.")
    return found


def _in_words(adapter: tk.Adapter) -> str:
    score = "" if adapter.f1 is None else f", F1 {adapter.f1:.3f} on its test images"
    return f"{adapter.arn}: {adapter.status}{score}"


def _record(adapter: tk.Adapter) -> dict[str, Any]:
    return {"arn": adapter.arn, "project_arn": adapter.project_arn, "status": adapter.status, "f1": adapter.f1}


def _truth_record(found: tk.GroundTruth) -> dict[str, Any]:
    return {
        "images": len(found.table), "labels": output.records(found.counts), "rolled_up": found.rolled_up,
        "left_out": found.left_out,
    }  # fmt: skip


def _evaluation_record(found: manifests.Evaluation) -> dict[str, Any]:
    return {
        "adapter": found.project_version, "f1": found.f1, "labels": list(found.labels),
        "training_images": found.training_images, "testing_images": found.testing_images,
    }  # fmt: skip


def arn_of(adapter: str | None, session: storage.Session) -> str | None:
    """The ARN of an adapter that a person names; None for None. Raises as `find_adapter`."""
    if adapter is None or adapter.startswith("arn:"):
        return adapter
    return tk.find_adapter(adapter, session=session).arn
