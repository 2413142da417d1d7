"""Tune: move a threshold, see what it does to precision, recall, and to images."""

import math
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from toolkit import plots
from toolkit.curves import OperatingPoint, ThresholdCurve
from toolkit.errors import NotLabelled
from toolkit.studio import source
from toolkit.studio.source import Samples, View
from toolkit.studio.widgets import PANEL, gallery, guarded, interval, percent, plain
from toolkit.tuning import OBJECTIVES, Choice, choose_threshold

_STEP: Final = 0.1
_USUAL: Final = 80.0
_GOAL: Final = "precision>=0.9"
_ON_SAMPLE: Final = "on this sample"
_LEVELS: Final = {_ON_SAMPLE: None, "promised, 90 %": 0.9, "promised, 95 %": 0.95, "promised, 99 %": 0.99}


def page(view: View) -> None:
    """Draws the page."""
    st.title("Tune", anchor=False)
    if view.samples is None or view.truth is None or view.label is None:
        st.info(
            "There are no labelled samples yet, so nobody can say which images are mistakes. Load some on the **Runs** "
            "page: a CSV with the columns source_ref, label and present is enough.",
            icon=":material/label:",
        )
        return
    asked, sure = st.columns([3, 1])
    with asked:
        objective = _objective()
    with sure:
        level = _level()
    curve = source.curve(view.source, view.samples, view.label)
    if curve.min_confidence > 100 - _STEP:
        st.info(f"This run reported nothing below {curve.min_confidence:g}, so there is no threshold to move.")
        return
    if curve.unmatched:
        st.caption(f"{curve.unmatched:,} judged images have no result in this run and do not count.")
    choice = choose_threshold(curve, objective, confidence_level=level)
    _threshold(view, view.samples, curve, choice)
    if len(view.runs) > 1:
        _runs(view, view.samples, choice)


def _level() -> float | None:
    """Whether the objective need only hold on this sample, or is promised for new images."""
    given = st.session_state["address"].get("sure", _ON_SAMPLE)
    st.session_state.setdefault("sure", given if given in _LEVELS else _ON_SAMPLE)
    chosen = st.selectbox(
        "How sure",
        list(_LEVELS),
        key="sure",
        persist_state="session",
        help="The best threshold on a sample misses its goal on new images about every other time. A promise holds on "
        "new images with this probability; it needs a bound, such as precision>=0.9, and enough labels.",
    )
    st.query_params["sure"] = chosen
    return _LEVELS[chosen]


def _objective() -> str:
    """What to reach: one of the library's examples, or the user's own words."""
    st.session_state.setdefault("objective", st.session_state["address"].get("objective", _GOAL))
    chosen = st.selectbox(
        "What the threshold should reach",
        list(dict.fromkeys([_GOAL, *OBJECTIVES, st.session_state["objective"]])),
        accept_new_options=True,
        key="objective",
        persist_state="session",
        help="Choose one or type your own, such as precision>=0.8 or cost fp=1 fn=25; rates lie between 0 and 1.",
    )
    st.query_params["objective"] = chosen
    return str(chosen)


@st.fragment
def _threshold(view: View, samples: Samples, curve: ThresholdCurve, choice: Choice) -> None:
    """All that follows the slider; the rest of the page stays as it is while it moves."""
    with guarded():
        threshold = _ask(view, curve, choice)
        point = curve.at(threshold)
        side_by_side = st.container(horizontal=True, gap="medium")
        with side_by_side.container(width=PANEL):
            _rates(point, curve.confidence_level)
            _confusion(point)
        with side_by_side.container(width="stretch"):
            st.plotly_chart(plots.tradeoff(curve, threshold=threshold), key="tradeoff")
        _mistakes(view, samples, curve.label, threshold)


def _ask(view: View, curve: ThresholdCurve, choice: Choice) -> float:
    """The slider, and what the objective suggests."""
    lowest = math.ceil(round(curve.min_confidence / _STEP, 6)) / round(1 / _STEP)
    suggested = None if choice.threshold is None else max(short(curve, choice.threshold), lowest)
    key = f"threshold of {curve.label} in {view.source.name}"
    before = st.session_state.get(key, _from_address(view) or suggested or _USUAL)
    start = min(max(before, lowest), 100.0)
    if start != st.session_state.get(key):  # writing what stands there would undo what the user does meanwhile
        st.session_state[key] = start
    box, button = st.columns([5, 1], vertical_alignment="center")
    if suggested is None:
        box.warning(plain(f"No suggestion: {choice.reason}"), icon=":material/block:")
    else:
        box.success(plain(f"Suggested: {suggested:g} – {choice.reason}"), icon=":material/lightbulb:")
        button.button(
            f"Use {suggested:g}",
            key="use",
            width="stretch",
            on_click=lambda: st.session_state.update({key: suggested}),
        )
    asked = st.slider(
        "Threshold (confidence, %): images at or above it are flagged",
        lowest, 100.0, step=_STEP, format="%.2f", key=key, persist_state="session",
    )  # fmt: skip
    threshold: float = round(asked, 6)
    st.query_params["threshold"] = f"{threshold:g}"
    return threshold


def _from_address(view: View) -> float | None:
    """The threshold in the address that this session began with, if it was one for this run and label."""
    address = st.session_state["address"]
    if (address.get("run"), address.get("label")) != (view.source.name, view.label):
        return None
    try:
        threshold = float(address.get("threshold", ""))
    except ValueError:
        return None
    return threshold if math.isfinite(threshold) else None


def short(curve: ThresholdCurve, exact: float) -> float:
    """The shortest number that flags the same judged images as an exact confidence does."""
    wanted = curve.at(exact)
    for decimals in range(1, 6):
        scale = float(10**decimals)
        value = math.floor(exact * scale) / scale
        if value >= curve.min_confidence:
            point = curve.at(value)
            if (point.tp, point.fp) == (wanted.tp, wanted.fp):
                return value
    return exact


def _rates(point: OperatingPoint, confidence_level: float) -> None:
    precision, recall = st.columns(2, border=True)
    precision.metric("Precision", percent(point.precision), help="Of the flagged images, how many show it.")
    precision.caption(interval(point.precision_low, point.precision_high, confidence_level))
    recall.metric("Recall", percent(point.recall), help="Of the images that show it, how many are flagged.")
    recall.caption(interval(point.recall_low, point.recall_high, confidence_level))


def _confusion(point: OperatingPoint) -> None:
    """Four counts: rows are what people said, columns what the threshold does."""
    rows = (
        ("Shows it", ("Flagged, rightly", point.tp), ("Missed", point.fn)),
        ("Does not", ("Flagged, wrongly", point.fp), ("Left alone, rightly", point.tn)),
    )
    for name, *cells in rows:
        heading, *places = st.columns([1, 2, 2], vertical_alignment="center")
        heading.caption(name)
        for place, (title, count) in zip(places, cells, strict=True):
            place.metric(title, f"{count:,}", border=True)


def _mistakes(view: View, samples: Samples, label: str, threshold: float) -> None:
    sharp = st.toggle("Show images sharp", key="sharp", help="Off, images are blurred before they reach the browser.")
    wrong, missed = mistakes(source.judged(view.source, samples, label), threshold)
    side_by_side = st.container(horizontal=True, gap="medium")
    with side_by_side.container(width=PANEL):
        st.subheader(f"False positives: {len(wrong):,}", anchor=False)
        st.caption("Flagged, though people say the label is not there; the most confident first.")
        gallery(view, wrong, key="wrong", sharp=sharp, empty="None at this threshold.")
    with side_by_side.container(width=PANEL):
        st.subheader(f"False negatives: {len(missed):,}", anchor=False)
        st.caption("Not flagged, though people say the label is there; the least confident first.")
        gallery(view, missed, key="missed", sharp=sharp, empty="None at this threshold.")


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


def _runs(view: View, samples: Samples, choice: Choice) -> None:
    """This run and the others, each at the threshold suggested for it."""
    st.subheader("Each run at its own suggestion", anchor=False)
    cards = st.container(horizontal=True)
    elsewhere = []
    for run in view.runs:
        with guarded():
            try:
                theirs = source.curve(run, samples, choice.label)
            except NotLabelled:  # a run of another collection: nothing is wrong with it
                elsewhere.append(run.name)
                continue
            with cards.container(border=True, width=PANEL, height="stretch"), guarded():
                st.markdown(f"**{plain(run.name)}**")
                again = choose_threshold(theirs, choice.objective, confidence_level=choice.confidence_level)
                _suggestion(theirs, again)
    if elsewhere:
        st.caption(plain(f"Not compared, as none of the images judged here is in them: {', '.join(elsewhere)}."))


def _suggestion(curve: ThresholdCurve, choice: Choice) -> None:
    point = choice.point
    if point is None:
        st.caption(plain(f"No threshold: {choice.reason}"))
        return
    threshold, precision, recall = st.columns(3)
    threshold.metric("Threshold", f"{short(curve, point.threshold):g}")
    threshold.caption(f"false positives: {point.fp:,}, missed: {point.fn:,}")
    precision.metric("Precision", percent(point.precision))
    precision.caption(interval(point.precision_low, point.precision_high, curve.confidence_level))
    recall.metric("Recall", percent(point.recall))
    recall.caption(interval(point.recall_low, point.recall_high, curve.confidence_level))
