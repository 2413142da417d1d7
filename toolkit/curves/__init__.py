"""Every threshold's confusion counts, rates and intervals for one label."""

from toolkit.curves.curve import OperatingPoint, ThresholdCurve
from toolkit.curves.intervals import INTERVALS, Interval, binomial_interval
from toolkit.curves.making import curve_of_scores, threshold_curve
from toolkit.curves.ranking import ranking_intervals

__all__ = [
    "INTERVALS",
    "Interval",
    "OperatingPoint",
    "ThresholdCurve",
    "binomial_interval",
    "curve_of_scores",
    "ranking_intervals",
    "threshold_curve",
]
