"""Try it: one image, and what both models say of it."""

import warnings
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

import pandas as pd
import streamlit as st

from toolkit import images, storage
from toolkit.confidence import written
from toolkit.detect import moderate
from toolkit.errors import ToolkitError, UnreadableImage
from toolkit.prices import Prices
from toolkit.results import Results
from toolkit.studio import connection, pictures, source
from toolkit.studio.source import Connection, Source
from toolkit.studio.text import plain
from toolkit.studio.widgets import blurred, guarded, link, shown, table, veil
from toolkit.workspace import Workspace

_AGREED: Final = "image to be sent"


def section(
    workspace: Workspace | None, base: Source, candidate: Source, label: str, thresholds: tuple[float, float]
) -> None:
    """Drop an image in; both models answer, side by side, at the thresholds (percent) on screen."""
    st.subheader("Try it", anchor=False)
    places = [each for each in map(source.connection_of, (base, candidate)) if each is not None]
    desk = source.desk()
    gone = desk.connection in places and connection.ended(desk)
    if len(places) < 2 or gone:
        _nowhere(workspace, gone=gone)
        return
    away = [each for each in places if not _place(each)[1]]
    upload = st.file_uploader("An image from this computer", type=["jpg", "jpeg", "png"], key="try")
    if upload is None:
        st.caption(
            "The image is sent nowhere before you agree to it."
            if away
            else "Both models answer at once, on this machine; the image is kept nowhere."
        )
        return
    data = upload.getvalue()
    agreed = not away or _agreed(data, away)
    asked = [
        _asked(data, run, place) if agreed or place not in away else None
        for run, place in zip((base, candidate), places, strict=True)
    ]
    if isinstance(asked[0], str) and asked[0] == asked[1]:  # it is the image's fault
        st.error(plain(asked[0]), icon=":material/error:")
        return
    picture, *columns = st.columns(3)
    with picture:
        _picture(data)
    for column, run, place, threshold, found in zip(columns, (base, candidate), places, thresholds, asked, strict=True):
        with column.container(border=True), guarded():
            st.markdown(f"**{plain(run.name)}**")
            if found is None:
                st.caption("Not asked yet.")
            elif isinstance(found, str):
                st.error(plain(found), icon=":material/error:")
            else:
                _answered(found, label, threshold)
                st.caption(plain(f"Asked at {_place(place)[0]}."))


def _asked(data: bytes, run: Source, place: Connection) -> Results | str:
    """What the run's model says, or why it says nothing."""
    try:
        return _answer(data, run, place)
    except ToolkitError as error:
        return source.in_words(error)


def _picture(data: bytes) -> None:
    try:
        tile = pictures.square(images.thumbnail(data, pictures.SIZE, blur=blurred(shown())))
    except UnreadableImage:
        st.caption("This image cannot be shown here; it may be cut off.")
    else:
        st.container(key=veil(shown(), "try")).image(tile, alt="the image to try")


def _nowhere(workspace: Workspace | None, *, gone: bool) -> None:
    """What to do where the local service has ended, or nobody has said where the model of a run on this machine is."""
    what = "The local service has ended" if gone else "No connection is chosen"
    st.info(
        f"{what}, and nothing is sent to AWS unasked. Start the local service to try an image on this machine, or "
        "connect to AWS on the Runs page.",
        icon=":material/cable:",
    )
    ways = st.container(horizontal=True, vertical_alignment="center")
    if ways.button("Start the local service", icon=":material/play_arrow:"):
        with guarded():
            connection.start(workspace)
            st.rerun()
    with ways:
        link("runs", "Choose a connection")


@st.cache_data(show_spinner=False)
def _place(place: Connection) -> tuple[str, bool]:
    """Host and port of its Rekognition, and whether that is this machine."""
    session = source.session(place)
    return urlsplit(storage.rekognition_url(session)).netloc, storage.is_local(session)


def _agreed(data: bytes, away: list[Connection]) -> bool:
    """Says where the image would go and what that costs, until the user agrees to it; asked anew for each image."""
    wish = (sha256(data).hexdigest(), tuple(away))
    if st.session_state.get(_AGREED) == wish:
        return True
    hosts = " and ".join(dict.fromkeys(_place(each)[0] for each in away))
    to_aws = sum(each.endpoint is None for each in away)
    cost = f" {Prices.load().in_words(to_aws)}, as each model counts as one." if to_aws else ""
    policy = " Whether AWS may keep it is up to your organization's AI services opt-out policy." if to_aws else ""
    st.warning(plain(f"To be tried, this image leaves this machine: it goes to {hosts}.{cost}{policy}"))
    if st.button("Send this image", type="primary", icon=":material/send:"):
        st.session_state[_AGREED] = wish
        st.rerun()
    return False


@st.cache_data(max_entries=32, ttl="10m", show_spinner="Asking the model …")
def _answer(data: bytes, run: Source, place: Connection) -> Results:
    floor = run.min_confidence if run.min_confidence is not None else 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an adapter that did not answer is said below
        return moderate(data, min_confidence=floor, project_version=run.adapter, session=source.session(place))


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
