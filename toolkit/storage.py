"""Read, write and list by URI: `s3://bucket/key`, or a path on this machine.

Nothing here is hidden state: whoever talks to S3 passes a boto3 session, and `connect` makes one that talks to a chosen
endpoint, such as the local service.
"""

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import botocore.session
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from toolkit.errors import InvalidArgument, NotFound, RequestRefused, ToolkitError, Unreachable

Session = boto3.Session
"""How to reach AWS, or an endpoint of your own (`connect`); whoever reads or writes takes one."""

_MISSING = {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404", "NotFound"}
_FORBIDDEN = {"AccessDenied", "403", "Forbidden", "AllAccessDisabled"}
_TAKEN: Final = {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}
_TOO_LITTLE: Final = re.compile(r"Invalid (length|range|value) for parameter (\S+), value: (\S+), valid min \w+: (\S+)")
_IN_WORDS: Final = {
    "Bucket": "the bucket's name", "Key": "the object's key", "Name": "the object's key",
    "S3Bucket": "the name of the output's bucket", "JobName": "the job's name", "JobId": "the job's id",
    "KmsKeyId": "the KMS key's id", "ProjectVersion": "the adapter's ARN", "ProjectVersionArn": "the adapter's ARN",
    "ProjectName": "the adapter's name", "VersionName": "the version's name", "ClientRequestToken": "the token",
    "Version": "the manifest's version", "MinConfidence": "MinConfidence",
}  # fmt: skip
"""What botocore calls a parameter, and what the toolkit's users call it."""


_UPLOADS: Final = 8
"""Requests at a time."""
_AHEAD: Final = 256
"""Files that are handed out before the first has arrived."""

_UNREAD: Final = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
"""Has botocore look for neither a profile nor a configuration file."""


class Denied(NotFound):
    """Access is denied: whether something is there, nobody can say."""


class NoRegion(Unreachable):
    """No region is configured, and none was named."""


class EndpointSession(boto3.Session):
    """A boto3 session whose clients all talk to one endpoint.

    Parameters
    ----------
    endpoint_url
        Where every client of this session sends its requests, for example `http://127.0.0.1:4555`.
    **session
        What `boto3.Session` takes.
    """

    def __init__(self, endpoint_url: str, **session: Any) -> None:
        super().__init__(**session)
        self.endpoint_url = endpoint_url

    def client(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
        """A client as boto3 makes it, pointed at this session's endpoint."""
        kwargs.setdefault("endpoint_url", self.endpoint_url)
        # A bucket is a path here, not a host name: nobody serves DNS for `bucket.127.0.0.1`.
        ours = Config(s3={"addressing_style": "path"}, connect_timeout=5, retries={"mode": "standard"})
        if _is_loopback(self.endpoint_url):
            ours = ours.merge(Config(proxies={}))  # a network's proxy does not know the way to this machine
        given = kwargs.get("config")
        kwargs["config"] = ours.merge(given) if given else ours
        client: Any = super().client(service_name, *args, **kwargs)  # type: ignore[call-overload]
        if _is_loopback(self.endpoint_url):
            client.meta.events.register_first("needs-retry", _do_not_wait_again)
        return client


class _FoundSession(boto3.Session):
    """A boto3 session that goes where the configuration says, and asks no proxy for the way to this machine."""

    def client(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
        """A client as boto3 makes it."""
        client: Any = super().client(service_name, *args, **kwargs)  # type: ignore[call-overload]
        if not _is_loopback(client.meta.endpoint_url):
            return client
        # Which endpoint, only boto3 knows: several variables, and the configuration file, may name one.
        direct, given = Config(proxies={}), kwargs.get("config")
        kwargs["config"] = direct.merge(given) if given else direct
        return super().client(service_name, *args, **kwargs)  # type: ignore[call-overload]


def _do_not_wait_again(caught_exception: Exception | None = None, **_: Any) -> None:
    # No network lies between: what has said nothing for a minute says nothing the second and the third time either.
    if isinstance(caught_exception, ReadTimeoutError):
        raise caught_exception


def connect(
    endpoint_url: str | None = None,
    *,
    region_name: str | None = None,
    profile_name: str | None = None,
) -> boto3.Session:
    """A boto3 session for AWS, or for one endpoint.

    Parameters
    ----------
    endpoint_url
        None for what boto3 finds by itself (AWS, or AWS_ENDPOINT_URL); else the URL that all clients talk to. A
        loopback URL needs no credentials and no region: placeholders are used unless the environment has some.
    region_name
        None takes AWS_REGION, as AWS's command line and other SDKs do (boto3 alone does not look there), and else what
        boto3 finds.
    profile_name
        As in `boto3.Session`.

    Raises
    ------
    Unreachable
        The profile does not exist, or the endpoint is not a URL of a host and, maybe, a port.

    Examples
    --------
    >>> connect("http://127.0.0.1:4555").client("s3").meta.endpoint_url
    'http://127.0.0.1:4555'
    """
    region_name = region_name or os.environ.get("AWS_REGION") or None
    try:
        if endpoint_url is None:
            return _FoundSession(region_name=region_name, profile_name=profile_name)
        _require_url(endpoint_url)
        if profile_name or not _is_loopback(endpoint_url):
            return EndpointSession(endpoint_url, region_name=region_name, profile_name=profile_name)
    except ProfileNotFound as error:
        raise Unreachable(f"{error}; name a profile of your AWS configuration.") from error
    # On this machine no configuration is needed, so none is read: no profile, and no look-up of an instance's role.
    return EndpointSession(
        endpoint_url,
        region_name=region_name or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "local"),
        aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "local"),
        botocore_session=botocore.session.Session(session_vars=_UNREAD),
    )


def _require_url(endpoint_url: str) -> None:
    try:
        parts = urlsplit(endpoint_url)
        _ = parts.port  # raises where it is no number, or too large a one
    except ValueError as error:
        raise Unreachable(f"{endpoint_url}: not a URL ({error}); write it as http://127.0.0.1:4555.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or " " in endpoint_url:
        raise Unreachable(f"{endpoint_url}: not a URL; write it as http://127.0.0.1:4555.")


def _is_loopback(endpoint_url: str) -> bool:
    return urlsplit(endpoint_url).hostname in {"127.0.0.1", "localhost", "::1"}


def is_local(session: boto3.Session | None = None) -> bool:
    """Whether this session's Rekognition is on this machine.

    Parameters
    ----------
    session
        None is boto3's default.

    Raises
    ------
    Unreachable
        There is no region.
    """
    return _is_loopback(rekognition_url(session))


def rekognition_url(session: boto3.Session | None = None) -> str:
    """Where this session sends what Rekognition is asked. Raises as `is_local`.

    >>> rekognition_url(connect("http://127.0.0.1:4555"))
    'http://127.0.0.1:4555'
    """
    with translated("connecting"):
        client: Any = (session or connect()).client("rekognition")
        return str(client.meta.endpoint_url)


@contextmanager
def translated(what: str, advice: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turns what boto3 raises inside the block into the toolkit's errors.

    Parameters
    ----------
    what
        What is being done, to what; begins the message: `reading s3://bucket/key`.
    advice
        For some of the service's error codes, what to do, which ends the message; "" stands for all others.

    Raises
    ------
    NotFound, Unreachable, RequestRefused
    """
    try:
        yield
    except ClientError as error:
        raise _answered(what, error, advice or {}) from error
    except KeyError as error:  # what the operation promises to answer is not there
        raise _stranger(what, f"no {error}") from error
    except ResponseParserError as error:
        raise _stranger(what, str(error)) from error
    except RecursionError as error:
        raise _stranger(what, "redirects without end") from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise Unreachable(
            f"{what}: no AWS credentials; configure a profile, or name an endpoint of your own."
        ) from error
    except NoRegionError as error:
        raise NoRegion(
            f"{what}: no AWS region; name one (--region, region_name) such as eu-west-1, or set AWS_REGION."
        ) from error
    except InvalidRegionError as error:
        region = error.kwargs["region_name"]
        raise Unreachable(f"{what}: {region!r} is not an AWS region; name one such as eu-west-1.") from error
    except ReadTimeoutError as error:
        raise Unreachable(
            f"{what}: the endpoint takes the request and does not answer; start it again (`modkit serve`) or check its "
            f"URL."
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        raise Unreachable(
            f"{what}: the endpoint does not answer; start it (`modkit serve`) or check its URL."
        ) from error
    except ParamValidationError as error:
        raise RequestRefused(f"{what}: {_in_words(str(error.kwargs['report']))}.") from error
    except (BotoCoreError, ValueError) as error:
        raise RequestRefused(
            f"{what}: {_short(str(error))}; check the endpoint's URL and your AWS configuration."
        ) from error


def _answered(what: str, error: ClientError, advice: Mapping[str, str]) -> ToolkitError:
    """What an error of the service is to us."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    said = str(error.response.get("Error", {}).get("Message", ""))
    answer: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    # Every answer of AWS has a request ID. Where there is none, and botocore had to take the HTTP status for a code,
    # some other server has spoken. (The local service's answers to HEAD have neither.)
    spoken = bool(answer) and not error.operation_name.startswith("Head")
    if spoken and not answer.get("RequestId") and (code.isdigit() or not code):
        return _stranger(what, f"{code} {said}")
    if code in _MISSING:
        return NotFound(f"{what}: there is no such object or bucket; check the name.")
    if code in _FORBIDDEN:
        return Denied(f"{what}: access denied; check the name, and that your credentials may read and write it.")
    todo = advice.get(code) or advice.get("")
    return RequestRefused(f"{what}: {code}: {_short(said, 500)}{f'; {todo}' if todo else ''}.", code)


def _stranger(what: str, said: str) -> Unreachable:
    return Unreachable(f"{what}: the URL does not answer as AWS does ({_short(said)}); check the endpoint's URL.")


def _in_words(report: str) -> str:
    """What botocore found wrong with a request, in the words of who made it."""
    first = report.splitlines()[0]
    if first.startswith("Invalid bucket name"):
        return f"{_short(first.partition(':')[0])}; 3 to 63 small letters, digits, dots and hyphens make one"
    if not (found := _TOO_LITTLE.fullmatch(first)):
        return _short(first)
    kind, parameter, value, least = found.groups()
    name = _IN_WORDS.get(parameter.rpartition(".")[2], parameter)
    if kind != "length":
        return f"{name} is {value}; give {least} or more"
    return f"{name} {'is empty' if value == '0' else f'has {value} of at least {least} characters'}; write it in full"


def _short(text: str, most: int = 120) -> str:
    """One line without its full stop, cut where it goes on and on."""
    squeezed = " ".join(text.split()).rstrip(".")
    return squeezed if len(squeezed) <= most else squeezed[: most - 1] + "…"


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


def upload(
    folder: str | os.PathLike[str],
    prefix: str,
    *,
    names: Sequence[str] | None = None,
    session: boto3.Session | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Copies files of a folder below an S3 prefix, several at a time.

    Parameters
    ----------
    folder
        On this machine.
    prefix
        `s3://bucket/prefix/`; a file keeps its path relative to the folder.
    names
        Which files, relative to the folder; None takes all of them, subfolders included.
    session
        None is boto3's default.
    on_done
        Called after each file with the number done and the number in total.

    Returns
    -------
    list of str
        The objects' URIs, in the order of the names.

    Raises
    ------
    NotFound, Unreachable, RequestRefused
    """
    root = Path(folder)
    chosen = names if names is not None else [Path(p).relative_to(root).as_posix() for p in list_files(root)]
    bucket, key = split_s3(prefix)
    uris = [join(f"s3://{bucket}/{key}".rstrip("/"), name) for name in chosen]
    upload_files([(root / name, uri) for name, uri in zip(chosen, uris, strict=True)], session=session, on_done=on_done)
    return uris


def upload_files(
    files: Sequence[tuple[str | os.PathLike[str], str]],
    *,
    session: boto3.Session | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> None:
    """Copies files to S3, several at a time and large ones in parts. The first failure stops what has not begun.

    Parameters
    ----------
    files
        Pairs of a path on this machine and the `s3://bucket/key` that it becomes.
    session
        None is boto3's default.
    on_done
        Called after each file with the number done and the number in total.

    Raises
    ------
    NotFound, Unreachable, RequestRefused
    """
    if not files:
        return
    with translated(f"writing to {files[0][1].rpartition('/')[0]}/"):
        client: Any = (session or connect()).client("s3")
        manager = create_transfer_manager(client, TransferConfig(max_concurrency=_UPLOADS))
    todo = iter(files)
    running: deque[tuple[str | os.PathLike[str], str, Any]] = deque()
    try:
        for done in range(1, len(files) + 1):
            while len(running) < _AHEAD and (file := next(todo, None)) is not None:
                running.append((*file, manager.upload(os.fspath(file[0]), *split_s3(file[1]))))
            _finish_upload(*running.popleft())
            if on_done is not None:
                on_done(done, len(files))
    finally:
        for _, _, upload in running:
            upload.cancel()
        manager.shutdown()


def _finish_upload(path: str | os.PathLike[str], uri: str, upload: Any) -> None:
    try:
        with translated(f"writing {uri}"):
            upload.result()
    except OSError as error:
        raise NotFound(f"reading {path}: {error.strerror or error}; check the path.") from error


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
