"""What every file format shares: one JSON object a line, and fields that are checked as they are read.

What is wrong with a line is said in a `ValueError` of a few words.
"""

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""A longer line is not read: no response is anywhere near as long."""


def to_line(record: Mapping[str, Any]) -> str:
    """One JSON Lines line, newline included.

    >>> to_line({"source-ref": "s3://b/1.jpg"})
    '{"source-ref": "s3://b/1.jpg"}\\n'
    """
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


class _Twice(ValueError):
    """A key stands twice in an object: nobody knows which is meant."""

    def __init__(self, key: str) -> None:
        super().__init__(f'"{key}" stands twice'[:80])


_MEANT_BY_NOBODY: Final = object()
"""The value of a key that stands twice, in a line that is read forgivingly: no field takes it."""

_OVERLOOKED: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|,(?=\s*[]}])|(?i:-?nan|-?inf(?:inity)?)')
"""What is no JSON and is read all the same: a comma before a bracket that closes, NaN and infinity as C writes them.
Texts are found too, so that nothing is found inside of them."""


def _repeated(pairs: list[tuple[str, Any]]) -> list[str]:
    times = Counter(key for key, _ in pairs)
    return [key for key, number in times.items() if number > 1]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice(_repeated(pairs)[0])
    return found


def _marked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else found | dict.fromkeys(_repeated(pairs), _MEANT_BY_NOBODY)


def _in_json(found: re.Match[str]) -> str:
    if found[0].startswith('"'):
        return found[0]
    return "" if found[0] == "," else "NaN"


def _forgivingly(text: str) -> Any:
    """As DuckDB reads it, which reads most files: what nobody asks for may stand twice, and see `_OVERLOOKED`."""
    try:
        return json.loads(text, object_pairs_hook=_marked)
    except ValueError:
        return json.loads(_OVERLOOKED.sub(_in_json, text), object_pairs_hook=_marked)


def parse_object(raw: bytes | str, *, forgiving: bool = False) -> dict[str, Any]:
    """The JSON object that a line or a document is.

    Parameters
    ----------
    raw
        The line or the document.
    forgiving
        Overlook what DuckDB overlooks: a comma before a closing bracket, `nan`, and keys that stand twice as long as
        `value_of` does not ask for them.

    Raises
    ------
    ValueError
        Too long, not UTF-8, not JSON, not an object, or with a key that stands twice.

    >>> parse_object('{"a": [1,], "b": nan, "b": 2}', forgiving=True)["a"]
    [1]
    """
    if len(raw) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES // 1024**2} MB")
    try:
        text = (raw.decode("utf-8") if isinstance(raw, bytes) else raw).removeprefix("\ufeff")
        value = _forgivingly(text) if forgiving else json.loads(text, object_pairs_hook=_once)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")  # half of a surrogate pair is no text
    except _Twice:
        raise
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start})") from error
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair, which is no text") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("not a JSON object; the line may be cut off") from error
    if not isinstance(value, dict):
        raise ValueError(f"a JSON {type(value).__name__}, not an object")
    return value


def value_of(record: Mapping[str, Any], key: str) -> Any:
    """What stands under a key; None where nothing does.

    Raises
    ------
    ValueError
        The key stands twice.
    """
    value = record.get(key)
    if value is _MEANT_BY_NOBODY:
        raise _Twice(key)
    return value


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """Lines of a file, ends included; of one that is too long only the beginning, which `parse_object` then refuses.

    >>> import io
    >>> list(lines_of(io.BytesIO(b"1\\n2")))
    [b'1\\n', b'2']
    """
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES + 1)


def source_ref_of(record: Mapping[str, Any]) -> str:
    """The image that a line is about.

    Raises
    ------
    ValueError
        It names none.
    """
    source_ref = value_of(record, "source-ref")
    if not isinstance(source_ref, str) or not source_ref:
        raise ValueError('no "source-ref"')
    return source_ref


def list_of(record: Mapping[str, Any], key: str) -> list[Any]:
    """A list; empty where it is left out.

    Raises
    ------
    ValueError
        Something else is there.
    """
    value = value_of(record, key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f'"{key}" is not a list')
    return value


def text_of(record: Mapping[str, Any], key: str) -> str | None:
    """A text; None where it is left out or empty.

    Raises
    ------
    ValueError
        Something else is there.
    """
    value = value_of(record, key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f'"{key}" is not text')
    return value or None


def name_of(item: Any) -> str:
    """The name of a label.

    Raises
    ------
    ValueError
        It has none.
    """
    name = value_of(item, "Name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not name:
        raise ValueError('a label without a "Name"')
    return name


def confidence_of(item: Mapping[str, Any]) -> float:
    """The confidence of a label in percent, 0–100, as the float32 that confidences are.

    Raises
    ------
    ValueError
        There is none, or not such a number.

    >>> confidence_of({"Confidence": 100.000001})
    100.0
    """
    value = value_of(item, "Confidence")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError('a "Confidence" that is not a number')
    confidence = float32(value)
    if not 0 <= confidence <= 100:  # NaN is neither
        raise ValueError(f'a "Confidence" of {value}, not between 0 and 100')
    return confidence


def float32(value: float) -> float:
    """The nearest float32; infinity where there is none.

    >>> float32(99.4478225708007), float32(1e300)
    (99.44782257080078, inf)
    """
    try:
        rounded: float
        (rounded,) = struct.unpack("f", struct.pack("f", value))
    except (OverflowError, struct.error):  # the latter where a whole number has hundreds of digits
        return math.inf
    return rounded
