"""Explore: how many images, what failed, which labels, and how confident the model was."""

from typing import Final

import plotly.graph_objects as go
import streamlit as st

from toolkit import plots
from toolkit.confidence import written
from toolkit.errors import NotLabelled
from toolkit.results import NO_SUMMARY, Results
from toolkit.studio import address, gallery, kept, policies
from toolkit.studio.source import View
from toolkit.studio.text import plain
from toolkit.studio.widgets import guarded, percent, table

_FLOOR: Final = {
    "job": "as the job says",
    "caller": "as given with the run",
    "smallest confidence seen": "the smallest confidence in the file; nobody said what MinConfidence was",
}


_EVERY: Final = "every content type"
_VIEWS: Final = ("Table", "Tree", "Seen together")
_SHAPES: Final = {"Histogram": plots.distribution, "At or above": plots.ecdf}


def page(view: View) -> None:
    """Draws the page."""
    st.title("Explore", anchor=False)
    _adapter(view)
    policies.say(view, "nothing here is counted or filtered by it")
    _counts(view)
    _distribution(view, view.label)
    with guarded():
        _labels(view)
    _errors(view.results)
    gallery.section(view, view.label)


def _counts(view: View) -> None:
    results = view.results
    analyzed, flagged, failed, floor = st.columns(4, border=True)
    analyzed.metric("Images analyzed", f"{results.n_images:,}")
    title, number, said = _flagged(view)
    flagged.metric(title, f"{number:,}")
    flagged.caption(f"{percent(number / results.n_images)} of the analyzed, {said}" if results.n_images else "–")
    count = f"{len(results.errors):,}"
    failed.metric("Failed", count if results.errors_known else f"≥ {count}" if len(results.errors) else "unknown")
    failed.caption("Neither safe nor flagged: unknown." if results.errors_known else f"There is {NO_SUMMARY}.")
    floor.metric("Floor", f"{written(results.min_confidence)}\xa0%")
    floor.caption(f"Nothing is known below it ({_FLOOR[results.floor_source]}).")
    analyzed.caption("Answered by an adapter." if results.project_versions else "Answered by the base model.")


def _flagged(view: View) -> tuple[str, int, str]:
    """How many images are flagged, and by what: the policy's block thresholds or, where there are none, the floor."""
    policy = gallery.policy_of(view)
    if policy is not None and any(rule.block is not None for rule in policy.rules.values()):
        rows = kept.forecast(view.source, kept.rules_of(policy))
        return (
            "Flagged",
            int(rows.loc[rows["decision"] == "block", "images"].sum()),
            "from the policy's block thresholds up.",
        )
    labels = view.results.labels
    number = kept.keep("with a label", (view.source,), None, lambda: int(labels["image"].nunique()))
    return "With a label", number, f"from the run's floor up, {written(view.results.min_confidence)}\xa0%."


def _adapter(view: View) -> None:
    """An expired adapter is silently ignored by AWS; that must not stay silent."""
    asked = view.source.adapter
    if asked is not None and view.results.project_versions != [asked]:
        answered = ", ".join(view.results.project_versions) or "the base model"
        st.warning(
            plain(f"This run asked for the adapter {asked}, but was answered by {answered}; it may have expired."),
            icon=":material/warning:",
        )


def _distribution(view: View, label: str) -> None:
    if label not in kept.names(view.source):
        st.info(plain(f"This run reported {label} on none of its images; choose another label or run at the left."))
        return
    told = kept.judged_any(view.source, view.samples, label)
    types = kept.types(view.source)
    shape, kind = st.columns([3, 1], vertical_alignment="bottom")
    address.start("shape", "shape", list(_SHAPES))
    drawn = shape.radio(
        "Drawn as", list(_SHAPES), key="shape", horizontal=True, label_visibility="collapsed", persist_state="session"
    )
    chosen = gallery.box(kind, "Content type", [_EVERY, *types], "drawn type", "drawn") if len(types) > 1 else _EVERY
    address.put("shape", drawn, next(iter(_SHAPES)))
    draw = _SHAPES[drawn]

    def figure() -> go.Figure:
        results = view.results
        if chosen != _EVERY:
            results = results.where((results.images["content_type"] == chosen).to_numpy(bool))
        try:
            return draw(results, label, view.truth if told else None)
        except NotLabelled:  # nobody judged an image of this type
            return draw(results, label)

    of = (view.source, view.samples) if view.samples else (view.source,)
    st.plotly_chart(kept.keep("distribution", of, (label, drawn, chosen), figure), key="distribution")
    if not told:
        st.caption(
            "No labelled samples speak of this label on these images; load some on the Runs page, or label some on the "
            "Label page, to tell them apart."
        )


def _labels(view: View) -> None:
    st.subheader("Labels", anchor=False)
    overview = kept.overview(view.source)
    columns = {
        "label": "Label", "parent": "Under", "level": "Level", "images": "Images", "share": "Share",
        "median_confidence": "Median confidence",
    }  # fmt: skip
    if overview.empty:
        table(overview, columns, percent=["share"])
        return
    address.start("labels", "labels", _VIEWS)
    drawn = st.radio(
        "Shown as", _VIEWS, key="labels", horizontal=True, label_visibility="collapsed", persist_state="session"
    )
    address.put("labels", drawn, _VIEWS[0])
    if drawn == "Table":
        table(overview, columns, percent=["share"])
    elif drawn == "Tree":
        st.plotly_chart(kept.keep("tree", (view.source,), None, lambda: plots.label_tree(overview)), key="tree")
    else:
        st.plotly_chart(kept.cooccurrence(view.source), key="together")


def _errors(results: Results) -> None:
    st.subheader("Not analyzed", anchor=False)
    if not results.errors_known:
        st.caption(f"Which images failed is unknown: there is {NO_SUMMARY}.")
    elif results.errors.empty:
        st.caption("Every line of the manifest was analyzed.")
    if results.errors.empty:
        return
    st.caption("These images are neither safe nor flagged: nothing is known of them, and they are in no rate.")
    table(results.errors, {"line": "Line", "code": "Code", "message": "Message", "source_ref": "Image"})
