"""Runs: what this workspace holds; open another manifest; load labelled samples."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from toolkit.studio import source
from toolkit.studio.source import Samples, Source, View
from toolkit.studio.widgets import PANEL, guarded, table
from toolkit.workspace import Workspace


def page(workspace: Workspace | None, view: View | None) -> None:
    """Draws the page."""
    st.title("Runs", anchor=False)
    if workspace is None:
        st.info(
            "No workspace was found where the studio was started. Run `modkit demo` in a terminal to make one with "
            "sample images, or open a results manifest below.",
            icon=":material/folder_open:",
        )
    else:
        _workspace(workspace)
    side_by_side = st.container(horizontal=True, gap="medium")
    with side_by_side.container(width=PANEL), guarded():
        _open_manifest()
    with side_by_side.container(width=PANEL), guarded():
        _load_samples(workspace, view)


def _workspace(workspace: Workspace) -> None:
    st.text(f"Workspace: {workspace.folder.resolve()}")
    rows = [
        {"run": name, "min_confidence": run.min_confidence, "adapter": run.project_version or "none", "job": run.job_id}
        for name, run in workspace.runs.items()
    ]
    columns = {"run": "Run", "min_confidence": "MinConfidence", "adapter": "Adapter", "job": "Job"}
    table(pd.DataFrame(rows, columns=list(columns)), columns, number="%g")


def _open_manifest() -> None:
    st.subheader("Open a results manifest", anchor=False)
    with st.form("manifest", border=True):
        location = st.text_input("Path or S3 URI", placeholder="s3://bucket/prefix/job-id/results.jsonl")
        floor = st.number_input(
            "MinConfidence of the job (%)",
            0.0, 100.0, value=None, step=1.0, placeholder="unknown",
            help="A job reports nothing below its MinConfidence, and the file does not say what that was. Left empty, "
            "the smallest confidence in the file is taken, and thresholds below it cannot be looked at.",
        )  # fmt: skip
        with st.expander("Connection"):
            endpoint = st.text_input(
                "Endpoint URL", placeholder="empty for AWS; http://127.0.0.1:4555 for the local service"
            )
            fetch = st.checkbox("Fetch pictures from S3 where this machine has no copy", value=True)
        if st.form_submit_button("Open", type="primary") and location.strip():
            _opened(Source("", location.strip(), floor, endpoint=endpoint.strip() or None, s3=fetch))


def _opened(given: Source) -> None:
    """Reads it before it is remembered, so that what cannot be read is not."""
    desk = source.desk()
    before = desk.sources.get(given.results)
    new = replace(given, name=given.results, opened=before.opened + 1 if before else 0)
    source.load(new)
    desk.sources[new.name] = new
    st.session_state["open next"] = new.name
    st.rerun()


def _load_samples(workspace: Workspace | None, view: View | None) -> None:
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
                _loaded(source.keep_upload(upload.name, upload.getvalue()))
            elif location.strip():
                _loaded(Samples(location.strip(), location.strip(), view.source.endpoint if view else None))
    if source.desk().samples is not None and workspace is not None and st.button("Back to the workspace's samples"):
        source.desk().samples = None
        st.rerun()


def _say_samples(workspace: Workspace | None, view: View | None) -> None:
    samples = source.samples_of(workspace)
    if samples is None:
        st.caption("None are loaded. Without them there are distributions, but no precision and no recall.")
    elif view is None or view.truth is None:
        st.text(samples.name)
    else:
        st.text(f"{samples.name}: {view.truth.n_images:,} images, {len(view.truth.labels)} labels judged")


def _loaded(new: Samples) -> None:
    desk = source.desk()
    before = desk.samples
    new = replace(new, opened=before.opened + 1 if before else 0)
    source.load_samples(new)
    desk.samples = new
    st.rerun()
