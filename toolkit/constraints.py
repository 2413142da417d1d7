"""Holds a request against botocore's service model: required, type, min, max, pattern and enum, all read from there.

It looks at JSON as it goes over the wire, before anything is converted: a converter would turn `"50"` into 50.0 and
hide that the client sent the wrong type. The local service refuses by it what AWS would refuse, and the toolkit's own
requests are held against it before they cost a round trip.
"""

import base64
import math
import re
from collections.abc import Callable
from functools import cache
from numbers import Real
from typing import Any, Final

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from toolkit.errors import InvalidArgument, RequestRefused

# Java's Unicode classes, which Python's `re` lacks, as what stands for them inside a character class. `\w` is exactly
# letters, numbers and the underscore; the rest are all characters of category Z.
_JAVA_CLASSES: Final = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": " \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}


class ConstraintBroken(ValueError):
    """A member of a request breaks a constraint of its shape; the message names both."""


@cache
def rekognition() -> ServiceModel:
    """Botocore's model of Rekognition, read without a session: a profile that does not exist is no reason to fail."""
    return ServiceModel(Loader().load_service_model("rekognition", "service-2"), "rekognition")


def check_request(operation: str, request: dict[str, Any]) -> None:
    """Refuses a request that an operation of Rekognition would refuse. Raises as `check`.

    >>> check_request("GetMediaAnalysisJob", {"JobId": "no id!"})
    Traceback (most recent call last):
    toolkit.constraints.ConstraintBroken: JobId: 'no id!' does not match the pattern ^[a-zA-Z0-9-_]+$.
    """
    shape = rekognition().operation_model(operation).input_shape
    if shape is not None:  # an operation that takes nothing has none
        check(shape, request)


def refuse(what: str, operation: str, request: dict[str, Any]) -> None:
    """Refuses what breaks a maximum or a pattern of the service's model; the rest botocore says itself.

    Raises
    ------
    RequestRefused
    """
    try:
        check_request(operation, request)
    except ConstraintBroken as error:
        if "minimum" not in str(error) and "required" not in str(error):
            raise RequestRefused(
                f"{what}: {str(error).rstrip('.')}; correct it.", "InvalidParameterException"
            ) from error


def percent(value: float) -> float:
    """A MinConfidence as a request takes it; its range is the service model's to say.

    Raises
    ------
    InvalidArgument
        It is no number.

    >>> percent(True)
    Traceback (most recent call last):
    toolkit.errors.InvalidArgument: MinConfidence is True; give a number from 0 to 100.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidArgument(f"MinConfidence is {value!r}; give a number from 0 to 100.")
    return float(value)


@cache
def pattern(source: str) -> re.Pattern[str]:
    """A pattern of the service model, compiled; the model writes them for Java."""
    for java, python in _JAVA_CLASSES.items():
        source = source.replace(java, python)
    return re.compile(source)


def check(shape: Shape, value: Any, member: str = "request") -> None:
    """Refuses a value that breaks a constraint of its shape, or of a shape inside it.

    Parameters
    ----------
    shape
        From the service model.
    value
        As `json.loads` gave it; blobs are still base64. Members that the model does not know are not looked at.
    member
        Where the value stands, as in `OperationsConfig.DetectModerationLabels.MinConfidence`.

    Raises
    ------
    ConstraintBroken
        Its message names the member and the constraint.
    """
    _CHECKS[shape.type_name](shape, value, member)


def _structure(shape: StructureShape, value: Any, member: str) -> None:
    if not isinstance(value, dict):
        raise _wrong_type(member, "an object")
    for name in shape.required_members:
        if value.get(name) is None:
            raise ConstraintBroken(f"{_inside(member, name)}: required, but missing.")
    for name, inner in shape.members.items():
        if value.get(name) is not None:
            check(inner, value[name], _inside(member, name))


def _list(shape: ListShape, value: Any, member: str) -> None:
    if not isinstance(value, list):
        raise _wrong_type(member, "a list")
    _bounds(shape, len(value), member, "number of items")
    for position, item in enumerate(value):
        check(shape.member, item, f"{member}[{position}]")


def _map(shape: MapShape, value: Any, member: str) -> None:
    if not isinstance(value, dict):
        raise _wrong_type(member, "an object")
    _bounds(shape, len(value), member, "number of items")
    for key, item in value.items():
        check(shape.key, key, f"{member} key {key!r:.40}")
        check(shape.value, item, f"{member}[{key!r:.40}]")


def _string(shape: Shape, value: Any, member: str) -> None:
    if not isinstance(value, str):
        raise _wrong_type(member, "text")
    _bounds(shape, len(value), member, "length")
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        raise ConstraintBroken(f"{member}: {value!r:.80} is none of {', '.join(allowed)}.")
    source = shape.metadata.get("pattern")
    if source and not pattern(source).fullmatch(value):
        raise ConstraintBroken(f"{member}: {value!r:.80} does not match the pattern {source}.")


def _blob(shape: Shape, value: Any, member: str) -> None:
    if not isinstance(value, str):
        raise _wrong_type(member, "base64 text")
    try:
        size = len(base64.b64decode(value, validate=True))
    except ValueError as error:  # binascii.Error is one; letters beyond ASCII are another
        raise _wrong_type(member, "base64 text") from error
    _bounds(shape, size, member, "size in bytes")


def _number(shape: Shape, value: Any, member: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong_type(member, "a number")
    # Not a number compares with nothing, so no bound would catch it.
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong_type(member, "a finite number")
    _bounds(shape, value, member, "value")


def _integer(shape: Shape, value: Any, member: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(member, "a whole number")
    _bounds(shape, value, member, "value")


def _boolean(_shape: Shape, value: Any, member: str) -> None:
    if not isinstance(value, bool):
        raise _wrong_type(member, "true or false")


_CHECKS: Final[dict[str, Callable[[Any, Any, str], None]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "blob": _blob,
    "float": _number,
    "double": _number,
    "integer": _integer,
    "long": _integer,
    "boolean": _boolean,
}


def _bounds(shape: Shape, size: float, member: str, what: str) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        raise ConstraintBroken(f"{member}: {what} {size} is below the minimum of {low}.")
    if high is not None and size > high:
        raise ConstraintBroken(f"{member}: {what} {size} is above the maximum of {high}.")


def _inside(member: str, name: str) -> str:
    return name if member == "request" else f"{member}.{name}"


def _wrong_type(member: str, wanted: str) -> ConstraintBroken:
    return ConstraintBroken(f"{member}: not {wanted}.")
