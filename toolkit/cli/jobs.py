"""`modkit manifest | start | jobs | fetch`: from images to results."""

import shlex
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

import toolkit as tk
from toolkit import storage
from toolkit.cli import costs, output
from toolkit.cli.adapters import arn_of
from toolkit.cli.options import AdapterName, Endpoint, Json, PriceTable, Profile, Region, Yes, named_folder
from toolkit.cli.saving import report_run
from toolkit.errors import ToolkitError
from toolkit.workspace import keep_run


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
    adapter: AdapterName = None,
    job_name: Annotated[str | None, typer.Option(help="To find the job again.")] = None,
    kms_key_id: Annotated[str | None, typer.Option(help="Key that encrypts the results.")] = None,
    manifest_version: Annotated[str | None, typer.Option(help="Of the manifest, in a versioned bucket.")] = None,
    token: Annotated[
        str | None, typer.Option(help="The same token with the same request starts nothing twice. Default: a new one.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            help="Wait, then copy results and summary to run/ in this folder, a workspace.",
            parser=named_folder,
            metavar="FOLDER",
        ),
    ] = None,
    yes: Yes = False,
    prices: PriceTable = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Start a media analysis job; with --save, wait for it and make a workspace of its results.

    What could be analyzed is saved; if some lines were not, the last word is a sentence that says so, and exit code 2.
    """
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    if not storage.is_local(session):
        costs.confirm(len(tk.collect(manifest, session=session)), session, prices, yes, adapter=adapter is not None)
    job = tk.MediaAnalysis(session).start(
        manifest,
        destination,
        min_confidence=min_confidence,
        project_version=arn_of(adapter, session),
        job_name=job_name,
        kms_key_id=kms_key_id,
        manifest_version=manifest_version,
        client_request_token=token,
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
    status: Annotated[str | None, typer.Option(help="CREATED, QUEUED, IN_PROGRESS, SUCCEEDED or FAILED.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the job; * stands for anything.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Started then or later (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Started then or earlier (UTC).")] = None,
    cost: Annotated[bool, typer.Option(help="Show what each costs at most; reads the summaries.")] = True,
    prices: PriceTable = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 100,
    as_json: Json = False,
) -> None:
    """List media analysis jobs, newest first."""
    client = tk.MediaAnalysis(tk.connect(endpoint, region_name=region, profile_name=profile))
    found = list(islice(client.jobs(status=status, name=name, since=since, until=until), limit))
    table = tk.Prices.load(prices)
    with ThreadPoolExecutor(8) as threads:
        amounts = list(threads.map(lambda job: _cost(job, table) if cost else None, found))
    row = "{:%Y-%m-%d %H:%M:%S}  {:11}  {:5g}  {:>9}  {}  {}"
    lines = [
        row.format(
            job.created.astimezone(UTC), job.status, job.min_confidence, "" if amount is None else f"{amount:.2f}",
            job.id, job.name or "",
        )
        for job, amount in zip(found, amounts, strict=True)
    ]  # fmt: skip
    header = f"started (UTC)        status       floor  {table.currency:>9}  job"
    records = [output.job_record(job) | {"cost": amount} for job, amount in zip(found, amounts, strict=True)]
    shown = [header, *lines] if found else ["no jobs" if any((status, name, since, until)) else "no jobs yet"]
    document = {"jobs": records, "currency": table.currency, "prices_as_of": table.as_of}
    output.show(document, as_json, lambda: typer.echo("\n".join(shown)))


def _cost(job: tk.Job, prices: tk.Prices) -> float | None:
    """What a job costs at most; None where its summary is not to be had."""
    try:
        return job.cost(prices)
    except ToolkitError:
        return None


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
    return directory / keep_run(job, directory).runs["run"].results


def _report(job: tk.Job, results: Path, as_json: bool) -> None:
    kept = str(results.parent.parent)
    report_run(job, f"job {job.id}", str(results), kept, output.job_record(job), as_json)
