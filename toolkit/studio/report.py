"""Report: one HTML file for colleagues, and every table of this run as CSV and Parquet."""

import tempfile
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

from toolkit import export
from toolkit.compare import Comparison
from toolkit.confidence import written
from toolkit.policy import Policy
from toolkit.report import write_report
from toolkit.results import Results
from toolkit.slices import slices
from toolkit.studio import address, compare, kept, policies, source, threshold
from toolkit.studio.compare import Compared
from toolkit.studio.source import Samples, Source, View
from toolkit.studio.text import plain
from toolkit.studio.widgets import guarded

_TITLE: Final = "Moderation report"
_GOAL: Final = "precision>=0.9"
_LONGEST: Final = 200
_MOST: Final = 1_000_000
"""Rows that are made into a file here; larger tables are for `results.images.to_parquet`."""


def page(view: View) -> None:
    """Draws the page."""
    st.title("Report", anchor=False)
    st.caption("One file that needs nothing else: distributions, trade-offs and thresholds, to send or to keep.")
    policies.say(view, "reports and tables are made without it")
    compared = None
    with guarded():
        compared = compare.comparison(view)
    with guarded():
        _html(view, compared)
    st.subheader("Tables", anchor=False)
    st.caption("In CSV, text that a spreadsheet would run as a formula has an apostrophe before it; Parquet has none.")
    with guarded():
        _tables(view, compared)


def _html(view: View, compared: Compared | None) -> None:
    names = [run.name for run in view.runs]
    with st.form("report", border=True):
        title = _words("Title", "title", _TITLE, _TITLE)
        chosen = address.choose_several(
            "Runs", "report runs", "runs", names, "not open here, and can be opened again on the Runs page",
            usual=[view.source.name],
        )  # fmt: skip
        options = source.labels(view.results, view.truth)
        labels = address.choose_several(
            "Labels", "report labels", "about", options, "neither in this run nor in the labelled samples",
            usual=options[:8], hint="In the order in which they are shown.",
        )  # fmt: skip
        objective = _words("What the thresholds should reach", "goal", _GOAL, st.session_state.get("objective", _GOAL))
        with_comparison = compared is not None and _with_comparison(view, compared)
        made = st.form_submit_button(
            "Make the report", type="primary", icon=":material/description:", on_click=address.nothing_missing
        )
    about = (_about(view, compared), title, tuple(chosen), tuple(labels), objective, with_comparison)
    if made:
        if not chosen or not labels:
            st.warning("Choose at least one run and one label.")
            return
        with st.spinner("Writing the report …"):
            runs = {run.name: source.load(run) for run in view.runs if run.name in chosen}
            comparisons = _comparisons(view, compared) if with_comparison else {}
            html = _written(view, runs, labels, objective, title, comparisons)
            st.session_state["report made"] = (about, html)
    of, data = st.session_state.get("report made", (None, b""))
    if of is not None and of != about:  # another form, of another run, other samples, or files that have changed
        del st.session_state["report made"]
    elif of is not None:
        st.download_button(
            f"Download the report ({len(data) / 1e6:.1f} MB)", data, "moderation-report.html", "text/html",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def _with_comparison(view: View, compared: Compared) -> bool:
    """Asks whether the report has what the Compare page shows."""
    key = "report comparison"
    wanted = address.given(key, "comparison")
    st.session_state.setdefault(key, wanted != "no")
    base, candidate, (base_at, candidate_at) = compared
    against = f"{candidate.name} at {written(candidate_at)} against {base.name} at {written(base_at)}"
    title = f"With {against}, for {view.label}, as on the Compare page"
    asked = st.checkbox(plain(title), key=key, persist_state="session")
    address.put("comparison", "" if asked else "no")
    return asked


def _words(title: str, name: str, usual: str, start: str) -> str:
    """A line of text that stands in the address, once it was sent with the form."""
    key, begun = f"report {name}", f"report {name} began with"
    wanted = address.given(key, name)
    if st.session_state.get(key) in (None, st.session_state.get(begun)):  # nobody has typed anything
        st.session_state[key] = (wanted or start)[:_LONGEST]
    st.session_state[begun] = start
    said = st.text_input(title, key=key, max_chars=_LONGEST, persist_state="session")
    address.put(name, said, usual)
    return said


def _about(view: View, compared: Compared | None) -> tuple[Hashable, ...]:
    """What a report is of; where this changes, one made before is out of date."""
    files: list[Source | Samples] = [*view.runs, *([view.samples] if view.samples else [])]
    policy = policies.readable(view)
    rules = None if policy is None else kept.rules_of(policy)
    return view.source.name, rules, compared, *((each, source.stamp(each)) for each in files)


def _written(
    view: View,
    runs: dict[str, Results],
    labels: list[str],
    objective: str,
    title: str,
    comparisons: dict[tuple[str, str], Comparison],
) -> bytes:
    # An upload lies under a name of ours; the reader knows it by another.
    truth = view.truth and replace(view.truth, source=view.samples.name if view.samples else view.truth.source)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.html")
        write_report(
            path, runs, truth, labels=labels, objective=objective, title=title,
            policy=_policy(view), comparisons=comparisons,
        )  # fmt: skip
        return path.read_bytes()


def _tables(view: View, compared: Compared | None) -> None:
    made = _available(view, compared)
    words = {name: f"{name}: {rows}" for name, rows in made.items()}
    absent = "cannot be made of this run and label"
    name = address.choose(st.container(), "Table", "which", list(made), absent, usual="overview", short=words)
    key = f"table {name} of {view.source.name}, {view.label}: {made[name]}"
    if st.button("Make the files", key="make", icon=":material/table:"):
        st.session_state["table"] = (key, _table(view, name, compared))
    kept = st.session_state.get("table")
    if kept is None or kept[0] != key:
        return
    rows: pd.DataFrame = kept[1]
    if len(rows) > _MOST:
        st.warning(f"{len(rows):,} rows are too many for a file from here; take them in a notebook.")
        return
    stem = "-".join("".join(c if c.isalnum() else " " for c in f"{view.source.name} {name}").split())
    files = st.container(horizontal=True)
    files.download_button("CSV", export.to_csv(rows), f"{stem}.csv", "text/csv", on_click="ignore")
    parquet = "application/vnd.apache.parquet"
    files.download_button("Parquet", export.to_parquet(rows), f"{stem}.parquet", parquet, on_click="ignore")
    st.caption(f"{len(rows):,} rows; the first of them:")
    st.dataframe(rows.head(20), hide_index=True, placeholder="–")


def _available(view: View, compared: Compared | None) -> dict[str, str]:
    found = {
        "overview": "one row a label",
        "images": "one row an analyzed image",
        "labels": "one row an image and label",
        "errors": "one row an image that was not analyzed",
    }
    if view.samples is not None and view.truth is not None and view.label is not None:
        found["curve"] = f"every threshold of {view.label}"
        found["judged"] = f"one row a judged image, for {view.label}"
        if kept.types(view.source) and kept.judged_any(view.source, view.samples, view.label):
            at = written(threshold.standing(view, kept.curve(view.source, view.samples, view.label)))
            found["slices"] = f"one row a content type, for {view.label} at {at}"
        found["policy"] = "one row a label, with its rule and what that does"
    if compared is not None:
        (base, candidate, at_each) = compared
        each = [f"{run.name} at {written(at)}" for run, at in zip((base, candidate), at_each, strict=True)]
        found["flips"] = f"one row an image that only one flags for {view.label}, {' against '.join(each)}"
    if _policy(view) is not None:
        found["decisions"] = "what the policy does with each image"
    return found


def _table(view: View, name: str, compared: Compared | None) -> pd.DataFrame:
    if name == "overview":
        return view.results.overview()
    if name in {"images", "labels", "errors"}:
        rows: pd.DataFrame = getattr(view.results, name)
        if name == "labels":
            refs = view.results.images.set_index("image")["source_ref"]
            rows = rows.assign(source_ref=rows["image"].map(refs))
        return rows
    if name == "decisions":
        policy = _policy(view)
        return policy.decide(view.results) if policy is not None else pd.DataFrame()
    if view.samples is None:
        return pd.DataFrame()
    if name == "flips":
        return next((found.flips for found in _comparisons(view, compared).values()), pd.DataFrame())
    if name == "policy":
        return policies.all_labels(view.source, view.samples, _policy(view) or Policy({}))
    if name == "slices":
        at = threshold.standing(view, kept.curve(view.source, view.samples, view.label))
        return slices(view.results, view.label, at, "content_type", view.truth)
    if name == "curve":
        return kept.curve(view.source, view.samples, view.label).table
    return kept.judged(view.source, view.samples, view.label)


def _comparisons(view: View, compared: Compared | None) -> dict[tuple[str, str], Comparison]:
    """What the Compare page shows, by the names of the two runs; nothing where it has nothing to compare."""
    if compared is None or view.samples is None:
        return {}
    base, candidate, at = compared
    return {(base.name, candidate.name): kept.comparison(base, candidate, view.samples, view.label, at)}


def _policy(view: View) -> Policy | None:
    policy = policies.readable(view)
    return policy if policy is not None and policy.rules else None
