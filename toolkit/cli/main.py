"""The commands: each reads its options, calls the library and prints."""

import shlex
import sys
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

import toolkit as tk
from toolkit import manifests, storage
from toolkit.cli import adapters, output, policies
from toolkit.cli.demo import demo, save_run
from toolkit.cli.options import Endpoint, Floor, Json, Profile, Region, ResultsFile, TruthFile, named_folder
from toolkit.cli.studio import open_studio
from toolkit.errors import NotAnalyzed, ToolkitError

app = typer.Typer(
    name="modkit",
    help="Decide how strictly images are moderated: run bulk analysis, load, look, tune.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Runs the command line; an error is one sentence on stderr and exit code 2."""
    try:
        app()
    except ToolkitError as error:
        output.fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # standard output, as files are the library's; a pipe that was closed ends it quietly
        where = error.filename or "standard output"
        output.fail(f"{where}: {error.strerror or error}; check where it leads, and the space on the disk.")


app.command("demo")(demo)
app.add_typer(policies.app, name="policy")
app.add_typer(adapters.app, name="adapters")


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is reachable from this machine only.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 4555,
    directory: Annotated[
        Path, typer.Option("--dir", help="Where everything is kept.", parser=named_folder, metavar="FOLDER")
    ] = Path("modkit-service"),
    tps: Annotated[
        float | None, typer.Option(min=0.001, help="Requests per second of each operation; more are throttled.")
    ] = None,
    max_concurrent_jobs: Annotated[
        int | None, typer.Option(min=0, help="Jobs that have not ended; one more is refused.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="tcp://… of your own Dask scheduler: its workers look at the images.")
    ] = None,
    access_key: Annotated[
        str | None, typer.Option(envvar="MODKIT_ACCESS_KEY", help="Requests must be signed with this key …")
    ] = None,
    secret_key: Annotated[
        str | None,
        typer.Option(envvar="MODKIT_SECRET_KEY", help="… and this secret; set the variable, a command line is seen."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the local bulk-analysis service until Ctrl-C."""
    from toolkit.service.limits import Limits
    from toolkit.service.server import LocalService, run

    def announce(endpoint_url: str) -> None:
        if as_json:
            output.print_json({"endpoint": endpoint_url})
        else:
            typer.echo(f"Rekognition, S3, KMS and STS at {endpoint_url} (Ctrl-C stops it)")

    service = LocalService(
        directory,
        host,
        port,
        limits=Limits(tps, max_concurrent_jobs),
        scheduler=scheduler,
        access_key=access_key,
        secret_key=secret_key,
    )
    run(service, announce=announce)


@app.command("app")
def app_command(
    directory: Annotated[
        Path, typer.Option("--dir", help="A workspace folder.", parser=named_folder, metavar="FOLDER")
    ] = Path("modkit-demo"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    endpoint: Endpoint = None,
) -> None:
    """Open the Streamlit app on a workspace folder."""
    tk.Workspace.load(directory)  # says here, not in the browser, that there is none
    if endpoint:
        tk.connect(endpoint)  # likewise, that it is no URL
    with open_studio(directory, port=port, endpoint_url=endpoint) as studio:
        typer.echo(f"The app is at {studio.url} (Ctrl-C stops it)")
        studio.wait()


@app.command()
def manifest(
    images: Annotated[str, typer.Argument(help="s3://bucket/prefix/, or a folder whose images are copied to S3.")],
    destination: Annotated[str, typer.Argument(help="Where to write it: s3://bucket/manifest.jsonl.")],
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Write the input manifest of a job."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    parts = tk.write_manifest(images, destination, session=session)
    _print({"manifests": parts}, as_json, lambda: typer.echo("\n".join(parts)))


@app.command()
def start(
    manifest: Annotated[str, typer.Argument(help="S3 URI of an input manifest.")],
    destination: Annotated[str, typer.Argument(metavar="OUTPUT", help="s3://bucket/prefix/ for the results.")],
    min_confidence: Annotated[float | None, typer.Option(min=0, max=100, help="Default: Rekognition's 50.")] = None,
    adapter: Annotated[str | None, typer.Option(help="ARN of a custom moderation adapter.")] = None,
    job_name: Annotated[str | None, typer.Option(help="To find the job again.")] = None,
    kms_key_id: Annotated[str | None, typer.Option(help="Key that encrypts the results.")] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            help="Wait, then copy results and summary to run/ in this folder, a workspace.",
            parser=named_folder,
            metavar="FOLDER",
        ),
    ] = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Start a media analysis job; with --save, wait for it and make a workspace of its results.

    What could be analyzed is saved; if some lines were not, the last word is a sentence that says so, and exit code 2.
    """
    client = tk.MediaAnalysis(tk.connect(endpoint, region_name=region, profile_name=profile))
    job = client.start(
        manifest,
        destination,
        min_confidence=min_confidence,
        project_version=adapter,
        job_name=job_name,
        kms_key_id=kms_key_id,
        client_request_token=uuid.uuid4().hex,
    )
    if save is None:
        _print(output.job_record(job), as_json, lambda: typer.echo(f"{job.id} {job.status}"))
        return
    later = _fetch_command(job, save, {"--endpoint": endpoint, "--region": region, "--profile": profile})
    try:
        output.people.print(Text(f"job {job.id} has started; `{later}` gets its results later."), soft_wrap=True)
        saved = _save(job, save)
    except (ToolkitError, KeyboardInterrupt):
        if as_json:
            output.print_json(output.job_record(job))
        raise
    _report_saved(job, saved, as_json)


@app.command()
def jobs(
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 100,
    as_json: Json = False,
) -> None:
    """List media analysis jobs, newest first."""
    client = tk.MediaAnalysis(tk.connect(endpoint, region_name=region, profile_name=profile))
    found = [job for job, _ in zip(client.jobs(), range(limit), strict=False)]
    row = "{:%Y-%m-%d %H:%M:%S}  {:11}  {:5g}  {}  {}"
    lines = [row.format(j.created.astimezone(UTC), j.status, j.min_confidence, j.id, j.name or "") for j in found]
    shown = ["started (UTC)        status       floor  job", *lines] if found else ["no jobs yet"]
    _print({"jobs": [output.job_record(job) for job in found]}, as_json, lambda: typer.echo("\n".join(shown)))


@app.command()
def fetch(
    job_id: Annotated[str, typer.Argument(help="JobId.")],
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Gets results and summary in run/; becomes a workspace.", parser=named_folder
        ),
    ],
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Wait for a job and copy its results into a folder that the app can open.

    What could be analyzed is copied; if some lines were not, the last word is a sentence that says so, and exit code 2.
    """
    job = tk.MediaAnalysis(tk.connect(endpoint, region_name=region, profile_name=profile)).job(job_id)
    _report_saved(job, _save(job, directory), as_json)


def _fetch_command(job: tk.Job, directory: Path, options: Mapping[str, str | None]) -> str:
    """What to type to get a job's results later."""
    given = [word for option, value in options.items() if value for word in (option, value)]
    return shlex.join(["modkit", "fetch", job.id, str(directory), *given])


def _save(job: tk.Job, directory: Path) -> Path:
    """Waits for a job and saves it as the run of a folder; where its results manifest is."""
    workspace = save_run(job.wait(), directory)
    return directory / workspace.runs["run"].results


def _report_saved(job: tk.Job, results: Path, as_json: bool) -> None:
    """Says where a job's results are, and then which lines have none.

    Raises
    ------
    NotAnalyzed
    """
    place = results.with_name(manifests.SUMMARY_NAME)
    found = manifests.parse_summary(storage.read(place), str(place))
    strangers = tk.read_results(results).not_answered_by({job.project_version}) if job.project_version else 0
    document = output.job_record(job) | {"images": found.valid, "errors": len(found.errors), "file": str(results)}
    document["not_answered_by_adapter"] = strangers
    _print(document, as_json, lambda: typer.echo(f"{job.id} {job.status} {results}"))
    if strangers:
        output.people.print(
            Text(
                f"{strangers:,} of {found.valid:,} images were not answered by {job.project_version}; has it expired?"
            ),
            style="bold red",
        )
    if found.complaint:
        rest = shlex.join(["modkit", "summary", str(results)])
        raise NotAnalyzed(
            f"job {job.id}: {found.complaint}; what was is in {results.parent.parent}, `{rest}` names the rest."
        )


@app.command()
def summary(
    results: ResultsFile,
    min_confidence: Floor = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Say what a run found: images, failures, labels."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = tk.read_results(results, min_confidence=min_confidence, session=session)
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
                      for e in found.errors.itertuples()]  # fmt: skip
            output.screen.print(output.table("Not analyzed", ["line", "image", "code", "message"], errors))

    _print(document, as_json, show)


@app.command()
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
    save: Annotated[Path | None, typer.Option(help="Write the thresholds as a policy file.")] = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Pick a threshold for each label that people judged, and say how sure its rates are."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = tk.read_results(results, min_confidence=min_confidence, session=session)
    samples = tk.read_truth(truth, session=session)
    curves = [tk.threshold_curve(found, samples, name) for name in (label or samples.tunable_labels())]
    choices = [tk.choose_threshold(curve, objective, confidence_level=confidence_level) for curve in curves]
    document = {
        "objective": objective,
        "confidence_level": confidence_level,
        "labels": {
            choice.label: output.choice_record(curve, choice) for choice, curve in zip(choices, curves, strict=True)
        },
    }
    if save is not None:  # before anything is printed: nobody may be listening
        rules = {c.label: tk.Rule(block=c.threshold) for c in choices if c.threshold is not None}
        tk.Policy(
            rules, {"results": results, "truth": truth, "objective": objective, "confidence_level": confidence_level}
        ).save(save)
    _print(document, as_json, lambda: output.show_choices(output.screen, {"": list(zip(curves, choices, strict=True))}))


@app.command()
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
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Pick images to label; fill in the column `present` (1 or 0) and keep the column `weight`."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = tk.read_results(results, min_confidence=min_confidence, session=session)
    picked = tk.sample_for_labeling(found, n, label, strategy=strategy, threshold=threshold, seed=seed)
    output.save_table(picked.assign(present=""), destination)
    _print({"images": len(picked), "file": str(destination)}, as_json, lambda: typer.echo(destination))


@app.command()
def compare(
    base: Annotated[str, typer.Argument(help="Results manifest of the model in use.")],
    candidate: Annotated[str, typer.Argument(help="Results manifest of the model to judge, on the same images.")],
    truth: TruthFile,
    label: Annotated[str, typer.Option(help="A moderation label.")],
    threshold: Annotated[float, typer.Option(min=0, max=100, help="MinConfidence of the base.")],
    candidate_threshold: Annotated[
        float | None, typer.Option(min=0, max=100, help="MinConfidence of the candidate. Default: the base's.")
    ] = None,
    min_confidence: Floor = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Say what a candidate model changes for one label, and whether that is more than chance."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    at = (threshold, threshold if candidate_threshold is None else candidate_threshold)
    runs = [tk.read_results(uri, min_confidence=min_confidence, session=session) for uri in (base, candidate)]
    found = tk.compare(runs[0], runs[1], tk.read_truth(truth, session=session), label, at)
    document = {
        "label": label,
        "thresholds": list(at),
        "judged": found.judged,
        "unpaired": found.unpaired,
        "fixed": found.fixed,
        "broken": found.broken,
        "p_value": found.p_value,
        "rates": output.records(found.rates),
        "flips": output.records(found.flips),
    }
    _print(document, as_json, lambda: output.show_comparison(output.screen, found))


@app.command()
def drift(
    before: Annotated[str, typer.Argument(help="Results of the earlier run: as in summary.")],
    after: Annotated[str, typer.Argument(help="Results of the later run.")],
    policy: Annotated[
        Path | None, typer.Option(help="A policy file: also say which images it would decide differently.")
    ] = None,
    min_confidence: Floor = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Say how far what the model reports has shifted between two runs; no labelled samples needed."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    rules = tk.Policy.load(policy) if policy else None
    runs = [tk.read_results(uri, min_confidence=min_confidence, session=session) for uri in (before, after)]
    found = tk.drift(runs[0], runs[1], policy=rules)
    document = {
        "labels": output.records(found.labels),
        "min_confidence": found.min_confidence,
        "decisions": None if found.decisions is None else found.decisions.to_dict("index"),
        "flips": None if found.flips is None else output.records(found.flips),
    }
    _print(document, as_json, lambda: output.show_drift(output.screen, found))


@app.command()
def report(
    results: ResultsFile,
    destination: Annotated[str, typer.Argument(help="The HTML file to write.")],
    truth: Annotated[str | None, typer.Option(help="Labelled samples.")] = None,
    objective: Annotated[str, typer.Option(help="As in tune.")] = "precision>=0.9",
    min_confidence: Floor = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML file about a run."""
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = tk.read_results(results, min_confidence=min_confidence, session=session)
    samples = tk.read_truth(truth, session=session) if truth else None
    tk.write_report(destination, {Path(results).parent.name or "run": found}, samples, objective=objective)
    _print({"report": destination}, as_json, lambda: typer.echo(destination))


def _print(document: Mapping[str, object], as_json: bool, show: Callable[[], object]) -> None:
    if as_json:
        output.print_json(dict(document))
    else:
        show()
