"""The threshold line of the Tune page: where it begins, what it is put to, and what it says when it is let go."""

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import streamlit as st

from toolkit.confidence import written
from toolkit.curves import ThresholdCurve
from toolkit.studio import address, kept
from toolkit.studio.source import Samples, View
from toolkit.tuning import choose_threshold
from toolkit.widgets import bundle

_GOAL: Final = "precision>=0.9"
_USUAL: Final = 80.0
VOLUME: Final = 10_000
"""Images a day, until the user types another number."""
_MOST: Final = 1e12

# Plotly.js is sent once to a browser and stays there; the explorer waits for it.
_plotly = st.components.v2.component(
    "modkit_plotly",
    js=f"""{bundle.plotly()}
globalThis.modkitPlotly ??= Plotly;
dispatchEvent(new Event("modkit-plotly"));
export default () => {{}};
""",
)
_explorer = st.components.v2.component(
    "modkit_explorer",
    html='<div class="mk-root"></div>',
    css=bundle.css(),
    js=bundle.explorer("streamlit"),
    isolate_styles=False,
)


@dataclass(frozen=True)
class Picked:
    """Where the line stands.

    `block` and `review` (None: no band) are percent, `volume` is images a day, and `start` counts how often Python put
    the line somewhere: what the browser says of an earlier one is out of date.
    """

    block: float
    review: float | None = None
    volume: float = VOLUME
    start: int = 0


def pick(view: View, samples: Samples, curve: ThresholdCurve, suggested: float | None) -> Picked:
    """Draws the explorer, and says where its line was let go. Raises as `explorer_data`."""
    key = _key(view, curve.label)
    widget, fresh = f"explorer of {key}", address.fresh(key)
    if key not in st.session_state:
        st.session_state[key] = _first(view, curve, suggested)
        _say_refused(view, curve, st.session_state[key])
    elif fresh and _in_address(view, "threshold") is not None:  # gone back to
        take(key, replace(_first(view, curve, suggested), start=st.session_state[key].start))
        _say_refused(view, curve, st.session_state[key])
    if widget not in st.session_state:  # the page was opened, or opened again
        st.session_state[f"start of {key}"] = st.session_state[key]
    start: Picked = st.session_state[f"start of {key}"]
    _plotly(key="plotly", height=1)
    also = tuple(value for value in (suggested, start.block, start.review) if value is not None)
    data = kept.explorer(view.source, samples, curve.label, suggested, also)

    def let_go() -> None:
        said = _read(st.session_state[widget].get("picked"), curve.min_confidence)
        if said is not None and said.start == start.start and not known(said, data["threshold"]):
            take(key, said)

    answer = _explorer(key=widget, data=data | {"value": vars(start)}, on_picked_change=let_go, height="content")
    said = _read(answer.get("picked"), curve.min_confidence)
    if said is not None and said.start == start.start:
        st.session_state[key] = said
    picked: Picked = st.session_state[key]
    _to_address(picked)
    return picked


def known(picked: Picked, thresholds: list[float]) -> bool:
    """Whether the browser has the counts at these thresholds; compared as float32, as confidences are."""
    asked = [value for value in (picked.block, picked.review) if value is not None]
    return bool(np.isin(np.asarray(asked, np.float32), np.asarray(thresholds, np.float32)).all())


def take(key: str, typed: Picked) -> None:
    """A threshold that was typed and lies between those in the browser: the line begins there, with exact counts."""
    st.session_state[key] = st.session_state[f"start of {key}"] = replace(typed, start=typed.start + 1)


def standing(view: View, curve: ThresholdCurve) -> float:
    """Where the line of the Tune page stands, percent; for as long as nobody was there, where it begins by itself."""
    picked: Picked | None = st.session_state.get(_key(view, curve.label))
    if picked is not None:
        return picked.block
    return _first(view, curve, choose_threshold(curve, _GOAL).threshold).block


def put(view: View, curve: ThresholdCurve, threshold: float) -> None:
    """Moves the line; for the callback of a button."""
    key = _key(view, curve.label)
    before: Picked = st.session_state[key]
    after = replace(before, block=threshold, review=None, start=before.start + 1)
    st.session_state[key] = st.session_state[f"start of {key}"] = after


def _key(view: View, label: str) -> str:
    return f"threshold of {label} in {view.source.name}"


def _first(view: View, curve: ThresholdCurve, suggested: float | None) -> Picked:
    """What the address says, if it is about this run and label; else what is suggested; else what is usual."""
    floor = curve.min_confidence
    given = address.number(_in_address(view, "threshold"), floor, 100)
    block = next(value for value in (given, suggested, _USUAL) if value is not None)
    block = min(max(block, floor), 100.0)
    review = address.number(_in_address(view, "review"), floor, block)
    volume = _number(address.said("volume"))
    return Picked(block, review, VOLUME if volume is None or volume < 0 else min(volume, _MOST))


def _say_refused(view: View, curve: ThresholdCurve, first: Picked) -> None:
    """What the address asks for and cannot be had."""
    floor = curve.min_confidence
    bounds = (("threshold", 100.0, written(first.block)), ("review", first.block, "no review band"))
    for name, most, instead in bounds:
        text = _in_address(view, name)
        if text is not None and address.number(text, floor, most) is None:
            what = "the threshold" if name == "threshold" else "the start of the review band"
            address.refused(what, text, floor, most, instead)


def _in_address(view: View, name: str) -> str | None:
    """What the address says under this name, where that is about this run and label."""
    about_this = (address.said("run"), address.said("label")) == (view.source.name, view.label)
    return address.said(name) or None if about_this else None


def _read(said: Any, floor: float) -> Picked | None:
    """What came from the browser, held against what it may be."""
    if not isinstance(said, dict):
        return None
    block, review, volume = (_number(said.get(name)) for name in ("block", "review", "volume"))
    if block is None or not floor <= block <= 100 or volume is None or volume < 0:
        return None
    if review is not None and not floor <= review <= block:
        return None
    return Picked(block, review, min(volume, _MOST), int(_number(said.get("start")) or 0))


def _number(text: Any) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _to_address(picked: Picked) -> None:
    address.put("threshold", written(picked.block))
    address.put("review", "" if picked.review is None else written(picked.review))
    address.put("volume", f"{picked.volume:.12g}", f"{VOLUME}")
