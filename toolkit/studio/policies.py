"""The policy on the Tune page: thresholds put into it, all labels in one table, what it would do, and taking it out."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import streamlit as st

from toolkit import taxonomy
from toolkit.confidence import written
from toolkit.curves import ThresholdCurve
from toolkit.errors import InvalidObjective, InvalidPolicy, NotLabelled, ToolkitError
from toolkit.policy import Policy, Rule
from toolkit.studio import kept, source
from toolkit.studio.source import Samples, Source, View
from toolkit.studio.text import plain
from toolkit.studio.threshold import Picked
from toolkit.studio.widgets import clicked, guarded, percent, table, tell, told
from toolkit.tuning import choose_threshold
from toolkit.workspace import Workspace

FILE: Final = "policy.json"
HERE: Final = "policy of this session"
_LAST: Final = "last change of the policy"
_AT_BLOCK: Final = (
    "tp", "fp", "fn", "tn", "precision", "precision_low", "precision_high", "recall", "recall_low", "recall_high"
)  # fmt: skip
_CARD: Final = 220
"""Pixels; so wide, a number's heading is not cut off, and where four of them do not fit, they wrap."""


@dataclass(frozen=True)
class Change:
    """What this session did last: whose rule, the policy as it was, and the rule that it put there (None: none)."""

    label: str
    before: Policy
    after: Rule | None

    def still_there(self, now: Policy) -> bool:
        """Whether nobody has changed this label's rule since."""
        return now.rules.get(self.label) == self.after

    def reverted(self, now: Policy) -> Policy:
        """The policy as it is now, which others may have changed, with this label's rule as it was before."""
        rule = self.before.rules.get(self.label)
        back = now.without(self.label)
        if rule is None:
            return back
        found, was = dict(back.provenance), self.before.provenance
        if self.label in was.get("picked", {}):
            found["picked"] = found.get("picked", {}) | {self.label: was["picked"][self.label]}
        chosen = [each for each in was.get("objectives", []) if each.get("label") == self.label]
        if chosen:
            found["objectives"] = [*found.get("objectives", []), *chosen]
        return Policy({**now.rules, self.label: rule}, found)


def put_in(view: View, curve: ThresholdCurve, picked: Picked) -> None:
    """A button that makes the line's place the label's rule."""
    rule = Rule(block=picked.block, review=picked.review)
    band = "" if rule.review is None else f", review from {written(rule.review)}"
    policy = readable(view)
    if policy is None:
        return
    current = policy.rules.get(curve.label)
    same = current is not None and _in_words(current) == _in_words(rule)
    row = st.container(horizontal=True, vertical_alignment="center")  # wraps: a narrow page cuts off no word
    if row.button(
        f"Put into the policy: block from {written(picked.block)}{band}",
        type="primary", disabled=same, icon=":material/gavel:",
    ):  # fmt: skip
        point = curve.at(picked.block)
        why = {
            "run": view.source.name, "samples": view.samples.name if view.samples else None,
            "tp": point.tp, "fp": point.fp, "fn": point.fn, "tn": point.tn,
        }  # fmt: skip
        _keep(view, curve.label, policy, policy.with_rule(curve.label, rule, why))
    with row:
        _undo(view, policy)
    says = f"The policy says: {_in_words(current)}" if current else "The policy has no rule for it yet."
    row.caption(plain(says + _effect(view, policy, picked.volume)))


def _effect(view: View, policy: Policy, volume: float) -> str:
    """What all rules together do with the images of a day."""
    if not policy.rules:
        return ""
    try:
        rates = kept.forecast(view.source, kept.rules_of(policy)).set_index("decision")["per_thousand"]
    except ToolkitError:  # said where the policy is shown
        return ""
    block, review = (f"{rates[name] * volume / 1000:,.0f}" for name in ("block", "review"))
    return f" With all its rules, {block} of {volume:,.0f} images a day are blocked and {review} reviewed."


def section(view: View, samples: Samples, objective: str, level: float | None, volume: float) -> None:
    """All labels in one table, what the policy would do with the run, and its files."""
    policy = readable(view)
    if policy is None:
        st.caption("It cannot be read; what to do is said above.")
        return
    _labels(view, samples, policy, objective, level)
    _warn(view, policy)
    if not policy.rules:
        st.caption("It is empty: move the line of a label above, and put it into the policy.")
    else:
        with guarded():
            _forecast(view, policy, volume)
        _change(view, policy)
        _files(policy)


def _warn(view: View, policy: Policy) -> None:
    """Rules for labels that are most likely misspelt, as they flag nothing; and thresholds of another model."""
    key = kept.rules_of(policy)
    said = kept.keep("unknown", (view.source,), key, lambda: policy.on_unknown(view.results))
    for each in (*said, *policy.on_other_models(view.results)):
        st.warning(plain(each[0].upper() + each[1:]), icon=":material/warning:")


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
    table(shown.astype({"block": float, "review": float, "suggested": float}), headings, number="%.9g")
    weighted = " Rates are weighted." if source.load_samples(samples).weights is not None else ""
    st.caption(f"In brackets: 95\xa0% intervals.{weighted}")


def _rows(run: Source, samples: Samples, policy: Policy, objective: str, level: float | None) -> list[dict[str, Any]]:
    """One row a label, for reading: its rule, what that does on the judged images, and what the objective suggests."""
    found = []
    for row in all_labels(run, samples, policy).to_dict("records"):
        shown = {str(name): row[name] for name in ("label", "positives", "judged")}
        shown |= {name: _number(row[name]) for name in ("block", "review")}
        if row["judged"]:
            curve = kept.curve(run, samples, row["label"])
            with suppress(InvalidObjective):  # said above the table
                shown["suggested"] = _number(choose_threshold(curve, objective, confidence_level=level).threshold)
            if not pd.isna(row["block"]):
                shown |= _rates(curve, row["block"])
        found.append(shown)
    return found


def all_labels(run: Source, samples: Samples, policy: Policy) -> pd.DataFrame:
    """The policy as a table of numbers: one row a label of the samples or the policy, with what its rule does there.

    Returns
    -------
    pandas.DataFrame
        `label`, `block` and `review` (percent), `positives` and `judged` (images), and at `block` the counts and the
        rates (0–1) with their intervals; missing where there is no rule, or the run reported nothing there.
    """
    rows = []
    for label in dict.fromkeys([*source.load_samples(samples).tunable_labels(), *policy.rules]):
        rule = policy.rules.get(label)
        row: dict[str, Any] = {"label": label, "block": rule and rule.block, "review": rule and rule.review}
        try:
            curve = kept.curve(run, samples, label)
        except NotLabelled:
            rows.append(row | {"positives": 0, "judged": 0})
            continue
        row |= {"positives": curve.positives, "judged": curve.positives + curve.negatives}
        if rule and rule.block is not None and rule.block >= curve.min_confidence:
            point = curve.at(rule.block)
            row |= {name: getattr(point, name) for name in _AT_BLOCK}
        rows.append(row)
    columns = ["label", "block", "review", "positives", "judged", *_AT_BLOCK]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(("block", "review", *_AT_BLOCK), float))


def _rates(curve: ThresholdCurve, block: float) -> dict[str, str]:
    if block < curve.min_confidence:
        return dict.fromkeys(("precision", "recall"), f"unknown below {written(curve.min_confidence)}")
    point = curve.at(block)
    ends = {"precision": (point.precision_low, point.precision_high), "recall": (point.recall_low, point.recall_high)}
    return {
        name: f"{percent(getattr(point, name))} ({100 * low:.1f}–{100 * high:.1f})" if low == low else "–"
        for name, (low, high) in ends.items()
    }


def _number(confidence: float | None) -> float | None:
    """A confidence with the digits that it is written with, and no more."""
    return None if confidence is None or pd.isna(confidence) else float(written(confidence))


def _forecast(view: View, policy: Policy, volume: float) -> None:
    forecast = kept.forecast(view.source, kept.rules_of(policy))
    cards = st.container(horizontal=True)
    places = [cards.container(border=True, width=_CARD, height="stretch") for _ in range(len(forecast) + 1)]
    for place, row in zip(places[:-1], forecast.to_dict("records"), strict=True):
        each, low, high = (
            row[name] * volume / 1000 for name in ("per_thousand", "per_thousand_low", "per_thousand_high")
        )
        place.metric(f"{row['decision'].capitalize()} a day", f"{each:,.0f}")
        place.caption(f"{low:,.0f}\xa0–\xa0{high:,.0f} of {volume:,.0f}; {row['images']:,} of this run")
    least = "–" if policy.min_confidence is None else f"{written(policy.min_confidence)}\xa0%"
    places[-1].metric("Next MinConfidence", least)
    places[-1].caption("The lowest threshold in the policy: with it, the next job reports all that the policy asks.")


def _change(view: View, policy: Policy) -> None:
    choose, button = st.columns([3, 1], vertical_alignment="bottom")
    label = choose.selectbox(
        "Take a label out of the policy", list(policy.rules), index=None, placeholder="choose a label"
    )
    if button.button("Take out", disabled=label is None, width="stretch") and label is not None:
        _keep(view, label, policy, policy.without(label))


def _undo(view: View, policy: Policy) -> None:
    change: Change | None = st.session_state.get(_LAST)
    if change is None:
        return
    if not change.still_there(policy):
        st.caption(plain(f"{change.label} was changed again elsewhere, so there is nothing here to undo."))
    elif st.button("Undo the last change of the policy", icon=":material/undo:"):
        with guarded():
            _save(view, change.reverted(of(view.workspace)))
            del st.session_state[_LAST]
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


def _path(workspace: Workspace | None) -> Path | None:
    return None if workspace is None else workspace.path(FILE)


def say(view: View, until: str) -> None:
    """What is wrong with the policy's file, once a page, and what the page does until that is mended."""
    told()
    try:
        of(view.workspace)
    except ToolkitError as error:
        st.error(plain(in_words(error, until)), icon=":material/error:")
        path = _path(view.workspace)
        if path is not None and isinstance(error, InvalidPolicy):
            st.button(
                "Put it aside and begin anew", icon=":material/drive_file_move:", on_click=_put_aside, args=(path,),
                help="The file is kept beside its place, under another name.",
            )  # fmt: skip


def _put_aside(path: Path) -> None:
    with clicked():
        tell(f"The policy is empty now; the old file is kept as {source.set_aside(path)}.")


def in_words(error: ToolkitError, until: str) -> str:
    """Why the policy cannot be read, what to do, and what happens until that is done."""
    return f"{error} Until that is done, {until}."


def readable(view: View) -> Policy | None:
    """As `of`; None where its file cannot be read, which `say` says."""
    try:
        return of(view.workspace)
    except ToolkitError:
        return None


def of(workspace: Workspace | None) -> Policy:
    """The workspace's policy; where none is open, this session's. Raises as `Policy.load`."""
    path = _path(workspace)
    if path is None:
        kept: Policy = st.session_state.get(HERE, Policy({}))
        return kept
    return Policy.load(path) if path.exists() else Policy({})


def _keep(view: View, label: str, before: Policy, after: Policy) -> None:
    """Saves a change of one label's rule; where that cannot be done, says so and the page goes on."""
    label = taxonomy.canonical(label)
    with guarded():
        _save(view, after)
        st.session_state[_LAST] = Change(label, before, after.rules.get(label))
        st.rerun()


def _save(view: View, policy: Policy) -> None:
    path = _path(view.workspace)
    if path is None:
        st.session_state[HERE] = policy
    else:
        policy.save(path)
