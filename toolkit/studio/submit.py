"""Starting a job on the Runs page: images, model, floor and output; what it would cost; how far the start is."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import streamlit as st

from toolkit import adapters, collection, constraints, storage
from toolkit.adapters.adapter import USABLE
from toolkit.confidence import written
from toolkit.errors import ToolkitError
from toolkit.jobs import MediaAnalysis
from toolkit.prices import Prices
from toolkit.studio import jobs, policies, source, tasks
from toolkit.studio.source import Connection
from toolkit.studio.text import plain
from toolkit.studio.widgets import guarded, table
from toolkit.workspace import Workspace

_BASE: Final = "Base model"
_BUCKET: Final = "studio"


@dataclass(frozen=True)
class Request:
    """What a user wants to have analyzed; `adapter` is an ARN, None the base model."""

    images: str
    output: str
    min_confidence: float
    adapter: str | None
    job_name: str | None


def section(workspace: Workspace | None, connection: Connection) -> None:
    """What was started, the form for more, then what it would do, then doing it."""
    st.subheader("Analyze images", anchor=False)
    tasks.section()
    request = _form(workspace, connection)
    if request is not None:
        st.session_state["checked"] = request
    checked: Request | None = st.session_state.get("checked")
    if checked is not None:
        with guarded():
            _check(checked, connection)


def _form(workspace: Workspace | None, connection: Connection) -> Request | None:
    local = connection.local
    with st.form("analyze", border=True):
        images = st.text_input(
            "Images",
            placeholder="s3://bucket/photos/, a folder on this machine, or an input manifest",
            help="A folder's images are copied to S3 first, each once.",
        )
        uploads = st.file_uploader(
            "or images from this computer", type=["jpg", "jpeg", "png"], accept_multiple_files=True
        )
        output = st.text_input(
            "Results go to",
            f"s3://{_BUCKET}/results/" if local else "",
            placeholder="s3://bucket/prefix/",
            help="Manifests and results; on the local service the bucket is made if it is missing.",
        )
        left, right, name = st.columns(3)
        start, why = _floor(workspace, local)
        floor = left.number_input(
            "MinConfidence (%)", 0.0, 100.0, start, step=5.0,
            help="Nothing below it is reported, so no lower threshold can be looked at afterwards: to tune, run low.",
        )  # fmt: skip
        model = right.selectbox("Model", [_BASE, *_adapters(connection)])
        job_name = name.text_input("Job name", placeholder="to find it again", help="Another name runs the same again.")
        if why:
            st.caption(plain(why))
        if not st.form_submit_button("Check first", icon=":material/fact_check:"):
            return None
    given = _kept(workspace, uploads) if uploads else images.strip()
    if not given or not output.strip():
        st.warning("Name the images, or choose some from this computer, and where the results go.")
        return None
    shape = constraints.rekognition().shape_for("MediaAnalysisJobName")
    if job_name.strip() and not constraints.pattern(shape.metadata["pattern"]).fullmatch(job_name.strip()):
        st.warning("A job's name is made of letters, digits, and . _ - only: leave out spaces, or leave it empty.")
        return None
    return Request(given, output.strip(), floor, _adapters(connection).get(model), job_name.strip() or None)


def _floor(workspace: Workspace | None, local: bool) -> tuple[float, str]:
    """The MinConfidence (percent) to begin with, and why where that comes from the policy."""
    usual = 5.0 if local else 50.0
    try:
        least = policies.of(workspace).min_confidence
    except ToolkitError as error:
        return usual, policies.in_words(error, "MinConfidence does not start at the policy's lowest threshold")
    if least is None:
        return usual, ""
    start = math.floor(100 * least) / 100  # the field has two decimals, and a floor above the threshold hides images
    return start, (
        f"MinConfidence starts at {start:g}, as the policy's lowest threshold is {written(least)}: the job reports all "
        "that the policy asks. To look for lower thresholds, run lower."
    )


def _adapters(connection: Connection) -> dict[str, str]:
    """Those that can be used, by name, and their ARNs; asked once a connection, and only of a local one unasked."""
    if not connection.local and not jobs.shown(connection):
        return {}
    key = f"adapters of {connection}"
    if key not in st.session_state:
        with guarded():
            known = adapters.list_adapters(source.session(connection))
            st.session_state[key] = {f"{each.name}/{each.version}": each.arn for each in known if each.status in USABLE}
    found: dict[str, str] = st.session_state.get(key, {})
    return found


def _kept(workspace: Workspace | None, uploads: list[Any]) -> str:
    """Uploaded images as a folder of the workspace, each under the hash of its content."""
    folder = (workspace.folder if workspace else Path(source.desk().uploads.name)) / "uploads"
    files = {
        hashlib.sha256(data).hexdigest()[:16] + (".png" if data[:4] == b"\x89PNG" else ".jpg"): data
        for data in (upload.getvalue() for upload in uploads)
    }
    batch = folder / hashlib.sha256("".join(sorted(files)).encode()).hexdigest()[:12]
    for name, data in files.items():
        storage.write(batch / name, data)
    return str(batch)


def _check(request: Request, connection: Connection) -> None:
    """What stands in the way, and what it would cost; only then the button that starts it."""
    session = source.session(connection)
    if connection.local:
        storage.make_bucket(storage.split_s3(request.output)[0], versioned=True, session=session)
    with st.spinner("Looking at the images and the account …"):
        found = collection.collect(request.images, session=session)
        seen = MediaAnalysis(session).preflight(found, request.output)
    if found.complaint:
        st.warning(plain(found.complaint), icon=":material/filter_alt:")
    table(seen.table, {"name": "Check", "status": "Status", "message": "Message"})
    cost = Prices.load().in_words(len(found.usable))
    st.caption(plain(f"{len(found.usable):,} images on this machine cost nothing." if connection.local else f"{cost}."))
    start, forget = st.columns([1, 3])
    if start.button("Start", type="primary", disabled=not seen.ok, icon=":material/play_arrow:", width="stretch"):
        tasks.start(request.images, _arguments(request, connection))
        jobs.show(connection)
        del st.session_state["checked"]
        st.rerun()
    if forget.button("Change it"):
        del st.session_state["checked"]
        st.rerun()


def _arguments(request: Request, connection: Connection) -> list[str]:
    options = {
        "--min-confidence": f"{request.min_confidence:g}", "--adapter": request.adapter, "--job-name": request.job_name,
        "--endpoint": connection.endpoint, "--profile": connection.profile, "--region": connection.region,
    }  # fmt: skip
    words = [f"{name}={value}" for name, value in options.items() if value is not None]
    return ["analyze", *words, "--yes", "--json", "--", request.images, request.output]
