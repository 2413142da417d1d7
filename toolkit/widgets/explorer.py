"""What the threshold explorer is given: one label's curve, thinned to the thresholds that a person can pick."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit.curves import ThresholdCurve, binomial_interval
from toolkit.errors import BelowFloor
from toolkit.results import Counted

_STEP: Final = 0.1
_FINE_FROM: Final = 99.0
_FINE_STEP: Final = 0.01
_COUNTS: Final = ("tp", "fp", "fn", "tn")
_RATES: Final = ("precision", "precision_low", "precision_high", "recall", "recall_low", "recall_high")
_BARS: Final = 50


def pickable(floor: float, also: Iterable[float] = ()) -> NDArray[np.float64]:
    """The thresholds that the explorer stops at.

    Parameters
    ----------
    floor
        The run's, percent.
    also
        Further ones that must be among them, percent; those below the floor are left out.

    Returns
    -------
    numpy.ndarray
        Ascending: the floor, every tenth of a percent, from 99 every hundredth (models crowd their confidences there),
        and 100. At most 1,092 and those of `also`.

    Examples
    --------
    >>> pickable(99.965, also=[99.975]).tolist()
    [99.965, 99.97, 99.975, 99.98, 99.99, 100.0]
    """
    coarse = np.arange(0, round(_FINE_FROM / _STEP)) * _STEP
    fine = _FINE_FROM + np.arange(round((100 - _FINE_FROM) / _FINE_STEP) + 1) * _FINE_STEP
    every = np.concatenate([[floor], np.round(coarse, 1), np.round(fine, 2), np.fromiter(also, float)])
    inside: NDArray[np.float64] = every[(every >= floor) & (every <= 100)]
    # Two that are the same as float32 are one threshold; the first of them is the rounder number.
    return inside[np.unique(inside.astype(np.float32), return_index=True)[1]]


def explorer_data(
    curve: ThresholdCurve, results: Counted | None = None, *, suggested: float | None = None, also: Iterable[float] = ()
) -> dict[str, Any]:
    """Everything the explorer shows while its line is dragged.

    Parameters
    ----------
    curve
        From `threshold_curve`.
    results
        The run, or a summary of it, for the forecast; None leaves that out.
    suggested
        A threshold to mark, percent.
    also
        Further thresholds that must be pickable, percent.

    Returns
    -------
    dict
        JSON-ready, `None` for what cannot be said. By column, one entry a threshold of `pickable`: `threshold`
        (percent), `tp`, `fp`, `fn`, `tn` (judged images, exactly those of `curve.at`), `precision` and `recall` with
        `_low` and `_high` (0–1), and with `results` the share of the run that is `flagged` (0–1) with its interval
        (Clopper–Pearson; it takes the run for a random sample of what will come). `bars`: judged images by confidence.
        `weighted`: whether the rates are, where counts are not.

    Raises
    ------
    BelowFloor
        Nothing is known below 100.
    """
    floor = curve.min_confidence
    if floor >= 100:
        raise BelowFloor(f"{curve.label}: this run reported nothing below {floor:g}, so there is no threshold to move.")
    thresholds = pickable(floor, [*also, *([] if suggested is None else [suggested])])
    table = curve.at_each(thresholds)
    data: dict[str, Any] = {"threshold": thresholds.tolist()} | {n: _plain(table[n]) for n in (*_COUNTS, *_RATES)}
    if results is not None:
        data |= _flagged(results, curve.label, thresholds, curve.confidence_level)
    return data | {
        "label": curve.label,
        "floor": floor,
        "level": f"{curve.confidence_level:.0%} interval".replace("%", "\xa0%"),
        "suggested": suggested,
        "weighted": curve.weighted,
        "bars": _bars(curve),
    }


def _flagged(results: Counted, label: str, thresholds: NDArray[np.float64], level: float) -> dict[str, Any]:
    histogram = results.histogram(label)
    confidences, images = histogram.index.to_numpy(np.float32), histogram.to_numpy()
    above = np.concatenate([images[::-1].cumsum()[::-1], [0]])[
        np.searchsorted(confidences, thresholds.astype(np.float32))
    ]
    low, high = binomial_interval(above, np.full(above.shape, results.n_images), level)
    share = above / results.n_images if results.n_images else np.zeros(above.shape)
    return {"flagged": _plain(share), "flagged_low": _plain(low), "flagged_high": _plain(high)}


def _bars(curve: ThresholdCurve) -> dict[str, Any]:
    """Judged images with and without the label, between equal steps from the floor to 100."""
    edges = np.linspace(curve.min_confidence, 100, _BARS + 1)
    place = np.clip(np.searchsorted(edges.astype(np.float32), curve.thresholds, side="right") - 1, 0, _BARS - 1)
    sums = np.zeros((_BARS, 2))
    np.add.at(sums, place, curve.cells[1:, :, 0])
    return {
        "middle": _plain((edges[:-1] + edges[1:]) / 2),
        "width": float(edges[1] - edges[0]),
        "absent": _plain(sums[:, 0]),
        "present": _plain(sums[:, 1]),
    }


def _plain(values: Any) -> list[float | None]:
    """Numbers as JSON takes them: no NaN, and no more digits than a screen can show."""
    return [None if pd.isna(value) else round(float(value), 9) for value in np.asarray(values)]
