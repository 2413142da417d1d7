"""The threshold part by part on the Tune page: by content type, or by a column of a metadata file."""

import io
from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

from toolkit import storage
from toolkit.errors import UnreadableManifest
from toolkit.slices import slices
from toolkit.studio import address, kept, source
from toolkit.studio.source import View
from toolkit.studio.widgets import clicked, guarded, table, told

_TYPE: Final = "content type"
_TAKEN: Final = "metadata taken"
"""The upload that lies in the project already: the box still shows it after that was removed."""


def section(view: View, label: str, threshold: float) -> None:
    """One row a part, with its own rates at the threshold (percent) on screen."""
    wanted = address.given("slices", "slices")
    st.session_state.setdefault("slices", wanted == "on")
    shown = st.toggle("Slices: is it as good everywhere?", key="slices")
    address.put("slices", "on" if shown else "")
    if not shown:
        address.put("by", "")
        return
    told()
    with st.container(border=True), guarded():
        file = _file()
        metadata = None if file is None else _read(str(file), file.stat().st_mtime_ns)
        columns = [] if metadata is None else [str(name) for name in metadata.columns]
        options = [*columns, _TYPE] if kept.types(view.source) else columns
        if not options:
            st.caption("This run names no content types; give a file with what you know of the images.")
            return
        address.start("slice by", "by", options)
        chosen = st.selectbox("Slice by", options, key="slice by")
        address.put("by", chosen, options[0])
        by = "content_type" if metadata is None or chosen not in columns else metadata[chosen]
        of = (view.source, view.samples) if view.samples else (view.source,)
        stamp = file.stat().st_mtime_ns if file is not None and chosen in columns else None
        rows = kept.keep(
            "slices", of, (label, threshold, chosen, stamp),
            lambda: slices(view.results, label, threshold, by, view.truth),
        )  # fmt: skip
        headings = {"slice": "Part", "images": "Images", "flagged": "Flagged", "judged": "Judged"}
        headings |= {"tp": "Rightly", "fp": "Wrongly", "fn": "Missed"}
        headings |= {"precision": "Precision", "precision_low": "Precision from", "precision_high": "Precision to"}
        headings |= {"recall": "Recall", "recall_low": "Recall from", "recall_high": "Recall to"}
        rates = [name for name in headings if name.startswith(("flagged", "precision", "recall"))]
        table(rows, headings, percent=rates)
        weighted = " Rates are weighted." if view.truth is not None and view.truth.weights is not None else ""
        st.caption(f"Intervals of 95 %, each by itself: among many parts, some look odd by chance.{weighted}")


def _file() -> Path | None:
    """The metadata of the project, with ways to replace and to remove it."""
    upload = st.file_uploader(
        "Metadata of the images (CSV or Parquet, one row an image, with a column source_ref)",
        type=["csv", "parquet"],
        key="metadata",
    )
    if upload is not None and st.session_state.get(_TAKEN) != upload.file_id:
        with guarded():
            data = upload.getvalue()
            _table(upload.name, data)  # before it takes the place of a good one
            _remove()
            storage.write(source.desk().own / f"metadata{Path(upload.name).suffix.lower()}", data)
            st.session_state[_TAKEN] = upload.file_id
    file = next((path for path in _files() if path.is_file()), None)
    if file is not None:
        said, button = st.columns([4, 1], vertical_alignment="center")
        said.text(f"In use: {file.name}, kept for the next time.")
        button.button("Remove it", on_click=_remove, width="stretch")
    return file


def _files() -> list[Path]:
    return [source.desk().own / f"metadata{suffix}" for suffix in (".csv", ".parquet")]


def _remove() -> None:
    with clicked():
        for path in _files():
            path.unlink(missing_ok=True)


@st.cache_data(max_entries=4, show_spinner="Reading the metadata …")
def _read(path: str, changed: int) -> pd.DataFrame:  # noqa: ARG001  (part of the cache's key)
    return _table(Path(path).name, storage.read(path))


def _table(name: str, data: bytes) -> pd.DataFrame:
    try:
        given = (
            pd.read_parquet(io.BytesIO(data)) if name.lower().endswith(".parquet") else pd.read_csv(io.BytesIO(data))
        )
        return given.drop_duplicates().set_index("source_ref")
    except (ValueError, KeyError, OSError) as error:
        raise UnreadableManifest(f"{name}: no table with a column source_ref; save it as CSV with one.") from error
