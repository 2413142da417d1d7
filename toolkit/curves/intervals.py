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


def weighted_interval(
    weight: tuple[Floats, Floats],
    square: tuple[Floats, Floats],
    heaviest: tuple[Floats, Floats],
    confidence_level: float = 0.95,
) -> tuple[Floats, Floats]:
    """Interval of the share of one weighted sum in two, from images picked with unequal probabilities.

    Parameters
    ----------
    weight, square
        Of the images that count for the rate and of those that count against it: sums of their weights, and of their
        squared weights. Arrays of one shape.
    heaviest
        The largest weight of any judged image that could have been one of the former, or of the latter.
    confidence_level
        Coverage, between 0 and 1.

    Returns
    -------
    low, high
        Arrays of that shape, between 0 and 1; NaN where both sums are 0.

    Notes
    -----
    Each sum is taken for a gamma variable with its mean and variance, and the one that would do harm is given one more
    image of the heaviest weight [1]_: that none was found among few images that stand for many does not mean that there
    is none. The share of one gamma variable in two follows from a beta variable [2]_. With equal weights it is Clopper
    and Pearson's interval.

    References
    ----------
    .. [1] M. P. Fay and E. J. Feuer (1997). Statistics in Medicine 16(7), 791–801.
    .. [2] M. P. Fay (1999). Communications in Statistics – Theory and Methods 28(9), 2141–2160.
    """
    tail = (1 - confidence_level) / 2
    one, other = ((weight[i], square[i]) for i in range(2))
    one_more, other_more = ((weight[i] + heaviest[i], square[i] + heaviest[i] ** 2) for i in range(2))
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = weight[0] / (weight[0] + weight[1])
        low = np.where(weight[0] > 0, np.minimum(_share_of_gammas(one, other_more, tail), rate), 0.0)
        high = np.where(weight[1] > 0, np.maximum(_share_of_gammas(one_more, other, 1 - tail), rate), 1.0)
    counted = weight[0] + weight[1] > 0
    return np.where(counted, low, np.nan), np.where(counted, high, np.nan)


def _share_of_gammas(one: tuple[Floats, Floats], other: tuple[Floats, Floats], probability: float) -> Floats:
    """Quantile of X / (X + Y), where X and Y are gamma variables of these means and variances."""
    (mean, variance), (mean_of_other, variance_of_other) = one, other
    beta = betaincinv(mean**2 / variance, mean_of_other**2 / variance_of_other, probability)
    scaled, rest = beta * variance / mean, (1 - beta) * variance_of_other / mean_of_other
    share: Floats = scaled / (scaled + rest)
    return share
