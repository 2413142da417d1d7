"""Every threshold's confusion counts, rates and intervals for one label."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from toolkit import checks
from toolkit.confidence import written
from toolkit.curves.intervals import Interval, binomial_interval, weighted_interval
from toolkit.curves.measures import average_precision, roc_auc
from toolkit.errors import BelowFloor, InvalidArgument
from toolkit.htmltable import described

Floats = NDArray[np.float64]

RATES: Final = {
    "precision": (("tp",), ("tp", "fp")),
    "recall": (("tp",), ("tp", "fn")),
    "fpr": (("fp",), ("fp", "tn")),
    "flagged": (("tp", "fp"), ("tp", "fp", "fn", "tn")),
}
"""Each rate as the cells that make its numerator and its denominator."""

# What is summed over the images of a cell: how many there are, their weights, and their squared weights.
_COUNT, _WEIGHT, _SQUARE = 0, 1, 2


@dataclass(frozen=True)
class OperatingPoint:
    """One threshold and what happens there.

    `threshold` is in percent (0–100); `tp`, `fp`, `fn`, `tn` are numbers of labelled images; rates lie between 0 and 1,
    each with the ends of its interval, and are NaN where their denominator is 0. `flagged` is the share of the images
    at or above the threshold. Where labelled images carry weights, the rates are weighted and the numbers are not.
    """

    threshold: float
    tp: int
    fp: int
    fn: int
    tn: int
    precision: float
    recall: float
    fpr: float
    f1: float
    flagged: float
    precision_low: float
    precision_high: float
    recall_low: float
    recall_high: float
    fpr_low: float
    fpr_high: float
    flagged_low: float
    flagged_high: float


_COUNTS: Final = ("tp", "fp", "fn", "tn")
_COLUMNS: Final = [field.name for field in fields(OperatingPoint)]


@dataclass(frozen=True, repr=False, eq=False)
class ThresholdCurve:
    """What every threshold would do for one label, on the images that people judged.

    Attributes
    ----------
    label
        The moderation label.
    thresholds
        The distinct confidences of judged images, ascending: float32, percent, shape (n,). Empty when the label was
        reported on no judged image.
    cells
        Shape (n + 1, 2, 3): judged images on which the label was not reported, then those at each threshold; without
        and with the label; how many there are, the sum of their weights, and of their squared weights.
    heaviest
        The largest weight among the judged images of each row of `cells`, shape (n + 1,); 0 where there are none.
    weighted
        Whether the labelled images were picked with unequal probabilities, which the rates and intervals make up for.
    unmatched
        Judged images that this run has no result for (they failed, or were not in it); they do not count.
    min_confidence
        The run's floor in percent; nothing is known below it.
    confidence_level
        Coverage of the `_low` and `_high` columns.
    interval
        What they are: `clopper-pearson` or `wilson`. Those of weighted images are always Fay's (`weighted_interval`).
    floor_guessed
        Whether nobody told the floor: it is the smallest confidence that was seen.
    repeated
        Judged lines that name an image which another one names: no further evidence.
    """

    label: str
    thresholds: NDArray[np.float32]
    cells: Floats
    heaviest: Floats
    weighted: bool
    unmatched: int
    min_confidence: float
    confidence_level: float
    interval: Interval = "clopper-pearson"
    floor_guessed: bool = False
    repeated: int = 0

    @cached_property
    def rates(self) -> pd.DataFrame:
        """`table` without its intervals, which take longer than all the rest.

        Returns
        -------
        pandas.DataFrame
            `threshold`, `tp`, `fp`, `fn`, `tn`, `precision`, `recall`, `fpr`, `f1`, `flagged`.
        """
        cells = _confusion(self._flagged, self._totals)
        rates: dict[str, NDArray[Any]] = {"threshold": self.thresholds} | {
            name: _whole(sums) for name, sums in cells.items()
        }
        for rate in RATES:
            above, below = _fraction(cells, rate)
            with np.errstate(invalid="ignore", divide="ignore"):
                rates[rate] = np.where(below[:, _COUNT] > 0, above[:, _WEIGHT] / below[:, _WEIGHT], np.nan)
        tp, fp, fn = (cells[name][:, _WEIGHT] for name in ("tp", "fp", "fn"))
        with np.errstate(invalid="ignore", divide="ignore"):
            rates["f1"] = 2 * tp / (2 * tp + fp + fn)
        return pd.DataFrame(rates)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a threshold, ascending; the columns of `OperatingPoint`."""
        return self.rows(self.rates.index)

    def rows(self, positions: ArrayLike) -> pd.DataFrame:
        """Some rows of `table`, without making the others.

        Parameters
        ----------
        positions
            Row numbers, from 0.
        """
        chosen = np.asarray(positions, dtype=np.int64)
        cells = _confusion(self._flagged[chosen], self._totals)
        above, below = (heaviest[chosen] for heaviest in self._heaviest)
        ends: dict[str, Floats] = {}
        for rate in RATES:
            # What counts against a precision is flagged, too; what counts against another rate is not.
            against = above if rate == "precision" else below
            ends[f"{rate}_low"], ends[f"{rate}_high"] = self._ends(*_fraction(cells, rate), (above, against))
        return self.rates.iloc[chosen].assign(**ends)[_COLUMNS]

    @property
    def weights(self) -> dict[str, Floats]:
        """Sums of weights at each threshold: `tp`, `fp`, `fn` and `tn` for the collection, where images stand for more
        than one; numbers of images where all had the same chance.
        """
        return {name: sums[:, _WEIGHT] for name, sums in _confusion(self._flagged, self._totals).items()}

    @property
    def positives(self) -> int:
        """Judged images with the label."""
        return int(self._totals[1, _COUNT])

    @property
    def negatives(self) -> int:
        """Judged images without the label."""
        return int(self._totals[0, _COUNT])

    @property
    def groups(self) -> Floats:
        """Sums of weights, shape (n + 1, 2): not reported and at each threshold; without and with the label."""
        return self.cells[:, :, _WEIGHT]

    @property
    def prevalence(self) -> float:
        """Share of the judged images with the label, 0–1, weighted where they carry weights; NaN without images."""
        without, there = self.groups.sum(axis=0)
        return float(there / (without + there)) if without + there else float("nan")

    @property
    def average_precision(self) -> float:
        """Area under precision over recall as a step function, 0–1; NaN without positives.

        Images on which the label was not reported rank last, all tied: the run says no more about them.
        The sum is scikit-learn's: the recall gained at each threshold times the precision there.
        """
        return float(average_precision(self.groups))

    @property
    def roc_auc(self) -> float:
        """Area under recall over the false-positive rate, 0–1; NaN without positives or without negatives.

        The chance that an image with the label has a higher confidence than one without; a tie counts half, and images
        on which the label was not reported are all tied.
        """
        return float(roc_auc(self.groups))

    def at(self, threshold: float) -> OperatingPoint:
        """What happens at one threshold: images with confidence >= threshold are flagged.

        Raises
        ------
        BelowFloor
            The run reported nothing there, or the threshold is above 100.
        """
        checks.within("threshold", threshold, -np.inf, np.inf)  # NaN and text are not
        checks.not_below(self.min_confidence, threshold, self.label, guessed=self.floor_guessed)
        if not np.float32(threshold) <= 100:
            raise BelowFloor(
                f"{self.label} at {written(threshold)}: confidences end at 100; name a threshold up to 100."
            )
        values = self._regrouped(np.array([threshold])).table.iloc[0]
        counts = {name: int(values[name]) for name in _COUNTS}
        rates = {name: float(values[name]) for name in _COLUMNS if name not in _COUNTS}
        return OperatingPoint(**counts, **rates)  # type: ignore[arg-type]

    def at_each(self, thresholds: ArrayLike) -> pd.DataFrame:
        """What happens at each of several thresholds: `at` for many, at once.

        Parameters
        ----------
        thresholds
            Percent, ascending; they need not be confidences that occurred.

        Returns
        -------
        pandas.DataFrame
            One row a threshold, in their order; the columns of `OperatingPoint`.

        Raises
        ------
        BelowFloor
            The run reported nothing at one of them, or one is above 100.
        InvalidArgument
            They are not numbers in ascending order.
        """
        given = np.asarray(thresholds, dtype=float)
        if given.ndim != 1 or not np.all(np.diff(given) > 0) or np.isnan(given).any():
            raise InvalidArgument("thresholds are not numbers in ascending order; sort them, each once.")
        for end in (given[:1], given[-1:]):
            if len(end):
                self.at(float(end[0]))
        return self._regrouped(given).table

    def _regrouped(self, thresholds: Floats) -> "ThresholdCurve":
        """The same images, counted between other thresholds (ascending)."""
        rows = np.searchsorted(self.thresholds, thresholds.astype(np.float32))
        flagged = np.concatenate([self._flagged, np.zeros((1, 2, 3))])[rows]
        above = np.concatenate([self._totals[None], flagged])
        below = np.concatenate([flagged, np.zeros((1, 2, 3))])
        edges = [0, *(rows + 1), len(self.heaviest)]
        heaviest = np.array([self.heaviest[low:high].max(initial=0.0) for low, high in pairwise(edges)])
        return replace(self, thresholds=thresholds, cells=above - below, heaviest=heaviest)  # type: ignore[arg-type]

    def calibration(self, bins: int = 10) -> pd.DataFrame:
        """Whether confidences are what they say: how often the label is there, by bins of confidence (reliability).

        Parameters
        ----------
        bins
            How many equal ones, from the floor to 100; 1 to 1000.

        Returns
        -------
        pandas.DataFrame
            One row a bin: `low`, `high` (percent, float32; a confidence of exactly `high` belongs to the next bin, but
            for 100), `images` (judged, and reported there), `mean_confidence` (percent), `present` (share with the
            label, 0–1) with the ends of its interval. NaN for an empty bin.

        Raises
        ------
        InvalidArgument
            `bins` is out of its range.
        """
        checks.within("bins", bins, 1, 1000)
        edges = np.linspace(self.min_confidence, 100, int(bins) + 1, dtype=np.float32)  # compared as confidences are
        place = np.clip(np.searchsorted(edges, self.thresholds, side="right") - 1, 0, int(bins) - 1)
        sums = np.zeros((int(bins), 2, 3))
        np.add.at(sums, place, self.cells[1:])
        everything = sums.sum(axis=1)
        weighed = np.bincount(place, self.groups[1:].sum(axis=1) * self.thresholds, minlength=int(bins))
        heaviest = np.zeros(int(bins))
        np.maximum.at(heaviest, place, self.heaviest[1:])
        low, high = self._ends(sums[:, 1], everything, (heaviest, heaviest))
        with np.errstate(invalid="ignore", divide="ignore"):
            mean, share = weighed / everything[:, _WEIGHT], sums[:, 1, _WEIGHT] / everything[:, _WEIGHT]
        return pd.DataFrame(
            {
                "low": edges[:-1],
                "high": edges[1:],
                "images": _whole(everything),
                "mean_confidence": mean,
                "present": share,
                "present_low": low,
                "present_high": high,
            }
        )

    @property
    def _totals(self) -> Floats:
        totals: Floats = self.cells.sum(axis=0)
        return totals

    @property
    def _flagged(self) -> Floats:
        """Counting from the top: at each threshold, everything at or above it is flagged."""
        return self.cells[:0:-1].cumsum(axis=0)[::-1]

    @property
    def _heaviest(self) -> tuple[Floats, Floats]:
        """The largest weight among the judged images at or above each threshold, and below it; of all, if none is."""
        above = np.maximum.accumulate(self.heaviest[:0:-1])[::-1]
        below = np.maximum.accumulate(self.heaviest)[:-1]
        largest = self.heaviest.max(initial=0.0)
        return np.where(above > 0, above, largest), np.where(below > 0, below, largest)

    def _ends(self, above: Floats, below: Floats, heaviest: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        """Of the interval of a rate, from the sums over its numerator and over its denominator, shape (rows, 3), and
        the largest weights of what could count for it and against it, shape (rows,)."""
        if not self.weighted:
            return binomial_interval(above[:, _COUNT], below[:, _COUNT], self.confidence_level, self.interval)
        # Differences of sums: where nothing is left, not even a rounding error should be.
        against = np.where((below - above)[:, [_COUNT]] > 0.5, below - above, 0.0)
        weight, square = ((above[:, which], against[:, which]) for which in (_WEIGHT, _SQUARE))
        return weighted_interval(weight, square, heaviest, self.confidence_level)

    def __repr__(self) -> str:
        return (
            f"ThresholdCurve({self.label}: {self.positives} present, {self.negatives} absent, "
            f"{len(self.thresholds)} thresholds from {written(self.min_confidence)}, "
            f"average precision {self.average_precision:.3f})"
        )

    def _repr_html_(self) -> str:
        facts = {
            "label": self.label,
            "judged images with it": self.positives,
            "without it": self.negatives,
            "thresholds": f"{len(self.thresholds):,}, from {written(self.min_confidence)}",
            "average precision": f"{self.average_precision:.3f}",
            "area under the ROC curve": f"{self.roc_auc:.3f}",
            "intervals": f"{self.confidence_level:.0%}, {'weighted' if self.weighted else self.interval}",
        }
        return described("ThresholdCurve", facts)


def _confusion(flagged: Floats, totals: Floats) -> dict[str, Floats]:
    """Sums over each cell's images, shape (thresholds, 3), from those of the flagged ones, shape (thresholds, 2, 3)."""
    return {
        "tp": flagged[:, 1],
        "fp": flagged[:, 0],
        "fn": totals[1] - flagged[:, 1],
        "tn": totals[0] - flagged[:, 0],
    }


def _fraction(cells: dict[str, Floats], rate: str) -> tuple[Floats, Floats]:
    above, below = (sum((cells[name] for name in names), np.zeros(3)) for names in RATES[rate])
    return above, below


def _whole(sums: Floats) -> NDArray[np.int64]:
    return np.rint(sums[:, _COUNT]).astype(np.int64)
