"""What several pages use: errors as one sentence, text from outside shown as it is, numbers, galleries."""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, cast, get_args

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from toolkit.errors import ToolkitError
from toolkit.studio import address, kept, pictures, source
from toolkit.studio.source import Samples, Source, View
from toolkit.studio.text import plain

_LOG: Final = logging.getLogger(__name__)

WEIGHTED: Final = (
    "Precision, recall and their intervals are weighted: each judged image counts as often as its weight says. The "
    "numbers of images are not."
)
"""Said beside the rates of samples that were not picked uniformly."""
PANEL: Final = 460
"""Width in pixels of half a page: two stand side by side on a wide screen, below each other on a narrow one."""
_TILE: Final = 140
_FIRST: Final = 6
_SHOWN: Final = "images shown"
_TOLD: Final = "told by a click"
VEILED: Final = "veiled"
Shown = Literal["Blurred", "On hover", "Sharp"]
"""How images are shown."""
_USUAL: Final = "On hover"
_BLURRED: Final = "Blurred"
_MORE: Final = 12


@contextmanager
def guarded() -> Iterator[None]:
    """Shows what goes wrong inside the block as one sentence; the page goes on after it."""
    try:
        yield
    except ToolkitError as error:
        st.error(plain(source.in_words(error)), icon=":material/error:")
    except Exception:
        _LOG.exception("The studio could not show this.")
        st.error("Something went wrong here; the terminal that runs the studio shows the details.")


@contextmanager
def clicked() -> Iterator[None]:
    """As `guarded`, for the callbacks of buttons, which must draw nothing.

    What they draw in a fragment stands in the place of the page's first element, which is the style that blurs images.
    """
    try:
        yield
    except ToolkitError as error:
        tell(source.in_words(error), wrong=True)
    except Exception:
        _LOG.exception("The studio could not do this.")
        tell("Something went wrong here; the terminal that runs the studio shows the details.", wrong=True)


def tell(text: str, *, wrong: bool = False) -> None:
    """Keeps a message of a callback until `told` draws it."""
    st.session_state[_TOLD] = (text, wrong)


def told() -> None:
    """Draws what the last callback had to say."""
    text, wrong = st.session_state.pop(_TOLD, (None, False))
    if wrong:
        st.error(plain(text), icon=":material/error:")
    elif text is not None:
        st.toast(plain(text))


def percent(rate: float) -> str:
    """A rate (0–1) for reading, with a space that does not break.

    >>> percent(0.9375), percent(float("nan"))
    ('93.8\\xa0%', '–')
    """
    return "–" if math.isnan(rate) else f"{100 * rate:.1f}\xa0%"


def interval(low: float, high: float, confidence_level: float) -> str:
    """The ends of a rate's interval for reading.

    >>> interval(0.81, 0.99, 0.95).replace("\\xa0", " ")
    '81.0 – 99.0 % (95 % interval)'
    """
    if math.isnan(low):
        return "nothing to count"
    return f"{100 * low:.1f}\xa0–\xa0{percent(high)} ({100 * confidence_level:.0f}\xa0%\xa0interval)"


def not_judged(runs: Sequence[Source], samples: Samples, label: str) -> None:
    """Says of runs of which the samples say nothing, for this label, why that is so, and what to do."""
    names = " and ".join(run.name for run in runs)
    reasons = {run.name: kept.elsewhere(run, samples, label) for run in runs}
    if any(reasons.values()):
        for name, reason in reasons.items():
            st.warning(plain(f"{name}: {reason}"), icon=":material/warning:")
        link("runs", "Load samples of these images, or open their run, on the Runs page")
    else:
        advice = "label some, or choose another label at the left."
        st.info(plain(f"Nobody has judged {label} on images of {names}: {advice}"), icon=":material/label:")
    link("label", "Label images for it on the Label page", label=label)


def link(page: str, text: str, **said: str) -> None:
    """A way to another page, in this tab."""
    st.page_link(st.session_state[address.PAGES][page], label=text, icon=":material/arrow_forward:", query_params=said)


def ask_shown(place: DeltaGenerator | None = None) -> Shown:
    """Asks how images are shown; one answer for all pages."""
    st.session_state[_SHOWN] = shown()  # else another page begins with none
    asked = (place or st).segmented_control(
        "Images",
        get_args(Shown),
        key=_SHOWN,
        required=True,
        persist_state="session",
        help="On hover, an image is blurred until the pointer is on it. Blurred ones do not reach the browser sharp.",
    )
    chosen = cast(Shown, asked)
    address.put("images", chosen if blurred(chosen) else "")
    return chosen


def shown() -> Shown:
    """How images are shown; a link can have them blurred, but nobody else's choice makes them sharp."""
    if address.given(_SHOWN, "images") == _BLURRED:
        st.session_state[_SHOWN] = _BLURRED
    chosen = cast(Shown, st.session_state.setdefault(_SHOWN, _USUAL))
    address.put("images", chosen if blurred(chosen) else "")
    return chosen


def blurred(shown: Shown) -> bool:
    """Whether images reach the browser blurred."""
    return shown == _BLURRED


def veil(shown: Shown, name: str) -> str:
    """The key of a container, which says whether images in it are blurred until hovered (`main` has the style)."""
    return f"{VEILED if shown == 'On hover' else 'bare'} {name}"


def gallery(view: View, images: pd.DataFrame, *, key: str, shown: Shown, empty: str) -> None:
    """Thumbnails with their names and confidences, a few at first.

    Parameters
    ----------
    view
        Where the pictures are.
    images
        `source_ref` and `confidence` (percent; NaN: not reported), in the order to show.
    key
        Tells this gallery from others.
    shown
        From `ask_shown`.
    empty
        What to say when there is nothing to show.
    """
    if images.empty:
        st.text(empty)
        return
    count = st.session_state.get(key, _FIRST)
    first = images.head(count)
    tiles = pictures.tiles(view, first["source_ref"].tolist(), blur=blurred(shown))
    wall = st.container(horizontal=True, key=veil(shown, key))
    for source_ref, confidence, picture in zip(first["source_ref"], first["confidence"], tiles, strict=True):
        with wall.container(width=_TILE):
            _tile(source_ref, confidence, picture)
    if len(images) > count:
        st.button(
            f"Show more ({len(images) - count:,} left)",
            key=f"{key} more",
            on_click=lambda: st.session_state.update({key: count + _MORE}),
        )


def _tile(source_ref: str, confidence: float, picture: bytes | str) -> None:
    name = source_ref.rpartition("/")[2]
    reported = "not reported" if math.isnan(confidence) else f"{confidence:.2f}"
    st.image(pictures.EMPTY if isinstance(picture, str) else picture, width="stretch", alt=f"{name}, {reported}")
    st.caption(f"{plain(name)}  \n{reported}" + (f"  \n{plain(picture)}" if isinstance(picture, str) else ""))


def table(rows: pd.DataFrame, columns: dict[str, str], *, percent: Sequence[str] = (), number: str = "%.2f") -> None:
    """A table as it is.

    Parameters
    ----------
    rows
        What to show.
    columns
        Which columns, in order, and their headings.
    percent
        Those that hold rates (0–1).
    number
        How the other fractions are written.
    """
    config: dict[str, Any] = {}
    for name, heading in columns.items():
        fraction = pd.api.types.is_float_dtype(rows[name])
        if name in percent:
            config[name] = st.column_config.NumberColumn(heading, format="percent")
        elif fraction:
            config[name] = st.column_config.NumberColumn(heading, format=number)
        else:
            config[name] = st.column_config.Column(heading)
    st.dataframe(rows, hide_index=True, column_order=list(columns), column_config=config, placeholder="–")
