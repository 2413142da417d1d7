"""What AWS does to adapters as time goes by, done by hand: old ones are deprecated, and then they expire."""

import os
import sqlite3
from enum import StrEnum
from pathlib import Path

from toolkit.errors import NotFound, RequestRefused
from toolkit.service.state import State


class AdapterStatus(StrEnum):
    """What a trained adapter can be marked as.

    A deprecated adapter still answers. An expired one is ignored: the base model answers, and its answer names no
    adapter. Completed takes either back.
    """

    COMPLETED = "TRAINING_COMPLETED"
    DEPRECATED = "DEPRECATED"
    EXPIRED = "EXPIRED"


def mark_adapter(directory: str | os.PathLike[str], arn: str, status: AdapterStatus) -> None:
    """Marks a trained adapter of a local service, which may be running: the next request sees it.

    Parameters
    ----------
    directory
        The service's folder.
    arn
        Of the project version.

    Raises
    ------
    NotFound
        No service keeps its data there, or it has no such adapter.
    RequestRefused
        The adapter's training has not been completed.
    """
    path = Path(directory) / "service.sqlite"
    if not path.is_file():
        raise NotFound(f"{directory}: no service keeps its data there; name the folder of `modkit serve --dir`.")
    try:
        state = State(path)
    except sqlite3.Error as error:
        raise NotFound(
            f"{path}: not the data of a service ({error}); name the folder of `modkit serve --dir`."
        ) from error
    try:
        version = state.version(arn)
        if version is None:
            known = ", ".join(state.version_arns()) or "it has none"
            raise NotFound(f"{arn}: the service has no such adapter; these are there: {known}.")
        if version.status not in set(AdapterStatus):
            raise RequestRefused(f"{arn}: its status is {version.status}; only a trained adapter can be marked.")
        state.set_version_status(arn, status)
    finally:
        state.close()
