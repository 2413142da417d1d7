"""Where the studio sends requests: AWS by a profile, an endpoint, or the local service, which it can start."""

from pathlib import Path
from typing import Final

import streamlit as st

from toolkit import storage
from toolkit.service import ServiceProcess
from toolkit.studio import source
from toolkit.studio.source import Connection
from toolkit.studio.widgets import PANEL, guarded
from toolkit.workspace import Workspace

_FOLDER: Final = "local-service"


def ask(workspace: Workspace | None) -> Connection:
    """Shows where requests go, with a way to change it."""
    desk = source.desk()
    title, new = f"Connection: {_in_words(desk.connection)}", desk.connection == Connection()
    with st.expander(title, icon=":material/cable:", expanded=new), guarded():
        _local_service(workspace)
        _elsewhere(desk.connection)
    return desk.connection


def _in_words(connection: Connection) -> str:
    if connection.endpoint is not None:
        return connection.endpoint.replace("://", ":⁠//")  # else Streamlit makes a link of it
    return f"AWS, {connection.profile or 'default profile'}, {connection.region or 'its region'}"


def _local_service(workspace: Workspace | None) -> None:
    desk = source.desk()
    said, button = st.columns([4, 1], vertical_alignment="center")
    if desk.service is not None:
        said.text(f"The local service runs at {desk.service.endpoint_url}.")
        if button.button("Stop it", width="stretch"):
            desk.service.stop()
            desk.service, desk.connection = None, Connection()
            st.rerun()
        return
    folder = (workspace.folder if workspace else Path(desk.uploads.name)) / _FOLDER
    said.caption(
        "The local service runs bulk analysis on this machine, with a real model and no AWS account. It keeps "
        "everything " + ("in the workspace." if workspace else "in a temporary folder: open a workspace to keep it.")
    )
    if button.button("Start the local service", type="primary", width="stretch"):
        with st.spinner("Starting the local service …"):
            service = ServiceProcess(folder).start()
        desk.service, desk.connection = service, Connection(service.endpoint_url)
        st.rerun()


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
            source.desk().connection = wanted
            st.rerun()
