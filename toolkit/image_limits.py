"""What an image must be for moderation: a JPEG or PNG of at most 15 MB, 80 to 10,000 pixels a side."""

import io
from typing import Final

from PIL import Image

MAX_BYTES: Final = 15 * 1024 * 1024
"""Of an image in S3."""
MAX_REQUEST_BYTES: Final = 5 * 1024 * 1024
"""Of an image that is sent along with a request."""
MIN_SIDE: Final = 80
MAX_SIDE: Final = 10_000
"""Pixels on each side."""

Problem = tuple[str, str]
"""Code and message, as they stand in a job's summary."""


def size_problem(size: int, limit: int = MAX_BYTES) -> Problem | None:
    """Why an image of so many bytes is not analyzed; None if its size is no reason.

    >>> size_problem(20_000_000)
    ('IMAGE_TOO_LARGE', '20,000,000 bytes; an image may have 15,728,640.')
    """
    if size == 0:
        return "INVALID_IMAGE_FORMAT", "an empty file."
    return ("IMAGE_TOO_LARGE", f"{size:,} bytes; an image may have {limit:,}.") if size > limit else None


def side_problem(width: int, height: int) -> Problem | None:
    """Why an image of so many pixels a side is not analyzed; None if its sides are no reason.

    >>> side_problem(79, 2000)
    ('IMAGE_TOO_SMALL', '79 × 2000 pixels; each side must have 80.')
    """
    if max(width, height) > MAX_SIDE:
        return "IMAGE_TOO_LARGE", f"{width} × {height} pixels; each side may have {MAX_SIDE:,}."
    if min(width, height) < MIN_SIDE:
        return "IMAGE_TOO_SMALL", f"{width} × {height} pixels; each side must have {MIN_SIDE}."
    return None


def problem_of(data: bytes, limit: int = MAX_BYTES) -> Problem | None:
    """Why these bytes are not analyzed; None if they claim to be an image within the limits.

    Only the beginning is looked at: an image that is cut off is found by whoever decodes it.
    """
    if (found := size_problem(len(data), limit)) is not None:
        return found
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as image:
            return side_problem(*image.size)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return "INVALID_IMAGE_FORMAT", "not a JPEG or PNG file."
