"""How to reach AWS, or an endpoint of one's own: boto3 sessions, made here and passed on by whoever needs one."""

import os
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ProfileNotFound, ReadTimeoutError

from toolkit.errors import Unreachable
from toolkit.storage.failures import translated

Session = boto3.Session
"""How to reach AWS, or an endpoint of your own (`connect`); whoever reads or writes takes one."""

_UNREAD: Final = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
"""Has botocore look for neither a profile nor a configuration file."""


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
