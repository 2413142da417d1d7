"""The policy on the Tune page: thresholds put into it, all labels in one table, what it would do, and taking it out."""

import json
from pathlib import Path
from typing import Any, Final

import pandas as pd
import streamlit as st

from toolkit.confidence import written
from toolkit.curves import ThresholdCurve
from toolkit.errors import InvalidPolicy, NotFound, NotLabelled
from toolkit.policy import Policy, Rule
from toolkit.studio import kept, source
from toolkit.studio.source import Samples, Source, View
from toolkit.studio.threshold import Picked
from toolkit.studio.widgets import guarded, interval, plain, table
from toolkit.tuning import Choice, choose_threshold

FILE: Final = "policy.json"
_HERE: Final = "policy of this session"


def put_in(view: View, curve: ThresholdCurve, picked: Picked) -> None:
    """A button that makes the line's place the label's rule."""
    rule = Rule(block=picked.block, review=picked.review)
    band = "" if rule.review is None else f", review from {written(rule.review)}"
    current = load(view).rules.get(curve.label)
    button, said = st.columns([2, 3], vertical_alignment="center")
    if button.button(
        f"Put into the policy: block from {written(picked.block)}{band}",
        type="primary", width="stretch", disabled=current == rule, icon=":material/gavel:",
    ):  # fmt: skip
        point = curve.at(picked.block)
        why = {
            "run": view.source.name, "samples": view.samples.name if view.samples else None,
            "tp": point.tp, "fp": point.fp, "fn": point.fn, "tn": point.tn,
        }  # fmt: skip
        _keep(view, load(view).with_rule(curve.label, rule, why))
    said.caption(plain(f"The policy says: {_in_words(current)}" if current else "The policy has no rule for it yet."))


def section(view: View, samples: Samples, choice: Choice, volume: float) -> None:
    """All labels in one table, what the policy would do with the run, and its files."""
    st.subheader("Policy", anchor=False)
    policy = load(view)
    _labels(view, samples, policy, choice.objective, choice.confidence_level)
    if not policy.rules:
        st.caption("It is empty: move the line of a label above, and put it into the policy.")
    else:
        with guarded():
            _forecast(view, policy, volume)
        _change(view, policy)
    _undo(view)
    if policy.rules:
        _files(policy)


def _labels(view: View, samples: Samples, policy: Policy, objective: str, level: float | None) -> None:
    headings = {
        "label": "Label", "block": "Block from", "review": "Review from", "precision": "Precision", "recall": "Recall",
        "suggested": "Suggested", "positives": "Show it", "judged": "Judged",
    }  # fmt: skip
    key = (kept.rules_of(policy), objective, level)
    rows = kept.keep(
        "policy", (view.source, samples), key, lambda: _rows(view.source, samples, policy, objective, level)
    )
    shown = pd.DataFrame(rows, columns=list(headings))
    table(shown.astype({"block": float, "review": float, "suggested": float}), headings)


def _rows(run: Source, samples: Samples, policy: Policy, objective: str, level: float | None) -> list[dict[str, Any]]:
    """One row a label: its rule, what that does on the judged images, and what the objective suggests."""
    found = []
    for label in dict.fromkeys([*source.load_samples(samples).tunable_labels(), *policy.rules]):
        rule = policy.rules.get(label)
        row: dict[str, Any] = {"label": label, "block": rule and rule.block, "review": rule and rule.review}
        try:
            curve = kept.curve(run, samples, label)
            choice = choose_threshold(curve, objective, confidence_level=level)
            row |= {
                "suggested": choice.threshold,
                "positives": curve.positives,
                "judged": curve.positives + curve.negatives,
            }
            if rule and rule.block is not None:
                row |= _rates(curve, rule.block)
        except NotLabelled:
            row |= {"positives": 0, "judged": 0}
        found.append(row)
    return found


def _rates(curve: ThresholdCurve, block: float) -> dict[str, str]:
    if block < curve.min_confidence:
        return dict.fromkeys(("precision", "recall"), f"unknown below {written(curve.min_confidence)}")
    point, level = curve.at(block), curve.confidence_level
    ends = {"precision": (point.precision_low, point.precision_high), "recall": (point.recall_low, point.recall_high)}
    return {
        name: f"{100 * getattr(point, name):.1f} %: {interval(*both, level)}" if both[0] == both[0] else "–"
        for name, both in ends.items()
    }


def _forecast(view: View, policy: Policy, volume: float) -> None:
    forecast = kept.forecast(view.source, kept.rules_of(policy))
    columns = st.columns(4, border=True)
    for place, row in zip(columns, forecast.to_dict("records"), strict=False):
        each, low, high = (
            row[name] * volume / 1000 for name in ("per_thousand", "per_thousand_low", "per_thousand_high")
        )
        place.metric(f"{row['decision'].capitalize()} a day", f"{each:,.0f}")
        place.caption(f"{low:,.0f}\xa0–\xa0{high:,.0f} of {volume:,.0f}; {row['images']:,} of this run")
    least = "–" if policy.min_confidence is None else f"{written(policy.min_confidence)}\xa0%"
    columns[3].metric("MinConfidence for the next job", least)
    columns[3].caption("The lowest threshold in the policy: with it, a job reports all that the policy asks about.")


def _change(view: View, policy: Policy) -> None:
    choose, button = st.columns([3, 1], vertical_alignment="bottom")
    label = choose.selectbox(
        "Take a label out of the policy", list(policy.rules), index=None, placeholder="choose a label"
    )
    if button.button("Take out", disabled=label is None, width="stretch") and label is not None:
        _keep(view, policy.without(label))


def _undo(view: View) -> None:
    before = st.session_state.get("policy before")
    if before is not None and st.button("Undo the last change of the policy", icon=":material/undo:"):
        del st.session_state["policy before"]
        _save(view, before)
        st.rerun()


def _files(policy: Policy) -> None:
    st.caption("Take it with you:")
    files = st.container(horizontal=True)
    files.download_button("As a Python function", policy.to_python(), "moderation_policy.py", "text/x-python")
    conditions = policy.to_a2i()
    files.download_button(
        "As Amazon A2I conditions", json.dumps(conditions, indent=2), "a2i-conditions.json", "application/json",
        disabled=not conditions["Conditions"], help="The review bands; without any there is nothing to send to people.",
    )  # fmt: skip
    rules = {label: {"block": rule.block, "review": rule.review} for label, rule in policy.rules.items()}
    files.download_button("As plain JSON", json.dumps(rules, indent=2), "policy-rules.json", "application/json")


def _in_words(rule: Rule) -> str:
    parts = [
        f"{name} from {written(value)}"
        for name, value in (("review", rule.review), ("block", rule.block))
        if value is not None
    ]
    return ", ".join(parts) + "."


def _path(view: View) -> Path | None:
    return None if view.workspace is None else view.workspace.path(FILE)


def load(view: View) -> Policy:
    """The workspace's policy; where none is open, this session's."""
    path = _path(view)
    if path is None:
        kept: Policy = st.session_state.get(_HERE, Policy({}))
        return kept
    try:
        return Policy.load(path)
    except NotFound:
        return Policy({})
    except InvalidPolicy as error:
        raise InvalidPolicy(f"{error} Until then the studio does not touch it.") from error


def _keep(view: View, policy: Policy) -> None:
    st.session_state["policy before"] = load(view)
    _save(view, policy)
    st.rerun()


def _save(view: View, policy: Policy) -> None:
    path = _path(view)
    if path is None:
        st.session_state[_HERE] = policy
    else:
        policy.save(path)
