"""Labels in and out on the Label page: into the studio's samples, from files, and to every format."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import streamlit as st

from toolkit import export
from toolkit.adapters import GroundTruth, ground_truth
from toolkit.errors import ToolkitError
from toolkit.labelling import LabelLog
from toolkit.studio import address, source
from toolkit.studio.source import Samples, View
from toolkit.studio.text import plain
from toolkit.studio.widgets import guarded, tell
from toolkit.truth import Annotations, Truth, annotations
from toolkit.words import counted
from toolkit.workspace import Workspace

FILE: Final = "labelled.csv"
_STEP: Final = 5_000
Row = tuple[str, str, str, float | None]
"""As `LabelLog.add_many` takes it."""
_IMPORTED: Final = "file: "
_CHOSEN: Final = "judgements chosen"


def section(view: View, log: LabelLog, label: str, sample: str) -> None:
    """What was labelled in this sample, or taken in, for tuning and for other tools; and labels into the log."""
    st.subheader("Use and exchange", anchor=False)
    with guarded():
        chosen = _which(log, label, sample)
        if chosen is None:
            st.caption("Nothing of this sample is judged yet, so there is nothing to use or to export.")
        else:
            truth = log.truth(label, sample=chosen)
            _use(view, truth)
            _export(truth)
    with guarded():
        _import(log)


def _which(log: LabelLog, label: str, sample: str) -> str | None:
    """Which judgements to use: of this sample, another one, or a file; weights of two do not go together.

    It goes with what is labelled, once that has an answer, until another is chosen beside it.
    """
    found = [str(name) for name in log.judgements(label)["sample"].unique()]
    options = sorted(found, key=lambda name: name != sample)
    if options in ([], [sample]):
        return options[0] if options else None
    own = st.session_state.get(_CHOSEN) == (label, sample)
    if st.session_state.get("judgements") not in options or (sample in options and not own):
        st.session_state["judgements"] = options[0]

    def said(name: str) -> str:
        if name.startswith(_IMPORTED):
            return f"taken in from {name.removeprefix(_IMPORTED)}"
        return f"the images above ({name})" if name == sample else name or "of no sample"

    def choose() -> None:
        st.session_state[_CHOSEN] = label, sample

    return str(
        st.selectbox(
            "Which judgements",
            options,
            key="judgements",
            format_func=said,
            on_change=choose,
            persist_state="session",
        )
    )


def in_words(truth: Truth) -> str:
    """What there is to use."""
    present = int(truth.table["present"].sum())
    return f"{counted(truth.n_images, 'image')} known: {present:,} present, {len(truth.table) - present:,} absent."


def _use(view: View, truth: Truth) -> None:
    said, button = st.columns([4, 1], vertical_alignment="center")
    said.text(in_words(truth))
    if button.button("Tune with these", type="primary", width="stretch") and view.workspace is not None:
        _save(truth, view.workspace)
        instead = "" if view.samples is None or view.samples.name == FILE else f", in place of {view.samples.name}"
        tell(f"All pages use these labels now, for every label{instead}.")
        address.go("tune")


def _save(truth: Truth, workspace: Workspace) -> None:
    """As the samples of the project, where it has no others, so that notebooks and commands find them; else in use."""
    path, desk = workspace.path(FILE), source.desk()
    now = Workspace.load(workspace.folder)  # another tab may have changed it since
    ours = now.truth == FILE or (desk.samples is not None and desk.samples.name == FILE)
    if path.exists() and not ours:  # it may be somebody's own
        source.set_aside(path)
    truth.save(path)
    if now.truth in (None, FILE):
        replace(now, truth=FILE).save()
        desk.samples = None
    else:
        desk.samples = Samples(FILE, str(path), opened=desk.samples.opened + 1 if desk.samples else 0)


def _export(truth: Truth) -> None:
    files = st.container(horizontal=True)
    for ending, kind in (("csv", "text/csv"), ("parquet", "application/vnd.apache.parquet")):
        files.download_button(
            ending.upper() if ending == "csv" else "Parquet", _file(truth, ending), f"labels.{ending}", kind
        )
    makers: dict[str, Callable[[Truth], Annotations | GroundTruth]] = {
        "SageMaker Ground Truth": annotations, "Adapter training manifest": ground_truth,
    }  # fmt: skip
    for title, make in makers.items():
        try:
            made = make(truth)
        except ToolkitError as error:
            st.caption(plain(f"No {title}: {error}"))
            continue
        name = f"{title.split()[0].lower()}.manifest"
        files.download_button(title, "".join(made.to_lines()), name, "application/jsonl", help=plain(made.in_words))


def _file(truth: Truth, ending: str) -> bytes:
    rows = truth.with_weights()
    return export.to_csv(rows.astype({"present": int})) if ending == "csv" else export.to_parquet(rows)


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
            count = _take_in(log, source.keep_upload(upload.name, upload.getvalue()))
            st.toast(plain(f"{counted(count, 'judgement')} taken in, under the name of the file."))
            st.rerun()


def _take_in(log: LabelLog, upload: Samples) -> int:
    """All in one go: who closes the page meanwhile leaves no half of a file."""
    given = source.load_samples(upload)
    refs, labels, present = (given.table[name].tolist() for name in ("source_ref", "label", "present"))
    weights = [None] * len(refs) if given.weights is None else given.weights.loc[refs].astype(float).tolist()
    answers = ["present" if each else "absent" for each in present]
    name = _IMPORTED + upload.name
    log.add_many(name, _counted(list(zip(refs, labels, answers, weights, strict=True))), sample=name)
    return len(refs)


def _counted(answers: list[Row]) -> Iterator[Row]:
    """Says how many of them have gone by."""
    bar, total = st.progress(0.0), len(answers)
    for number, answer in enumerate(answers):
        if number % _STEP == 0:
            bar.progress(number / total, f"Taking in the labels: {number:,} of {total:,}")
        yield answer
    bar.progress(1.0, "Writing them down …")
