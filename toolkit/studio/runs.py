"""Runs: what this workspace holds; jobs and starting one; open another manifest, close it again; labelled samples."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from toolkit.confidence import written
from toolkit.errors import NotFound, NotLabelled, ToolkitError
from toolkit.manifests import RESULTS_NAME
from toolkit.studio import address, connection, jobs, project, source, submit
from toolkit.studio.source import Connection, Samples, Source, View
from toolkit.studio.text import plain
from toolkit.studio.widgets import PANEL, guarded
from toolkit.words import counted
from toolkit.workspace import Workspace

_NAMED: Final = 5
"""At most so many files are named in one sentence."""
_STRANGE: Final = "samples of other images"
"""Where the session keeps which samples were loaded beside which runs, and what to warn of."""


def page(workspace: Workspace | None, view: View | None) -> None:
    """Draws the page."""
    st.title("Runs", anchor=False)
    with guarded():
        if workspace is None:
            project.offer("There is no project here yet, so what you open is forgotten when the studio ends.")
        else:
            _workspace(workspace)
    _opened_here(workspace)
    connected = connection.ask(workspace)
    with guarded():
        jobs.section(connected, workspace)
    with guarded():
        submit.section(workspace, connected)
    side_by_side = st.container(horizontal=True, gap="medium")
    with side_by_side.container(width=PANEL), guarded():
        _open_manifest(connected)
    with side_by_side.container(width=PANEL), guarded():
        _load_samples(workspace, view, connected)


def _workspace(workspace: Workspace) -> None:
    folder = workspace.folder.resolve()
    st.text(f"Project: {folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder}")
    opened = source.desk().sources
    for name, run in workspace.runs.items():
        row = _run(name, name, run.min_confidence, run.project_version, workspace.path(run.results), run.job_id)
        if name in opened and row.button("Close", key=f"close {name}", help="Its files stay in the project's folder."):
            del opened[name]
            replace(workspace, runs={each: kept for each, kept in workspace.runs.items() if each != name}).save()
            st.rerun()


def _opened_here(workspace: Workspace | None) -> None:
    """The manifests that users have opened besides the workspace's runs, each with a way to close it."""
    kept = workspace.runs if workspace is not None else {}
    opened = {name: run for name, run in source.desk().sources.items() if name not in kept}
    if opened:
        st.subheader("Opened here", anchor=False)
    short = source.short_names(opened)
    for name, run in opened.items():
        row = _run(name, short[name], run.min_confidence, run.adapter, run.results)
        if row.button("Close", key=f"close {name}"):
            del source.desk().sources[name]
            st.rerun()


def _run(
    name: str, short: str, floor: float | None, adapter: str | None, results: str | Path, job: str | None = None
) -> DeltaGenerator:
    """One row: what tells this run from others; all of it in a tooltip."""
    row = st.container(horizontal=True, vertical_alignment="center", key=f"run {name}")
    said = row.container(gap=None)
    said.text(short)
    parts = ["MinConfidence unknown" if floor is None else f"MinConfidence {written(floor)}\xa0%"]
    parts.append(f"adapter {source.adapter_name(adapter)}" if adapter else "base model")
    parts += [f"job {job[:8]}"] if job else []
    whole = {"Results": str(results), "Adapter": adapter, "Job": job}
    said.caption(
        plain(", ".join(parts)), help="  \n".join(f"{title}: {plain(text)}" for title, text in whole.items() if text)
    )
    if row.button("Explore", key=f"explore {name}"):
        address.show_run(name)
    return row


def _open_manifest(connected: Connection) -> None:
    st.subheader("Open a results manifest", anchor=False)
    with st.form("manifest", border=True):
        location = st.text_input("Path or S3 URI", placeholder="s3://bucket/prefix/job-id/results.jsonl")
        floor = st.number_input(
            "MinConfidence of the job (%)",
            0.0, 100.0, value=None, step=1.0, placeholder="unknown",
            help="A job reports nothing below its MinConfidence, and the file does not say what that was. Left empty, "
            "the smallest confidence in the file is taken, and thresholds below it cannot be looked at.",
        )  # fmt: skip
        fetch = st.checkbox("Fetch pictures from S3 where this machine has no copy", value=True)
        if st.form_submit_button("Open", type="primary") and location.strip():
            _open(Source("", location.strip(), floor, connection=connected, s3=fetch))


def _open(given: Source) -> None:
    """Reads it before it is remembered, so that what cannot be read is not."""
    if Path(given.results).is_dir():
        raise NotFound(_inside(given.results))
    desk = source.desk()
    before = desk.sources.get(given.results)
    new = replace(given, name=given.results, opened=before.opened + 1 if before else 0)
    jobs.open_run(new)


def _inside(folder: str) -> str:
    """One sentence on which results lie in a folder that was given in place of one of them."""
    patterns = [depth + RESULTS_NAME for depth in ("", "*/", "*/*/", "*/*/*/")]  # it may be a whole disk
    found = sorted({str(path) for pattern in patterns for path in Path(folder).glob(pattern)})
    if not found:
        return (
            f"{folder}: a folder without a {RESULTS_NAME} in it; name the folder that a job's results were copied to."
        )
    return f"{folder}: a folder; open one file in it: {_listed(found)}."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _load_samples(workspace: Workspace | None, view: View | None, connected: Connection) -> None:
    st.subheader("Labelled samples", anchor=False)
    _say_samples(workspace, view)
    with st.form("samples", border=True, clear_on_submit=True):
        location = st.text_input(
            "Path or S3 URI",
            placeholder="s3://bucket/labels.csv",
            help="CSV or Parquet with the columns source_ref, label and present (1, 0 or empty for unknown), or an "
            "adapter's ground-truth manifest (JSON Lines).",
        )
        upload = st.file_uploader("or a file from this computer", type=["csv", "parquet", "jsonl", "manifest"])
        if st.form_submit_button("Load", type="primary"):
            if upload is not None:
                _loaded(source.keep_upload(upload.name, upload.getvalue()), view)
            elif location.strip():
                _loaded(Samples(location.strip(), location.strip(), connected), view)
    own = workspace is not None and workspace.truth is not None
    back = "Back to the workspace's samples" if own else "Close these samples"
    if source.desk().samples is not None and st.button(back):
        source.desk().samples = None
        st.rerun()


def _say_samples(workspace: Workspace | None, view: View | None) -> None:
    samples = source.samples_of(workspace)
    if samples is None:
        st.caption("None are loaded. Without them there are distributions, but no precision and no recall.")
    elif view is None or view.truth is None:
        st.text(samples.name)
    else:
        images, labels = counted(view.truth.n_images, "image"), counted(len(view.truth.labels), "label")
        st.text(f"{samples.name}: {images}, {labels} judged")
    of, warning = st.session_state.get(_STRANGE, (None, None))
    if warning is not None and view is not None and of == (samples, view.runs):
        st.warning(plain(warning), icon=":material/warning:")


def _strange(samples: Samples, runs: Sequence[Source]) -> str | None:
    """Says where no open run has a judged image; None where one has, or where there is no run to look at."""
    truth, example = source.load_samples(samples), ""
    for run in runs:
        with suppress(ToolkitError):  # a run that cannot be read says so where it is chosen
            images = source.load(run).images["source_ref"]
            if images.isin(truth.table["source_ref"]).any():
                return None
            example = example or "".join(f", in {run.name}: {each}" for each in images[:1])
    if not example:
        return None
    return (
        f"None of the judged images is in an open run (judged: {truth.table['source_ref'].iloc[0]}{example}): open the "
        "run of these images, or load samples whose source_ref is written as in the run."
    )


def _loaded(new: Samples, view: View | None) -> None:
    """Reads them before they take the place of others, so that good ones are not lost to a file that says nothing."""
    desk = source.desk()
    before = desk.samples
    new = replace(new, opened=before.opened + 1 if before else 0)
    if not source.load_samples(new).n_images:
        raise NotLabelled(f"{new.name}: no image is judged in it, so it was not loaded; nothing has changed.")
    desk.samples = new
    if view is not None:
        st.session_state[_STRANGE] = (new, view.runs), _strange(new, (view.source, *view.runs))
    st.rerun()
