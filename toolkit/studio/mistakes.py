"""The mistakes at a threshold, as images, and the way from them to the next adapter's training images."""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from toolkit.adapters import ground_truth
from toolkit.errors import NotFound
from toolkit.studio import kept, source
from toolkit.studio.source import Samples, View
from toolkit.studio.text import plain
from toolkit.studio.widgets import PANEL, ask_shown, gallery, guarded
from toolkit.truth import Truth, make_truth, read_truth

FILE: Final = "next-training.csv"
_SENT: Final = "images sent to the training"


def section(view: View, samples: Samples, label: str, threshold: float) -> None:
    """False positives and false negatives of one label at a threshold (percent), and what to do with them."""
    shown = ask_shown()
    wrong, missed = mistakes(kept.judged(view.source, samples, label), threshold)
    side_by_side = st.container(horizontal=True, gap="medium")
    with side_by_side.container(width=PANEL):
        st.subheader(f"False positives: {len(wrong):,}", anchor=False)
        st.caption("Flagged, though people say the label is not there; the most confident first.")
        gallery(view, wrong, key="wrong", shown=shown, empty="None at this threshold.")
    with side_by_side.container(width=PANEL):
        st.subheader(f"False negatives: {len(missed):,}", anchor=False)
        st.caption("Not flagged, though people say the label is there; the least confident first.")
        gallery(view, missed, key="missed", shown=shown, empty="None at this threshold.")
    with guarded():
        _to_training(view, samples, pd.concat([wrong, missed])["source_ref"].tolist())


def mistakes(judged: pd.DataFrame, threshold: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """False positives and false negatives at a threshold, the worst first.

    Parameters
    ----------
    judged
        From `source.judged`: one row a judged image, with `confidence` and `present`.
    threshold
        Percent; an image is flagged when its confidence is >= it.
    """
    flagged = judged["confidence"].to_numpy(np.float32) >= np.float32(threshold)
    present = judged["present"].to_numpy(bool)
    wrong = judged[flagged & ~present].sort_values("confidence", ascending=False, kind="stable")
    missed = judged[~flagged & present].sort_values("confidence", na_position="first", kind="stable")
    return wrong, missed


def _to_training(view: View, samples: Samples, source_refs: list[str]) -> None:
    """Keeps the judgements of these images beside the workspace's, for the adapter that is trained next."""
    if view.workspace is None:
        return
    path = view.workspace.path(FILE)
    kept = _kept(path)
    known = set(kept.table["source_ref"]) if kept else set()
    new = [ref for ref in dict.fromkeys(source_refs) if ref not in known]
    st.markdown("**All mistakes at this threshold**, also those that are not on screen, for the next training:")
    row = st.container(horizontal=True, vertical_alignment="center")  # wraps: a narrow page cuts off no word
    if row.button(
        f"Send {len(new):,} to the next training" if new else "All are training images already",
        disabled=not new, icon=":material/model_training:",
        help="All mistakes at this threshold, also those behind 'Show more', become training images of the next "
        "adapter. Images that an adapter was trained on say nothing about how good it is: take them out of the "
        "samples that you test it with.",
    ):  # fmt: skip
        _write(path, _joined(kept, source.load_samples(samples).on(new)))
        st.session_state[_SENT] = new
        st.rerun(scope="fragment")
    sent: list[str] = st.session_state.get(_SENT, [])
    if known.intersection(sent) and row.button("Undo", key="undo training"):
        _write(path, without(kept, sent))
        del st.session_state[_SENT]
        st.rerun(scope="fragment")
    if kept is None:
        row.caption(f"They are kept in {FILE} in the workspace; the command modkit adapter train reads it.")
        return
    training = ground_truth(kept)
    row.caption(plain(f"{FILE}: {training.in_words}"))
    lines = "".join(training.to_lines())
    st.download_button("Training manifest", lines, "training.manifest", "application/jsonl", icon=":material/download:")


def _kept(path: Path) -> Truth | None:
    try:
        return read_truth(path)
    except NotFound:
        return None


def _joined(kept: Truth | None, new: Truth) -> Truth:
    tables = [new.table] if kept is None else [kept.table, new.table]
    return make_truth(pd.concat(tables, ignore_index=True), FILE)


def without(kept: Truth | None, sent: list[str]) -> Truth | None:
    """The training file as it is now, which others may have changed, less what was sent; None where nothing is left."""
    rest = [] if kept is None else [ref for ref in kept.table["source_ref"].unique() if ref not in set(sent)]
    return kept.on(rest) if kept is not None and rest else None


def _write(path: Path, truth: Truth | None) -> None:
    if truth is None:
        path.unlink(missing_ok=True)
    else:
        truth.save(path)
