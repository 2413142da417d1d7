"""One self-contained HTML file to send to a colleague."""

import html
import math
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike
from typing import Any, Final

import jinja2
import plotly.graph_objects as go
import plotly.io
from plotly.offline import get_plotlyjs

from toolkit import plots, storage, taxonomy
from toolkit.compare import Comparison
from toolkit.confidence import written
from toolkit.curves import ThresholdCurve, threshold_curve
from toolkit.errors import BelowFloor, NotLabelled
from toolkit.policy import OtherModels, Policy, Rule
from toolkit.results import Results
from toolkit.truth import Truth
from toolkit.tuning import choose_threshold

_MEASURES: Final = {"fp": "flagged wrongly", "fn": "missed"}
"""Those that are numbers of images, in words."""


def write_report(
    destination: str | PathLike[str],
    runs: Mapping[str, Results],
    truth: Truth | None = None,
    *,
    labels: Sequence[str] | None = None,
    objective: str = "precision>=0.9",
    title: str = "Moderation report",
    policy: Policy | None = None,
    comparisons: Mapping[tuple[str, str], Comparison] | None = None,
) -> None:
    """Writes what runs found, and what each threshold would do, as one HTML file that needs nothing else.

    Parameters
    ----------
    destination
        Path or S3 URI of the file.
    runs
        Name to results; shown side by side.
    truth
        Labelled samples, named after their `source`; without them there are distributions but no rates.
    labels
        Which ones to show; None takes those that were reported in a run (and, with truth, judged).
    objective
        As in `choose_threshold`.
    title
        Heading.
    policy
        The one in use: its rules, what it would do with a thousand images like those of each run, and what each of its
        thresholds does on the labelled samples. Warns of labels as `Policy.forecast`.
    comparisons
        Names of base and candidate to what `compare` found; each is a section.

    Raises
    ------
    NotFound, Unreachable
        It cannot be written.
    NotLabelled
        There are labelled samples, and no judgement in them.
    InvalidObjective
    """
    shown = list(labels) if labels is not None else _labels(runs, truth)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("toolkit", "templates"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html.j2").render(
        title=title,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        objective=objective,
        plotlyjs=get_plotlyjs(),
        samples=None if truth is None else _samples(truth),
        runs=[_run(name, results) for name, results in runs.items()],
        policy=None if policy is None or not policy.rules else _policy(policy, runs),
        comparisons=[_comparison(*names, found) for names, found in (comparisons or {}).items()],
        labels=[{"name": label, "runs": _compare(label, runs, truth, objective, policy)} for label in shown],
        exact=written,
        dark=plotly.io.templates["plotly_dark"].layout.to_plotly_json(),
    )
    storage.write(destination, page.encode("utf-8"))


def write_figures(destination: str | PathLike[str], title: str, figures: Sequence[go.Figure]) -> None:
    """Writes figures, one below the other, as one self-contained HTML file.

    Parameters
    ----------
    destination
        Path or S3 URI of the file.
    title
        Plain text; it is escaped.
    figures
        In order.

    Raises
    ------
    NotFound, Unreachable, RequestRefused
        It cannot be written.
    """
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
    body = "\n".join(_html(figure) for figure in figures)
    storage.write(destination, f"{head}<script>{get_plotlyjs()}</script><body>{body}</body></html>".encode())


def _labels(runs: Mapping[str, Results], truth: Truth | None) -> list[str]:
    reported = list(dict.fromkeys(name for results in runs.values() for name in results.label_names()))
    if truth is None:
        return reported
    truth.require_judgements()
    return [label for label in truth.labels if label in reported]


def _run(name: str, results: Results) -> dict[str, Any]:
    return {
        "name": name,
        "images": results.n_images,
        "flagged": results.labels["image"].nunique(),
        "failures": results.failures,
        "min_confidence": results.min_confidence,
        "floor_source": results.floor_source,
        "adapter": ", ".join(results.project_versions) or "none (base model)",
        "errors": results.errors.to_dict("records"),
    }


def _samples(truth: Truth) -> dict[str, Any]:
    return {"name": truth.source, "images": truth.n_images, "weighted": truth.weights is not None}


def _policy(policy: Policy, runs: Mapping[str, Results]) -> dict[str, Any]:
    """The rules as text, and the forecast for each run, or why there is none."""
    rules = [
        {"label": label, **{name: "" if at is None else written(at) for name, at in _bands(rule).items()}}
        for label, rule in policy.rules.items()
    ]
    forecasts = []
    for name, results in runs.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OtherModels)  # it is said in the report
                rows = policy.forecast(results).to_dict("records")
            forecasts.append({"run": name, "rows": rows, "note": " ".join(policy.on_other_models(results))})
        except BelowFloor as error:
            forecasts.append({"run": name, "rows": [], "note": str(error)})
    least = policy.min_confidence
    return {"rules": rules, "forecasts": forecasts, "min_confidence": "" if least is None else written(least)}


def _bands(rule: Rule) -> dict[str, float | None]:
    return {"review": rule.review, "block": rule.block}


def _in_use(policy: Policy | None, curve: ThresholdCurve) -> list[dict[str, Any]]:
    """What each threshold of the label's rule does on the judged images, or why nobody knows."""
    rule = policy.rules.get(taxonomy.canonical(curve.label)) if policy is not None else None
    found = []
    for name, at in _bands(rule).items() if rule is not None else ():
        if at is None:
            continue
        try:
            found.append({"what": f"{name} from {written(at)}", "point": curve.at(at), "note": ""})
        except BelowFloor as error:
            found.append({"what": f"{name} from {written(at)}", "point": None, "note": str(error)})
    return found


def _comparison(base: str, candidate: str, found: Comparison) -> dict[str, Any]:
    def number(measure: str, value: float, sign: str) -> str:
        if math.isnan(value):
            return "–"
        return f"{value:{sign},.0f}" if measure in _MEASURES else f"{value:{sign}.3f}"

    rows = [
        {"measure": _MEASURES.get(measure, measure)}
        | {name: number(measure, value, "" if name in {"base", "candidate"} else "+") for name, value in row.items()}
        for measure, row in zip(
            found.rates["measure"], found.rates.drop(columns="measure").to_dict("records"), strict=True
        )
    ]
    before, after = (written(at) for at in found.thresholds)
    return {
        "base": base, "candidate": candidate, "found": found, "base_at": before, "candidate_at": after, "rows": rows,
        "figure": _html(plots.differences(found)),
    }  # fmt: skip


def _compare(
    label: str, runs: Mapping[str, Results], truth: Truth | None, objective: str, policy: Policy | None
) -> list[dict[str, Any]]:
    return [_one(name, label, results, truth, objective, policy) for name, results in runs.items()]


def _one(
    name: str, label: str, results: Results, truth: Truth | None, objective: str, policy: Policy | None
) -> dict[str, Any]:
    found: dict[str, Any] = {"run": name, "choice": None, "curve": None, "figures": [], "note": "", "in_use": []}
    if truth is not None:
        try:
            curve = threshold_curve(results, truth, label)
        except NotLabelled as error:
            return found | {"note": str(error), "figures": [_html(plots.distribution(results, label))]}
        choice = choose_threshold(curve, objective)
        found |= {"curve": curve, "choice": choice, "in_use": _in_use(policy, curve)}
        if len(curve.thresholds):
            found["figures"] = [
                _html(plots.distribution(results, label, truth, threshold=choice.threshold)),
                _html(plots.tradeoff(curve, choice)),
            ]
        elif label in results.label_names():
            found["figures"] = [_html(plots.distribution(results, label))]
    else:
        found["figures"] = [_html(plots.distribution(results, label))]
    return found


def _html(figure: go.Figure) -> str:
    # The script stands once in the page's head; these are only the figures.
    return str(
        figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            default_width="100%",
            config={"displaylogo": False, "responsive": True},
        )
    )
