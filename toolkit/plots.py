"""Tables in, Plotly figures out; nothing is computed here that a table does not already say.

Figures are drawn from binned or thinned data, so that a million images weigh no more than a thousand. Text that comes
from outside (label names) is escaped: Plotly renders some HTML.
"""

import html
from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from toolkit import checks
from toolkit.curves import ThresholdCurve
from toolkit.results import Results
from toolkit.truth import Truth
from toolkit.tuning import Choice

# Okabe and Ito's palette: told apart with every common colour blindness.
BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
GREY: Final = "#8A8F98"

_MAX_POINTS: Final = 1000


def distribution(
    results: Results,
    label: str,
    truth: Truth | None = None,
    *,
    threshold: float | None = None,
    bin_width: float = 2.0,
) -> go.Figure:
    """Histogram of one label's confidence.

    Parameters
    ----------
    results
        A run.
    label
        A moderation label.
    truth
        Colours the images by what people said of them: present, absent, not judged.
    threshold
        Draws a line at this confidence (percent).
    bin_width
        Percent, about: the range from the run's floor to 100 is cut into equal bins. From 0.1 to 100.

    Returns
    -------
    plotly.graph_objects.Figure
        What lies below the run's floor is shaded as unknown, and its images are counted in the subtitle.

    Raises
    ------
    NotLabelled
        With truth: nobody judged `label`, or none of the judged images is in this run.
    InvalidArgument
        `bin_width` or `threshold` is out of its range.
    """
    checks.within("bin_width", bin_width, 0.1, 100)
    if threshold is not None:
        checks.within("threshold", threshold, 0, 100)
    scores = results.scores(label)
    reported = ~np.isnan(scores)
    edges = _edges(results.min_confidence, bin_width)
    figure = go.Figure()
    for name, rows, colour in _groups(results, label, truth):
        counts, _ = np.histogram(scores[rows & reported], bins=edges)
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=np.diff(edges),
            name=name,
            marker_color=colour,
            marker_line={"color": "white", "width": 0.5},
            customdata=np.column_stack([edges[:-1], edges[1:]]),
            hovertemplate="%{y} images from %{customdata[0]:.4~g} to %{customdata[1]:.4~g}<extra>" + name + "</extra>",
        )
    below = int((~reported).sum())
    _shade_unknown(figure, results.min_confidence)
    if threshold is not None:
        _mark(figure, threshold)
    return _dress(
        figure,
        f"{html.escape(label)}: confidence of {int(reported.sum()):,} images",
        f"{below:,} more were not reported (below {results.min_confidence:g}, or not at all)",
        "confidence (%)",
        "images",
    ).update_layout(barmode="stack", bargap=0)


def tradeoff(curve: ThresholdCurve, choice: Choice | None = None, *, threshold: float | None = None) -> go.Figure:
    """Precision and recall against the threshold, with their intervals as bands.

    Parameters
    ----------
    curve
        From `threshold_curve`.
    choice
        Marks the chosen threshold.
    threshold
        Marks this one instead (percent).

    Returns
    -------
    plotly.graph_objects.Figure
    """
    table = _from_floor(_thinned(curve.table), curve.min_confidence)
    figure = go.Figure()
    for rate, colour in (("precision", BLUE), ("recall", ORANGE)):
        _band(figure, table, rate, colour)
        figure.add_scatter(
            x=table["threshold"],
            y=table[rate],
            name=rate,
            mode="lines",
            line={"color": colour, "width": 2.5, "shape": "vh"},  # a threshold holds back to the one before it
            hovertemplate="%{y:.3f} at %{x:.2f}<extra>" + rate + "</extra>",
        )
    _shade_unknown(figure, curve.min_confidence)
    at = threshold if threshold is not None else (choice.threshold if choice else None)
    if at is not None:
        _mark(figure, at)
    judged = f"{curve.positives:,} images with the label, {curve.negatives:,} without"
    _dress(
        figure,
        f"{html.escape(curve.label)}: what each threshold does",
        f"{judged}; bands: {curve.confidence_level:.0%} intervals",
        "threshold (%)",
        "rate",
    )
    return figure.update_yaxes(range=[0, 1.02], tickformat=".0%")


def _groups(results: Results, label: str, truth: Truth | None) -> list[tuple[str, NDArray[np.bool_], str]]:
    if truth is None:
        return [("all images", np.ones(results.n_images, dtype=bool), BLUE)]
    known, present = truth.matched(label, results.images["source_ref"])
    groups = [
        ("label is there", known & present, ORANGE),
        ("label is not there", known & ~present, BLUE),
        ("not judged", ~known, GREY),
    ]
    return [group for group in groups if group[1].any()]


def _edges(floor: float, width: float) -> NDArray[np.float64]:
    """Equal bins from the floor to 100: a bar must not reach into what is not known."""
    bins = max(1, round((100 - floor) / width))
    return np.linspace(min(floor, 100 - width), 100, bins + 1)


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    """At most a thousand rows, ends kept: more cannot be seen."""
    if len(table) <= _MAX_POINTS:
        return table
    return table.iloc[np.unique(np.linspace(0, len(table) - 1, _MAX_POINTS).astype(int))]


def _from_floor(table: pd.DataFrame, floor: float) -> pd.DataFrame:
    """Between the run's floor and the lowest confidence seen, nothing changes: the lines begin at the floor."""
    if table.empty or table["threshold"].iloc[0] <= floor:
        return table
    return pd.concat([table.iloc[:1].assign(threshold=floor), table], ignore_index=True)


def _band(figure: go.Figure, table: pd.DataFrame, rate: str, colour: str) -> None:
    drawn = table.dropna(subset=[f"{rate}_low", f"{rate}_high"])
    shared = {"x": drawn["threshold"], "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    line = {"width": 0, "shape": "vh"}
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    figure.add_scatter(y=drawn[f"{rate}_high"], line=line, **shared)
    figure.add_scatter(
        y=drawn[f"{rate}_low"], line=line, fill="tonexty", fillcolor=f"rgba({red},{green},{blue},0.15)", **shared
    )


def _shade_unknown(figure: go.Figure, floor: float) -> None:
    if floor > 0:
        figure.add_vrect(
            x0=0,
            x1=floor,
            fillcolor=GREY,
            opacity=0.18,
            line_width=0,
            annotation_text="unknown" if floor >= 8 else "",
            annotation_position="top left",
        )


def _mark(figure: go.Figure, threshold: float) -> None:
    figure.add_vline(
        x=threshold,
        line={"color": GREEN, "width": 2, "dash": "dash"},
        annotation_text=f"{threshold:.1f}",
        annotation_position="bottom left" if threshold > 50 else "bottom right",
        annotation_font_color=GREEN,
    )


def _dress(figure: go.Figure, title: str, subtitle: str, x: str, y: str) -> go.Figure:
    return figure.update_layout(
        template="plotly_white",
        title={"text": title, "subtitle": {"text": subtitle}, "x": 0, "xanchor": "left", "font": {"size": 17}},
        xaxis={"title": x, "range": [0, 100]},
        yaxis={"title": y, "rangemode": "tozero"},
        legend={"orientation": "h", "yanchor": "top", "y": -0.25, "x": 0},
        margin={"l": 60, "r": 20, "t": 80, "b": 80},
        font={"family": "system-ui, sans-serif", "size": 13},
        hovermode="closest",
        height=400,
    )
