"""Images that only one of two runs flags, as pictures."""

from typing import Final

import pandas as pd
import streamlit as st

from toolkit.compare import Comparison
from toolkit.studio import pictures
from toolkit.studio.source import View
from toolkit.studio.text import plain
from toolkit.studio.widgets import Shown, ask_shown, blurred, shown, veil

_PAIRS: Final = 6
_CHANGES: Final = {
    ("flagged now", True): "Found now",
    ("no longer flagged", False): "No longer flagged wrongly",
    ("flagged now", False): "Flagged wrongly now",
    ("no longer flagged", True): "Missed now",
}
# Pixels: how wide an image that only one flags is shown, on the page and to a room.
_CARD, _LARGE_CARD = 220, 320


def section(view: View, found: Comparison, *, showing: bool) -> None:
    """Judged images that only one of the two flags, by what became of them, each with what both say of it."""
    st.subheader(f"Images that only one flags: {len(found.flips):,}", anchor=False)
    if found.flips.empty:
        st.caption("At these thresholds both flag the same images.")
        return
    how = shown() if showing else ask_shown()
    judged = found.flips.dropna(subset=["present"])
    for (change, present), title in _CHANGES.items():
        rows = judged[(judged["change"] == change) & (judged["present"].astype(bool) == present)]
        if len(rows):
            st.markdown(f"**{title}: {len(rows):,}**")
            _cards(view, rows.head(_PAIRS), how, _LARGE_CARD if showing else _CARD, key=f"{change} {present}")
            if len(rows) > _PAIRS:
                st.caption(f"The first {_PAIRS} of {len(rows):,}; all are in the Report page's table of flips.")
    if len(judged) < len(found.flips):
        st.caption(
            f"{len(found.flips) - len(judged):,} more were not judged: nobody can say which of the two is right."
        )


def _cards(view: View, rows: pd.DataFrame, shown: Shown, width: int, *, key: str) -> None:
    wall = st.container(horizontal=True, key=veil(shown, key))
    tiles = pictures.tiles(view, rows["source_ref"].tolist(), blur=blurred(shown))
    for row, picture in zip(rows.to_dict("records"), tiles, strict=True):
        with wall.container(border=True, width=width):
            name = str(row["source_ref"]).rpartition("/")[2]
            st.image(pictures.EMPTY if isinstance(picture, str) else picture, width="stretch", alt=name)
            st.caption(plain(name))
            for place, run in zip(st.columns(2, gap="small"), ("base", "candidate"), strict=True):
                flags = (run == "candidate") == (row["change"] == "flagged now")
                said = "not reported" if pd.isna(row[run]) else f"{row[run]:.2f}"
                word = ":material/flag: flagged" if flags else "not flagged"
                place.markdown(f"{run.capitalize()}  \n**{word}**  \n{said}")
