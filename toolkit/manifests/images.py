"""The input manifest of a job: one image a line."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from toolkit import storage
from toolkit.errors import NotFound
from toolkit.manifests.lines import parse_object, source_ref_of, to_line

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


def write_manifest(
    images: str | os.PathLike[str] | Sequence[str],
    destination: str | os.PathLike[str],
    *,
    session: storage.Session | None = None,
) -> list[str]:
    """Writes the input manifest of a job, in as many parts as the service's limits ask for.

    Parameters
    ----------
    images
        S3 URIs of images (every one is written, duplicates too), one `s3://bucket/prefix/` (its JPEG and PNG objects,
        sorted), or a folder on this machine, whose JPEG and PNG files are first copied to `images/` beside the
        manifest.
    destination
        S3 URI of the manifest (or a path, for images that are in S3 already). One part keeps this name; several get
        `-1`, `-2`, … before the suffix.
    session
        For S3; None is boto3's default.

    Returns
    -------
    list of str
        URIs of the parts, at most 10,000 lines and 50 MB each.

    Raises
    ------
    NotFound
        No image was found, one is not an S3 URI, or the destination is not where a manifest can be.
    """
    _require_place(images, str(destination))
    if isinstance(images, (str, os.PathLike)):
        refs = [ref for ref in storage.list_files(images, session=session) if is_image_name(ref)]
        if not refs:
            raise NotFound(f"{images}: no JPEG or PNG there; name a prefix or folder that holds images.")
        if not storage.is_s3(images):
            names = [Path(ref).relative_to(images).as_posix() for ref in refs]
            beside = storage.join(str(destination).rpartition("/")[0], "images")
            refs = storage.upload(images, beside, names=names, session=session)
    else:
        refs = list(images)
        if not refs:
            raise NotFound("no images given; name at least one s3://bucket/key.")
    for ref in refs:
        if not all(storage.split_s3(ref)):
            raise NotFound(f"{ref}: not an image in S3; write it as s3://bucket/key.")
    parts = split_lines(to_line({"source-ref": ref}) for ref in refs)
    targets = _part_names(str(destination), len(parts))
    for name, part in zip(targets, parts, strict=True):
        storage.write(name, part, session=session)
    return targets


def _require_place(images: str | os.PathLike[str] | Sequence[str], destination: str) -> None:
    """Refuses a destination before anything is copied."""
    if storage.is_s3(destination):
        if not all(storage.split_s3(destination)):
            raise NotFound(f"{destination}: a bucket, not an object in it; write it as s3://bucket/manifest.jsonl.")
    elif isinstance(images, (str, os.PathLike)) and not storage.is_s3(images):
        raise NotFound(
            f"{destination}: not in S3, where the images of a folder are copied beside their manifest; write it as "
            f"s3://bucket/manifest.jsonl."
        )


def _part_names(destination: str, parts: int) -> list[str]:
    if parts == 1:
        return [destination]
    stem, suffix = os.path.splitext(destination)  # noqa: PTH122  (a URI, not a path)
    return [f"{stem}-{number}{suffix}" for number in range(1, parts + 1)]
