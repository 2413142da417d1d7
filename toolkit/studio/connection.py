"""Where the studio sends requests: AWS by a profile, an endpoint, or the local service, which it can start."""

import socket
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import streamlit as st

from toolkit import storage
from toolkit.service import ServiceProcess
from toolkit.studio import source
from toolkit.studio.source import Connection, Desk
from toolkit.studio.widgets import PANEL, guarded
from toolkit.workspace import Workspace

_FOLDER: Final = "local-service"
_STATE: Final = "service.sqlite"


def ask(workspace: Workspace | None) -> Connection:
    """Shows where requests go, with a way to change it."""
    desk = source.desk()
    now = _in_words(desk.connection)
    title = f"Connection: {now if desk.chosen else f'not chosen; what you start below goes to {now}'}"
    with st.expander(title, icon=":material/cable:", expanded=not desk.chosen or ended(desk)), guarded():
        _local_service(workspace)
        _elsewhere(desk.connection)
    return desk.connection


def _in_words(connection: Connection) -> str:
    if connection.endpoint is not None:
        return connection.endpoint.replace("://", ":⁠//")  # else Streamlit makes a link of it
    return f"AWS, {connection.profile or 'default profile'}, {connection.region or 'its region'}"


def _local_service(workspace: Workspace | None) -> None:
    desk = source.desk()
    said, button = st.columns([2, 1], vertical_alignment="center")
    gone = ended(desk)
    if desk.service is not None and not gone:
        said.text(f"The local service runs at {desk.service.endpoint_url}.")
        if button.button("Stop it", width="stretch"):
            desk.service.stop()
            desk.service, desk.connection, desk.aws = None, Connection(), False
            st.rerun()
        return
    if gone:
        said.warning("The local service has ended: start it again; what it kept is still there.")
    else:
        said.caption(
            "The local service runs bulk analysis on this machine, with a real model and no AWS account. It keeps "
            "everything " + ("in the project." if workspace else "in a temporary folder: start a project to keep it.")
        )
    if button.button("Start it again" if gone else "Start the local service", type="primary", width="stretch"):
        start(workspace)
        st.rerun()


def ended(desk: Desk) -> bool:
    """Whether the service that the studio is connected to is gone: killed, or ended with the studio the last time."""
    if desk.service is not None:
        return not answers(desk.service)
    return desk.served is not None and desk.connection == Connection(desk.served) and not listens(desk.served)


def start(workspace: Workspace | None) -> None:
    """Starts the local service and connects to it; what was open at one that has ended is reached at the new one."""
    desk = source.desk()
    with st.spinner("Starting the local service …"):
        service = ServiceProcess(service_folder(workspace)).start()
        # Here, as who leaves the page meanwhile ends this script where the block ends: the service would be lost.
        before, desk.service = desk.service, service
        desk.serve(service.endpoint_url)
        desk.connection, desk.aws = Connection(service.endpoint_url), False
        if before is not None:
            before.stop()


def service_folder(workspace: Workspace | None) -> Path:
    """Where the local service keeps its state: where one has left it, so that the demo's adapters are found."""
    if workspace is None:
        return Path(source.desk().uploads.name) / _FOLDER
    return workspace.folder if (workspace.folder / _STATE).is_file() else workspace.folder / _FOLDER


def answers(service: ServiceProcess) -> bool:
    """Whether it still listens: one that was killed leaves its address behind."""
    return listens(service.endpoint_url)


def listens(endpoint_url: str) -> bool:
    """Whether somebody does, at this address."""
    place = urlsplit(endpoint_url)
    try:
        with closing(socket.create_connection((str(place.hostname), place.port or 80), timeout=2)):
            return True
    except OSError:
        return False


def _elsewhere(now: Connection) -> None:
    with st.form("connection", border=False):
        endpoint = st.text_input(
            "Endpoint",
            now.endpoint or "",
            placeholder="empty for AWS; http://127.0.0.1:4555 for a local service",
            help="Where Rekognition and S3 are reached, also for the pictures of what is opened here.",
            width=PANEL,
        )
        profile = st.text_input("Profile", now.profile or "", placeholder="default", width=PANEL)
        region = st.text_input("Region", now.region or "", placeholder="the profile's", width=PANEL)
        if st.form_submit_button("Connect"):
            wanted = Connection(*(value.strip() or None for value in (endpoint, profile, region)))
            storage.connect(wanted.endpoint, region_name=wanted.region, profile_name=wanted.profile)  # refuses nonsense
            source.desk().connection, source.desk().aws = wanted, wanted.endpoint is None
            st.rerun()
