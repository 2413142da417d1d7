"""From a run that has ended to a folder that the app can open."""

import shlex
from pathlib import Path
from typing import Any, Protocol

import typer
from rich.text import Text

import toolkit as tk
from toolkit import manifests, storage
from toolkit.cli import output
from toolkit.errors import NotAnalyzed, NotFound


class Finished(Protocol):
    """A job, a group of jobs, or a run of `detect`."""

    @property
    def id(self) -> str | None:
        """Of the job."""

    @property
    def min_confidence(self) -> float:
        """Its floor, percent."""

    @property
    def project_version(self) -> str | None:
        """ARN of the adapter that was asked for."""

    def fetch(self, folder: str) -> list[str]:
        """Copies results and summary into a folder."""


def save_run(job: Finished, folder: Path, name: str = "run") -> tk.Workspace:
    """Copies results and summary into a folder, as one run of the workspace there.

    Parameters
    ----------
    job
        A job, a group of jobs or a run of `detect` that has SUCCEEDED.
    folder
        A workspace; made where there is none yet.
    name
        Of the run, and of its subfolder; a run of that name is replaced.

    Raises
    ------
    JobFailed
        It failed, or has not ended.
    NotFound, Unreachable, RequestRefused
        Its files cannot be had, or the folder cannot be written.
    UnreadableManifest
        The folder's `workspace.json` is not one that this toolkit writes.
    """
    job.fetch(str(folder / name))
    try:
        known = tk.Workspace.load(folder)
    except NotFound:
        known = tk.Workspace(folder)
    run = tk.Run(f"{name}/{manifests.RESULTS_NAME}", job.min_confidence, job.id, job.project_version)
    workspace = tk.Workspace(folder, {**known.runs, name: run}, known.truth, known.images)
    workspace.save()
    return workspace


def report_run(
    run: Finished,
    name: str,
    results: str,
    kept: str,
    record: dict[str, Any],
    as_json: bool,
    *,
    session: storage.Session | None = None,
) -> None:
    """Says where results are, and then which images have none.

    Parameters
    ----------
    run
        That ended.
    name
        What it is called.
    results
        Path or URI of the results manifest, beside its summary.
    kept
        Folder or URI that a person is told of.
    record
        What `--json` shows of the run; counts and the file are added.
    session
        For results in S3.

    Raises
    ------
    NotAnalyzed
        Some images have no result.
    """
    place = storage.join(results.rpartition("/")[0] or ".", manifests.SUMMARY_NAME)
    found = manifests.parse_summary(storage.read(place, session=session), place)
    asked, strangers = run.project_version, 0
    if asked:
        strangers = tk.read_results(results, session=session).not_answered_by({asked})
    document = record | {"images": found.valid, "errors": len(found.errors), "file": results}
    document["not_answered_by_adapter"] = strangers
    output.show(document, as_json, lambda: typer.echo(f"{name} SUCCEEDED {results}"))
    if strangers:
        output.people.print(
            Text(f"{strangers:,} of {found.valid:,} images were not answered by {asked}; has it expired?"),
            style="bold red",
        )
    if found.complaint:
        rest = shlex.join(["modkit", "summary", results])
        raise NotAnalyzed(f"{name}: {found.complaint}; what was is in {kept}, `{rest}` names the rest.")
