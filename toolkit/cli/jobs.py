"""`modkit manifest | start | jobs | fetch`: from images to results."""

import shlex
import uuid
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

import toolkit as tk
from toolkit.cli import output
from toolkit.cli.options import Endpoint, Json, Profile, Region, named_folder
from toolkit.cli.saving import report_run, save_run
from toolkit.errors import ToolkitError


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
    output.show({"manifests": parts}, as_json, lambda: typer.echo("\n".join(parts)))


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
        output.show(output.job_record(job), as_json, lambda: typer.echo(f"{job.id} {job.status}"))
        return
    later = _fetch_command(job, save, {"--endpoint": endpoint, "--region": region, "--profile": profile})
    try:
        output.people.print(Text(f"job {job.id} has started; `{later}` gets its results later."), soft_wrap=True)
        results = _save(job.wait(), save)
    except (ToolkitError, KeyboardInterrupt):
        if as_json:
            output.print_json(output.job_record(job))
        raise
    _report(job, results, as_json)


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
    output.show({"jobs": [output.job_record(job) for job in found]}, as_json, lambda: typer.echo("\n".join(shown)))


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
    _report(job, _save(job.wait(), directory), as_json)


def _fetch_command(job: tk.Job, directory: Path, options: Mapping[str, str | None]) -> str:
    """What to type to get a job's results later."""
    given = [word for option, value in options.items() if value for word in (option, value)]
    return shlex.join(["modkit", "fetch", job.id, str(directory), *given])


def _save(job: tk.Job, directory: Path) -> Path:
    """Saves a job as the run of a folder; where its results manifest is."""
    return directory / save_run(job, directory).runs["run"].results


def _report(job: tk.Job, results: Path, as_json: bool) -> None:
    kept = str(results.parent.parent)
    report_run(job, f"job {job.id}", str(results), kept, output.job_record(job), as_json)
