"""`modkit detect`: a collection image by image."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

import toolkit as tk
from toolkit import storage
from toolkit.cli import costs, output
from toolkit.cli.adapters import arn_of
from toolkit.cli.options import AdapterName, Endpoint, Json, PriceTable, Profile, Region, Yes, named_folder
from toolkit.cli.saving import report_run
from toolkit.errors import InvalidArgument
from toolkit.workspace import keep_run


def detect(
    images: Annotated[
        str, typer.Argument(help="s3://bucket/prefix/, an input manifest, or a folder of images on this machine.")
    ],
    destination: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="Folder or s3://bucket/prefix/ for the results of this run alone.")
    ],
    min_confidence: Annotated[float | None, typer.Option(min=0, max=100, help="Default: Rekognition's 50.")] = None,
    adapter: AdapterName = None,
    tps: Annotated[
        float | None, typer.Option(min=0.001, help="Requests per second. Default: what Service Quotas says, else 5.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Requests at a time, at most.")] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Folder for the journal of a run whose output is in S3.", metavar="FOLDER")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            help="Then copy results and summary to run/ in this folder, a workspace.",
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
    """Analyze images one by one with DetectModerationLabels, as fast as the account may.

    Leaves the files that a job leaves. Run the same again to go on after it was interrupted: no image that was answered
    is asked about twice. If some images have no result, the last word says so, and exit code 2.
    """
    if save is not None and not storage.is_s3(destination) and Path(destination).resolve() == save.resolve():
        raise InvalidArgument(f"{save}: holds the results themselves, so a copy would count twice; save elsewhere.")
    session = tk.connect(endpoint, region_name=region, profile_name=profile)
    found = tk.collect(images, session=session)
    costs.confirm(len(found.usable), session, prices, yes, adapter=adapter is not None)
    try:
        run = tk.detect(
            found,
            destination,
            min_confidence=min_confidence,
            project_version=arn_of(adapter, session),
            tps=tps,
            concurrency=concurrency,
            journal=journal,
            session=session,
        )
    except KeyboardInterrupt:
        output.people.print(Text("interrupted; every answer is kept: run the same again to go on."))
        raise
    results, kept = run.results_uri, destination
    if save is not None:
        results, kept = str(save / keep_run(run, save).runs["run"].results), str(save)
    report_run(run, f"detect {destination}", results, kept, _record(run), as_json, session=session)


def _record(run: tk.DetectRun) -> dict[str, Any]:
    return {
        "status": run.status, "output": run.output, "results": run.results_uri, "summary": run.summary_uri,
        "min_confidence": run.min_confidence, "project_version": run.project_version, "requests": run.requests,
        "unsettled": run.unsettled,
    }  # fmt: skip
