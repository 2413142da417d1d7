"""What only the bytes of a manifest show, because DuckDB reads past it."""

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import stringzilla

from toolkit import manifests

_NUMBER_AS_TEXT: Final = (b'Confidence":"', b'Confidence": "')
"""A confidence that is text, as nearly every writer would write it."""
_PERHAPS_AS_TEXT: Final = (b'Confidence" ', b'Confidence":  ', b"\t", b"\r", rb"\u00")
"""Without these, none is text in any other way: with blanks around the colon, or with a key spelled in escapes."""
_DECLARED_TEXT: Final = re.compile(rb'"Confidence"\s*:\s*"|\\u00[4-7]')
_DECLARED_TRUTH: Final = re.compile(rb'"Confidence"\s*:\s*[tf]')
_BLOCK: Final = 256 * 1024
_OVERLAP: Final = 16
"""Bytes; nothing that is searched for is longer."""


def ends_safely(path: Path) -> bool:
    """Whether DuckDB reads the last line, whatever its length.

    It loses one that ends in blanks, and not in a newline, where its buffer ends; and a file of one byte.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 1))
        return size != 1 and file.read(1) not in (b" ", b"\t", b"\r")


def has_long_line(path: Path) -> bool:
    """Whether a line is longer than MAX_LINE_BYTES: DuckDB reads many of them, and does not count the blanks before."""
    with _mapped(path) as content:
        start = 0
        while len(content) - start > manifests.MAX_LINE_BYTES:
            end = content.rfind(b"\n", start, start + manifests.MAX_LINE_BYTES)
            if end < 0:
                return True
            start = end + 1
        return False


def has_confidence_as_text(path: Path) -> bool:
    """Whether a confidence stands in quotes, or may do so: DuckDB makes a number of it and says nothing."""
    return _contains(path, (*_NUMBER_AS_TEXT, *_PERHAPS_AS_TEXT)) and _matches(path, _DECLARED_TEXT)


def has_confidence_as_truth(path: Path) -> bool:
    """Whether a confidence is `true` or `false`, of which DuckDB makes 1 and 0."""
    return _matches(path, _DECLARED_TRUTH)


def _matches(path: Path, pattern: re.Pattern[bytes]) -> bool:
    with _mapped(path) as content:
        return pattern.search(content) is not None


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap | bytes]:
    with path.open("rb") as file:
        if not file.seek(0, 2):  # an empty one cannot be mapped
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def _contains(path: Path, needles: tuple[bytes, ...]) -> bool:
    """Whether a file contains one of a few short things; in blocks that a core's cache holds meanwhile."""
    buffer = memoryview(bytearray(_BLOCK))
    kept = 0  # bytes of the block before, so that nothing hides between two
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(buffer[kept:]):
            block = buffer[: kept + read]
            if any(stringzilla.find(block, needle) >= 0 for needle in needles):
                return True
            kept = min(_OVERLAP, len(block))
            buffer[:kept] = block[-kept:]
    return False
