"""The account's jobs on the Runs page: how far they are, why they failed, and opening what they found."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Final

import pandas as pd
import streamlit as st

from toolkit.errors import JobFailed, ToolkitError
from toolkit.jobs import Job, MediaAnalysis
from toolkit.studio import address, source
from toolkit.studio.source import Connection, Source
from toolkit.studio.text import plain
from toolkit.studio.widgets import guarded
from toolkit.workspace import Workspace, keep_run

_MOST: Final = 50
_RUNNING: Final = {"CREATED", "QUEUED", "IN_PROGRESS"}
_SECONDS: Final = 3
_OFFERED: Final = "job offered"
_WORKERS: Final = 8


@st.cache_resource(show_spinner=False)
def _asked() -> set[Connection]:
    """The connections whose jobs somebody wanted to see, in whatever tab; others are not asked."""
    return set()


def show(connection: Connection) -> None:
    """Has the jobs of this connection shown from now on."""
    _asked().add(connection)


def shown(connection: Connection) -> bool:
    """Whether the jobs of this connection are shown."""
    return connection in _asked()


def section(connection: Connection, workspace: Workspace | None) -> None:
    """The newest jobs; asked again by itself for as long as one of them runs."""
    st.subheader("Jobs", anchor=False)
    if not shown(connection) and st.button("Show the jobs of this account", icon=":material/list:"):
        show(connection)
    if not shown(connection):
        st.caption("Nothing is asked of the account before you press this, or start a job below.")
        return
    running = st.session_state.get("jobs run", True)
    st.fragment(_listed, run_every=_SECONDS if running else None)(connection, workspace)


def _listed(connection: Connection, workspace: Workspace | None) -> None:
    with guarded():
        client = MediaAnalysis(source.session(connection))
        jobs = list(islice(client.jobs(), _MOST))
        running = any(job.status in _RUNNING for job in jobs)
        if running != st.session_state.get("jobs run", True):
            st.session_state["jobs run"] = running
            st.rerun()
        if not jobs:
            st.caption("This account has no jobs in this region yet: start one below.")
            return
        jobs = [job.refresh() if job.status in _RUNNING else job for job in jobs]
        with ThreadPoolExecutor(_WORKERS) as pool:
            rows = list(pool.map(_row, jobs))
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            column_config={
                "Done": st.column_config.ProgressColumn("Done", format="percent", min_value=0, max_value=1),
                "Status": st.column_config.Column("Status", width=120),  # IN_PROGRESS is longer than SUCCEEDED
                "Not analyzed": st.column_config.NumberColumn(
                    "Not analyzed", help="Lines of the manifest; why, stands on the Explore page of its results."
                ),
                "Floor": st.column_config.NumberColumn("Floor", format="%g"),
            },
            placeholder="–",
        )
        if running:
            st.caption(f"Asked again every {_SECONDS} seconds.")
        else:
            st.button("Ask again", icon=":material/refresh:", key="ask again")
        _open_one([job for job in jobs if job.status not in _RUNNING], connection, workspace)


def _open_one(ended: list[Job], connection: Connection, workspace: Workspace | None) -> None:
    """The results of one of them, or why it failed."""
    if not ended:
        return
    names = {f"{_name(job)}, {job.status}": job for job in ended}
    before, newest = st.session_state.get("ended"), next(iter(names))
    if before not in names or before == st.session_state.get(_OFFERED):  # nobody has chosen
        st.session_state["ended"] = newest
    st.session_state[_OFFERED] = newest
    choose, button = st.columns([4, 1], vertical_alignment="bottom")
    job = names[choose.selectbox("A job that has ended", list(names), key="ended")]
    try:
        results = job.finished(job.results_uri)
    except JobFailed as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if button.button("Open its results", type="primary", width="stretch"):
        if workspace is not None:
            results = _kept(job, workspace)
        open_run(Source(_name(job), results, job.min_confidence, job.project_version, connection, s3=True))


def _kept(job: Job, workspace: Workspace) -> str:
    """Copies what a job left into the project: there it outlasts the service, and notebooks and commands find it."""
    name = _name(job)
    kept = keep_run(job, workspace.folder, name)
    return str(kept.path(kept.runs[name].results))


def _name(job: Job) -> str:
    return f"{job.name or 'job'} {job.id[:8]}"


def _row(job: Job) -> dict[str, Any]:
    succeeded = job.status == "SUCCEEDED"
    done, total = (_analyzed(job.id, job) if succeeded else job.progress) or (None, None)
    share = 1.0 if succeeded else (done / total if done is not None and total else None)
    return {
        "Started": job.created.strftime("%Y-%m-%d %H:%M:%S"),
        "Status": job.status,
        "Done": share,
        "Images": f"{done:,} of {total:,}" if total else None,
        "Not analyzed": total - done if succeeded and total is not None and done is not None else None,
        "Floor": job.min_confidence,
        "Model": job.project_version.partition(":project/")[2] if job.project_version else "base model",
        "Name": job.name,
        "Job": job.id,
    }


@st.cache_data(max_entries=1000, ttl="10m", show_spinner=False)
def _analyzed(job_id: str, _job: Job) -> tuple[int, int] | None:  # noqa: ARG001  (the job's id is the cache's key)
    """How many lines of a job that has succeeded were analyzed, and of how many; None where its summary is gone."""
    try:
        summary = _job.summary()
    except ToolkitError:
        return None
    return summary.valid, summary.total


def open_run(new: Source) -> None:
    """Reads a run before it is remembered, so that what cannot be read is not; then shows it."""
    source.load(new)
    source.desk().sources[new.name] = new
    address.show_run(new.name)
