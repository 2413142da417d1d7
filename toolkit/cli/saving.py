"""What is said of a run that has ended, and of the images that it has no result for."""

import shlex
from typing import Any

import typer
from rich.text import Text

import toolkit as tk
from toolkit import manifests, storage
from toolkit.cli import output
from toolkit.errors import NotAnalyzed
from toolkit.workspace import Finished


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
