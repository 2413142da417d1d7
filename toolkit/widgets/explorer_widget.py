"""The threshold explorer as a Jupyter widget; imported when one is asked for, as it needs the notebooks extra."""

from typing import Any

import anywidget
import traitlets

from toolkit.curves import ThresholdCurve
from toolkit.results import Counted
from toolkit.widgets import bundle
from toolkit.widgets.explorer import explorer_data


class ExplorerWidget(anywidget.AnyWidget):
    """One label's curve with a line to drag.

    Attributes
    ----------
    threshold
        Where the line was let go, percent; setting it moves the line. Observe `picked` to follow it.
    review
        Where the review band begins, percent; None without one.
    """

    _esm = bundle.explorer("anywidget")
    _css = bundle.css()
    data = traitlets.Dict().tag(sync=True)
    picked = traitlets.Dict().tag(sync=True)

    def __init__(self, curve: ThresholdCurve, results: Counted | None, threshold: float | None) -> None:
        data = explorer_data(curve, results, suggested=threshold)
        start = threshold if threshold is not None else (curve.min_confidence + 100) / 2
        super().__init__(data=data, picked={"block": start, "review": None, "volume": 10_000, "start": 0})
        self.curve = curve

    @property
    def threshold(self) -> float:
        """Where the line is, percent."""
        return float(self.picked["block"])

    @threshold.setter
    def threshold(self, value: float) -> None:
        self.curve.at(value)  # refuses what the run cannot speak about
        self.picked = self.picked | {"block": float(value)}

    @property
    def review(self) -> float | None:
        """Where the review band begins, percent."""
        given: Any = self.picked["review"]
        return None if given is None else float(given)
