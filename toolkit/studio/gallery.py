"""The gallery of the Explore page: filtered, paged, blurred; and one image in detail."""

from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from toolkit.confidence import written
from toolkit.errors import BelowFloor, NotLabelled
from toolkit.policy import DECISIONS, Policy
from toolkit.selection import ANSWERS, Answer, select_images
from toolkit.studio import address, kept, pictures, policies
from toolkit.studio.source import View
from toolkit.studio.text import plain
from toolkit.studio.widgets import Shown, ask_shown, blurred, guarded, shown, table, veil

_PAGE: Final = 24
_TILE: Final = 150
_WIDTHS: Final = (240, 150, 150, 150, 220)
"""Pixels, of the filters."""
_ANY: Final = "any"
_NUMBER: Final = "gallery page"
_ABOUT: Final = "gallery about"
_IMAGE: Final = "image in detail"
_ORDERS: Final = {"most confident first": False, "least confident first": True}


@dataclass(frozen=True)
class Filter:
    """What the images of the gallery have in common; None is any. Confidence in percent."""

    low: float | None
    high: float
    content_type: str | None
    answer: Answer | None
    decision: str | None
    ascending: bool


@st.fragment
@address.written()
def section(view: View, label: str) -> None:
    """Filters, and a page of tiles; the rest of the page stays as it is."""
    st.subheader("Images", anchor=False)
    with guarded():
        policy = policy_of(view)
        wanted = _ask(view, label, policy)
        rows = _rows(view, label, wanted, policy)
        about = (view.source.name, label, wanted)
        if not address.fresh(_ABOUT) and st.session_state[_ABOUT] != about:  # other images: the first come first
            st.session_state[_NUMBER] = 1
        st.session_state[_ABOUT] = about
        _page(view, label, rows)
        _one(view)


def _ask(view: View, label: str, policy: Policy | None) -> Filter:
    floor = float(view.results.min_confidence)
    types = kept.types(view.source)
    row = st.container(horizontal=True)  # wraps: a narrow page cuts off no word
    confidence, answer, decision, kind, order = (row.container(width=width) for width in _WIDTHS)
    low, high = _range(confidence, view, label, floor)
    said = decided = typed = _ANY
    if kept.judged_any(view.source, view.samples, label):
        said = box(answer, "People say", [_ANY, *ANSWERS], "people say", "said")
    if policy is not None:
        decided = box(decision, "The policy says", [_ANY, *DECISIONS], "policy says", "decision")
    if types:
        typed = box(kind, "Content type", [_ANY, *types], "content type", "type")
    ordered = box(order, "Order", list(_ORDERS), "order", "order")
    return Filter(
        None if low <= floor else low,
        high,
        None if typed == _ANY else typed,
        next((each for each in ANSWERS if each == said), None),
        None if decided == _ANY else decided,
        _ORDERS[ordered],
    )


def _range(place: DeltaGenerator, view: View, label: str, floor: float) -> tuple[float, float]:
    """Between which confidences, percent; in the address, too."""
    if floor >= 100:
        return floor, 100.0
    key = f"confidence of {view.source.name}"
    texts = {name: address.given(key, name) for name in ("from", "to")}
    if key not in st.session_state:
        given = _end(texts["from"], "from", floor, floor), _end(texts["to"], "to", floor, 100.0)
        st.session_state[key] = given if given[0] <= given[1] else (floor, 100.0)
        if given[0] > given[1]:
            asked = f"from {written(given[0])} to {written(given[1])}"
            st.warning(f"The address asks for confidences {asked}, which none can have. All are shown.")
    low, high = cast(
        tuple[float, float],
        place.slider(f"Confidence of {plain(label)} (%)", floor, 100.0, step=0.5, key=key, persist_state="session"),
    )
    for name, value, usual in (("from", low, floor), ("to", high, 100.0)):
        address.put(name, written(value), written(usual))
    return low, high


def _end(text: str | None, name: str, floor: float, usual: float) -> float:
    """One end of the range, percent: what the address says, else the usual one."""
    found = address.number(text, floor, 100)
    if text and found is None:
        end = "lowest" if name == "from" else "highest"
        address.refused(f"the {end} confidence", text, floor, 100, written(usual))
    return usual if found is None else found


def box(place: DeltaGenerator, title: str, options: list[str], key: str, name: str) -> str:
    """A choice that stands in the address, so that a link shows the same images."""
    address.start(key, name, options)
    if st.session_state[key] not in options:  # another run's
        st.session_state[key] = options[0]
    chosen = str(place.selectbox(title, options, key=key, persist_state="session"))
    address.put(name, chosen, options[0])
    return chosen


def policy_of(view: View) -> Policy | None:
    """The policy, where it has rules and the run can speak about all of them."""
    policy = policies.readable(view)
    if policy is None or not policy.rules:
        return None
    try:
        policy.require(view.results.min_confidence)
    except BelowFloor:  # the Tune page says so
        return None
    return policy


def _rows(view: View, label: str, wanted: Filter, policy: Policy | None) -> "pd.Series[int]":
    of = (view.source, view.samples) if view.samples else (view.source,)
    rules = kept.rules_of(policy) if policy and wanted.decision else None

    def compute() -> "pd.Series[int]":
        found = select_images(
            view.results, label, low=wanted.low, high=wanted.high, content_type=wanted.content_type,
            truth=view.truth, answer=wanted.answer, policy=policy, decision=wanted.decision, ascending=wanted.ascending,
        )  # fmt: skip
        return pd.Series(found)

    return kept.keep("gallery", of, (label, wanted, rules), compute)


def _page(view: View, label: str, rows: "pd.Series[int]") -> None:
    if rows.empty:
        st.info("No image is all of this; widen the filters above.", icon=":material/filter_alt_off:")
        return
    pages = -(-len(rows) // _PAGE)
    bar = st.container(horizontal=True, vertical_alignment="center")
    wanted = address.given(_NUMBER, "page")
    if _NUMBER not in st.session_state:
        there = [str(each) for each in range(1, pages + 1)]
        st.session_state[_NUMBER] = wanted if wanted in there else 1
        if wanted is not None and wanted not in there:
            said = f"The address asks for page {wanted[:20]}, and there {'is one' if pages == 1 else f'are {pages:,}'}."
            st.warning(plain(f"{said} Shown instead: the first."), icon=":material/warning:")
    number = min(int(st.session_state[_NUMBER]), pages) - 1
    address.put("page", str(number + 1), "1")
    first = number * _PAGE

    def go(to: int) -> None:
        st.session_state[_NUMBER] = to + 1

    bar.button("Previous", disabled=number == 0, on_click=go, args=(number - 1,), icon=":material/chevron_left:")
    bar.button("Next", disabled=number + 1 >= pages, on_click=go, args=(number + 1,), icon=":material/chevron_right:")
    bar.text(f"{first + 1:,}–{min(first + _PAGE, len(rows)):,} of {len(rows):,}")
    how = ask_shown(bar)
    here = rows.iloc[first : first + _PAGE].to_numpy()
    images = view.results.images.iloc[here]
    scores = kept.keep("scores", (view.source,), label, lambda: view.results.scores(label))[here]
    tiles = pictures.tiles(view, images["source_ref"].tolist(), blur=blurred(how))
    wall = st.container(horizontal=True, key=veil(how, "gallery"))
    for row, source_ref, score, picture in zip(here, images["source_ref"], scores, tiles, strict=True):
        with wall.container(width=_TILE):
            name = str(source_ref).rpartition("/")[2]
            said = "not reported" if pd.isna(score) else f"{score:.2f}"
            st.image(pictures.EMPTY if isinstance(picture, str) else picture, width="stretch", alt=f"{name}, {said}")
            st.caption(f"{plain(name[:40])}  \n{said}")
            st.button("Details", key=f"details {row}", width="stretch", on_click=_look_at, args=(str(source_ref),))


def _look_at(source_ref: str) -> None:
    """Which image is shown in detail (nothing: none); for the callback of a button."""
    st.session_state[_IMAGE] = source_ref


def _one(view: View) -> None:
    """The image in detail that somebody asked for, or the address does."""
    wanted = address.given(_IMAGE, "image")
    source_ref = str(st.session_state.setdefault(_IMAGE, wanted or ""))
    row = _row_of(view, source_ref)
    address.put("image", "" if row is None else source_ref)
    if row is not None:
        _detail(view, row, shown())
    elif source_ref:
        st.warning(plain(f"The image {source_ref[:200]} is not in this run."), icon=":material/warning:")
        _look_at("")


def _row_of(view: View, source_ref: str) -> int | None:
    """Where an image stands in the run; the first of those that are there more than once."""
    if not source_ref:
        return None
    rows = np.flatnonzero(view.results.images["source_ref"] == source_ref)
    return int(rows[0]) if len(rows) else None


@st.dialog("One image", width="large", on_dismiss=lambda: _look_at(""))
def _detail(view: View, row: int, shown: Shown) -> None:
    """All that is known of one image."""
    image = view.results.images.iloc[row]
    with guarded():
        (picture,) = pictures.large(view, [image["source_ref"]], blur=blurred(shown))
        left, known = st.columns(2)
        if isinstance(picture, str):
            left.warning(plain(picture))
        else:
            left.container(key=veil(shown, "detail")).image(picture, alt="the image")
        known.text(image["source_ref"])
        for title, name in (
            ("Content type", "content_type"),
            ("Model", "model_version"),
            ("Adapter", "project_version"),
        ):
            value = image[name]
            if not pd.isna(value) and value:
                known.text(f"{title}: {value}")
        for label, answer in _said(view, str(image["source_ref"])):
            known.text(f"People say: {label} is {answer}")
        policy = policy_of(view)
        if policy is not None:
            decision = kept.decisions(view.source, kept.rules_of(policy)).iloc[row]
            known.text(f"The policy says: {decision['decision']}")
        labels = view.results.labels
        found = labels[labels["image"] == image["image"]].sort_values("confidence", ascending=False)
        if found.empty:
            st.caption("No label was reported on it.")
        else:
            table(found, {"name": "Label", "parent": "Under", "level": "Level", "confidence": "Confidence"})


def _said(view: View, source_ref: str) -> list[tuple[str, str]]:
    if view.truth is None:
        return []
    try:
        rows = view.truth.on([source_ref]).table
    except NotLabelled:
        return []
    return [(str(row["label"]), "present" if row["present"] else "absent") for row in rows.to_dict("records")]
