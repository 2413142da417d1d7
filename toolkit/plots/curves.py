"""What every threshold does, for one label or for several curves side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from toolkit import checks
from toolkit.confidence import written
from toolkit.curves import OperatingPoint, ThresholdCurve
from toolkit.errors import InvalidArgument
from toolkit.plots import look
from toolkit.tuning import Choice
from toolkit.words import counted

Curves = ThresholdCurve | Mapping[str, ThresholdCurve]

_POINTS: Final = 3000
"""Points of all lines of a figure together."""

_HOVER: Final = "{y} %{{y:.1%}}, {x} %{{x:.1%}}<br>at %{{customdata:.4~g}}<extra>%{{fullData.name}}</extra>"
_TIED: Final = {"mode": "lines", "showlegend": False, "hoverinfo": "skip"}


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

    Raises
    ------
    InvalidArgument
        `threshold` is not from 0 to 100.
    """
    if threshold is not None:
        checks.within("threshold", threshold, 0, 100)
    figure = go.Figure()
    _draw_rates(figure, curve, most=1000)
    look.shade_unknown(figure, curve.min_confidence)
    at = threshold if threshold is not None else (choice.threshold if choice else None)
    if not _has_rates(curve):
        look.nothing_to_show(figure, _why_empty(curve))
    elif at is not None:  # the line would go through the words
        look.mark(figure, at)
    return look.dress(
        figure,
        f"{curve.label}: what each threshold does",
        f"{_judged(curve)}; bands: {curve.confidence_level:.0%} intervals",
    ).update_layout(xaxis={"title": "threshold (%)", "range": [0, 100]}, yaxis=look.percent_axis(title="rate"))


def precision_recall(curve: Curves, *, threshold: float | None = None) -> go.Figure:
    """Precision against recall, in the steps whose area is the average precision.

    Parameters
    ----------
    curve
        From `threshold_curve`; or several, each with the name that the legend shows.
    threshold
        Marks what happens at this one (percent), with its intervals.

    Returns
    -------
    plotly.graph_objects.Figure
        The average precision (AP) stands in the legend. Dotted: the prevalence, which is the precision of flagging
        everything. It is also where a curve goes beyond the lowest reported threshold: the images below it are tied.

    Raises
    ------
    InvalidArgument
        `threshold` is not from 0 to 100.
    BelowFloor
        One of the runs reported nothing at `threshold`.
    """
    curves = _named(curve, threshold)
    shown = {name: each for name, each in curves.items() if each.positives and len(each.thresholds)}
    figure = go.Figure()
    for number, (name, each) in enumerate(shown.items()):
        rows = look.thinned(each.rates, "recall", "threshold", most=max(_POINTS // len(shown), 50))[::-1]
        prevalence, lowest = each.prevalence, float(each.rates["recall"].iloc[0])
        steps = {"shape": "vh", "color": look.series(number)[0]}  # a step's height is the precision at its right end
        figure.add_scatter(
            x=np.append(0.0, rows["recall"]),
            y=np.append(rows["precision"].iloc[0], rows["precision"]),
            customdata=np.append(rows["threshold"].iloc[0], rows["threshold"]).astype(np.float32),
            line=steps | {"width": 2.5, "dash": look.series(number)[1]},
            hovertemplate=_HOVER.format(y="precision", x="recall"),
            **_entry(curves, name, f"AP {each.average_precision:.3f}"),
        )
        figure.add_scatter(
            x=[lowest, lowest, 1.0],
            y=[rows["precision"].iloc[-1], prevalence, prevalence],
            line=steps | {"width": 1.5, "dash": "dot"},
            **_TIED,
            legendgroup=name,
        )
        if threshold is not None:
            _add_point(figure, each.at(threshold), "recall", "precision", number)
    _add_prevalences(figure, list(shown.values()))
    _say_what_is_missing(figure, curves, shown)
    return look.dress(
        figure,
        _title(curves, "precision and recall"),
        f"{_counts(curves)}AP: area under the steps; dotted: below the floor, all tied{_left_out(curves, shown)}",
        height=430,
    ).update_layout(
        xaxis=look.percent_axis(title="recall", range=[-0.01, 1.02]), yaxis=look.percent_axis(title="precision")
    )


def roc(curve: Curves, *, threshold: float | None = None) -> go.Figure:
    """Recall against the false-positive rate.

    Parameters
    ----------
    curve
        From `threshold_curve`; or several, each with the name that the legend shows.
    threshold
        Marks what happens at this one (percent), with its intervals.

    Returns
    -------
    plotly.graph_objects.Figure
        The area under the curve (AUC) stands in the legend. Dotted: beyond the lowest reported threshold, where the
        images below it are tied; and, in grey, what guessing would do.

    Raises
    ------
    InvalidArgument
        `threshold` is not from 0 to 100.
    BelowFloor
        One of the runs reported nothing at `threshold`.
    """
    curves = _named(curve, threshold)
    shown = {name: each for name, each in curves.items() if each.positives and each.negatives and len(each.thresholds)}
    figure = go.Figure()
    for number, (name, each) in enumerate(shown.items()):
        rows = look.thinned(each.rates, "fpr", "recall", most=max(_POINTS // len(shown), 50))[::-1]
        colour, dash = look.series(number)
        figure.add_scatter(
            x=np.append(0.0, rows["fpr"]),
            y=np.append(0.0, rows["recall"]),
            customdata=np.append(100.0, rows["threshold"]).astype(np.float32),
            line={"width": 2.5, "color": colour, "dash": dash},
            hovertemplate=_HOVER.format(y="recall", x="false-positive rate"),
            **_entry(curves, name, f"AUC {each.roc_auc:.3f}"),
        )
        figure.add_scatter(
            x=[rows["fpr"].iloc[-1], 1.0],
            y=[rows["recall"].iloc[-1], 1.0],
            line={"width": 1.5, "color": colour, "dash": "dot"},
            **_TIED,
            legendgroup=name,
        )
        if threshold is not None:
            _add_point(figure, each.at(threshold), "fpr", "recall", number)
    diagonal = {"mode": "lines", "line": {"color": look.GREY, "width": 1, "dash": "dot"}, "hoverinfo": "skip"}
    figure.add_scatter(x=[0.0, 1.0], y=[0.0, 1.0], name="guessing", legendrank=1002, **diagonal)
    _say_what_is_missing(figure, curves, shown)
    return look.dress(
        figure,
        _title(curves, "ROC, recall against false alarms"),
        f"{_counts(curves)}dotted: below the floor, all tied{_left_out(curves, shown)}",
        height=430,
    ).update_layout(
        xaxis=look.percent_axis(title="false-positive rate", range=[-0.01, 1.02]),
        yaxis=look.percent_axis(title="recall"),
    )


def base_against_candidate(
    base: ThresholdCurve,
    candidate: ThresholdCurve,
    *,
    thresholds: tuple[float, float] | None = None,
    names: tuple[str, str] = ("base", "adapter"),
) -> go.Figure:
    """Precision and recall of two models against the threshold, side by side.

    Parameters
    ----------
    base, candidate
        Curves of one label, from `threshold_curve`.
    thresholds
        Marks one in each panel (percent).
    names
        What to call the two.

    Returns
    -------
    plotly.graph_objects.Figure
        Two panels on one scale, each with the floor of its own run.

    Raises
    ------
    InvalidArgument
        The curves are about different labels, or a threshold is not from 0 to 100.
    """
    if base.label != candidate.label:
        raise InvalidArgument(
            f"base is about {base.label}, candidate about {candidate.label}; give two curves of one label."
        )
    for threshold in thresholds or ():
        checks.within("thresholds", threshold, 0, 100)
    headings = [
        # Of a label that was never reported, the average precision is no more than how common it is.
        f"<b>{look.short(name, 24)}</b><br>{f'AP {curve.average_precision:.3f}' if len(curve.thresholds) else 'no AP'}"
        for name, curve in zip(names, (base, candidate), strict=True)
    ]
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.08, subplot_titles=headings)
    figure.update_annotations(font={"size": 13}, yshift=18)  # over the mark's number
    explained = 2 if _has_rates(candidate) and not _has_rates(base) else 1  # Plotly has no entry for an empty line
    for column, curve in enumerate((base, candidate), start=1):
        panel = {"row": 1, "col": column}
        _draw_rates(figure, curve, most=350, legend=column == explained, **panel)
        look.shade_unknown(figure, curve.min_confidence, room=35, **panel)
        if thresholds is not None and _has_rates(curve):  # the line would go through the words
            look.mark(figure, thresholds[column - 1], **panel)
        if not _has_rates(curve):
            nothing = f"nothing to show:<br>{look.wrapped(_why_empty(curve), 24)}"
            figure.add_annotation(text=nothing, x=50, y=0.5, showarrow=False, font={"color": look.GREY}, **panel)
    figure.update_xaxes(title="threshold (%)", range=[0, 100]).update_yaxes(look.percent_axis())
    level = f"{base.confidence_level:.0%}"
    if candidate.confidence_level != base.confidence_level:
        level = f"{level} and {candidate.confidence_level:.0%}"
    return look.dress(
        figure,
        f"{base.label}: {names[0]} against {names[1]}",
        f"{_judged(base)}{'' if _judged(candidate) == _judged(base) else f' ({names[0]})'}; bands: {level} intervals",
        height=430,
        headings=36,
    ).update_layout(yaxis={"title": "rate"})


def _draw_rates(figure: go.Figure, curve: ThresholdCurve, *, most: int, legend: bool = True, **panel: Any) -> None:
    """Precision and recall with their bands, from the floor up."""
    thinned = look.thinned(curve.rates, "threshold", "recall", most=most - 1)
    table = _from_floor(curve.rows(thinned.index), curve.min_confidence)
    for rate, colour in (("precision", look.PRECISION), ("recall", look.RECALL)):
        _band(figure, table, rate, colour, **panel)
        figure.add_scatter(
            x=table["threshold"],
            y=table[rate],
            name=rate,
            mode="lines",
            line={"color": colour, "width": 2.5, "shape": "vh"},  # a threshold holds back to the one before it
            hovertemplate="%{y:.3f} at %{x:.2f}<extra>" + rate + "</extra>",
            legendgroup=rate,
            showlegend=legend,
            **panel,
        )


def _band(figure: go.Figure, table: pd.DataFrame, rate: str, colour: str, **panel: Any) -> None:
    drawn = table.dropna(subset=[f"{rate}_low", f"{rate}_high"])
    shared = {"x": drawn["threshold"], "mode": "lines", "hoverinfo": "skip", "showlegend": False, "legendgroup": rate}
    line = {"width": 0, "shape": "vh"}
    figure.add_scatter(y=drawn[f"{rate}_high"], line=line, **shared, **panel)
    fill = {"fill": "tonexty", "fillcolor": look.faded(colour, 0.15)}
    figure.add_scatter(y=drawn[f"{rate}_low"], line=line, **fill, **shared, **panel)


def _from_floor(table: pd.DataFrame, floor: float) -> pd.DataFrame:
    """Between the run's floor and the lowest confidence seen, nothing changes: the lines begin at the floor."""
    if table.empty or table["threshold"].iloc[0] <= floor:
        return table
    return pd.concat([table.iloc[:1].assign(threshold=floor), table], ignore_index=True)


def _add_point(figure: go.Figure, point: OperatingPoint, x: str, y: str, number: int) -> None:
    """One threshold on a curve, as a diamond with its two intervals."""
    colour = look.series(number)[0]
    thin = {"color": colour, "thickness": 1.5, "width": 4}
    ends = {
        rate: look.error_bar(getattr(point, rate), getattr(point, f"{rate}_low"), getattr(point, f"{rate}_high"))
        for rate in (x, y)
    }
    figure.add_scatter(
        x=[getattr(point, x)],
        y=[getattr(point, y)],
        error_x=ends[x] | thin,
        error_y=ends[y] | thin,
        name=f"at {written(point.threshold)}",
        mode="markers",
        marker={"color": colour, "size": 12, "symbol": "diamond", "line": {"color": "white", "width": 1.5}},
        legendrank=1001,  # after all curves
        showlegend=number == 0,
        hovertemplate=f"{y} %{{y:.1%}}, {x} %{{x:.1%}}<extra>at {written(point.threshold)}</extra>",
    )


def _add_prevalences(figure: go.Figure, curves: Sequence[ThresholdCurve]) -> None:
    """The precision of flagging everything: one grey line where all agree, else one in each curve's colour."""
    values = [curve.prevalence for curve in curves]
    agreed = len(values) > 0 and np.ptp(values) < 0.0005
    for number, value in enumerate(values[:1] if agreed else values):
        figure.add_scatter(
            x=[0.0, 1.0],
            y=[value, value],
            name=f"prevalence {value:.1%}" if agreed else "prevalence",
            mode="lines",
            line={"color": look.GREY if agreed else look.series(number)[0], "width": 1, "dash": "dot"},
            hovertemplate=f"prevalence {value:.1%}<extra></extra>",
            showlegend=number == 0,
            legendrank=1002,
        )


def _named(curve: Curves, threshold: float | None) -> dict[str, ThresholdCurve]:
    if threshold is not None:
        checks.within("threshold", threshold, 0, 100)
    return {curve.label: curve} if isinstance(curve, ThresholdCurve) else dict(curve)


def _entry(curves: Mapping[str, ThresholdCurve], name: str, area: str) -> dict[str, Any]:
    """How a curve stands in the legend: a single one needs no name there, the title has it."""
    return {
        "name": area if len(curves) == 1 else f"{look.short(name, 36)}: {area}",
        "mode": "lines",
        "legendgroup": name,
        "showlegend": True,
    }


def _has_rates(curve: ThresholdCurve) -> bool:
    return bool(curve.rates[["precision", "recall"]].notna().to_numpy().any())


def _why_empty(curve: ThresholdCurve) -> str:
    return f"{curve.label} was reported on no judged image"


def _say_what_is_missing(
    figure: go.Figure, curves: Mapping[str, ThresholdCurve], shown: Mapping[str, ThresholdCurve]
) -> None:
    if shown:
        return
    reported = any(len(curve.thresholds) for curve in curves.values())
    why = "it takes images with the label and without" if reported else "no judged image has the label reported"
    look.nothing_to_show(figure, why)


def _left_out(curves: Mapping[str, ThresholdCurve], shown: Mapping[str, ThresholdCurve]) -> str:
    missing = [name for name in curves if name not in shown]
    return f"; nothing to show for {', '.join(missing)}" if missing and shown else ""


def _title(curves: Mapping[str, ThresholdCurve], what: str) -> str:
    """Begins with the label where all curves are about one."""
    labels = {curve.label for curve in curves.values()}
    return f"{labels.pop()}: {what}" if len(labels) == 1 else what[0].upper() + what[1:]


def _counts(curves: Mapping[str, ThresholdCurve]) -> str:
    """The beginning of a subtitle, where all curves are about equally many images."""
    judged = {_judged(curve) for curve in curves.values()}
    return f"{judged.pop()}; " if len(judged) == 1 else ""


def _judged(curve: ThresholdCurve) -> str:
    return f"{counted(curve.positives, 'image')} with the label, {curve.negatives:,} without"
