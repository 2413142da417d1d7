"""Many files to S3, several at a time."""

import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager

from toolkit.errors import NotFound
from toolkit.storage.failures import translated
from toolkit.storage.objects import list_files
from toolkit.storage.sessions import connect
from toolkit.storage.uris import join, split_s3

_UPLOADS: Final = 8
"""Requests at a time."""
_AHEAD: Final = 256
"""Files that are handed out before the first has arrived."""


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
