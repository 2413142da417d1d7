"""The summary of a job or a training: how many lines there were, and which could not be used."""

import json
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any, Final

from toolkit.errors import UnreadableManifest
from toolkit.manifests.lines import list_of, parse_object, text_of

SUMMARY_NAME: Final = "manifest-summary.json"


@dataclass(frozen=True)
class LineError:
    """One line of an input manifest that was not analyzed. Lines count from 1; `source_ref` may be unknown."""

    line: int
    code: str
    message: str
    source_ref: str | None = None


@dataclass(frozen=True)
class Summary:
    """What a job says of itself: lines read, and those that could not be analyzed."""

    total: int
    errors: tuple[LineError, ...] = field(default=())

    @property
    def valid(self) -> int:
        """Lines that were analyzed."""
        return self.total - len(self.errors)

    @property
    def complaint(self) -> str:
        """Which lines were not analyzed, in a few words; empty where all were.

        >>> Summary(12, (LineError(3, "INVALID_IMAGE_FORMAT", "not a JPEG"),)).complaint
        '1 of 12 lines was not analyzed, line 3 (INVALID_IMAGE_FORMAT: not a JPEG)'
        """
        if not self.errors:
            return ""
        first = min(self.errors, key=lambda error: error.line)
        many = len(self.errors) > 1
        why = shorten(f"{first.code}: {first.message}", 160, placeholder=" …").rstrip(".")
        return (
            f"{len(self.errors):,} of {self.total:,} lines {'were' if many else 'was'} not analyzed, "
            f"{'first ' if many else ''}line {first.line} ({why})"
        )

    def to_json(self) -> bytes:
        """The document that stands beside the results."""
        errors = [
            {"line-number": error.line}
            | ({"source-ref": error.source_ref} if error.source_ref else {})
            | {"code": error.code, "message": error.message}
            for error in self.errors
        ]
        document = {
            "version": "1.0",
            "statistics": {
                "total-json-lines": self.total,
                "valid-json-lines": self.valid,
                "invalid-json-lines": len(self.errors),
            },
            "errors": errors,
        }
        return json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8")


_MOST: Final = 10_000_000
"""Lines of one summary: a job has 10,000. A damaged number is not believed into memory, a row for each."""
_UNNAMED: Final = LineError(0, "NOT_NAMED", "the summary counts one more line as invalid than it names.")
"""Stands for a line that the statistics count among the invalid ones, and no error names."""


def _line_number(value: Any) -> int:
    number = int(value)
    if not 0 <= number < 2**63:
        raise ValueError(f"{number} is the number of no line")
    return number


def parse_summary(raw: bytes | str, name: str = "summary") -> Summary:
    """Reads a summary. AWS documents the line's key as `line-numer`; both spellings are read.

    Lines that its statistics call invalid and its errors do not name are errors too, of line 0 and code NOT_NAMED.

    Parameters
    ----------
    raw
        The document.
    name
        What to call it in an error.

    Raises
    ------
    UnreadableManifest
        Not a summary.
    """
    try:
        document = parse_object(raw)
        statistics = document["statistics"]
        errors = tuple(
            LineError(
                line=_line_number(item.get("line-number", item.get("line-numer", 0))),
                code=str(item.get("code", "")),
                message=str(item.get("message", "")),
                source_ref=text_of(item, "source-ref"),
            )
            for item in list_of(document, "errors")
        )
        total, invalid = int(statistics["total-json-lines"]), int(statistics.get("invalid-json-lines", 0))
        if max(total, invalid) > _MOST:
            raise ValueError("more lines than a collection has")
        return Summary(total, errors + (_UNNAMED,) * max(0, invalid - len(errors)))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UnreadableManifest(
            f"{name}: not the summary of a media analysis job, or damaged; fetch the job's {SUMMARY_NAME} again, or "
            f"remove it (which images failed is not known then)."
        ) from error
