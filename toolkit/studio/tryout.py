"""Try it: one image, and what both models say of it."""

import warnings

import pandas as pd
import streamlit as st

from toolkit import images
from toolkit.confidence import written
from toolkit.detect import moderate
from toolkit.results import Results
from toolkit.studio import pictures, source
from toolkit.studio.source import Source
from toolkit.studio.widgets import guarded, plain, shown, table, veil


def section(base: Source, candidate: Source, label: str, thresholds: tuple[float, float]) -> None:
    """Drop an image in; both models answer, side by side, at the thresholds (percent) on screen."""
    st.subheader("Try it", anchor=False)
    upload = st.file_uploader("An image from this computer", type=["jpg", "jpeg", "png"], key="try")
    if upload is None:
        st.caption("Both models answer at once; the image is kept nowhere.")
        return
    data = upload.getvalue()
    picture, first, second = st.columns(3)
    with picture, guarded():
        view = shown()
        tile = pictures.square(images.thumbnail(data, pictures.SIZE, blur=view == "Blurred"))
        st.container(key=veil(view, "try")).image(tile, alt="the image to try")
    for place, run, threshold in ((first, base, thresholds[0]), (second, candidate, thresholds[1])):
        with place.container(border=True), guarded():
            st.markdown(f"**{plain(run.name)}**")
            _answered(_answer(data, run), label, threshold)


@st.cache_data(max_entries=32, ttl="10m", show_spinner="Asking the model …")
def _answer(data: bytes, run: Source) -> Results:
    floor = run.min_confidence if run.min_confidence is not None else 0.0
    connection = source.connection_of(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an adapter that did not answer is said below
        return moderate(data, min_confidence=floor, project_version=run.adapter, session=source.session(connection))


def _answered(found: Results, label: str, threshold: float) -> None:
    score = found.scores(label)[0]
    flagged = bool(score >= threshold)
    said = "not reported" if pd.isna(score) else f"{score:.2f}"
    st.markdown(f"{plain(label)}: {said}, so **{'flagged' if flagged else 'not flagged'}** at {written(threshold)}")
    st.caption("Answered by an adapter." if found.project_versions else "Answered by the base model.")
    if found.labels.empty:
        st.caption("No label at all was reported.")
        return
    rows = found.labels.sort_values("confidence", ascending=False)
    table(rows, {"name": "Label", "parent": "Under", "level": "Level", "confidence": "Confidence"})
