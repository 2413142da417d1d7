"""Names of things: `s3://bucket/key`, or a path on this machine."""

import os
from pathlib import Path

from toolkit.errors import InvalidArgument, NotFound


def is_s3(uri: str | os.PathLike[str]) -> bool:
    """Whether this names an S3 object or prefix rather than a path on this machine.

    >>> is_s3("s3://bucket/key"), is_s3("folder/file")
    (True, False)
    """
    return str(uri).startswith("s3://")


def split_s3(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI; the key may be empty.

    Raises
    ------
    NotFound
        It has no bucket.
    InvalidArgument
        It is not even text.

    >>> split_s3("s3://bucket/a/b.jpg")
    ('bucket', 'a/b.jpg')
    """
    if not isinstance(uri, str):
        raise InvalidArgument(f"{uri!r} is not text; write an S3 URI, such as s3://bucket/key.")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not is_s3(uri) or not bucket:
        raise NotFound(f"{uri}: not an S3 URI; write it as s3://bucket/key.")
    return bucket, key


def join(uri: str | os.PathLike[str], *names: str) -> str:
    """The URI of something below a folder, prefix or bucket.

    >>> join("s3://bucket/prefix/", "job", "results.jsonl")
    's3://bucket/prefix/job/results.jsonl'
    """
    if is_s3(uri):
        return "/".join([str(uri).rstrip("/"), *names])
    return str(Path(uri, *names))
