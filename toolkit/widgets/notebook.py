"""Widgets for JupyterLab and VS Code."""

from typing import TYPE_CHECKING, Any

from toolkit import plots
from toolkit.curves import ThresholdCurve
from toolkit.errors import NotInstalled, NotLabelled
from toolkit.results import Counted, Results
from toolkit.truth import Truth
from toolkit.tuning import Choice

if TYPE_CHECKING:
    from toolkit.widgets.explorer_widget import ExplorerWidget


def threshold_explorer(
    curve: ThresholdCurve, results: Counted | None = None, *, choice: Choice | None = None
) -> "ExplorerWidget":
    """One label's exact curve with a threshold line to drag; everything follows it in the browser.

    Parameters
    ----------
    curve
        From `threshold_curve`.
    results
        The run, or a summary of it, for a forecast of how many images a day would be flagged.
    choice
        From `choose_threshold`: where the line is at first.

    Returns
    -------
    ExplorerWidget
        `threshold` (percent) is where the line was let go.

    Raises
    ------
    NotInstalled
        The notebooks extra is not there.
    BelowFloor
        Nothing is known below 100.
    """
    try:
        from toolkit.widgets.explorer_widget import ExplorerWidget
    except ImportError as error:
        raise _missing() from error
    return ExplorerWidget(curve, results, choice.threshold if choice else None)


def distribution(results: Results, truth: Truth | None = None, *, label: str | None = None) -> Any:
    """How confident the model was, for a label that is chosen from a list.

    Parameters
    ----------
    results
        A run.
    truth
        Colours the images by what people said, for the labels that they judged.
    label
        The one to begin with; None is the most frequent.

    Returns
    -------
    ipywidgets.VBox
        A list of the labels above `plots.distribution`.

    Raises
    ------
    NotInstalled
        The notebooks extra is not there.
    NotLabelled
        The run reported no label at all, or not this one.
    """
    try:
        import ipywidgets
        from plotly.graph_objects import FigureWidget
    except ImportError as error:
        raise _missing() from error
    names = results.label_names()
    if not names or (label is not None and label not in names):
        found = ", ".join(names) or "none"
        raise NotLabelled(f"{label or 'any label'}: reported on no image of this run; reported were: {found}.")
    chosen = ipywidgets.Dropdown(options=names, value=label or names[0], description="Label")
    box = ipywidgets.VBox()

    def draw(*_: Any) -> None:
        try:
            figure = plots.distribution(results, chosen.value, truth)
        except NotLabelled:  # people said nothing of this one
            figure = plots.distribution(results, chosen.value)
        box.children = (chosen, FigureWidget(_with_one_heading(figure)))

    chosen.observe(draw, names="value")
    draw()
    return box


def _with_one_heading(figure: Any) -> Any:
    # A widget is drawn before it is on the page. Plotly then does not know how high the title is, and puts the subtitle
    # onto it; the lines of one text keep apart.
    title = figure.layout.title
    small = f'<span style="font-size: {title.subtitle.font.size}px">{title.subtitle.text}</span>'
    return figure.update_layout(title={"text": f"{title.text}<br>{small}", "subtitle": {"text": ""}})


def _missing() -> NotInstalled:
    return NotInstalled("widgets need the notebooks extra; run: pip install -e '.[notebooks]' in the toolkit's folder.")
