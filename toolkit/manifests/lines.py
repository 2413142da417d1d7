"""What every file format shares: one JSON object a line, and fields that are checked as they are read.

What is wrong with a line is said in a `ValueError` of a few words.
"""

import json
import math
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


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(f'"{next(key for key in keys if keys.count(key) > 1)}" stands twice'[:80])
    return found


def parse_object(raw: bytes | str) -> dict[str, Any]:
    """The JSON object that a line or a document is.

    Raises
    ------
    ValueError
        Too long, not UTF-8, not JSON, not an object, or with a key that stands twice.
    """
    if len(raw) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES // 1024**2} MB")
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        value = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_once)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # half of a surrogate pair is no text
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
    source_ref = record.get("source-ref")
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
    value = record.get(key)
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
    value = record.get(key)
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
    name = item.get("Name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not name:
        raise ValueError('a label without a "Name"')
    return name


def confidence_of(item: Mapping[str, Any]) -> float:
    """The confidence of a label in percent, 0–100.

    Raises
    ------
    ValueError
        There is none, or not such a number.
    """
    value = item.get("Confidence")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError('a "Confidence" that is not a number')
    if not math.isfinite(value) or not 0 <= value <= 100:
        raise ValueError(f'a "Confidence" of {value}, not between 0 and 100')
    return float(value)
