"""The threshold part by part on the Tune page: by content type, or by a column of a metadata file."""

import io
from typing import Final

import pandas as pd
import streamlit as st

from toolkit.errors import UnreadableManifest
from toolkit.slices import slices
from toolkit.studio import kept
from toolkit.studio.source import View
from toolkit.studio.widgets import guarded, table

_TYPE: Final = "content type"


def section(view: View, label: str, threshold: float) -> None:
    """One row a part, with its own rates at the threshold (percent) on screen."""
    if not st.toggle("Slices: is it as good everywhere?", key="slices"):
        return
    with st.container(border=True), guarded():
        upload = st.file_uploader(
            "Metadata of the images (CSV or Parquet, one row an image, with a column source_ref)",
            type=["csv", "parquet"],
            key="metadata",
        )
        metadata = None if upload is None else _read(upload.name, upload.getvalue())
        columns = [] if metadata is None else [str(name) for name in metadata.columns]
        types = [_TYPE] if kept.types(view.source) else []
        if not types and not columns:
            st.caption("This run names no content types; give a file with what you know of the images.")
            return
        chosen = st.selectbox("Slice by", [*columns, *types], key="slice by")
        by = "content_type" if metadata is None or chosen not in columns else metadata[chosen]
        of = (view.source, view.samples) if view.samples else (view.source,)
        name = upload.file_id if upload is not None and chosen in columns else None
        rows = kept.keep(
            "slices", of, (label, threshold, chosen, name),
            lambda: slices(view.results, label, threshold, by, view.truth),
        )  # fmt: skip
        headings = {"slice": "Part", "images": "Images", "flagged": "Flagged", "judged": "Judged"}
        headings |= {"tp": "Rightly", "fp": "Wrongly", "fn": "Missed"}
        headings |= {"precision": "Precision", "precision_low": "from", "precision_high": "to"}
        headings |= {"recall": "Recall", "recall_low": "from ", "recall_high": "to "}
        rates = [name for name in headings if name.startswith(("flagged", "precision", "recall"))]
        table(rows, headings, percent=rates)
        st.caption("Intervals of 95 %, each by itself: among many parts, some look odd by chance.")


@st.cache_data(max_entries=4, show_spinner="Reading the metadata …")
def _read(name: str, data: bytes) -> pd.DataFrame:
    try:
        given = pd.read_parquet(io.BytesIO(data)) if name.endswith(".parquet") else pd.read_csv(io.BytesIO(data))
        return given.drop_duplicates().set_index("source_ref")
    except (ValueError, KeyError, OSError) as error:
        raise UnreadableManifest(f"{name}: no table with a column source_ref; save it as CSV with one.") from error
