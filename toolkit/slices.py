"""One threshold, part by part: does it do as well on every kind of image?"""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit.curves import binomial_interval, threshold_curve
from toolkit.errors import InvalidArgument, NotLabelled
from toolkit.results import Results
from toolkit.truth import Truth

NONE: Final = "(none)"
"""The part of the images of which nothing is known."""
_MOST: Final = 200
_COUNTS: Final = ("tp", "fp", "fn", "tn")
_RATES: Final = ("precision", "precision_low", "precision_high", "recall", "recall_low", "recall_high")


def slices(
    results: Results,
    label: str,
    threshold: float,
    by: pd.Series | str,
    truth: Truth | None = None,
    *,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """What a threshold does on each part of a collection.

    Parameters
    ----------
    results
        A run.
    label, threshold
        Flagged is confidence >= threshold, percent.
    by
        What tells the parts apart: a Series indexed by source_ref (a column of a metadata table), or the name of a
        column of `results.images`, such as content_type.
    truth
        Labelled samples; without them there are no rates.
    confidence_level
        Coverage of the intervals (Clopper–Pearson), each by itself: among many parts some look odd by chance.

    Returns
    -------
    pandas.DataFrame
        One row a part, the largest first: `slice`, `images`, `flagged` (share, 0–1) with `_low` and `_high`, and with
        `truth` also `judged`, `tp`, `fp`, `fn`, `tn`, `precision` and `recall` with `_low` and `_high` (0–1; NaN where
        there is nothing to count). Images without a value are the part `(none)`.

    Raises
    ------
    InvalidArgument
        There is no such column, an image has two values, or there are more than 200 parts.
    BelowFloor
        The run reported nothing at the threshold.
    """
    results.require(threshold, label)
    codes, names = _parts(results, by)
    flagged = results.scores(label) >= np.float32(threshold)
    images = np.bincount(codes, minlength=len(names))
    hits = np.bincount(codes[flagged], minlength=len(names))
    low, high = binomial_interval(hits, images, confidence_level)
    table = pd.DataFrame(
        {"slice": names, "images": images, "flagged": hits / images, "flagged_low": low, "flagged_high": high}
    )
    if truth is not None:
        known, _ = truth.matched(label, results.images["source_ref"])
        judged, places = results.where(known), codes[known]
        parts = [judged.where(places == code) for code in range(len(names))]
        rows = [_judged(part, truth, label, threshold, confidence_level) for part in parts]
        table = table.join(pd.DataFrame(rows))
    return table.sort_values("images", ascending=False, kind="stable", ignore_index=True)


def _parts(results: Results, by: pd.Series | str) -> tuple[NDArray[np.int64], list[str]]:
    """The part of each image, as a number, and their names."""
    if isinstance(by, str):
        if by not in results.images.columns:
            columns = ", ".join(results.images.columns)
            raise InvalidArgument(f"{by!r}: no such column of results.images; there are: {columns}.")
        found = results.images[by]
    else:
        if not by.index.is_unique:
            twice = by.index[by.index.duplicated()][0]
            raise InvalidArgument(f"{twice} stands twice in the metadata; keep one row an image.")
        found = by.reindex(results.images["source_ref"])
    codes, values = pd.factorize(found)
    if len(values) > _MOST:
        raise InvalidArgument(f"{len(values):,} different values; slice by a column with at most {_MOST}.")
    written = [NONE if pd.isna(value) or value == "" else str(value) for value in values]
    names = list(dict.fromkeys([*written, NONE] if (codes < 0).any() else written))
    # A missing value's code is -1: the last place.
    place = np.array([names.index(name) for name in written] + [names.index(NONE) if NONE in names else 0])
    return place[codes], names


def _judged(
    part: Results, truth: Truth, label: str, threshold: float, confidence_level: float
) -> dict[str, float | int]:
    try:
        curve = threshold_curve(part, truth.on(part.images["source_ref"]), label, confidence_level=confidence_level)
    except NotLabelled:  # nobody judged an image of this part
        return {"judged": 0} | dict.fromkeys(_COUNTS, 0) | dict.fromkeys(_RATES, float("nan"))
    point = curve.at(threshold)
    judged: dict[str, float | int] = {"judged": curve.positives + curve.negatives}
    return judged | {name: getattr(point, name) for name in (*_COUNTS, *_RATES)}
