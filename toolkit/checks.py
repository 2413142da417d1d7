"""What a caller gave, held against what is taken. On the lowest floor, so that all refuse in the same words."""

from numbers import Integral

import numpy as np

from toolkit.confidence import written
from toolkit.errors import BelowFloor, InvalidArgument


def within(name: str, value: float, low: float, high: float, *, ends: bool = True) -> None:
    """Refuses what is not a number between two others.

    Parameters
    ----------
    name
        What the caller knows it as; begins the message.
    value
        What the caller gave.
    low, high
        The ends of the range.
    ends
        Whether the ends themselves are taken.

    Raises
    ------
    InvalidArgument
        It is no number, NaN, or out of the range.

    Examples
    --------
    >>> within("threshold", 101, 0, 100)
    Traceback (most recent call last):
    toolkit.errors.InvalidArgument: threshold is 101; give a number from 0 to 100.
    """
    try:
        inside = bool(low <= value <= high if ends else low < value < high)
    except (TypeError, ValueError):  # text, or an array
        inside = False
    truth_value = isinstance(value, (bool, np.bool_))
    if truth_value or not inside:
        given = f"{value:g}" if isinstance(value, (int, float)) and not truth_value else repr(value)
        span = f"from {low:g} to {high:g}" if ends else f"between {low:g} and {high:g}"
        raise InvalidArgument(f"{name} is {given}; give a number {span}.")


def whole(name: str, value: int, least: int | None = None) -> None:
    """Refuses what is not a whole number, or is less than it may be.

    Raises
    ------
    InvalidArgument

    Examples
    --------
    >>> whole("seed", -1, 0)
    Traceback (most recent call last):
    toolkit.errors.InvalidArgument: seed is -1; give a whole number, 0 or more.
    """
    number = isinstance(value, Integral) and not isinstance(value, bool)
    if not number or (least is not None and value < least):
        span = "" if least is None else f", {least} or more"
        raise InvalidArgument(f"{name} is {value!r}; give a whole number{span}.")


def kind(name: str, value: object, wanted: type, source: str) -> None:
    """Refuses what is no object of a class of this toolkit.

    Parameters
    ----------
    name
        What the caller knows it as; begins the message.
    value
        What the caller gave.
    wanted
        The class.
    source
        What returns such an object.

    Raises
    ------
    InvalidArgument

    Examples
    --------
    >>> kind("curve", "a.csv", dict, "threshold_curve")
    Traceback (most recent call last):
    toolkit.errors.InvalidArgument: curve is of type str; give what threshold_curve returns.
    """
    if not isinstance(value, wanted):
        raise InvalidArgument(f"{name} is of type {type(value).__name__}; give what {source} returns.")


def confidence_level(value: float) -> None:
    """Refuses what is no probability strictly between 0 and 1. Raises as `within`."""
    within("confidence_level", value, 0, 1, ends=False)


def not_below(floor: float, threshold: float, name: str, *, guessed: bool = False) -> None:
    """Refuses a threshold that a run cannot speak about.

    Parameters
    ----------
    floor
        The run's, percent: nothing below it was reported.
    threshold
        What was asked for, percent; compared as float32, as confidences are.
    name
        Of the label; begins the message.
    guessed
        Whether nobody told the floor: it is the smallest confidence that was seen.

    Raises
    ------
    BelowFloor
    """
    if np.float32(threshold) < np.float32(floor) and guessed:
        raise BelowFloor(
            f"{name} at {written(threshold)}: nobody said what this run's MinConfidence was, and nothing below "
            f"{written(floor)} was reported; say it (min_confidence, --min-confidence), or rerun the job with "
            f"{written(threshold)} or lower."
        )
    if np.float32(threshold) < np.float32(floor):
        raise BelowFloor(
            f"{name} at {written(threshold)}: this run reported nothing below {written(floor)}; "
            f"rerun the job with MinConfidence {written(threshold)} or lower."
        )
