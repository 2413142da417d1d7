"""One look for every figure: colours, titles, and the marks that several of them share."""

import html
import textwrap
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from toolkit.confidence import written

# Okabe and Ito's palette: told apart with every common colour blindness.
BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
PINK: Final = "#CC79A7"
SKY: Final = "#56B4E9"
AMBER: Final = "#E69F00"
GREY: Final = "#8A8F98"
INK: Final = "#333A44"

# One meaning a colour, in every figure and in the threshold explorer (widgets/explorer.js). Grey stands for all images,
# and for those without the label; those that nobody judged are a paler grey.
PRECISION: Final = BLUE
RECALL: Final = ORANGE
THRESHOLD: Final = GREEN
PRESENT: Final = PINK
ABSENT: Final = GREY
BASE: Final = AMBER
CANDIDATE: Final = SKY

# Curves of several models or labels, named in the legend: none looks like a precision or a recall before all others do.
SERIES: Final = (BASE, CANDIDATE, GREEN, PINK, BLUE, ORANGE)
_DASHES: Final = ("solid", "dash", "longdashdot")

# Characters on a line of the title and the subtitle: what fits into a figure of 500 pixels.
_TITLE, _SUBTITLE = 50, 72


def series(number: int) -> tuple[str, str]:
    """Colour and dash of the nth line of many; where the colours are used up, the dash changes."""
    return SERIES[number % len(SERIES)], _DASHES[number // len(SERIES) % len(_DASHES)]


def faded(colour: str, opacity: float) -> str:
    """A colour that lets what is behind it shine through; opacity from 0 to 1."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def pale(colour: str, share: float) -> str:
    """A colour mixed with white, share from 0 to 1: dark text on it can be read on a dark page, too."""
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 + (each - 255) * share):02x}" for each in channels)


def wrapped(text: str, width: int, lines: int = 3) -> str:
    """Text from outside as lines of some characters each, escaped; what is longer than `lines` is cut off."""
    return "<br>".join(map(_escaped, textwrap.wrap(text, width, max_lines=lines, placeholder=" …")))


def short(text: str, most: int = 28) -> str:
    """Text from outside, cut to some characters, escaped."""
    return _escaped(text if len(text) <= most else text[: most - 1].rstrip() + "…")


def _escaped(text: str) -> str:
    """No tag is left; quotes stay as they are, since Plotly would show `&quot;` letter by letter."""
    return html.escape(text, quote=False)


def dress(figure: go.Figure, title: str, subtitle: str, *, height: int = 400, headings: int = 0) -> go.Figure:
    """Gives a figure its title, its legend beneath and its margins.

    Parameters
    ----------
    figure
        Changed, and returned.
    title, subtitle
        Plain text, of any length: it is escaped and wrapped here.
    height
        Pixels, with one line of title and of subtitle; longer ones make the figure taller.
    headings
        Pixels to leave between the subtitle and the panels, for what stands above these.
    """
    head, below = wrapped(title, _TITLE), wrapped(subtitle, _SUBTITLE)
    more = 22 * head.count("<br>") + 16 * below.count("<br>") + headings
    figure.update_xaxes(ticklabelstandoff=4).update_yaxes(ticklabelstandoff=6)  # else the two zeros touch
    return figure.update_layout(
        template="plotly_white",
        title={
            "text": head,
            "subtitle": {"text": below, "font": {"size": 12}},
            "font": {"size": 17},
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "top",
            "pad": {"t": 28 if "<br>" in head else 16, "l": 8},  # Plotly puts a second line above the first one's place
        },
        legend={"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0},
        margin={"l": 60, "r": 20, "t": 88 + more, "b": 80},
        font={"family": "Source Sans, system-ui, sans-serif", "size": 13},
        hovermode="closest",
        height=height + more,
    )


def percent_axis(**settings: Any) -> dict[str, Any]:
    """An axis for a share that is 0 to 1, read as percent."""
    return {"range": [0, 1.02], "tickformat": ".0%"} | settings


def nothing_to_show(figure: go.Figure, why: str) -> None:
    """Says in the middle of a figure that it is meant to be empty, and why (plain text)."""
    figure.update_traces(visible=False)
    figure.add_annotation(
        text=f"nothing to show:<br>{wrapped(why, 48)}",
        xref="paper",
        yref="paper",
        x=0.5,
        y=0.5,
        showarrow=False,
        font={"size": 15, "color": GREY},
    )


def shade_unknown(figure: go.Figure, floor: float, *, room: float = 8, **panel: Any) -> None:
    """Greys out what is below a run's floor (percent); says "unknown" where the grey is at least `room` wide."""
    if floor > 0:
        figure.add_vrect(
            x0=0,
            x1=floor,
            fillcolor=GREY,
            opacity=0.18,
            line_width=0,
            annotation_text="unknown" if floor >= room else "",
            annotation_position="top left",
            **panel,
        )


def mark(figure: go.Figure, threshold: float, **panel: Any) -> None:
    """A line at one threshold (percent)."""
    figure.add_vline(
        x=threshold,
        line={"color": THRESHOLD, "width": 2, "dash": "dash"},
        annotation_text=written(threshold),
        annotation_position="top",
        annotation_xanchor="right" if threshold > 90 else "center",  # else a narrow figure cuts it off
        annotation_font_color=THRESHOLD,
        **panel,
    )


def thinned(table: pd.DataFrame, *columns: str, most: int = 1000) -> pd.DataFrame:
    """At most so many rows, ends kept, evenly spread over each column: more cannot be seen.

    Parameters
    ----------
    table
        Sorted: each of the columns only rises, or only falls.
    columns
        What is drawn. Spread over rows instead, a rare label's curve would have most of its points in one spot.
    most
        Number of rows that may stay.
    """
    if len(table) <= most:
        return table
    kept = np.zeros(len(table), dtype=bool)
    kept[[0, -1]] = True
    for column in columns:
        values = table[column].to_numpy(float)
        span = abs(values[-1] - values[0])
        if span > 0:  # neither constant nor NaN
            step = np.floor(np.abs(values - values[0]) / span * (most // len(columns) - 2))
            kept[1:] |= np.diff(step) != 0
    return table[kept]


def error_bar(value: Any, low: Any, high: Any, **settings: Any) -> dict[str, Any]:
    """An interval as Plotly wants it: how far it reaches up and down from the value."""
    value, low, high = (np.atleast_1d(np.asarray(each, dtype=float)) for each in (value, low, high))
    return {"type": "data", "symmetric": False, "array": high - value, "arrayminus": value - low} | settings
