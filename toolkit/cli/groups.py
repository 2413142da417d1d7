"""`modkit analyze | resume | preflight`: collections of any size, as a group of jobs."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

import toolkit as tk
from toolkit.cli import costs, output
from toolkit.cli.adapters import arn_of
from toolkit.cli.options import AdapterName, Endpoint, Json, PriceTable, Profile, Region, Yes, named_folder
from toolkit.cli.saving import report_run
from toolkit.errors import NotAnalyzed
from toolkit.workspace import keep_run

Images = Annotated[
    str, typer.Argument(help="s3://bucket/prefix/, an input manifest, or a folder, whose images are copied to S3.")
]
Output = Annotated[str, typer.Argument(metavar="OUTPUT", help="s3://bucket/prefix/ for manifests and results.")]
Save = Annotated[
    Path | None,
    typer.Option(
        help="Wait, then copy results and summary to run/ in this folder, a workspace.",
        parser=named_folder,
        metavar="FOLDER",
    ),
]


def analyze(
    images: Images,
    destination: Output,
    min_confidence: Annotated[float | None, typer.Option(min=0, max=100, help="Default: Rekognition's 50.")] = None,
    adapter: AdapterName = None,
    job_name: Annotated[str | None, typer.Option(help="To find the jobs again; another name runs them again.")] = None,
    kms_key_id: Annotated[str | None, typer.Option(help="Key that encrypts the results.")] = None,
    save: Save = None,
    yes: Yes = False,
    prices: PriceTable = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Analyze a collection of any size: manifests of 10,000 images, and a job for each.

    No more jobs run at once than the account may run. The same command again finds what it started, and starts nothing
    twice.
    """
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = tk.collect(images, session=session)
    if found.complaint:
        output.people.print(Text(found.complaint), style="yellow", soft_wrap=True)
    costs.confirm(len(found.usable), session, prices, yes, adapter=adapter is not None)
    group = tk.MediaAnalysis(session).analyze(
        found,
        destination,
        min_confidence=min_confidence,
        project_version=arn_of(adapter, session),
        job_name=job_name,
        kms_key_id=kms_key_id,
    )
    _finish(group, save, {"--endpoint": endpoint, "--region": region, "--profile": profile}, as_json)


def resume(
    group: Annotated[str, typer.Argument(help="The group.json that analyze named, or its folder in S3.")],
    save: Save = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Go on with a group of jobs: start the parts that have no job, and those that failed, once more."""
    client = tk.MediaAnalysis(tk.connect(endpoint, region_name=region, profile_name=profile))
    found = client.resume(group)
    _finish(found, save, {"--endpoint": endpoint, "--region": region, "--profile": profile}, as_json)


def preflight(
    images: Images,
    destination: Output,
    kms_key_id: Annotated[str | None, typer.Option(help="Key that is to encrypt the results.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="How many images are read.")] = 20,
    prices: PriceTable = None,
    endpoint: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Check, before money is spent, whether a collection can be analyzed.

    Credentials, regions, read access to a sample of the images, their limits, write access to the output, and whether
    the account may use bulk analysis at all. Starts nothing. Exit code 2 if something stands in the way.
    """
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = tk.collect(images, session=session)
    seen = tk.MediaAnalysis(session).preflight(found, destination, kms_key_id=kms_key_id, sample=sample)
    estimate = tk.Prices.load(prices).in_words(len(found.usable))
    checks = [{"name": one.name, "ok": one.ok, "status": one.status, "message": one.message} for one in seen.checks]
    document = {"ok": seen.ok, "checks": checks, "images": len(found), "estimate": estimate}
    lines = [repr(seen), *([found.complaint] if found.complaint else []), f"{estimate} on AWS."]
    output.show(document, as_json, lambda: typer.echo("\n".join(lines)))
    if not seen.ok:
        failed = sum(check.status == "NO" for check in seen.checks)
        raise NotAnalyzed(f"{failed} of {len(seen.checks)} checks failed.")


def _finish(group: tk.JobGroup, save: Path | None, options: dict[str, str | None], as_json: bool) -> None:
    """Says where the group is; with `save`, waits for it and saves it."""
    if save is None:
        given = [word for option, value in options.items() if value for word in (option, value)]
        later = shlex.join(["modkit", "resume", str(group.uri), "--save", "FOLDER", *given])
        output.show(_record(group), as_json, lambda: typer.echo(f"{_jobs(group)}; `{later}` gets the results."))
        return
    output.people.print(Text(f"{_jobs(group)}, found again by {group.uri}."), soft_wrap=True)
    results = save / keep_run(group.wait(), save).runs["run"].results
    report_run(group, f"group {group.id}", str(results), str(save), _record(group), as_json)


def _jobs(group: tk.JobGroup) -> str:
    return "1 job" if len(group.jobs) == 1 else f"{len(group.jobs):,} jobs"


def _record(group: tk.JobGroup) -> dict[str, Any]:
    return {
        "group": group.uri,
        "jobs": [{"job_id": job.id, "status": job.status} for job in group.jobs],
        "skipped": len(group.skipped),
        "min_confidence": group.min_confidence,
        "project_version": group.project_version,
    }
