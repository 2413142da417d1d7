"""Compare: what one run's model changes against another's, for working with and for showing to a room."""

from typing import Final
from urllib.parse import urlencode

import plotly.graph_objects as go
import streamlit as st

from toolkit import plots
from toolkit.compare import Comparison
from toolkit.confidence import written
from toolkit.curves import OperatingPoint, ThresholdCurve
from toolkit.studio import address, evaluation, flips, kept, presentation, source, tryout
from toolkit.studio.source import Samples, Source, View
from toolkit.studio.text import plain
from toolkit.studio.widgets import WEIGHTED, guarded, interval, link, not_judged, percent
from toolkit.tuning import choose_threshold
from toolkit.words import counted

_GOAL: Final = "precision>=0.9"
_USUAL: Final = 50.0
_SHOWING: Final = "presentation"
Compared = tuple[Source, Source, tuple[float, float]]
"""Base, candidate, and the threshold of each in percent."""


def page(view: View) -> None:
    """Draws the page."""
    address.start(_SHOWING, "present", ["", "1"])
    showing = st.session_state[_SHOWING] == "1" and len(view.runs) > 1
    address.put("present", st.session_state[_SHOWING])
    if showing:
        presentation.dress()
    else:
        st.title("Compare", anchor=False)
    if len(view.runs) < 2:
        st.info(
            "There is one run only. Open another one of the same images on the **Runs** page, or analyze them once "
            "more with an adapter.",
            icon=":material/compare_arrows:",
        )
        return
    base, candidate = _runs(view, hidden=showing)
    if showing and not _presentable(view, base, candidate):  # the page says why, and has what it takes
        st.session_state[_SHOWING] = ""
        st.rerun()
    if view.samples is None or view.truth is None:
        st.info(
            "There are no labelled samples, so nobody can say which of the two is right. Load some on the **Runs** "
            "page, or label some on the **Label** page.",
            icon=":material/label:",
        )
    elif base.name == candidate.name:
        st.info("These are one run: choose two different ones.", icon=":material/compare_arrows:")
    elif nobody := [run for run in (base, candidate) if not kept.judged_any(run, view.samples, view.label)]:
        not_judged(nobody, view.samples, view.label)
    elif not _found(view, base, candidate):
        with guarded():
            _wrong_flags(view.samples, base, candidate, view.label)
    else:
        with guarded():
            if view.truth.weights is not None:
                _weighted(view.samples, base, candidate, view.label, showing=showing)
            else:
                _compared(view, view.samples, base, candidate, view.label, showing=showing)
    if showing:
        st.button("Leave the presentation", icon=":material/close_fullscreen:", on_click=_show, args=("",))
        presentation.begin_above()
    else:
        with guarded():
            evaluation.section(candidate)
        with guarded():
            tryout.section(view.workspace, base, candidate, view.label, _on_screen())


def _presentable(view: View, base: Source, candidate: Source) -> bool:
    return view.truth is not None and base.name != candidate.name and _found(view, base, candidate)


def _found(view: View, *runs: Source) -> bool:
    """Whether the label is on a judged image of each run: else no find can be compared."""
    samples = view.samples
    return samples is not None and all(
        kept.judged_any(run, samples, view.label) and kept.curve(run, samples, view.label).positives for run in runs
    )


def _runs(view: View, *, hidden: bool) -> tuple[Source, Source]:
    """The two runs: from the address, else the base model's and an adapter's."""
    by_name = {run.name: run for run in view.runs}
    places = st.columns(2) if not hidden else (None, None)
    base, candidate = (
        address.choose(place, title, title.lower(), list(by_name), source.NOT_OPEN, usual=usual)
        for title, usual, place in zip(("Base", "Candidate"), _usual_runs(view), places, strict=True)
    )
    return by_name[base], by_name[candidate]


def _usual_runs(view: View) -> tuple[str, str]:
    names = [run.name for run in view.runs]
    plain_run = next((run.name for run in view.runs if run.adapter is None), names[0])
    adapted = next((run.name for run in view.runs if run.adapter is not None), None)
    return plain_run, adapted or next((name for name in names if name != plain_run), names[0])


def comparison(view: View) -> Compared | None:
    """What this page compares, for another one: base, candidate and their thresholds, which stand in its address, too.

    None where there is nothing to compare: one run only, no samples, no judged image that shows the label, or samples
    that were not picked uniformly.
    """
    if len(view.runs) < 2 or view.samples is None or view.truth is None or view.truth.weights is not None:
        return None
    base, candidate = _runs(view, hidden=True)
    if base.name == candidate.name or not _found(view, base, candidate):
        return None
    return base, candidate, _thresholds(view.samples, base, candidate, view.label, hidden=True)


def _weighted(samples: Samples, base: Source, candidate: Source, label: str, *, showing: bool) -> None:
    """What can be said with samples that were not picked uniformly: each run's curve, and no test of the difference."""
    if showing:
        st.title(plain(f"{label}: {base.name} against {candidate.name}"), anchor=False)
    else:
        way = urlencode({"strategy": "uniform", "label": label})
        st.info(
            "These samples were not picked uniformly, so their images carry weights: each run's own rates can be told, "
            "but not yet what changes from image to image. For that, label images with the strategy **uniform** on the "
            f"[Label page](label?{way}), and use these labels as the samples.",
            icon=":material/label:",
        )
    at = _thresholds(samples, base, candidate, label, hidden=showing)
    curves = [kept.curve(run, samples, label) for run in (base, candidate)]
    points = [curve.at(each) for curve, each in zip(curves, at, strict=True)]
    _numbers((base, candidate), points, curves[0].confidence_level)
    figure = plots.base_against_candidate(*curves, thresholds=at, names=(base.name, candidate.name))
    _curves(figure, showing=showing)
    st.caption(WEIGHTED)
    if not showing:
        _offer_room()


def _wrong_flags(samples: Samples, base: Source, candidate: Source, label: str) -> None:
    """What can be said where the label is on none of a run's judged images: how many each model flags wrongly."""
    runs = (base, candidate)
    curves = [kept.curve(run, samples, label) for run in runs]
    where = " and ".join(run.name for run, curve in zip(runs, curves, strict=True) if not curve.positives)
    st.info(
        plain(
            f"{label} is on none of the judged images of {where}, so finds cannot be compared, only what is flagged "
            "wrongly. Label images that show it, or choose another label at the left."
        ),
        icon=":material/label:",
    )
    link("label", "Label images for it on the Label page", label=label)
    at = _thresholds(samples, base, candidate, label, hidden=False)
    for place, run, curve, each in zip(st.columns(2, border=True), runs, curves, at, strict=True):
        place.markdown(f"**{plain(run.name)}** at {written(each)}\xa0%")
        place.metric("Flagged wrongly", f"{curve.at(each).fp:,}")
        place.caption(f"of {counted(curve.negatives, 'image')} judged not to show it")


def _compared(view: View, samples: Samples, base: Source, candidate: Source, label: str, *, showing: bool) -> None:
    at = _thresholds(samples, base, candidate, label, hidden=showing)
    found = kept.comparison(base, candidate, samples, label, at)
    points = [kept.curve(run, samples, label).at(each) for run, each in zip((base, candidate), at, strict=True)]
    curves = [kept.curve(run, samples, label) for run in (base, candidate)]
    figure = plots.base_against_candidate(*curves, thresholds=at, names=(base.name, candidate.name))
    if showing:  # the curves come first: they must be on the first screen
        st.title(plain(headline(found, *points)), anchor=False)
        _numbers((base, candidate), points, found.confidence_level)
        _curves(figure, showing=True)
        st.caption(verdict(found))
        flips.section(view, found, showing=True)
        return
    st.subheader(plain(headline(found, *points)), anchor=False)
    st.caption(verdict(found))
    _numbers((base, candidate), points, found.confidence_level)
    _curves(figure, showing=False)
    _offer_room()
    st.plotly_chart(plots.differences(found), key="differences")
    flips.section(view, found, showing=False)


def _curves(figure: go.Figure, *, showing: bool) -> None:
    config = {"displayModeBar": False} if showing else None
    st.plotly_chart(presentation.enlarged(figure) if showing else figure, key="curves", config=config)


def _offer_room() -> None:
    st.button(
        "Show it to a room", icon=":material/slideshow:", help="Large type, no controls.", on_click=_show, args=("1",)
    )


def _show(how: str) -> None:
    """Begins (1) or ends (nothing) the presentation; for the callback of a button."""
    address.nothing_missing()
    st.session_state[_SHOWING] = how


def headline(found: Comparison, base: OperatingPoint, candidate: OperatingPoint) -> str:
    """The comparison in one sentence, of judged images only."""
    positives = base.tp + base.fn
    return (
        f"The candidate finds {candidate.tp:,} of {positives:,} {found.label} images, the base {base.tp:,}; it flags "
        f"{candidate.fp:,} wrongly, the base {base.fp:,}."
    )


def verdict(found: Comparison) -> str:
    """Whether the difference is more than chance."""
    fixed = f"{counted(found.fixed, 'judged image')} {'is' if found.fixed == 1 else 'are'}"
    right = f"{fixed} decided right only by the candidate, {found.broken:,} only by the base"
    chance = f"p\xa0=\xa0{found.p_value:.2g}, McNemar's exact test on {found.judged:,} images"
    if found.fixed == found.broken:
        return f"{right}: neither is right more often ({chance})."
    better = "candidate" if found.fixed > found.broken else "base"
    if found.p_value < 1 - found.confidence_level:
        return f"{right}: the {better} is right more often, and that is hardly chance ({chance})."
    return f"{right}: that can be chance ({chance}); label more images to know."


def _on_screen() -> tuple[float, float]:
    """The thresholds on screen; without samples there are none, and then Rekognition's own."""
    return st.session_state.get("base at", _USUAL), st.session_state.get("candidate at", _USUAL)


def _thresholds(samples: Samples, base: Source, candidate: Source, label: str, *, hidden: bool) -> tuple[float, float]:
    """One a run: from the address, else what is suggested for it."""
    values = []
    places = st.columns(2) if not hidden else (None, None)
    about = (base.name, candidate.name, label)
    fresh = st.session_state.get("compared") != about
    st.session_state["compared"] = about
    for key, run, place in (("base at", base, places[0]), ("candidate at", candidate, places[1])):
        curve = kept.curve(run, samples, label)
        name = key.replace(" ", "_")
        text = address.given(key, name)
        given = address.number(text, curve.min_confidence, 100)
        if fresh or key not in st.session_state:
            st.session_state[key] = _start(curve, given)
        if text and given is None:
            what, instead = f"the threshold of {run.name}", written(st.session_state[key])
            address.refused(what, text, curve.min_confidence, 100, instead)
        if place is not None:
            place.number_input(
                f"Threshold of {plain(run.name)} (%)", float(curve.min_confidence), 100.0, step=0.1, format="%.9g",
                key=key, persist_state="session", help=f"At first what {_GOAL} suggests on these samples.",
            )  # fmt: skip
        values.append(float(st.session_state[key]))
        address.put(name, written(values[-1]))
    return values[0], values[1]


def _start(curve: ThresholdCurve, given: float | None) -> float:
    """A threshold to begin with: the given one, else what is suggested, else what is usual."""
    suggested = choose_threshold(curve, _GOAL).threshold
    start = next(value for value in (given, suggested, _USUAL) if value is not None)
    return min(max(float(written(start)), curve.min_confidence), 100.0)


def _numbers(runs: tuple[Source, Source], points: list[OperatingPoint], level: float) -> None:
    for place, run, point in zip(st.columns(2, border=True), runs, points, strict=True):
        place.markdown(f"**{plain(run.name)}** at {written(point.threshold)}\xa0%")
        precision, recall = place.columns(2)
        precision.metric("Precision", percent(point.precision))
        precision.caption(interval(point.precision_low, point.precision_high, level))
        recall.metric("Recall", percent(point.recall))
        recall.caption(interval(point.recall_low, point.recall_high, level))
