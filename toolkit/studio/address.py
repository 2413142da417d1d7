"""The page's address: what it says is taken when a page is opened or gone back to, and it is written once a run.

Each writing is an entry of the browser's history: one for each thing that a user does is what its Back button is for.
What a page completes its address with when it is opened is no such thing, so it takes the place of the entry.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NoReturn
from urllib.parse import urlencode

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx

from toolkit.confidence import written as in_words
from toolkit.studio.text import plain

PAGES: Final = "pages"
"""Where the session keeps Streamlit's page objects, by name."""
NEXT: Final = "open next"
"""Where the session keeps the run that is to be shown next."""
_SAID: Final = "address"
_LEFT: Final = "left of the address"
_TURN: Final = "turn of the address"
_ASKED: Final = "asked of the address"
_LINK: Final = "link that was followed"
_WRITTEN: Final = "address as written"
_PATH: Final = "path of the page"
_SHOWN: Final = "page that is shown"
_OPENS: Final = "opens a page"
_MISSING: Final = "missing"
_RUN: Final = "run"
_PENDING: ContextVar[dict[str, str] | None] = ContextVar("what the address will say", default=None)
# Streamlit makes an entry of the history of all that it writes. Nothing is replaced where the page was left meanwhile.
_replaced = st.components.v2.component(
    "modkit_address",
    js="""let done;
export default ({ data }) => {
  if (data.turn === done || location.pathname.split("/").pop() !== data.page) return;
  done = data.turn;
  history.replaceState({}, "", location.pathname + (data.query && `?${data.query}`));
};
""",
    isolate_styles=False,
)


def read() -> None:
    """Takes what the address says where it is opened, gone back to, or linked to: what stands in it begins anew."""
    now = st.query_params.to_dict()
    if _SAID not in st.session_state or _gone_back():
        st.session_state[_WRITTEN] = now
        st.session_state[_SAID], st.session_state[_LEFT], st.session_state[_MISSING] = dict(now), dict(now), {}
        st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
        _forget(now, _page())
    else:
        if _page() != st.session_state.get(_SHOWN):  # what an address named was said where it was opened
            nothing_missing()
        if now and _RUN not in now and now != st.session_state.get(_LINK):  # all that is written here names a run
            st.session_state[_LEFT] |= now
            _forget(now, None)
    st.session_state[_LINK] = now


def _forget(now: Mapping[str, str], page: str | None) -> None:
    """Has the session forget what the address says, and what else this page asks of an address."""
    asked: dict[str, tuple[str, set[str]]] = st.session_state.setdefault(_ASKED, {})
    for key, (name, pages) in asked.items():
        if name in now or page in pages:
            st.session_state.pop(key, None)


def _gone_back() -> bool:
    run = get_script_run_ctx()
    return bool(getattr(run, "is_history_navigation", False))  # not part of what Streamlit promises


def _page() -> str:
    run = get_script_run_ctx()
    return "" if run is None else run.page_script_hash


def said(name: str) -> str | None:
    """What the address said under this name when it was opened or gone back to, whatever has come since.

    Of a choice that it left out, or that is not to be had, it is what was shown instead.
    """
    found: str | None = st.session_state[_SAID].get(name)
    return found


def fresh(key: str) -> bool:
    """Whether the address was opened or gone back to since this was last asked under this key."""
    turns: dict[str, int] = st.session_state.setdefault(f"{_TURN} for", {})
    before, turns[key] = turns.get(key), int(st.session_state[_TURN])
    return before != turns[key]


def given(key: str, name: str) -> str | None:
    """What the address says under this name, for what the session keeps under this key; None where that is known."""
    _, pages = st.session_state[_ASKED].setdefault(key, (name, set()))
    pages.add(_page())
    found: str | None = st.session_state[_LEFT].pop(name, None)
    return None if key in st.session_state else found


def start(key: str, name: str, options: Sequence[str]) -> None:
    """Has a box start at what the address says under this name, where that is one of its options, else at the first."""
    wanted = given(key, name)
    if key not in st.session_state:
        st.session_state[key] = wanted if wanted in options else options[0]


def put(name: str, value: str, usual: str = "") -> None:
    """Has the address say this; what is usual does not stand in it, which keeps it short."""
    change, pending = {name: "" if value == usual else value}, _PENDING.get()
    if pending is None:
        _write(change)
    else:
        pending |= change


@contextmanager
def written() -> Iterator[None]:
    """Writes all that is put within the (outermost) block, at its end; what a fragment puts belongs into one."""
    if _PENDING.get() is not None:
        yield
        return
    pending: dict[str, str] = {}
    token = _PENDING.set(pending)
    try:
        yield
        _write(pending)
    finally:
        _PENDING.reset(token)


def _write(pending: dict[str, str]) -> None:
    # What Streamlit knows of the address is out of date where a page has completed it.
    now: dict[str, str] = st.session_state[_WRITTEN]
    after = {name: value for name, value in (now | pending).items() if value or name not in pending}
    st.session_state[_WRITTEN] = after
    if st.session_state.pop(_OPENS, False):
        data = {"page": st.session_state[_PATH], "query": urlencode(after), "turn": str(time.time_ns())}
        _replaced(key="replaced address", data=data, height=1)
    elif after != now:
        st.query_params.from_dict(after)


def at(path: str) -> None:
    """Says which page is shown, by its path."""
    before, st.session_state[_PATH] = st.session_state.get(_PATH), path
    if before != path and not _gone_back():  # there Streamlit itself replaces
        st.session_state[_OPENS] = True
        if before is not None:  # what the other page wrote says nothing about this one
            st.session_state[_WRITTEN] = {}
    st.session_state[_SHOWN] = _page()


def go(page: str) -> NoReturn:
    """Goes to another page, which completes the address for itself; all else would be an entry of its own."""
    st.switch_page(st.session_state[PAGES][page], query_params=st.session_state[_WRITTEN])


def show_run(name: str) -> NoReturn:
    """Goes to the Explore page, with this run."""
    st.session_state[NEXT] = name
    go("explore")


def choose(
    place: DeltaGenerator | None,
    title: str,
    key: str,
    options: Sequence[str],
    absent: str,
    *,
    usual: str | None = None,
    short: Mapping[str, str] | None = None,
) -> str:
    """A choice that always stands in the address; one that is not to be had is said until another is chosen.

    Parameters
    ----------
    place
        Where its box is drawn; None draws none.
    title, key
        Of the box; the key is its name in the address, too.
    options
        What there is to choose from.
    absent
        What to say of one that is not among them, behind its title and name.
    usual
        Where it starts; None is the first.
    short
        What to call the options.
    """
    missing: dict[str, str] = st.session_state.setdefault(_MISSING, {})
    wanted = given(key, key)
    if wanted is not None and wanted not in options:
        missing[key] = wanted
    if key not in st.session_state and wanted in options:
        st.session_state[key] = wanted
    if st.session_state.get(key) not in options:
        st.session_state[key] = options[0] if usual is None else usual
    if place is not None:
        shown = short or dict(zip(options, options, strict=True))
        place.selectbox(
            title, options, key=key, on_change=missing.clear, format_func=shown.__getitem__, persist_state="session"
        )
    chosen = str(st.session_state[key])
    if fresh(key):
        st.session_state[_SAID][key] = chosen
    put(key, chosen)
    if key in missing:
        st.warning(plain(f"{title} {missing[key][:200]} {absent}. Shown instead: {chosen}."), icon=":material/warning:")
    return chosen


def choose_several(
    title: str,
    key: str,
    name: str,
    options: Sequence[str],
    absent: str,
    *,
    usual: Sequence[str],
    hint: str | None = None,
) -> list[str]:
    """A choice of several, for a form: as `choose`, and it stands in the address where it is not the usual one.

    Parameters
    ----------
    title, key, name, options, hint
        Of the box; `name` is what the address calls it.
    absent
        What to say of those that are not among the options, behind "… of the address that are".
    usual
        Where it starts; for as long as nobody has chosen, it goes with this.
    """
    missing: dict[str, str] = st.session_state.setdefault(_MISSING, {})
    text = given(key, name)
    wanted = _several(text)
    gone = [each for each in wanted or [] if each not in options]
    if gone:
        missing[key] = f"that are {absent}: {', '.join(gone)[:200]}."
    elif text and wanted is None:
        missing[key] = f'cannot be read ({text[:200]}): write ["one", "two"] there.'
    before, begun = st.session_state.get(key), f"{key} began with"
    if before is None or before == st.session_state.get(begun):
        before = list(usual) if wanted is None else wanted
    left = [each for each in before if each in options]
    st.session_state[key] = left if left or not before else list(usual)
    st.session_state[begun] = list(usual)
    chosen: list[str] = st.multiselect(title, options, key=key, help=hint, persist_state="session")
    put(name, json.dumps(chosen, ensure_ascii=False), json.dumps(list(usual), ensure_ascii=False))
    if key in missing:
        st.warning(plain(f"{title} of the address {missing[key]}"), icon=":material/warning:")
    return chosen


def _several(text: str | None) -> list[str] | None:
    """The names in what `choose_several` has put; None where it is no such thing."""
    try:
        names = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return list(dict.fromkeys(map(str, names))) if isinstance(names, list) else None


def number(text: str | None, low: float, high: float) -> float | None:
    """A confidence (percent) that the address says; None where it is none, or not within these bounds, as float32."""
    try:
        asked = float(text or "nan")
    except ValueError:
        return None
    inside = 0 <= asked <= 100 and np.float32(low) <= np.float32(asked) <= np.float32(high)
    return min(max(asked, low), high) if inside else None


def refused(what: str, text: str, low: float, high: float, instead: str) -> None:
    """Says that this, which the address asks for, is nothing that `number` takes, and what is shown instead."""
    why = f"it can be a number from {in_words(low)} to {in_words(high)}"
    st.warning(
        plain(f"The address asks for {text[:40]} as {what}; {why}. Shown instead: {instead}."),
        icon=":material/warning:",
    )


def nothing_missing() -> None:
    """Says no longer what could not be had: something else was chosen."""
    st.session_state[_MISSING] = {}
