"""Tables in, Plotly figures out; nothing is computed here that a table does not already say.

Figures are drawn from binned or thinned data, so that a million images weigh no more than a thousand. Text that comes
from outside (label names) is escaped: Plotly renders some HTML.
"""

from toolkit.plots.curves import base_against_candidate, precision_recall, roc, tradeoff
from toolkit.plots.distributions import distribution, ecdf
from toolkit.plots.evaluations import evaluation
from toolkit.plots.labels import cooccurrence, label_tree
from toolkit.plots.look import ABSENT, BASE, BLUE, CANDIDATE, GREY, PRECISION, PRESENT, RECALL, THRESHOLD
from toolkit.plots.outcomes import confusion, differences, forecast, reliability

__all__ = [
    "ABSENT",
    "BASE",
    "BLUE",
    "CANDIDATE",
    "GREY",
    "PRECISION",
    "PRESENT",
    "RECALL",
    "THRESHOLD",
    "base_against_candidate",
    "confusion",
    "cooccurrence",
    "differences",
    "distribution",
    "ecdf",
    "evaluation",
    "forecast",
    "label_tree",
    "precision_recall",
    "reliability",
    "roc",
    "tradeoff",
]
