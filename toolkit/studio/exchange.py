"""Labels in and out on the Label page: into the studio's samples, from files, and to every format."""

import io
from typing import Final

import streamlit as st

from toolkit.adapters import ground_truth
from toolkit.errors import NotLabelled, ToolkitError
from toolkit.labelling import LabelLog
from toolkit.studio import source
from toolkit.studio.source import Samples, View
from toolkit.studio.widgets import guarded, plain
from toolkit.truth import Truth, read_truth

FILE: Final = "labelled.csv"


def section(view: View, log: LabelLog, label: str, sample: str) -> None:
    """What was labelled in this sample, for tuning and for other tools; and labels from elsewhere into the log."""
    st.subheader("Use and exchange", anchor=False)
    try:
        truth = log.truth(label, sample=sample)
    except NotLabelled:
        truth = None
        st.caption("Nothing of this sample is judged yet, so there is nothing to use or to export.")
    if truth is not None:
        _use(view, truth)
        _export(truth)
    with guarded():
        _import(log)


def _use(view: View, truth: Truth) -> None:
    said, button = st.columns([4, 1], vertical_alignment="center")
    said.text(str(truth))
    if button.button("Tune with these", type="primary", width="stretch") and view.workspace is not None:
        path = view.workspace.path(FILE)
        truth.save(path)
        before = source.desk().samples
        source.desk().samples = Samples(FILE, str(path), opened=before.opened + 1 if before else 0)
        st.toast("The Tune and Compare pages use these labels now.")
        st.rerun()


def _export(truth: Truth) -> None:
    files = st.container(horizontal=True)
    for ending, kind in (("csv", "text/csv"), ("parquet", "application/vnd.apache.parquet")):
        files.download_button(
            ending.upper() if ending == "csv" else "Parquet", _file(truth, ending), f"labels.{ending}", kind
        )
    try:
        training = ground_truth(truth)
    except ToolkitError as error:
        st.caption(plain(f"No training manifest: {error}"))
        return
    files.download_button(
        "Adapter training manifest", "".join(training.to_lines()), "training.manifest", "application/jsonl",
        help=training.in_words,
    )  # fmt: skip


def _file(truth: Truth, ending: str) -> bytes:
    rows, out = truth.with_weights(), io.BytesIO()
    if ending == "csv":
        rows.astype({"present": int}).to_csv(out, index=False)
    else:
        rows.to_parquet(out, index=False)
    return out.getvalue()


def _import(log: LabelLog) -> None:
    with (
        st.expander("Take in labels from a file", icon=":material/upload_file:"),
        st.form("labels", clear_on_submit=True),
    ):
        upload = st.file_uploader(
            "CSV, Parquet, a ground-truth manifest, or the output of SageMaker Ground Truth",
            type=["csv", "parquet", "jsonl", "manifest"],
        )
        if st.form_submit_button("Take in") and upload is not None:
            given = read_truth(source.keep_upload(upload.name, upload.getvalue()).location)
            for row in given.table.to_dict("records"):
                weight = None if given.weights is None else float(given.weights[row["source_ref"]])
                answer = "present" if row["present"] else "absent"
                who, sample = f"file: {upload.name}", f"file: {upload.name}"
                log.add(who, row["source_ref"], row["label"], answer, weight=weight, sample=sample)
            st.toast(plain(f"{len(given.table):,} judgements taken in, under the name of the file."))
            st.rerun()
