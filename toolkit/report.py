"""One self-contained HTML file to send to a colleague."""

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike
from typing import Any

import jinja2
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from toolkit import plots, storage
from toolkit.curves import threshold_curve
from toolkit.errors import NotLabelled
from toolkit.results import Results
from toolkit.truth import Truth
from toolkit.tuning import choose_threshold


def write_report(
    destination: str | PathLike[str],
    runs: Mapping[str, Results],
    truth: Truth | None = None,
    *,
    labels: Sequence[str] | None = None,
    objective: str = "precision>=0.9",
    title: str = "Moderation report",
) -> None:
    """Writes what runs found, and what each threshold would do, as one HTML file that needs nothing else.

    Parameters
    ----------
    destination
        Path or S3 URI of the file.
    runs
        Name to results; shown side by side.
    truth
        Labelled samples; without them there are distributions but no rates.
    labels
        Which ones to show; None takes those that were reported in a run (and, with truth, judged).
    objective
        As in `choose_threshold`.
    title
        Heading.

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
        runs=[_run(name, results) for name, results in runs.items()],
        labels=[{"name": label, "runs": _compare(label, runs, truth, objective)} for label in shown],
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


def _compare(label: str, runs: Mapping[str, Results], truth: Truth | None, objective: str) -> list[dict[str, Any]]:
    return [_one(name, label, results, truth, objective) for name, results in runs.items()]


def _one(name: str, label: str, results: Results, truth: Truth | None, objective: str) -> dict[str, Any]:
    found: dict[str, Any] = {"run": name, "choice": None, "curve": None, "figures": [], "note": ""}
    if truth is not None:
        try:
            curve = threshold_curve(results, truth, label)
        except NotLabelled as error:
            return found | {"note": str(error), "figures": [_html(plots.distribution(results, label))]}
        choice = choose_threshold(curve, objective)
        found |= {"curve": curve, "choice": choice}
        if len(curve.thresholds):
            found["figures"] = [
                _html(plots.distribution(results, label, truth, threshold=choice.threshold)),
                _html(plots.tradeoff(curve, choice)),
            ]
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
