"""AWS's regions, whatever the AWS configuration of this machine says."""

import os
from functools import cache
from typing import Any

import boto3
import botocore.session
from moto.core.base_backend import AccountSpecificBackend


@cache
def _session() -> boto3.Session:
    # Neither a profile nor a configuration file: one that is not there, or is broken, is no business of this service.
    unread = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
    return boto3.Session(botocore_session=botocore.session.Session(session_vars=unread))


@cache
def _regions() -> frozenset[str]:
    session = _session()
    return frozenset(
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("kms", partition_name=partition)
    )


def is_region(name: str) -> bool:
    """Whether AWS has a region of that name.

    >>> is_region("eu-west-1"), is_region("moon")
    (True, False)
    """
    return name in _regions()


def isolate_moto() -> None:
    """Lets moto, too, look regions up without a configuration. Twice does no harm."""

    def get_session(_: Any) -> boto3.Session:
        return _session()

    AccountSpecificBackend.get_session = classmethod(get_session)  # type: ignore[method-assign, assignment]
