"""How sure a proportion is."""

from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri

from toolkit import checks
from toolkit.errors import InvalidArgument

Floats = NDArray[np.float64]
Interval = Literal["clopper-pearson", "wilson"]

INTERVALS: Final = ("clopper-pearson", "wilson")


def require_interval(interval: str) -> None:
    """Refuses an interval that nobody knows.

    Raises
    ------
    InvalidArgument
    """
    if interval not in INTERVALS:
        raise InvalidArgument(f"interval {interval!r}: choose one of {', '.join(INTERVALS)}.")


def binomial_interval(
    successes: ArrayLike, trials: ArrayLike, confidence_level: float = 0.95, interval: Interval = "clopper-pearson"
) -> tuple[Floats, Floats]:
    """Interval of a proportion.

    Parameters
    ----------
    successes, trials
        Counts, of one shape.
    confidence_level
        Coverage, between 0 and 1.
    interval
        `clopper-pearson` [1]_: exact, covers at least as often as it says, a little wide. `wilson` [2]_: narrower, and
        right on average.

    Returns
    -------
    low, high
        Arrays of that shape, between 0 and 1; NaN where there were no trials.

    Raises
    ------
    InvalidArgument
        `confidence_level` is not between 0 and 1, or the interval is unknown.

    References
    ----------
    .. [1] C. J. Clopper and E. S. Pearson (1934). Biometrika 26(4), 404–413.
    .. [2] E. B. Wilson (1927). Journal of the American Statistical Association 22(158), 209–212.

    Examples
    --------
    >>> low, high = binomial_interval(9, 10)
    >>> round(float(low), 3), round(float(high), 3)
    (0.555, 0.997)
    >>> low, high = binomial_interval(9, 10, interval="wilson")
    >>> round(float(low), 3), round(float(high), 3)
    (0.596, 0.982)
    """
    checks.confidence_level(confidence_level)
    require_interval(interval)
    k, n = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(trials, dtype=float))
    tail = (1 - confidence_level) / 2
    low, high = _wilson(k, n, tail) if interval == "wilson" else _clopper_pearson(k, n, tail)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def _clopper_pearson(k: Floats, n: Floats, tail: float) -> tuple[Floats, Floats]:
    with np.errstate(invalid="ignore"):
        low = np.where(k > 0, betaincinv(k, n - k + 1, tail), 0.0)
        high = np.where(k < n, betaincinv(k + 1, n - k, 1 - tail), 1.0)
    return low, high


def _wilson(k: Floats, n: Floats, tail: float) -> tuple[Floats, Floats]:
    z = -float(ndtri(tail))
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = k / n
        middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    # At the ends the formula is exact in theory and a rounding error away in practice.
    return np.where(k == 0, 0.0, middle - half), np.where(k == n, 1.0, middle + half)


def effective(
    count: tuple[Floats, Floats], weight: tuple[Floats, Floats], square: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Successes and trials of the simple random sample that would be as sure as a weighted one (Korn and Graubard).

    The variance of the weighted rate is linearised: the sum of squared weights times squared deviations, over the
    squared sum of weights. At a rate of 0 or 1, where it vanishes, Kish's effective sample size takes its place.

    Parameters
    ----------
    count, weight, square
        Numerator and denominator of the rate: numbers of images, sums of their weights, sums of their squared weights.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = weight[0] / weight[1]
        variance = (square[0] * (1 - 2 * rate) + rate**2 * square[1]) / weight[1] ** 2
        inside = (rate > 1e-12) & (rate < 1 - 1e-12)
        trials = np.where(inside, rate * (1 - rate) / variance, weight[1] ** 2 / square[1])
    trials = np.where(count[1] > 0, np.minimum(trials, count[1]), 0.0)
    return np.where(trials > 0, np.clip(rate, 0, 1) * trials, 0.0), trials
