"""The input manifest of a job: one image a line."""

from collections.abc import Iterable
from typing import Final

from toolkit import storage
from toolkit.manifests.lines import parse_object, source_ref_of

MAX_LINES: Final = 10_000
"""Images in one job."""
MAX_BYTES: Final = 50 * 1024 * 1024
"""Size of one input manifest."""
IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png")


def parse_input_line(raw: bytes | str) -> str:
    """The image that one line of an input manifest names, as an S3 URI.

    Raises
    ------
    ValueError
        Not an object, no `source-ref`, or not `s3://bucket/key`.

    >>> parse_input_line('{"source-ref": "s3://b/1.jpg"}')
    's3://b/1.jpg'
    """
    source_ref = source_ref_of(parse_object(raw))
    bucket, _, key = source_ref.removeprefix("s3://").partition("/")
    if not storage.is_s3(source_ref) or not bucket or not key:
        raise ValueError('"source-ref" is not s3://bucket/key')
    return source_ref


def split_lines(lines: Iterable[str]) -> list[bytes]:
    """Joins manifest lines into as few parts as the limits of one job allow (10,000 lines, 50 MB each).

    >>> [len(part) for part in split_lines(["a\\n", "b\\n"])]
    [4]
    """
    parts: list[bytes] = []
    part: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode("utf-8")
        if part and (len(part) == MAX_LINES or size + len(data) > MAX_BYTES):
            parts.append(b"".join(part))
            part, size = [], 0
        part.append(data)
        size += len(data)
    if part:
        parts.append(b"".join(part))
    return parts


def is_image_name(name: str) -> bool:
    """Whether a key or path ends as images do that moderation accepts (JPEG and PNG).

    >>> is_image_name("a/b.JPG"), is_image_name("a/b.txt")
    (True, False)
    """
    return name.lower().endswith(IMAGE_SUFFIXES)
