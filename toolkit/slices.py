"""One threshold, part by part: does it do as well on every kind of image?"""

from typing import Final

import numpy as np
import pandas as pd

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
    values = _values(results, by)
    names = values.value_counts().index
    if len(names) > _MOST:
        raise InvalidArgument(f"{len(names):,} different values; slice by a column with at most {_MOST}.")
    flagged = results.scores(label) >= np.float32(threshold)
    rows = []
    for name in names:
        here = (values == name).to_numpy(bool)
        low, high = binomial_interval(flagged[here].sum(), here.sum(), confidence_level)
        row = {"slice": name, "images": int(here.sum()), "flagged": float(flagged[here].mean())}
        row |= {"flagged_low": float(low), "flagged_high": float(high)}
        rows.append(row | (_judged(results.where(here), truth, label, threshold, confidence_level) if truth else {}))
    return pd.DataFrame(rows)


def _values(results: Results, by: pd.Series | str) -> pd.Series:
    refs = results.images["source_ref"]
    if isinstance(by, str):
        if by not in results.images.columns:
            columns = ", ".join(results.images.columns)
            raise InvalidArgument(f"{by!r}: no such column of results.images; there are: {columns}.")
        found = results.images[by]
    else:
        if not by.index.is_unique:
            twice = by.index[by.index.duplicated()][0]
            raise InvalidArgument(f"{twice} stands twice in the metadata; keep one row an image.")
        found = pd.Series(by.reindex(refs).to_numpy())
    return found.astype("object").where(found.notna(), NONE).map(str).replace("", NONE).reset_index(drop=True)


def _judged(
    part: Results, truth: Truth, label: str, threshold: float, confidence_level: float
) -> dict[str, float | int]:
    try:
        curve = threshold_curve(part, truth, label, confidence_level=confidence_level)
    except NotLabelled:  # nobody judged an image of this part
        return {"judged": 0} | dict.fromkeys(_COUNTS, 0) | dict.fromkeys(_RATES, float("nan"))
    point = curve.at(threshold)
    judged: dict[str, float | int] = {"judged": curve.positives + curve.negatives}
    return judged | {name: getattr(point, name) for name in (*_COUNTS, *_RATES)}
