"""The main job from end to end on the sample images: serve, upload, train, analyze, load, judge, report, show.

It reads as a user's own script would: everything goes through the public API, over HTTP, with boto3 underneath.
"""

import shutil
import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import pandas as pd
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

import toolkit as tk
from toolkit import manifests, storage
from toolkit.cli import output
from toolkit.cli.options import named_folder
from toolkit.cli.studio import open_studio
from toolkit.confidence import written
from toolkit.errors import NotFound, Unreachable
from toolkit.policy import policy_of
from toolkit.service import ServiceProcess
from toolkit.workspace import keep_run

BUCKET: Final = "modkit-demo"
_REGION: Final = "us-east-1"
"""Not the one of your AWS configuration, which is no business of the demo's own service."""
MIN_CONFIDENCE: Final = 5.0
"""Low on purpose: below the floor nothing is known, and a threshold can only be tuned above it."""
OBJECTIVE: Final = "precision>=0.9"
MARK: Final = b"# made by modkit demo\n"
"""First line of the .gitignore of a folder that is the demo's to write in."""
BASE, ADAPTER = "base", "adapter"


@dataclass(frozen=True)
class _Inputs:
    """What the demo put into S3: the manifest (and its version), the two ground truths, and the key for the results."""

    manifest: str
    manifest_version: str | None
    training: str
    testing: str
    kms_key_id: str


def demo(
    directory: Annotated[
        Path,
        typer.Option(
            "--dir", help="A new or empty folder, or an earlier demo's.", parser=named_folder, metavar="FOLDER"
        ),
    ] = Path("modkit-demo"),
    no_app: Annotated[bool, typer.Option("--no-app", help="Stop before the app opens.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
    ] = False,
) -> None:
    """Run the whole job for real on the sample images: train, analyze, tune, report, and open the app."""
    samples = _sample_data()
    claim(directory)
    with ServiceProcess(directory) as service:
        output.people.print(Text(f"The local service listens at {service.endpoint_url}"))
        workspace, jobs, runs = work(directory, samples, tk.connect(service.endpoint_url, region_name=_REGION))
        judged = _judge(runs, tk.read_truth(directory / "truth.csv"), tk.read_truth(samples / "train.jsonl"))
        files = _write_files(workspace, runs, judged)
        _show(jobs, runs, judged, files)
        if as_json:
            output.print_json(_document(service.endpoint_url, jobs, runs, judged, files))
        with nullcontext() if no_app else open_studio(directory, endpoint_url=service.endpoint_url) as studio:
            if studio is not None:
                output.people.print(Text(f"The app is at {studio.url} (Ctrl-C stops it and the service)"))
                studio.wait()


def claim(directory: Path) -> None:
    """Takes a new or empty folder, or one of an earlier demo.

    Raises
    ------
    NotFound
        There is something else in it, which is left as it is; or it is no folder, or cannot be written.
    """
    try:
        # The mark is what a demo writes first; one that was interrupted there leaves a part of it.
        there = {path.name for path in directory.iterdir()} - {"..gitignore.part"} if directory.exists() else set()
    except OSError as error:
        raise NotFound(f"{directory}: {error.strerror or error}; name a new or empty folder.") from error
    if there and not _is_a_demos(directory, there):
        raise NotFound(
            f"{directory}: there is something else in it; name a new or empty folder, or one of an earlier demo."
        )
    storage.write(directory / ".gitignore", MARK + b"*\n")


def _is_a_demos(directory: Path, there: set[str]) -> bool:
    try:
        text = (directory / ".gitignore").read_bytes()
    except OSError:
        return False
    # Before there was a mark, demos wrote a lone asterisk, as other programs do, and then started the service.
    old = text == b"*\n" and (there == {".gitignore"} or bool(there & {"service.log", "service.sqlite"}))
    return old or text.startswith(MARK)


def work(
    directory: Path, samples: Path, session: storage.Session
) -> tuple[tk.Workspace, dict[str, tk.Job], dict[str, tk.Results]]:
    """All that needs the service: upload, train, analyze, save.

    Raises
    ------
    Unreachable
        The service has gone; it listened on a port of its own, so that it cannot be started by hand.
    """
    try:
        inputs = _upload(samples, session)
        adapter = _train(inputs, session)
        jobs = _analyze(inputs, adapter, session)
        workspace = save_workspace(directory, samples, jobs)
        return workspace, jobs, {name: job.results() for name, job in jobs.items()}
    except Unreachable as error:
        raise Unreachable(
            f"{directory}: the demo's own service does not answer any more (its last words are in "
            f"{directory / 'service.log'}); run `modkit demo` again."
        ) from error


def _sample_data() -> Path:
    """The sample images: in the checkout, or inside the installed package.

    Raises
    ------
    NotFound
        The package was installed without them.
    """
    package = Path(tk.__file__).parent
    for folder in (package.parent / "sample_data", package / "sample_data"):
        if (folder / "train.jsonl").is_file():
            return folder
    raise NotFound("sample_data: not installed; install the toolkit from a checkout: pip install -e .")


def _upload(samples: Path, session: storage.Session) -> _Inputs:
    """Puts the images, good and bad, the input manifest and the ground truths into a versioned bucket."""
    storage.make_bucket(BUCKET, versioned=True, session=session)
    names = [p.relative_to(samples).as_posix() for f in ("bad", "images") for p in sorted((samples / f).iterdir())]
    columns = (TextColumn("uploading the sample images"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=output.people) as bar:
        row = bar.add_task("", total=len(names))
        uris = storage.upload(
            samples,
            f"s3://{BUCKET}",
            names=names,
            session=session,
            on_done=lambda done, _: bar.update(row, completed=done),
        )
    manifest = f"s3://{BUCKET}/manifests/input.jsonl"
    version = storage.write(
        manifest, "".join(manifests.to_line({"source-ref": u}) for u in uris).encode(), session=session
    )
    training, testing = (f"s3://{BUCKET}/manifests/{name}" for name in ("train.jsonl", "test.jsonl"))
    for uri in (training, testing):
        storage.write(uri, (samples / uri.rpartition("/")[2]).read_bytes(), session=session)
    with storage.translated("creating a KMS key"):
        key = session.client("kms").create_key(Description="results of the demo")["KeyMetadata"]["KeyId"]
    return _Inputs(manifest, version, training, testing, key)


def _train(inputs: _Inputs, session: storage.Session) -> tk.Adapter:
    """Trains a custom moderation adapter on the training samples and waits for it."""
    adapter = tk.train_adapter(
        f"demo-{_now():%Y%m%d-%H%M%S-%f}",
        inputs.training,
        f"s3://{BUCKET}/training/",
        testing=inputs.testing,
        session=session,
    )
    return adapter.wait()


def _analyze(inputs: _Inputs, adapter: tk.Adapter, session: storage.Session) -> dict[str, tk.Job]:
    """Starts one job on the base model and one on the adapter, and waits for both."""
    client = tk.MediaAnalysis(session)
    jobs = {
        name: client.start(
            inputs.manifest,
            f"s3://{BUCKET}/results/",
            min_confidence=MIN_CONFIDENCE,
            project_version=version,
            job_name=f"demo-{name}",
            manifest_version=inputs.manifest_version,
            kms_key_id=inputs.kms_key_id,
            client_request_token=f"demo-{name}-{uuid.uuid4().hex}",
        )
        for name, version in ((BASE, None), (ADAPTER, adapter.arn))
    }
    tk.wait_for(list(jobs.values()), come_back="interrupted, and the service with it; run `modkit demo` again.")
    return jobs


def save_workspace(directory: Path, samples: Path, jobs: Mapping[str, tk.Job]) -> tk.Workspace:
    """Copies results, labelled test samples and images into the folder: the app then needs no service."""
    storage.write(directory / "truth.csv", (samples / "test.csv").read_bytes())
    for name in ("images", "bad"):
        _copy(samples / name, directory / name)
    images = {f"s3://{BUCKET}/{name}/": name for name in ("images", "bad")}
    workspace = tk.Workspace(directory, {}, "truth.csv", images)
    workspace.save()
    for name in (ADAPTER, BASE):  # the app opens the first
        workspace = keep_run(jobs[name], directory, name)
    return workspace


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target, dirs_exist_ok=True)
    except OSError as error:  # shutil.Error, a list of them, is one too
        why = error.strerror or "some files cannot be written"
        raise NotFound(f"writing {target}: {why}; check the path and the space on the disk.") from error


def _judge(runs: Mapping[str, tk.Results], truth: tk.Truth, trained: tk.Truth) -> dict[str, output.Judged]:
    """Holds runs against the labelled test samples: for each trained label its curve, and a threshold."""
    labels = trained.present_labels
    curves = {name: [tk.threshold_curve(run, truth, label) for label in labels] for name, run in runs.items()}
    return {
        name: [(curve, tk.choose_threshold(curve, OBJECTIVE)) for curve in of_run] for name, of_run in curves.items()
    }


def _write_files(
    workspace: tk.Workspace, runs: Mapping[str, tk.Results], judged: Mapping[str, output.Judged]
) -> dict[str, str]:
    """Writes labels.parquet, policy.json and report.html; their paths come back by name."""
    paths = {name: workspace.folder / name for name in ("labels.parquet", "policy.json", "report.html")}
    tables = [
        run.labels.merge(run.images[["image", "source_ref"]], on="image").drop(columns="image").assign(model=name)
        for name, run in runs.items()
    ]
    columns = ["model", "source_ref", "name", "parent", "level", "confidence"]
    output.save_table(pd.concat(tables, ignore_index=True)[columns], paths["labels.parquet"])
    samples = tk.read_truth(workspace.path(str(workspace.truth)))
    choices = {(choice.label, "block"): choice for _, choice in judged[ADAPTER]}
    policy = policy_of(choices, runs[ADAPTER], samples)
    policy.save(paths["policy.json"])
    tk.write_report(
        paths["report.html"],
        runs,
        samples,
        labels=[curve.label for curve, _ in judged[ADAPTER]],
        objective=OBJECTIVE,
        title="Sample images: base model and custom adapter",
        policy=policy,
    )
    named = {path.stem: str(path.resolve()) for path in paths.values()}
    return named | {f"{name}_results": str(workspace.path(run.results)) for name, run in workspace.runs.items()}


def _show(
    jobs: Mapping[str, tk.Job],
    runs: Mapping[str, tk.Results],
    judged: Mapping[str, output.Judged],
    files: Mapping[str, str],
) -> None:
    """The outcome as tables for people."""
    rows = [
        [name, jobs[name].status, r.n_images, r.labels["image"].nunique(), len(r.errors), written(r.min_confidence)]
        for name, r in runs.items()
    ]
    columns = ["model", "status", "images", "with labels", "not analyzed", "MinConfidence"]
    output.people.print(output.table("Jobs", columns, rows, numbers=columns[2:]))
    for name, job in jobs.items():
        output.people.print(Text(f"{name}: job {job.id}"), soft_wrap=True)
    output.people.print()
    errors = [[e.line, e.source_ref, e.code, e.message] for e in runs[BASE].errors.itertuples()]
    output.people.print(
        output.table("Not analyzed (neither safe nor flagged)", ["line", "image", "code", "message"], errors)
    )
    output.show_choices(output.people, judged)
    for name in ("labels", "policy", "report"):
        output.people.print(Text(f"{name}: {files[name]}"), soft_wrap=True)


def _document(
    endpoint_url: str,
    jobs: Mapping[str, tk.Job],
    runs: Mapping[str, tk.Results],
    judged: Mapping[str, output.Judged],
    files: Mapping[str, str],
) -> dict[str, Any]:
    """The outcome as one JSON object. A label's own numbers are the adapter's; `base` holds the base model's."""
    return {
        "endpoint": endpoint_url,
        "jobs": [
            {
                "job_id": job.id,
                "model": name,
                "status": job.status,
                "images": runs[name].n_images,
                "errors": len(runs[name].errors),
                "min_confidence": job.min_confidence,
            }
            for name, job in jobs.items()
        ],
        "labels": {
            curve.label: output.choice_record(curve, choice) | {"base": output.choice_record(*base)}
            for (curve, choice), base in zip(judged[ADAPTER], judged[BASE], strict=True)
        },
        "files": dict(files),
    }


def _now() -> datetime:
    return datetime.now(UTC)
