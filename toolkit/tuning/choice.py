"""Choosing a threshold, and saying why, or why there is none."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from toolkit import checks
from toolkit.confidence import written
from toolkit.curves import OperatingPoint, ThresholdCurve
from toolkit.errors import InvalidObjective
from toolkit.htmltable import described
from toolkit.tuning.guarantee import Rows, enough, fewest, guaranteed, nearest
from toolkit.tuning.objective import Bound, Cost, Objective, read_objective

_SURE: Final = 0.95
"""Confidence with which a rate must be too low at every threshold before more labels are called useless."""


@dataclass(frozen=True)
class Choice:
    """The threshold that an objective chose, or why there is none.

    Attributes
    ----------
    label, objective
        What was asked.
    threshold
        Percent, 0–100; None when no threshold serves the objective.
    point
        What happens at the threshold on the judged images; None without a threshold.
    reason
        One sentence: why this threshold, or what stands in the way of any.
    positives, negatives
        Judged images with and without the label.
    confidence_level
        With which probability the objective holds on new data; None where that is not promised.
    """

    label: str
    objective: str
    threshold: float | None
    point: OperatingPoint | None
    reason: str
    positives: int
    negatives: int
    confidence_level: float | None = None

    def _repr_html_(self) -> str:
        point, rates = self.point, {}
        if point is not None:
            for name in ("precision", "recall"):
                ends = f"{getattr(point, f'{name}_low'):.3f} to {getattr(point, f'{name}_high'):.3f}"
                rates[name] = f"{getattr(point, name):.3f} ({ends})"
        facts = {
            "label": self.label,
            "objective": self.objective,
            "threshold": "none" if self.threshold is None else written(self.threshold),
            "why": self.reason,
            **rates,
            "judged": f"{self.positives:,} with the label, {self.negatives:,} without",
            "holds on new data": "not promised"
            if self.confidence_level is None
            else f"with {self.confidence_level:.0%}",
        }
        return described("Choice", facts)


def choose_threshold(curve: ThresholdCurve, objective: str, *, confidence_level: float | None = None) -> Choice:
    """The threshold that serves an objective best.

    Parameters
    ----------
    curve
        From `threshold_curve`.
    objective
        `f1` or `f2` (the F score, recall weighing once or twice); `precision>=0.95` (among the thresholds that reach
        it, the one with the highest recall); `recall>=0.9` (… the highest precision); `fpr<=0.01` or `flagged<=0.05`
        (… the highest recall); `cost fp=1 fn=10` (the lowest sum of what mistakes cost). Rates are 0–1.
    confidence_level
        None: the best on this sample, which says nothing sure about others. Between 0 and 1: the bound holds on new
        images of the same kind with that probability, or there is no threshold and `reason` says what is missing. Only
        bounds (precision, recall, fpr, flagged) can be promised, and only if the judged images were picked at random.

    Returns
    -------
    Choice
        Between thresholds that are equally good, the highest: it flags the fewest images.

    Raises
    ------
    InvalidObjective
        The objective cannot be read, or not promised.
    InvalidArgument
        `confidence_level` is not between 0 and 1.

    Notes
    -----
    The best of many thresholds on one sample looks better than it is: a sample precision that just reaches its limit
    misses it about every other time on new images. The promise is kept by Learn-then-Test [1]_ with exact binomial
    p-values in a fixed order (see `toolkit.tuning.guarantee`).

    References
    ----------
    .. [1] A. N. Angelopoulos et al. (2021). Learn then Test. arXiv:2110.01052.
    """
    wanted = read_objective(objective)
    if confidence_level is None:
        rows = np.flatnonzero(wanted.allowed(curve))
        missing = _nobody_to_tell(curve) or _none_on_sample(curve, wanted, rows, objective)
    else:
        bound = _promisable(curve, wanted, objective, confidence_level)
        rows = guaranteed(curve, bound, confidence_level)
        missing = _nobody_to_tell(curve) or _repeated(curve) or _none_promised(curve, bound, rows, confidence_level)
    return _choice(curve, wanted, rows, missing, objective, confidence_level)


def _choice(
    curve: ThresholdCurve, wanted: Objective, rows: Rows, missing: str | None, objective: str, level: float | None
) -> Choice:
    threshold, point = None, None
    judged = curve.positives + curve.negatives
    reason = missing or f"{wanted.wish} of the {len(curve.rates)} thresholds that {judged} judged images tell apart."
    if missing is None:
        value = wanted.value(curve)[rows]
        threshold = float(curve.rates["threshold"].iloc[rows[value == value.max()].max()])
        point = curve.at(threshold)
        if level is not None:
            reason = f"holds on new images with probability {level:g}; {reason}"
    return Choice(curve.label, objective, threshold, point, reason, curve.positives, curve.negatives, level)


def _promisable(curve: ThresholdCurve, wanted: Objective, objective: str, confidence_level: float) -> Bound:
    if curve.weighted:
        raise InvalidObjective(
            f"{curve.label}: nothing can be promised on weighted samples; leave confidence_level out, or label images "
            f"picked uniformly."
        )
    checks.confidence_level(confidence_level)
    if not isinstance(wanted, Bound):
        raise InvalidObjective(
            f"{objective!r} cannot be promised; promise a bound, such as precision>=0.9, or leave confidence_level out."
        )
    return wanted


def _nobody_to_tell(curve: ThresholdCurve) -> str | None:
    """Why this sample cannot answer any question; None if it can."""
    judged = f"the {curve.positives + curve.negatives} judged images"
    if not curve.positives:
        return f"{curve.label} is on none of {judged}; label some images that show it."
    if not curve.negatives:
        return f"{curve.label} is on all of {judged}; label some images that do not show it."
    if curve.rates.empty or not curve.rates["tp"].any():
        return f"{never_reported('the model', curve.label, curve.positives, curve.min_confidence)}."
    return None


def never_reported(who: str, label: str, positives: int, min_confidence: float) -> str:
    """That a label was reported on no judged image that shows it, as a sentence without its full stop."""
    return (
        f"{who} reported {label} on none of the {positives} judged images that show it (nothing is known below "
        f"{written(min_confidence)})"
    )


def _repeated(curve: ThresholdCurve) -> str | None:
    """Why repeated lines are no evidence; None if there are none."""
    if not curve.repeated:
        return None
    lines = curve.positives + curve.negatives
    return (
        f"nothing can be promised on images that count more than once: {curve.repeated:,} of {lines:,} judged lines "
        f"name an image once more; leave these out with read_results(…).distinct()."
    )


def _none_on_sample(curve: ThresholdCurve, wanted: Objective, rows: Rows, objective: str) -> str | None:
    judged = f"the {curve.positives + curve.negatives} judged images"
    if isinstance(wanted, Bound) and not len(rows):
        rates = curve.rates[wanted.rate].to_numpy(float)
        best_row = curve.rates.iloc[int(rates.argmax() if wanted.at_least else rates.argmin())]
        beside = "" if wanted.rate == "recall" else f", with recall {best_row['recall']:.3f}"
        return (
            f"no threshold reaches {objective} on {judged}; the nearest is {wanted.rate} "
            f"{_told(best_row[wanted.rate], wanted)} at {written(best_row['threshold'])}{beside}."
        )
    best = float(wanted.value(curve)[rows].max())
    if isinstance(wanted, Cost) and -best >= wanted.fn * curve.groups[:, 1].sum():
        return f"flagging nothing costs no more than the best threshold on {judged}."
    if not isinstance(wanted, Cost) and best <= 0:
        return f"the thresholds that reach {objective} find none of the {curve.positives} images with {curve.label}."
    return None


def _none_promised(curve: ThresholdCurve, bound: Bound, rows: Rows, level: float) -> str | None:
    """What is missing for a promise; None if nothing is."""
    if len(rows) and bound.value(curve)[rows].max() > 0:
        return None
    flagged = int((curve.rates["tp"] + curve.rates["fp"]).max())
    promise = f"{bound.wish.partition(' with ')[2]} cannot be promised with probability {level:g}"
    if bound.limit == (1 if bound.at_least else 0):
        return f"{promise}: no number of images shows that there is no mistake at all; allow a few."
    if bound.rate == "precision" and flagged < (least := fewest(bound, level)):
        return (
            f"{promise}: {flagged} judged images are flagged at most, and it takes {least} without a mistake; label at "
            f"least {least - flagged:,} more that reach {written(curve.min_confidence)}."
        )
    rates = curve.rates[bound.rate].to_numpy(float)
    useful = bound.allowed(curve) & (bound.value(curve) > 0)
    if not useful.any():
        return f"{promise}: {_why_useless(curve, bound, rates)}"
    # Mostly it is the row that speaks most clearly; where that one just reaches the limit, the one that is best.
    best = int(np.argmax(np.where(useful, rates if bound.at_least else -rates, -np.inf)))
    for row in (nearest(curve, bound, useful), best):
        if needed := enough(bound, rates[row], level):
            missing = _missing(curve, bound, row, needed)
            return (
                f"{promise} on this sample; {missing} would be enough, if {bound.rate} stays at "
                f"{_told(rates[row], bound)}."
            )
    return (
        f"{promise}: {bound.rate} is {_told(rates[best], bound)} at best on this sample, too near to it for any number "
        f"of labels to show; loosen the bound a little."
    )


def _why_useless(curve: ThresholdCurve, bound: Bound, rates: NDArray[np.float64]) -> str:
    """Why no threshold serves a bound even on the sample."""
    if bound.allowed(curve).any():
        return f"the thresholds that reach it find none of the {curve.positives} images with {curve.label}."
    best = rates.max() if bound.at_least else rates.min()
    told = f"{bound.rate} is {_told(best, bound)} at best on this sample"
    if not bound.at_least:  # with more images there are higher thresholds, which flag fewer
        return f"{told}; label more images, which tell lower rates apart, or loosen the bound."
    sure = replace(curve, confidence_level=max(curve.confidence_level, _SURE)).table
    ends = sure[f"{bound.rate}_high"].to_numpy()
    row = int(ends.argmax())
    if ends[row] < bound.limit:
        return f"{told}; more labels will not help."
    at = f"{_told(ends[row], bound)} at {written(sure['threshold'].iloc[row])}"
    return f"{told}, and may be {at}; label more images to see, or loosen the bound."


def _told(rate: float, bound: Bound) -> str:
    """A rate in three digits, or in as many more as tell it from a limit that it is not."""
    digits = next((n for n in range(3, 17) if round(rate, n) != round(bound.limit, n)), 3)
    return f"{rate:.{digits}f}"


def _missing(curve: ThresholdCurve, bound: Bound, row: int, needed: int) -> str:
    """How many more images the sample would need, and of which kind."""
    at = curve.rates.iloc[row]
    if bound.rate == "precision":
        more = max(1, needed - int(at["tp"] + at["fp"]))
        rightly = math.ceil(more * at["precision"])
        return (
            f"about {more:,} more that reach {written(at['threshold'])} (about {rightly:,} of them with {curve.label})"
        )
    have, kind = {
        "recall": (curve.positives, f"with {curve.label}"),
        "fpr": (curve.negatives, f"without {curve.label}"),
    }.get(bound.rate, (curve.positives + curve.negatives, "of any kind"))
    return f"about {max(1, needed - have):,} more images {kind}"
