"""A run's labels among each other: their tree, and which of them stand on an image together."""

from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from toolkit import taxonomy
from toolkit.errors import InvalidArgument
from toolkit.plots import look

_MOST_LABELS: Final = 25
_ROOMY: Final = 12
"""Up to so many labels, there is room for every number in full."""

_KINDS: Final = {"treemap": go.Treemap, "sunburst": go.Sunburst}


def label_tree(overview: pd.DataFrame, *, kind: Literal["treemap", "sunburst"] = "treemap") -> go.Figure:
    """The reported labels as a tree; the more images, the larger a label's field.

    Parameters
    ----------
    overview
        From `Results.overview`.
    kind
        "treemap" for fields within fields, "sunburst" for rings.

    Returns
    -------
    plotly.graph_objects.Figure
        Each field says on how many images its label is. An image may have two labels under one parent, which then sum
        to more than the parent has: the parent's field is drawn as large as theirs together. A parent that is no row of
        the table has a field all the same.

    Raises
    ------
    InvalidArgument
        `kind` is something else.
    """
    if kind not in _KINDS:
        raise InvalidArgument(f"kind is {kind!r}; give treemap or sunburst.")
    overview = overview[overview["label"] != ""]
    parents = _parents(overview)
    size, inside = _sizes(parents, dict(zip(overview["label"], overview["images"], strict=True)))
    words = {row.label: _words(row) for row in overview.itertuples()}
    # Ids are never shown; without the slash a label could have the empty one, which is no parent's.
    figure = go.Figure(
        _KINDS[kind](
            ids=[f"/{label}" for label in parents],
            parents=[f"/{parent}" if parent else "" for parent in parents.values()],
            labels=[look.short(label, 24) for label in parents],
            values=[size[label] - inside.get(label, 0) for label in parents],
            branchvalues="remainder",
            text=[words.get(label, _unreported(label))[0] for label in parents],
            customdata=[words.get(label, _unreported(label))[1] for label in parents],
            # A treemap has one line for a parent's words, above the fields in it.
            texttemplate=[
                "%{label}: %{text}" if kind == "treemap" and label in inside else "%{label}<br>%{text}"
                for label in parents
            ],
            textfont={"color": look.INK},
            hovertemplate="%{customdata}<extra></extra>",
            marker={"colors": _colours(parents), "line": {"color": "white", "width": 1.5}},
        )
    )
    figure.update_traces(leaf_opacity=1, selector={"type": "sunburst"})
    if overview.empty:
        look.nothing_to_show(figure, "this run reported no label")
    look.dress(
        figure,
        "Labels of this run",
        "numbers of images; a field is as large as its label's images, or as all fields in it",
        height=620,
    )
    return figure.update_layout(margin={"l": 10, "r": 10, "b": 20}, uniformtext={"minsize": 9, "mode": "hide"})


def cooccurrence(table: pd.DataFrame) -> go.Figure:
    """How often the images with one label have another one, too.

    Parameters
    ----------
    table
        Label by label, square and symmetric, the same labels in the same order: the number of images that have both;
        in the diagonal, the number that have the label.

    Returns
    -------
    plotly.graph_objects.Figure
        Heat map: share of the row's images that also have the column's label, 0–1; its text is their number. Of more
        than 25 labels the most frequent are shown, and the subtitle says how many are not.

    Raises
    ------
    InvalidArgument
        The table is not square, or rows and columns are not the same labels.
    """
    if list(table.index) != list(table.columns):
        raise InvalidArgument("rows and columns are different labels; give a table of label by label.")
    own = np.diag(table.to_numpy(float))
    frequent = np.argsort(-own, kind="stable")[:_MOST_LABELS]
    both = table.to_numpy(float)[np.ix_(frequent, frequent)]
    names = [str(name) for name in table.index[frequent]]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = both / np.diag(both)[:, None]
    figure = go.Figure(_shares(share, both, names))
    if not names:
        look.nothing_to_show(figure, "there is no label")
    left_out = len(table) - len(names)
    look.dress(
        figure,
        "Labels that come together",
        "colour: share of the row's images that also have the column's label; text: images"
        + ("" if len(names) <= _ROOMY else ", from 10% up")
        + (f"; the {left_out:,} least frequent labels are left out" if left_out else ""),
        height=190 + max(36 * len(names) if len(names) <= _ROOMY else 24 * len(names), 60),
    )
    # Numbers above the columns, since names would need more room than the cells.
    numbers = [str(number) for number in range(1, len(names) + 1)]
    shared = {
        "tickvals": list(range(len(names))),
        "tickfont": {"size": 11 if len(names) <= _ROOMY else 9},
        "showgrid": False,
        "zeroline": False,
    }
    figure.update_xaxes(side="top", tickangle=0, ticktext=numbers, **shared)
    rows = [f"{look.short(name)} <b>{number}</b>" for name, number in zip(names, numbers, strict=True)]
    figure.update_yaxes(autorange="reversed", automargin=True, ticktext=rows, **shared)
    return figure.update_layout(margin={"b": 60, "t": 110})


def _shares(share: NDArray[np.float64], both: NDArray[np.float64], names: list[str]) -> go.Heatmap:
    bar = {"tickformat": ".0%", "thickness": 10, "outlinewidth": 0, "orientation": "h", "y": 0, "yanchor": "top"}
    return go.Heatmap(
        z=share,
        zmin=0,
        zmax=1,
        colorscale=[[0, "#FFFFFF"], [1, "#6FB1DA"]],  # pale enough for dark text on it
        colorbar=bar,
        text=_cells(both, share),
        texttemplate="%{text}",
        textfont={"color": look.INK},
        customdata=[
            [_sentence(row, column, count) for column, count in zip(names, counts, strict=True)]
            for row, counts in zip(names, both, strict=True)
        ],
        hovertemplate="%{customdata}<br>%{z:.1%} of them<extra></extra>",
        xgap=1,
        ygap=1,
    )


def _parents(overview: pd.DataFrame) -> dict[str, str]:
    """Parent of every label ("" at the top), of those too that are only named as a parent."""
    parents = dict(zip(overview["label"], overview["parent"], strict=True))
    for parent in list(parents.values()):
        while parent and parent not in parents:
            parents[parent] = taxonomy.parent(parent) or ""
            parent = parents[parent]
    for label in parents:
        seen, above = {label}, parents[label]
        while above and above not in seen:
            seen.add(above)
            above = parents[above]
        if above:  # files from outside may run in circles; a tree may not
            parents[label] = ""
    return parents


def _lineage(label: str, parents: dict[str, str]) -> list[str]:
    """The label and what is above it, nearest first."""
    found = [label]
    while parents[found[-1]]:
        found.append(parents[found[-1]])
    return found


def _sizes(parents: dict[str, str], images: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """How large each field is (its images, or all fields in it, whichever is more), and how much of it those take."""
    size: dict[str, int] = {}
    inside: dict[str, int] = {}
    for label in sorted(parents, key=lambda label: -len(_lineage(label, parents))):
        size[label] = max(int(images.get(label, 0)), inside.get(label, 0))
        inside[parents[label]] = inside.get(parents[label], 0) + size[label]
    return size, inside


def _colours(parents: dict[str, str]) -> list[str]:
    """One colour for each label at the top, paler the further down; dark text can be read on all."""
    lines = [_lineage(label, parents) for label in parents]
    tops = list(dict.fromkeys(line[-1] for line in lines))
    return [look.pale(look.series(tops.index(line[-1]))[0], max(0.9 - 0.25 * len(line), 0.15)) for line in lines]


def _words(row: Any) -> tuple[str, str]:
    """What stands in a label's field, and what is said when the mouse is over it."""
    count = f"{row.images:,} · {row.share:.1%}"
    said = f"{row.images:,} images, {row.share:.2%} of all<br>median confidence {row.median_confidence:.4g}"
    return count, f"{look.wrapped(row.label, 60)}<br>{said}"


def _unreported(label: str) -> tuple[str, str]:
    return "not reported", f"{look.wrapped(label, 60)}<br>not reported itself"


def _sentence(row: str, column: str, count: float) -> str:
    both = "" if row == column else f" and {look.short(column, 60)}"
    return f"{look.short(row, 60)}{both}<br>{count:,.0f} images"


def _cells(both: NDArray[np.float64], share: NDArray[np.float64]) -> list[list[str]]:
    """Numbers of images; in a large table short ones, and only where they matter: the cells are small."""
    if len(both) <= _ROOMY:
        return [[f"{count:,.0f}" for count in row] for row in both]
    return [
        [_compact(count) if part >= 0.1 else "" for count, part in zip(*row, strict=True)]
        for row in zip(both, share, strict=True)
    ]


def _compact(count: float) -> str:
    """A number for a narrow cell: 950, 1.2k, 12k, 3.4M."""
    if count >= 999_500:
        return f"{count / 1e6:.2g}M"
    return f"{count / 1e3:.0f}k" if count >= 9_950 else f"{count / 1e3:.1f}k" if count >= 1_000 else f"{count:.0f}"
