"""Tune: move a threshold, see what it does to precision, recall, and to images."""

from typing import Final

import streamlit as st

from toolkit.confidence import written
from toolkit.curves import ThresholdCurve
from toolkit.errors import InvalidObjective, NotLabelled, ToolkitError
from toolkit.studio import address, kept, mistakes, parts, policies, source, threshold
from toolkit.studio.source import Samples, View
from toolkit.studio.text import plain
from toolkit.studio.widgets import PANEL, WEIGHTED, clicked, guarded, interval, link, not_judged, percent, told
from toolkit.tuning import OBJECTIVES, Choice, choose_threshold

_GOAL: Final = "precision>=0.9"
_TAB, _TABS = "tab below the line", ("Mistakes", "Policy")
_UNTOUCHED: Final = "the studio does not touch it"
_ON_SAMPLE: Final = "on this sample"
_LEVELS: Final = {_ON_SAMPLE: None, "promised, 90 %": 0.9, "promised, 95 %": 0.95, "promised, 99 %": 0.99}


def page(view: View) -> None:
    """Draws the page."""
    st.title("Tune", anchor=False)
    told()
    _say_samples(view)
    if view.samples is None or view.truth is None:
        st.info(
            "There are no labelled samples yet, so nobody can say which images are mistakes. Label some images here, "
            "or load samples: a CSV with the columns source_ref, label and present is enough.",
            icon=":material/label:",
        )
        link("label", "Label images on the Label page", label=view.label)
        link("runs", "Load samples on the Runs page")
        return
    asked, sure = st.columns([2, 1])
    with asked:
        objective = _objective()
    with sure:
        level = _level()
    try:
        curve = kept.curve(view.source, view.samples, view.label)
        choice = _chosen(curve, objective, level)
    except (NotLabelled, InvalidObjective) as error:
        policies.say(view, _UNTOUCHED)
        _without_line(view, view.samples, error)
        policies.section(view, view.samples, objective, level, threshold.VOLUME)
        return
    if curve.unmatched:
        st.caption(f"{curve.unmatched:,} judged images have no result in this run and do not count.")
    _threshold(view, view.samples, curve, choice)
    if len(view.runs) > 1:
        _runs(view, view.samples, choice)


def _say_samples(view: View) -> None:
    """Whose samples these are, where they are not the workspace's, with a way back to those."""
    samples, workspace = view.samples, view.workspace
    if samples is None or source.desk().samples is None:
        return
    own = None if workspace is None else workspace.truth
    said, button = st.columns([4, 1], vertical_alignment="center")
    instead = f", in place of the workspace's {own}" if own else ""
    said.caption(plain(f"Samples, for every label: {samples.name}{instead}."))
    if own:
        button.button("Back to the workspace's", on_click=_back_to_workspace, width="stretch")


def _back_to_workspace() -> None:
    with clicked():
        source.desk().samples = None


def _chosen(curve: ThresholdCurve, objective: str, level: float | None) -> Choice:
    """As `choose_threshold`; where nothing can be promised of the objective, says so and asks for this sample only."""
    try:
        return choose_threshold(curve, objective, confidence_level=level)
    except InvalidObjective as error:
        if level is None:
            raise
        choice = choose_threshold(curve, objective)
        said = str(error).replace("leave confidence_level out", f"choose “{_ON_SAMPLE}”")
        st.warning(plain(f"{said} What follows holds on this sample only."), icon=":material/warning:")
        return choice


def _without_line(view: View, samples: Samples, error: ToolkitError) -> None:
    """Why there is no threshold to move, and what to do."""
    if isinstance(error, InvalidObjective):
        st.error(plain(str(error)), icon=":material/error:")
    else:
        not_judged([view.source], samples, view.label)


def _level() -> float | None:
    """Whether the objective need only hold on this sample, or is promised for new images."""
    address.start("sure", "sure", list(_LEVELS))
    chosen = st.selectbox(
        "How sure",
        list(_LEVELS),
        key="sure",
        persist_state="session",
        help="The best threshold on a sample misses its goal on new images about every other time. A promise holds on "
        "new images with this probability; it needs a bound, such as precision>=0.9, and enough labels.",
    )
    address.put("sure", chosen, _ON_SAMPLE)
    return _LEVELS[chosen]


def _objective() -> str:
    """What to reach: one of the library's examples, or the user's own words."""
    wanted = address.given("objective", "objective")
    st.session_state.setdefault("objective", wanted or _GOAL)
    chosen = st.selectbox(
        "What the threshold should reach",
        list(dict.fromkeys([_GOAL, *OBJECTIVES, st.session_state["objective"]])),
        accept_new_options=True,
        key="objective",
        persist_state="session",
        help="Choose one or type your own, such as precision>=0.8 or cost fp=1 fn=25; rates lie between 0 and 1.",
    )
    address.put("objective", chosen, _GOAL)
    return str(chosen)


@st.fragment
@address.written()
def _threshold(view: View, samples: Samples, curve: ThresholdCurve, choice: Choice) -> None:
    """All that follows the threshold; the rest of the page stays as it is while it moves."""
    picked = None
    policies.say(view, _UNTOUCHED)
    with guarded():
        suggested = None if choice.threshold is None else max(choice.threshold, curve.min_confidence)
        _suggest(view, curve, choice, suggested)
        picked = threshold.pick(view, samples, curve, suggested)
        if curve.weighted:
            st.caption(WEIGHTED)
        policies.put_in(view, curve, picked)
    address.start(_TAB, "below", _TABS)
    wrong, policy = st.tabs(_TABS, key=_TAB, on_change="rerun")  # only what is open is made
    address.put("below", _TABS[1] if policy.open else _TABS[0], _TABS[0])
    if policy.open:
        volume = threshold.VOLUME if picked is None else picked.volume
        with policy, guarded():
            policies.section(view, samples, choice.objective, choice.confidence_level, volume)
    elif picked is not None:
        with wrong, guarded():
            mistakes.section(view, samples, curve.label, picked.block)
            parts.section(view, curve.label, picked.block)


def _suggest(view: View, curve: ThresholdCurve, choice: Choice, suggested: float | None) -> None:
    """What the objective asks for, with a way to take it, or why there is nothing."""
    if suggested is None:
        st.warning(plain(f"No suggestion: {choice.reason}"), icon=":material/block:")
        return
    box, button = st.columns([4, 1], vertical_alignment="center")
    box.success(plain(f"Suggested: {written(suggested)} – {choice.reason}"), icon=":material/lightbulb:")
    button.button(
        f"Use {written(suggested)}", key="use", width="stretch", on_click=threshold.put, args=(view, curve, suggested)
    )


def _runs(view: View, samples: Samples, choice: Choice) -> None:
    """This run and the others, each at the threshold suggested for it."""
    st.subheader("Each run at its own suggestion", anchor=False)
    cards = st.container(horizontal=True)
    elsewhere = []
    for run in view.runs:
        with guarded():
            try:
                theirs = kept.curve(run, samples, choice.label)
            except NotLabelled:  # a run of another collection: nothing is wrong with it
                elsewhere.append(run.name)
                continue
            with cards.container(border=True, width=PANEL, height="stretch"), guarded():
                st.markdown(f"**{plain(run.name)}**")
                again = choose_threshold(theirs, choice.objective, confidence_level=choice.confidence_level)
                _suggestion(theirs, again)
    if view.truth is not None and view.truth.weights is not None:
        st.caption("These rates are weighted, too.")
    if elsewhere:
        st.caption(plain(f"Not compared, as none of the images judged here is in them: {', '.join(elsewhere)}."))


def _suggestion(curve: ThresholdCurve, choice: Choice) -> None:
    point = choice.point
    if point is None:
        st.caption(plain(f"No threshold: {choice.reason}"))
        return
    threshold, precision, recall = st.columns(3)
    threshold.metric("Threshold", written(point.threshold))
    threshold.caption(f"false positives: {point.fp:,}, missed: {point.fn:,}")
    precision.metric("Precision", percent(point.precision))
    precision.caption(interval(point.precision_low, point.precision_high, curve.confidence_level))
    recall.metric("Recall", percent(point.recall))
    recall.caption(interval(point.recall_low, point.recall_high, curve.confidence_level))
