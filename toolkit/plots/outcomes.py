"""What comes of a threshold, a policy or an adapter: small tables as figures."""

from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from toolkit.compare import Comparison
from toolkit.confidence import written
from toolkit.curves import OperatingPoint
from toolkit.plots import look
from toolkit.words import counted

_FEW: Final = 10
"""A bin of fewer images is drawn hollow."""

_ROOMY: Final = 12
"""Up to so many bins, each can bear a number."""

# Wrong from -2 to -1, right from 1 to 2: both can be told apart where hardly an image is in a field.
_RIGHT_AND_WRONG: Final = [
    [0, look.pale(look.ORANGE, 0.6)], [0.25, look.pale(look.ORANGE, 0.25)],
    [0.75, look.pale(look.BLUE, 0.25)], [1, look.pale(look.BLUE, 0.6)],
]  # fmt: skip

# All are the thresholds' doing: their colour, the stronger the more is done.
_DECISIONS: Final = {"allow": 0.15, "review": 0.35, "block": 0.6}

# Whether more of it is better (1), worse (-1), or neither.
_BETTER: Final = {"precision": 1, "recall": 1, "flagged": 0, "fp": -1, "fn": -1}
_MEASURES: Final = {"flagged": "images flagged", "fp": "false alarms", "fn": "misses"}


def reliability(table: pd.DataFrame, label: str) -> go.Figure:
    """Whether confidence can be read as a probability: share of images with the label against mean confidence.

    Parameters
    ----------
    table
        One row a bin of confidence: `low`, `high` (its ends, percent), `images`, `mean_confidence` (percent), `present`
        (share of its images with the label, 0–1), `present_low`, `present_high` (its interval). Bins without images are
        left out.
    label
        The moderation label.

    Returns
    -------
    plotly.graph_objects.Figure
        On the dotted diagonal, confidence is what it says. A bin of fewer than 10 images is a hollow, small point.
    """
    bins = table[table["images"] > 0]
    figure = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.76, 0.24], vertical_spacing=0.05)
    diagonal = {"mode": "lines", "line": {"color": look.GREY, "width": 1, "dash": "dot"}, "hoverinfo": "skip"}
    figure.add_scatter(x=[0.0, 100.0], y=[0.0, 1.0], **diagonal, row=1, col=1)
    _draw_shares(figure, bins)
    _draw_counts(figure, bins)
    if bins.empty:
        look.nothing_to_show(figure, "no bin has an image")
    figure.update_xaxes(range=[0, 100]).update_xaxes(title="confidence (%)", row=2)
    figure.update_yaxes(look.percent_axis(title="share with the label", range=[-0.03, 1.05]), row=1)
    most = float(bins["images"].max()) if len(bins) else 1.0
    figure.update_yaxes(title="images", range=[0, 1.45 * most], nticks=3, row=2)
    few = f"; hollow: fewer than {_FEW} images" if (bins["images"] < _FEW).any() else ""
    look.dress(
        figure,
        f"{label}: is confidence a probability?",
        f"{counted(int(bins['images'].sum()), 'judged image')}; on the dotted line, it is one{few}",
        height=500,
    )
    return figure.update_layout(showlegend=False, margin={"b": 55})


def confusion(point: OperatingPoint, label: str) -> go.Figure:
    """The four outcomes of one threshold.

    Parameters
    ----------
    point
        From `ThresholdCurve.at`.
    label
        The moderation label.

    Returns
    -------
    plotly.graph_objects.Figure
        Rows: what people said; columns: what the threshold does. Each field has its number of images and its share of
        the row. Right ones are blue and ticked, wrong ones orange and crossed; the stronger, the larger the share.
    """
    counts = [[point.tp, point.fn], [point.fp, point.tn]]
    shares = [[point.recall, 1 - point.recall], [point.fpr, 1 - point.fpr]]
    names = [["✓ caught", "✗ missed"], ["✗ false alarm", "✓ let through rightly"]]
    figure = go.Figure(
        go.Heatmap(
            x=["flagged", "not flagged"],
            y=["label is there", "label is not there"],
            z=(1 + np.nan_to_num(np.array(shares))) * [[1, -1], [-1, 1]],  # its sign tells right from wrong
            zmin=-2,
            zmax=2,
            colorscale=_RIGHT_AND_WRONG,
            showscale=False,
            text=[
                [
                    f"<b>{count:,}</b><br>{_percent(share)} of the row<br>{name}"
                    for count, share, name in zip(*row, strict=True)
                ]
                for row in zip(counts, shares, names, strict=True)
            ],
            texttemplate="%{text}",
            textfont={"size": 14, "color": look.INK},
            hoverinfo="skip",
            xgap=4,
            ygap=4,
        )
    )
    total = point.tp + point.fp + point.fn + point.tn
    if not total:
        figure.update_xaxes(visible=False).update_yaxes(visible=False)
        look.nothing_to_show(figure, f"nobody judged {label}")
    look.dress(
        figure,
        f"{label} at {written(point.threshold)}",
        f"{counted(total, 'judged image')}{_weighted(point)}",
        height=370,
        headings=20,
    )
    figure.update_xaxes(side="top", showgrid=False, tickfont={"size": 14})
    figure.update_yaxes(autorange="reversed", showgrid=False, automargin=True, tickfont={"size": 14})
    return figure.update_layout(margin={"b": 20})


def forecast(table: pd.DataFrame) -> go.Figure:
    """What a policy would do with a thousand images.

    Parameters
    ----------
    table
        From `Policy.forecast`: `decision`, `images`, `per_thousand`, `per_thousand_low`, `per_thousand_high`.

    Returns
    -------
    plotly.graph_objects.Figure
        One bar a decision, with its interval.
    """
    value, low, high = (table[f"per_thousand{end}"].to_numpy(float) for end in ("", "_low", "_high"))
    names = [look.short(str(name)) for name in table["decision"]]
    known = np.isfinite(value)
    figure = go.Figure(
        go.Bar(
            x=value,
            y=list(range(len(table))),
            orientation="h",
            marker_color=[look.faded(look.THRESHOLD, _DECISIONS.get(str(name), 0.15)) for name in table["decision"]],
            marker_line={"color": look.THRESHOLD, "width": 1},
            error_x=look.error_bar(value, low, high, color=look.THRESHOLD, thickness=2, width=8),
            customdata=np.column_stack([low, high, table["images"]]),
            hovertemplate="%{x:.4~g} of 1,000 images (%{customdata[0]:.4~g} to %{customdata[1]:.4~g})"
            "<br>%{customdata[2]:,} images of this run<extra></extra>",
            width=0.6,
        )
    )
    if not known.any():
        look.nothing_to_show(figure, "the run has no images")
    look.dress(
        figure,
        "What the policy would do with 1,000 images",
        f"counted on {counted(int(table['images'].sum()), 'image')}; lines: intervals, if new images are like these",
        height=330,
    )
    said = [
        f"<b>{name}</b><br>{_short_number(x)} ({_short_number(a)} – {_short_number(b)})" if known[row] else name
        for row, (name, x, a, b) in enumerate(zip(names, value, low, high, strict=True))
    ]
    figure.update_xaxes(title="images per thousand", range=[0, 1000])
    figure.update_yaxes(autorange="reversed", tickvals=list(range(len(table))), ticktext=said, automargin=True)
    return figure.update_layout(margin={"b": 55, "r": 30})


def differences(comparison: Comparison) -> go.Figure:
    """What a candidate changes, measure by measure, with intervals.

    Parameters
    ----------
    comparison
        From `compare`.

    Returns
    -------
    plotly.graph_objects.Figure
        Above, precision, recall and flagged in percentage points; beneath, false alarms and misses in images. Left of
        the line the candidate has less, right of it more; grey where the interval cannot tell, and where neither is
        better.
    """
    figure = make_subplots(rows=2, row_heights=[0.58, 0.42], vertical_spacing=0.24)
    table = comparison.rates.set_index("measure")
    _draw_differences(figure, table.loc[["precision", "recall", "flagged"]], 100.0, 1)
    _draw_differences(figure, table.loc[["fp", "fn"]], 1.0, 2)
    figure.add_vline(x=0, line={"color": look.GREY, "width": 1.5})
    figure.update_xaxes(title="difference (percentage points)", row=1)
    figure.update_xaxes(title="difference (images)", row=2)
    if not np.isfinite(table["difference"].to_numpy(float)).any():
        look.nothing_to_show(figure, f"nothing was counted for {comparison.label}")
    before, after = (written(threshold) for threshold in comparison.thresholds)
    level = f"{comparison.confidence_level:.0%}"
    look.dress(
        figure,
        f"{comparison.label}: what the candidate changes",
        f"{counted(comparison.judged, 'judged image')}; base at {before}, candidate at {after}; {level} intervals. "
        "Sky blue: the candidate is better, amber: the base is, grey: neither, or cannot be told",
        height=460,
    )
    return figure.update_layout(showlegend=False, margin={"b": 55, "r": 30})


def _draw_shares(figure: go.Figure, bins: pd.DataFrame) -> None:
    """The upper panel of `reliability`: the fewer images, the smaller the point."""
    few = bins["images"] < _FEW
    figure.add_scatter(
        x=bins["mean_confidence"],
        y=bins["present"],
        error_y=look.error_bar(bins["present"], bins["present_low"], bins["present_high"], color=look.PRESENT, width=4),
        customdata=bins[["low", "high", "images", "present_low", "present_high"]],
        mode="lines+markers",
        line={"color": look.faded(look.PRESENT, 0.35), "width": 1.5},
        marker={
            "color": np.where(few, "rgba(0,0,0,0)", look.PRESENT),
            "size": np.clip(4 + 1.3 * np.log2(bins["images"].to_numpy(float)), 5, 18),
            "line": {"color": look.PRESENT, "width": 2},
            "opacity": 1,
        },
        hovertemplate="%{y:.1%} of %{customdata[2]:,} images (%{customdata[3]:.1%} to %{customdata[4]:.1%})"
        "<br>confidence %{customdata[0]:.4~g} to %{customdata[1]:.4~g}<extra></extra>",
        row=1,
        col=1,
    )


def _draw_counts(figure: go.Figure, bins: pd.DataFrame) -> None:
    """The lower panel of `reliability`; numbers on the bars where there is room for them."""
    few = bins["images"] < _FEW
    figure.add_bar(
        x=(bins["low"] + bins["high"]) / 2,
        y=bins["images"],
        width=bins["high"] - bins["low"],
        marker={"color": np.where(few, look.faded(look.GREY, 0.45), look.GREY), "line": {"width": 0}},
        text=bins["images"].map("{:,}".format) if len(bins) <= _ROOMY else None,
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y:,} images<extra></extra>",
        row=2,
        col=1,
    )


def _draw_differences(figure: go.Figure, table: pd.DataFrame, scale: float, row: int) -> None:
    value, low, high = (scale * table[name].to_numpy(float) for name in ("difference", "low", "high"))
    places = list(range(len(table)))
    for place, measure in enumerate(table.index):
        colour = _verdict(str(measure), low[place], high[place])
        figure.add_scatter(
            x=value[[place]],
            y=[place],
            name=str(measure),
            mode="markers",
            marker={"color": colour, "size": 11},
            error_x=look.error_bar(value[place], low[place], high[place], color=colour, thickness=2, width=6),
            hovertemplate=f"{value[place]:+.4g} ({low[place]:+.4g} to {high[place]:+.4g})<extra></extra>",
            row=row,
            col=1,
        )
    ends = np.abs([value, low, high])
    widest = 1.15 * float(np.nanmax(ends, initial=0.0)) or 1.0
    figure.update_xaxes(range=[-widest, widest], zeroline=False, row=row)
    names = [_named(str(measure), said, scale) for measure, said in table.iterrows()]
    shown = {"range": [len(table) - 0.5, -0.5], "automargin": True, "zeroline": False}
    figure.update_yaxes(tickvals=places, ticktext=names, **shown, row=row)


def _verdict(measure: str, low: float, high: float) -> str:
    """The colour of the better one; grey for neither, and where the interval reaches zero or is not known.

    Grey can be read on white and on black.
    """
    if not (low > 0 or high < 0):
        return look.GREY
    side = _BETTER[measure] * (1 if low > 0 else -1)
    return {1: look.CANDIDATE, -1: look.BASE, 0: look.GREY}[side]


def _named(measure: str, said: Any, scale: float) -> str:
    """A measure and its difference, and beneath them what it was and what it is."""
    style, signed = (".1%", "+.1f") if scale > 1 else (",.0f", "+,.0f")
    was, now = (f"{value:{style}}" if np.isfinite(value) else "–" for value in (said["base"], said["candidate"]))
    change = f" {scale * said['difference']:{signed}}" if np.isfinite(said["difference"]) else ""
    return f"<b>{_MEASURES.get(measure, measure)}{change.replace('-', '−')}</b><br>{was} → {now}"


def _weighted(point: OperatingPoint) -> str:
    """Where images carry weights, a share is not its count over the row's."""
    there, not_there = point.tp + point.fn, point.fp + point.tn
    plain = (point.tp / there if there else np.nan, point.fp / not_there if not_there else np.nan)
    same = np.allclose(plain, (point.recall, point.fpr), equal_nan=True)
    return "" if same else "; percentages are weighted, numbers are not"


def _percent(share: float) -> str:
    return f"{share:.1%}" if np.isfinite(share) else "–"


def _short_number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 1 else f"{value:.1g}"
