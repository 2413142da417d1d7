"""The account's jobs on the Runs page: how far they are, why they failed, and opening what they found."""

from itertools import islice
from typing import Any, Final

import pandas as pd
import streamlit as st

from toolkit.errors import JobFailed
from toolkit.jobs import Job, MediaAnalysis
from toolkit.studio import source
from toolkit.studio.source import Connection, Source
from toolkit.studio.widgets import guarded, plain

_MOST: Final = 50
_RUNNING: Final = {"CREATED", "QUEUED", "IN_PROGRESS"}
_SECONDS: Final = 3


def section(connection: Connection) -> None:
    """The newest jobs; asked again by itself for as long as one of them runs."""
    st.subheader("Jobs", anchor=False)
    shown = st.session_state.get("jobs shown") == connection
    if not shown and st.button("Show the jobs of this account", icon=":material/list:"):
        st.session_state["jobs shown"] = connection
        shown = True
    if not shown:
        st.caption("Nothing is asked of the account before you press this, or start a job below.")
        return
    running = st.session_state.get("jobs run", True)
    st.fragment(_listed, run_every=_SECONDS if running else None)(connection)


def _listed(connection: Connection) -> None:
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
        st.dataframe(
            pd.DataFrame([_row(job) for job in jobs]),
            hide_index=True,
            column_config={
                "Done": st.column_config.ProgressColumn("Done", format="percent", min_value=0, max_value=1),
                "Floor": st.column_config.NumberColumn("Floor", format="%g"),
            },
            placeholder="–",
        )
        if running:
            st.caption(f"Asked again every {_SECONDS} seconds.")
        else:
            st.button("Ask again", icon=":material/refresh:", key="ask again")
        _open_one([job for job in jobs if job.status not in _RUNNING], connection)


def _open_one(ended: list[Job], connection: Connection) -> None:
    """The results of one of them, or why it failed."""
    if not ended:
        return
    names = {f"{_name(job)}, {job.status}": job for job in ended}
    choose, button = st.columns([4, 1], vertical_alignment="bottom")
    job = names[choose.selectbox("A job that has ended", list(names), key="ended")]
    try:
        results = job.finished(job.results_uri)
    except JobFailed as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if button.button("Open its results", type="primary", width="stretch"):
        open_run(Source(_name(job), results, job.min_confidence, job.project_version, connection, s3=True))


def _name(job: Job) -> str:
    return f"{job.name or 'job'} {job.id[:8]}"


def _row(job: Job) -> dict[str, Any]:
    done, total = job.progress or (None, None)
    share = 1.0 if job.status == "SUCCEEDED" else (done / total if done is not None and total else None)
    return {
        "Started": job.created.strftime("%Y-%m-%d %H:%M:%S"),
        "Status": job.status,
        "Done": share,
        "Images": f"{done:,} of {total:,}" if total else None,
        "Floor": job.min_confidence,
        "Model": job.project_version.partition(":project/")[2] if job.project_version else "base model",
        "Name": job.name,
        "Job": job.id,
    }


def open_run(new: Source) -> None:
    """Reads a run before it is remembered, so that what cannot be read is not; then shows it."""
    source.load(new)
    source.desk().sources[new.name] = new
    st.session_state["open next"] = new.name
    st.rerun()
