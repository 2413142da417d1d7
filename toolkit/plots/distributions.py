"""How the confidences of one label are spread over a run's images."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from toolkit import checks
from toolkit.confidence import written
from toolkit.errors import InvalidArgument
from toolkit.plots import look
from toolkit.results import Counted, Results, histogram_of
from toolkit.truth import Truth
from toolkit.words import counted

_UNJUDGED: Final = look.faded(look.GREY, 0.45)
_GROUPS: Final = (("label is there", look.PRESENT), ("label is not there", look.ABSENT), ("not judged", _UNJUDGED))


class _Group(NamedTuple):
    """Images that are drawn in one colour: how many have each confidence, and how many there are."""

    name: str
    histogram: pd.Series
    total: int
    colour: str


def distribution(
    results: Counted,
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
        A run, or the summary of a collection.
    label
        A moderation label.
    truth
        For a run: colours the images by what people said of them: present, absent, not judged.
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
        `bin_width` or `threshold` is out of its range, or a summary was given with truth.
    """
    checks.within("bin_width", bin_width, 0.1, 100)
    if threshold is not None:
        checks.within("threshold", threshold, 0, 100)
    groups = _groups(results, label, truth)
    edges = _edges(results.min_confidence, bin_width)
    figure = go.Figure()
    for name, histogram, _, colour in groups:
        counts, _ = np.histogram(histogram.index, bins=edges, weights=histogram)
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=np.diff(edges),
            name=name,
            marker_color=colour,
            marker_line_width=0,
            customdata=np.column_stack([edges[:-1], edges[1:]]),
            hovertemplate="%{y} images from %{customdata[0]:.4~g} to %{customdata[1]:.4~g}<extra>" + name + "</extra>",
        )
    reported = sum(int(group.histogram.sum()) for group in groups)
    _finish(figure, results, label, threshold, reported)
    return look.dress(
        figure,
        f"{label}: confidence of {counted(reported, 'image')}",
        f"{results.n_images - reported:,} more were not reported "
        f"(below {written(results.min_confidence)}, or not at all)",
    ).update_layout(barmode="stack", bargap=0, yaxis={"title": "images", "rangemode": "tozero"})


def ecdf(results: Counted, label: str, truth: Truth | None = None, *, threshold: float | None = None) -> go.Figure:
    """Share of all images that reach each confidence: what a threshold there would flag.

    Parameters
    ----------
    results
        A run, or the summary of a collection. Images on which the label was not reported count, as below the floor;
        images that failed do not.
    label
        A moderation label.
    truth
        Draws one line for each group of images instead: label is there, is not there, not judged. Each is a share of
        its group; all images count alike, whatever their weights.
    threshold
        Draws a line at this confidence (percent).

    Returns
    -------
    plotly.graph_objects.Figure
        The empirical distribution counted from above, as flagging does (confidence >= x), from the run's floor up.
        What lies below the floor is shaded as unknown.

    Raises
    ------
    NotLabelled
        With truth: nobody judged `label`, or none of the judged images is in this run.
    InvalidArgument
        `threshold` is out of its range, or a summary was given with truth.
    """
    if threshold is not None:
        checks.within("threshold", threshold, 0, 100)
    groups = _groups(results, label, truth)
    figure = go.Figure()
    for name, histogram, total, colour in groups:
        line = look.thinned(_reaching(histogram, total, results.min_confidence), "confidence", "share")
        figure.add_scatter(
            x=line["confidence"],
            y=line["share"],
            name=f"{name} ({total:,})",
            mode="lines",
            # A share holds back to the confidence before it.
            line={"color": colour, "width": 2.5, "shape": "vh", "dash": "dot" if colour == _UNJUDGED else "solid"},
            hovertemplate="%{y:.2%} have %{x:.2f} or more<extra>" + name + "</extra>",
        )
    missing = results.n_images - sum(int(group.histogram.sum()) for group in groups)
    _finish(figure, results, label, threshold, results.n_images - missing)
    return look.dress(
        figure,
        f"{label}: images at or above each confidence",
        f"{missing:,} of {results.n_images:,} images were not reported: they count as below the floor",
    ).update_layout(showlegend=True, yaxis=look.percent_axis(title="share with confidence ≥ x"))


def _reaching(histogram: pd.Series, total: int, floor: float) -> pd.DataFrame:
    """Share of the images with at least each confidence that occurs, from the floor up to 100."""
    share = histogram.to_numpy()[::-1].cumsum()[::-1] / max(total, 1)
    line = pd.DataFrame({"confidence": histogram.index.to_numpy(float), "share": share})
    # Nothing changes before the lowest confidence seen.
    if line.empty or line["confidence"].iloc[0] > np.float32(floor):
        start = pd.DataFrame({"confidence": [float(floor)], "share": share[:1] if len(share) else [0.0]})
        line = pd.concat([start, line])
    if line["confidence"].iloc[-1] < 100:
        line = pd.concat([line, pd.DataFrame({"confidence": [100.0], "share": [0.0]})])
    return line


def _finish(figure: go.Figure, results: Counted, label: str, threshold: float | None, reported: int) -> None:
    """What is drawn over confidence, whatever it is: the floor, the threshold, the axis."""
    if not results.n_images:
        look.nothing_to_show(figure, "this run has no images")
    elif not reported:
        look.nothing_to_show(figure, f"{label} was reported on no image")
    look.shade_unknown(figure, results.min_confidence)
    if threshold is not None and reported:  # else the line would go through the words
        look.mark(figure, threshold)
    figure.update_xaxes(title="confidence (%)", range=[0, 100])


def _groups(results: Counted, label: str, truth: Truth | None) -> Sequence[_Group]:
    if truth is None:
        return [_Group("all images", results.histogram(label), results.n_images, look.GREY)]
    if not isinstance(results, Results):
        raise InvalidArgument("images are coloured by what people said only for a run; leave truth out for a summary.")
    known, present = truth.matched(label, results.images["source_ref"])
    scores = results.scores(label)
    groups = []
    for (name, colour), rows in zip(_GROUPS, (known & present, known & ~present, ~known), strict=True):
        if rows.any():
            groups.append(_Group(name, histogram_of(scores[rows]), int(rows.sum()), colour))
    return groups


def _edges(floor: float, width: float) -> NDArray[np.float32]:
    """Equal bins from the floor to 100: a bar must not reach into what is not known.

    float32, as confidences are: a floor of 80.1 is above the confidence of 80.1 in double precision.
    """
    bins = max(1, round((100 - floor) / width))
    return np.linspace(min(floor, 100 - width), 100, bins + 1, dtype=np.float32)
