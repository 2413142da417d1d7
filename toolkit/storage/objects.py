"""Objects in S3 and files on this machine: read, written, looked for and listed by the same functions."""

import os
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError

from toolkit.errors import NotFound
from toolkit.storage.failures import Denied, translated
from toolkit.storage.sessions import connect
from toolkit.storage.uris import is_s3, split_s3

_TAKEN: Final = {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}


def read(uri: str | os.PathLike[str], *, session: boto3.Session | None = None) -> bytes:
    """The bytes of one object or file.

    Parameters
    ----------
    uri
        `s3://bucket/key`, or a path on this machine.
    session
        For S3; None is boto3's default. Not used for a path.

    Raises
    ------
    NotFound
        There is no such object, bucket or file, or it may not be read.
    Unreachable
        S3 does not answer, or there are no credentials or no region for it.
    RequestRefused
        S3 answered with another error, such as throttling.
    """
    if is_s3(uri):
        bucket, key = split_s3(str(uri))
        with translated(f"reading {uri}"):
            client: Any = (session or connect()).client("s3")
            return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())
    try:
        return Path(uri).read_bytes()
    except OSError as error:
        kind = Denied if isinstance(error, PermissionError) else NotFound
        raise kind(f"reading {uri}: {error.strerror or error}; check the path.") from error


def read_if_there(uri: str | os.PathLike[str], *, session: boto3.Session | None = None) -> bytes | None:
    """The bytes of one object or file; None where there is none.

    Raises
    ------
    NotFound
        Access is denied, so that nobody can say whether it is there; or a folder is.
    Unreachable, RequestRefused
        As `read`.
    """
    try:
        return read(uri, session=session)
    except Denied as error:
        raise _unknown(uri) from error
    except NotFound:
        if not is_s3(uri) and Path(uri).exists():  # a folder, or a disk that fails
            raise
        return None


def _unknown(uri: str | os.PathLike[str]) -> NotFound:
    # To whoever may not list a bucket, S3 says "access denied" of what is there and of what is not.
    rights = "; ask for s3:GetObject on it and s3:ListBucket on its bucket" if is_s3(uri) else "; check its permissions"
    return NotFound(f"{uri}: access is denied, so whether something is there cannot be known{rights}.")


def write(uri: str | os.PathLike[str], data: bytes, *, session: boto3.Session | None = None) -> str | None:
    """Writes one object, or one file with its folders; a file appears whole or not at all.

    Parameters
    ----------
    uri
        `s3://bucket/key`, or a path on this machine. What was there under this name is replaced.
    data
        What to write.
    session
        For S3; None is boto3's default. Not used for a path.

    Returns
    -------
    str or None
        The object's version id, where its bucket keeps versions.

    Raises
    ------
    NotFound
        There is no such bucket, or the object or path cannot be written.
    Unreachable
        S3 does not answer, or there are no credentials or no region for it.
    RequestRefused
        S3 answered with another error, such as throttling.
    """
    if is_s3(uri):
        bucket, key = split_s3(str(uri))
        with translated(f"writing {uri}"):
            client: Any = (session or connect()).client("s3")
            answer = client.put_object(Bucket=bucket, Key=key, Body=data)
            version: str | None = answer.get("VersionId")
            return version
    try:
        _write_file(Path(uri), data)
    except (OSError, ValueError) as error:  # a ValueError: no name at all
        raise _unwritten(uri, error) from error
    return None


def write_new(uri: str | os.PathLike[str], data: bytes, *, session: boto3.Session | None = None) -> bool:
    """Writes one object or file, unless something else is there under this name: of several who do so at once, with
    different data, one succeeds.

    An endpoint of your own may know no such condition; there it writes as `write` does.

    Returns
    -------
    bool
        Whether it was written.

    Raises
    ------
    NotFound, Unreachable, RequestRefused
        As `write`.
    """
    if is_s3(uri):
        bucket, key = split_s3(str(uri))
        with translated(f"writing {uri}"):
            client: Any = (session or connect()).client("s3")
            try:
                client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] in _TAKEN:
                    # Where the answer to a first try was lost, botocore's second finds what the first has written.
                    return read_if_there(uri, session=session) == data
                write(uri, data, session=session)
        return True
    try:
        Path(uri).parent.mkdir(parents=True, exist_ok=True)
        return _write_new_file(Path(uri), data)
    except OSError as error:
        raise _unwritten(uri, error) from error


def _write_new_file(path: Path, data: bytes) -> bool:
    try:
        file = path.open("xb")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(data)
    except BaseException:  # such as a full disk: nothing is better than half of it
        path.unlink()
        raise
    return True


def _unwritten(uri: str | os.PathLike[str], error: Exception) -> NotFound:
    why = getattr(error, "strerror", None) or error
    return NotFound(f"writing {uri}: {why}; check the path and the space on the disk.")


def _write_file(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.write_bytes(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def exists(uri: str | os.PathLike[str], *, session: boto3.Session | None = None) -> bool:
    """Whether there is an object or file of that name.

    Parameters
    ----------
    uri
        `s3://bucket/key`, or a path on this machine.
    session
        For S3; None is boto3's default. Not used for a path.

    Raises
    ------
    NotFound
        The URI names no bucket; or access is denied, which S3 says of what is there and of what is not to whoever may
        not list the bucket.
    Unreachable
        S3 does not answer, or there are no credentials or no region for it.
    RequestRefused
        S3 answered with another error, such as throttling.
    """
    if not is_s3(uri):
        return Path(uri).is_file()
    bucket, key = split_s3(str(uri))
    try:
        with translated(f"looking for {uri}"):
            client: Any = (session or connect()).client("s3")
            client.head_object(Bucket=bucket, Key=key)
    except Denied as error:
        raise _unknown(uri) from error
    except NotFound:
        return False
    return True


def list_files(uri: str | os.PathLike[str], *, session: boto3.Session | None = None) -> list[str]:
    """URIs of every object under an S3 prefix, or of every file in a folder and its subfolders, sorted.

    Parameters
    ----------
    uri
        `s3://bucket/prefix`, or a folder on this machine.
    session
        For S3; None is boto3's default. Not used for a path.

    Raises
    ------
    NotFound
        There is no such bucket or folder, or it may not be listed.
    Unreachable
        S3 does not answer, or there are no credentials or no region for it.
    RequestRefused
        S3 answered with another error, such as throttling.
    """
    return list(list_sizes(uri, session=session))


def list_sizes(uri: str | os.PathLike[str], *, session: boto3.Session | None = None) -> dict[str, int]:
    """What `list_files` lists, in its order, each with its size in bytes. Raises as `list_files`."""
    if is_s3(uri):
        bucket, prefix = split_s3(str(uri))
        with translated(f"listing {uri}"):
            client: Any = (session or connect()).client("s3")
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            items = (item for page in pages for item in page.get("Contents", []))
            return dict(sorted((f"s3://{bucket}/{item['Key']}", int(item["Size"])) for item in items))
    folder = Path(uri)
    if not folder.is_dir():
        raise NotFound(f"listing {uri}: no such folder; check the path.")
    return dict(sorted((str(path), path.stat().st_size) for path in folder.rglob("*") if path.is_file()))


def make_bucket(name: str, *, versioned: bool = False, session: boto3.Session | None = None) -> None:
    """Creates a bucket in the session's region, unless it is there and ours already.

    Parameters
    ----------
    name
        Of the bucket.
    versioned
        Whether it keeps the versions of its objects.
    session
        None is boto3's default.

    Raises
    ------
    NotFound, Unreachable, RequestRefused
    """
    with translated(f"creating bucket {name}"):
        client: Any = (session or connect()).client("s3")
        region = client.meta.region_name
        elsewhere = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            client.create_bucket(Bucket=name, **elsewhere)
        except client.exceptions.BucketAlreadyOwnedByYou:
            client.head_bucket(Bucket=name)
        if versioned:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
