"""The project folder: what users opened is kept beside its `workspace.json`, and found there after a restart.

`studio.json` has the opened runs, the samples in use and the connection, without any secret. Paths inside the folder
are relative to it, so that it can be moved or handed on.
"""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import streamlit as st

from toolkit import storage
from toolkit.errors import NotFound, ToolkitError
from toolkit.policy import Policy
from toolkit.studio import connection, policies, source
from toolkit.studio.source import Connection, Desk, Samples, Source
from toolkit.studio.widgets import link
from toolkit.workspace import FILE_NAME, Workspace

FILE: Final = "studio.json"
VERSION: Final = 1
_LOCK: Final = Lock()
"""Every browser tab is a thread of this process."""
_TEXT: Final = (str, type(None))
_TYPES: Final[dict[str, Any]] = {
    "name": str, "results": str, "location": str, "min_confidence": (int, float, type(None)), "adapter": _TEXT,
    "s3": bool, "opened": int, "endpoint": _TEXT, "profile": _TEXT, "region": _TEXT, "connection": Connection,
}  # fmt: skip
_DAMAGED: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
Document = dict[str, Any]
_EMPTY: Final[Document] = {
    "version": VERSION, "opened": [], "samples": None, "connection": asdict(Connection()), "aws": False,
    "service": None,
}  # fmt: skip
Value = TypeVar("Value", Connection, Source, Samples)


def nothing_open(workspace: Workspace | None) -> None:
    """What to do where no run is open."""
    if workspace is not None:
        st.info(
            "Nothing is open in this project yet: open a results manifest, or analyze images.",
            icon=":material/folder_open:",
        )
    else:
        offer("Nothing is open yet, and there is no project here.")
    link("runs", "Open results, or analyze images, on the Runs page")


def offer(why: str) -> None:
    """A button that makes a project of the folder that the studio was started in, or that was given to it."""
    home = source.desk().home
    if (home / FILE_NAME).exists():  # it cannot be read, which is said above
        return
    st.info(
        f"{why} Start one, or run `modkit demo` in a terminal to see it all on sample images.",
        icon=":material/folder_open:",
    )
    st.text(f"A project keeps runs, labels, samples and the policy in one folder: {home}")
    if st.button("Start a project here", type="primary", icon=":material/create_new_folder:"):
        start(home)
        st.rerun()


def start(folder: Path) -> None:
    """Makes a workspace of a folder; what was done here without one goes into it.

    Raises
    ------
    NotFound
        The folder cannot be written.
    """
    desk, workspace = source.desk(), Workspace(folder)
    workspace.save()
    before = Path(desk.uploads.name)
    try:
        if desk.own.is_dir():
            shutil.copytree(desk.own, folder / desk.own.name, dirs_exist_ok=True)
        if desk.service is not None:
            desk.service.stop()
            shutil.copytree(connection.service_folder(None), connection.service_folder(workspace), dirs_exist_ok=True)
            connection.start(workspace)
    except OSError as error:
        raise NotFound(f"{folder}: {error.strerror or error}; check its rights and the space on the disk.") from error
    if desk.samples is not None and Path(desk.samples.location).is_relative_to(before):
        desk.samples = replace(desk.samples, location=str(folder / Path(desk.samples.location).relative_to(before)))
    policy: Policy = st.session_state.pop(policies.HERE, Policy({}))
    if policy.rules and not (folder / policies.FILE).exists():
        policy.save(folder / policies.FILE)


def keep(workspace: Workspace | None) -> None:
    """Brings desk and file together: writes what was changed here, else reads what another studio has written.

    Raises
    ------
    NotFound
        The file cannot be read or written.
    """
    if workspace is None:
        return
    desk, folder = source.desk(), workspace.folder.resolve()
    with _LOCK:
        there = _read(desk, folder)
        if desk.folder != folder:
            _open(desk, folder, there)
        now = _document(desk, folder)
        if now != desk.kept:
            storage.write(folder / FILE, (json.dumps(now, indent=2) + "\n").encode())
            desk.kept = now
        elif there is not None and there != now:
            _take(desk, folder, there)


def _open(desk: Desk, folder: Path, there: Document | None) -> None:
    """The first time in this folder; what was opened while there was none comes along."""
    sources, samples = (desk.sources, desk.samples) if desk.folder is None else ({}, None)
    desk.sources, desk.samples, desk.folder = {}, None, folder
    desk.kept = _EMPTY
    if there is not None:
        _take(desk, folder, there)
    desk.sources, desk.samples = desk.sources | sources, samples or desk.samples


def _take(desk: Desk, folder: Path, document: Document) -> None:
    """What the file says; an endpoint that was given on the command line stays."""
    desk.sources, desk.samples, connection = _parsed(document, folder)
    desk.served, desk.kept = document["service"], document
    if desk.connection != desk.given:
        # A folder can be handed on: nobody is connected to a stranger's host without having asked for it.
        trusted = connection.endpoint is None or _is_here(connection)
        desk.connection, desk.aws = (connection, document["aws"]) if trusted else (Connection(), False)


def _is_here(connection: Connection) -> bool:
    try:
        return connection.local
    except ToolkitError:  # no address at all
        return False


def _parsed(document: Document, folder: Path) -> tuple[dict[str, Source], Samples | None, Connection]:
    runs = [_value(Source, row, folder) for row in document["opened"]]
    samples = None if document["samples"] is None else _value(Samples, document["samples"], folder)
    return {run.name: run for run in runs}, samples, _value(Connection, document["connection"], folder)


def _read(desk: Desk, folder: Path) -> Document | None:
    """What the file says; one that is not understood is set aside, and said to be."""
    path = folder / FILE
    if not path.is_file():
        return None
    data = storage.read(path)
    try:
        document: Document = json.loads(data)
        if document["version"] != VERSION:
            raise ValueError(f"it is of version {document['version']}, and this toolkit reads version {VERSION}")
        if not isinstance(document["aws"], bool) or not isinstance(document["service"], _TEXT):
            raise TypeError
        _parsed(document, folder)
    except _DAMAGED as error:
        why = str(error) if str(error).startswith("it is") else "it is damaged"
        desk.notice = (
            f"{path}: {why}, so what was opened here is not known; the file is kept as {source.set_aside(path)}. Open "
            "runs and samples again on the Runs page."
        )
        return None
    return document


def _value(kind: type[Value], row: Document, folder: Path) -> Value:
    fields = dict(row)
    if kind is not Connection:
        fields["connection"] = _value(Connection, fields["connection"], folder)
    for name, value in fields.items():
        if not isinstance(value, _TYPES[name]):
            raise TypeError(name)
    for name in ("results", "location"):
        if name in fields and not storage.is_s3(fields[name]):
            fields[name] = str(folder / fields[name])
    return kind(**fields)


def _document(desk: Desk, folder: Path) -> Document:
    connection, aws = _without_secret(asdict(desk.connection)), desk.aws
    if desk.connection == desk.given:
        connection, aws = desk.kept["connection"], desk.kept["aws"]
    return {
        "version": VERSION,
        "opened": [_row(each, folder) for each in desk.sources.values()],
        "samples": None if desk.samples is None else _row(desk.samples, folder),
        "connection": connection,
        "aws": aws,
        "service": desk.served,
    }


def _row(given: Source | Samples, folder: Path) -> Document:
    row = asdict(given)
    row["connection"] = _without_secret(row["connection"])
    for name in ("results", "location"):
        if name in row and not storage.is_s3(row[name]):
            path = Path(row[name]).resolve()
            row[name] = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
    return row


def _without_secret(connection: Document) -> Document:
    """A URL may carry a name and a password before its host."""
    endpoint = connection["endpoint"]
    user = endpoint and urlsplit(endpoint).netloc.rpartition("@")[0]
    return connection | {"endpoint": endpoint.replace(f"{user}@", "", 1)} if user else connection
