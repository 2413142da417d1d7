"""Label: look at one image after the other, say what is there, and see how sure that makes the answer."""

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

from toolkit import sampling
from toolkit.confidence import written
from toolkit.errors import NotLabelled
from toolkit.labelling import Judgement, LabelLog
from toolkit.studio import address, exchange, kept, keyboard, pictures, project, remembered
from toolkit.studio.source import View
from toolkit.studio.text import plain
from toolkit.studio.widgets import (
    PANEL,
    ask_shown,
    blurred,
    clicked,
    guarded,
    shown,
    table,
    tell,
    told,
    veil,
)
from toolkit.words import counted

FILE: Final = "labels.jsonl"
_WIDTH: Final = 0.05
_TILE: Final = 150
_DISPUTES: Final = 12
"""At most so many are shown at once; others follow as these are settled."""
_MOST: Final = 100_000
_STRATEGIES: Final = {
    "confidence": "evenly, best to tune",
    "uniform": "every image has the same chance: best to know how common it is",
    "threshold": "most of them near one threshold: best to check a decision",
}
_FEWEST: Final = {"confidence": 11, "uniform": 1, "threshold": 3}
"""One image from each part of the collection that the strategy tells apart."""
_SKIP: Final = "skip"
_UNDO: Final = "undo"
_ANSWERS: Final = (
    ("Present", "present", "p"),
    ("Absent", "absent", "a"),
    ("Unsure", "unsure", "u"),
    ("Skip", _SKIP, "s"),
    ("Undo", _UNDO, "z"),
)
_ICONS: Final = {_UNDO: ":material/undo:"}
_TURN: Final = "question"
_NAME: Final = "Your name"
_LONGEST: Final = 80


@dataclass(frozen=True)
class Draw:
    """Which sample is labelled; everybody who gives the same settings gets the same images."""

    label: str
    strategy: str
    n: int
    threshold: float | None
    seed: int = 0

    @property
    def name(self) -> str:
        """Stands in the log beside each judgement."""
        at = "" if self.threshold is None else f" at {written(self.threshold)}"
        return f"{self.strategy}{at}, {self.n} images, seed {self.seed}"


def page(view: View) -> None:
    """Draws the page."""
    st.title("Label", anchor=False)
    if view.workspace is None:
        project.offer("Labels are kept in a project, and none is open.")
        return
    log = _log(view.workspace.path(FILE))
    who, draw = _settings(view.label, view.results.min_confidence)
    _everything(view, log, who, draw)


@st.cache_resource(max_entries=8, show_spinner=False)
def _log(path: Path) -> LabelLog:
    """One for all sessions: a long log is read once, and then only where somebody else has written into it."""
    return LabelLog(path)


@st.fragment
def _everything(view: View, log: LabelLog, who: str, draw: Draw) -> None:
    """All that changes with an answer; the rest of the page stays as it is."""
    told()
    with guarded():
        _judge(view, log, who, draw)
    with guarded():
        _agreement(log, draw.label)
    with guarded():
        _disputes(view, log, who, draw.label)
    with guarded():
        exchange.section(view, log, draw.label, draw.name)


def _settings(label: str, floor: float) -> tuple[str, Draw]:
    """Who labels, and what; it stands in the address, so that a reload or a colleague goes on with the same images."""
    who_box, strategy_box, n_box, at_box = st.columns([2, 3, 1, 1])
    # Taken from a link of one's own, and never left in one: a colleague would judge under this name.
    st.session_state.setdefault("who", (address.said("who") or "")[:_LONGEST])
    address.put("who", "")
    who = who_box.text_input(
        _NAME, key="who", persist_state="session", placeholder="kept with each answer", max_chars=_LONGEST
    )
    remembered.name("who", _LONGEST)
    names = list(_STRATEGIES)
    address.start("strategy", "strategy", names)
    strategy = strategy_box.selectbox(
        "Which images",
        names,
        key="strategy",
        persist_state="session",
        format_func=lambda name: f"{name}: {_STRATEGIES[name]}",
    )
    fewest = _FEWEST[strategy]
    _start("n", 100, fewest, _MOST)
    n = n_box.number_input("How many", fewest, _MOST, step=50, key="n", persist_state="session")
    threshold = None
    if strategy == "threshold":
        _start("near", 80, float(floor), 100)
        threshold = at_box.number_input("Near (%)", float(floor), 100.0, step=1.0, key="near", persist_state="session")
    address.put("near", "" if threshold is None else written(threshold))
    address.put("strategy", strategy)
    address.put("n", str(n))
    return who.strip(), Draw(label, strategy, int(n), threshold)


def _start(key: str, usual: float, low: float, high: float) -> None:
    """A box's number, of the bounds' kind: what it was, else what the address says, else the usual one."""
    wanted = address.given(key, key)
    given = st.session_state[key] if key in st.session_state else _number(wanted, usual)
    st.session_state[key] = type(low)(min(max(given, low), high))


def _number(text: str | None, usual: float) -> float:
    try:
        number = float(text or "nan")
    except ValueError:
        return usual
    return usual if math.isnan(number) else number


def _judge(view: View, log: LabelLog, who: str, draw: Draw) -> None:
    """The next image that this person has not judged; each answer is on the disk before the next image comes."""
    sample = kept.sample(view.source, draw.label, draw.n, draw.strategy, draw.threshold, draw.seed)
    if sample.empty:
        st.info("This run analyzed no image, so there is nothing to label; choose another run at the left.")
        return
    said = log.judgements(draw.label, who or None)
    here = said[said["sample"] == draw.name]
    _progress(view, log, draw, here if who else here.head(0), len(sample))
    if not who:
        st.info("Type your name above to begin: it is kept with each answer, so that two people can be compared.")
        return
    todo = sample[~sample["source_ref"].isin(here["source_ref"])]
    skipped = {ref: number for number, ref in enumerate(_acts(who, draw)) if ref is not None}
    order = sorted(todo["source_ref"], key=lambda ref: skipped.get(ref, -1))
    if not order:
        st.success("All of these images are judged. Ask for more of them above, or use the labels below.")
        _undo_button(log, who, draw)
        return
    rows = todo.set_index("source_ref")
    image, question = st.columns([3, 2], gap="large")
    with image:
        _show(view, order)
    with question:
        _ask(log, who, draw, order[0], rows.loc[order[0]])


def _acts(who: str, draw: Draw) -> list[str | None]:
    """What this person did with these images on this page, for undo: None for an answer, else the image skipped."""
    acts: dict[tuple[str, str, str], list[str | None]] = st.session_state.setdefault("acts", {})
    return acts.setdefault((who, draw.label, draw.name), [])


def _progress(view: View, log: LabelLog, draw: Draw, here: pd.DataFrame, total: int) -> None:
    found = int((here["answer"] == "present").sum())
    st.progress(len(here) / total, text=f"{len(here):,} of {total:,} judged, {found:,} present")
    positives = known_present(view, log, draw.label)
    known = f"{counted(positives, 'image')} of this run {'is' if positives == 1 else 'are'} known to show it"
    missing = max(0, sampling.positives_needed(_WIDTH) - positives)
    st.caption(
        f"{known}, from everybody and from the labelled samples. "
        + (
            f"About {missing:,} more make the recall of a threshold sure to ±{100 * _WIDTH:g} points (95 %)."
            if missing
            else f"That makes the recall of a threshold sure to ±{100 * _WIDTH:g} points (95 %)."
        )
    )


def known_present(view: View, log: LabelLog, label: str) -> int:
    """How many images of the run show the label, as everybody who judged them says, here or in the labelled samples."""
    said = log.judgements(label)
    yes, no = (set(said.loc[rows, "source_ref"]) for rows in (said["answer"] == "present", said["answer"] != "present"))
    if view.samples is not None and view.truth is not None:
        with suppress(NotLabelled):  # the samples are of other images
            judged = kept.judged(view.source, view.samples, label)
            yes |= set(judged.loc[judged["present"], "source_ref"])
            no |= set(judged.loc[~judged["present"], "source_ref"])
    images = view.results.images["source_ref"]
    return int(images[images.isin(yes - no)].nunique())


def _show(view: View, order: list[str]) -> None:
    how = ask_shown()
    picture, *_ = pictures.large(view, order[:2], blur=blurred(how))  # the second is made ready for the next one
    name = order[0].rpartition("/")[2]
    if isinstance(picture, str):
        st.warning(plain(f"{name}: {picture}"))
    else:
        st.container(key=veil(how, "label")).image(picture, alt=name)
    st.caption(plain(order[0]))


def _ask(log: LabelLog, who: str, draw: Draw, source_ref: str, row: pd.Series) -> None:
    st.subheader(f"Does it show {plain(draw.label)}?", anchor=False)
    turn = _turn()
    weight = float(row["weight"]) if draw.strategy != "uniform" else None

    def act(given: str, asked: int) -> None:
        """What was pressed for a question that has been answered since says nothing about the one on the screen."""
        if asked != _turn():
            return
        st.session_state[_TURN] = asked + 1
        with clicked():
            if given == _SKIP:
                _acts(who, draw).append(source_ref)
            elif given == _UNDO:
                _take_back(log, who, draw)
            else:
                log.add(who, source_ref, draw.label, given, weight=weight, sample=draw.name)
                _acts(who, draw).append(None)

    for title, given, key in _ANSWERS:
        st.button(
            f"{title} ({key.upper()})", key=f"{given} {turn}", width=PANEL // 2, on_click=act, args=(given, turn),
            icon=_ICONS.get(given),
        )  # fmt: skip
    keyboard.listen({key: given for _, given, key in _ANSWERS}, turn, act, who=who, field=_NAME)
    st.caption("The letters are keys. The model's own answer is not shown: it would lead yours.")


def _turn() -> int:
    """Which question is on the screen, counted since the page was opened."""
    return int(st.session_state.setdefault(_TURN, 0))


def _take_back(log: LabelLog, who: str, draw: Draw) -> None:
    acts = _acts(who, draw)
    if acts and acts[-1] is not None:
        tell(f"No longer skipped: {acts.pop()}")
        return
    taken = log.undo(who, label=draw.label, sample=draw.name)
    del acts[-1:]
    tell("There is nothing to undo." if taken is None else f"Taken back: {taken.source_ref}")


def _undo_button(log: LabelLog, who: str, draw: Draw) -> None:
    def undo() -> None:
        with clicked():
            _take_back(log, who, draw)

    st.button("Undo", width=PANEL // 2, icon=":material/undo:", on_click=undo)


def _agreement(log: LabelLog, label: str) -> None:
    pairs = log.agreement(label)
    if pairs.empty:
        return
    st.subheader("How far people agree", anchor=False)
    headings = {
        "first": "One",
        "second": "Other",
        "images": "Judged by both",
        "agreed": "Same answer",
        "kappa": "Kappa",
    }
    table(pairs, headings, percent=["agreed"])
    st.caption(
        "Cohen's kappa: 1 is full agreement, 0 no more than chance. Images on which people disagree are unknown."
    )


def _disputes(view: View, log: LabelLog, who: str, label: str) -> None:
    """Images on which people disagree, what each says, and a way to change one's own mind."""
    disputed = log.disputes(label)
    if disputed.empty:
        return
    images = disputed["source_ref"].unique()[:_DISPUTES].tolist()
    st.markdown(f"**Images on which people disagree: {disputed['source_ref'].nunique():,}**")
    st.caption("Nobody knows what these show until all say the same: tuning leaves them out.")
    wall = st.container(horizontal=True, key=veil(shown(), "disputes"))
    tiles = pictures.tiles(view, images, blur=blurred(shown()))
    for number, (source_ref, picture) in enumerate(zip(images, tiles, strict=True)):
        said = disputed[disputed["source_ref"] == source_ref]
        with wall.container(width=_TILE):
            name = source_ref.rpartition("/")[2]
            st.image(pictures.EMPTY if isinstance(picture, str) else picture, width="stretch", alt=name)
            st.caption("  \n".join(plain(f"{row['who']}: {row['answer']}") for row in said.to_dict("records")))
            _change_mind(log, who, said, number)


def _change_mind(log: LabelLog, who: str, said: pd.DataFrame, number: int) -> None:
    own = said[said["who"] == who]
    if own.empty:
        return
    mine = Judgement(**own.iloc[-1])
    weight = None if mine.weight is None or math.isnan(mine.weight) else mine.weight

    def change(answer: str) -> None:
        with clicked():
            log.add(who, mine.source_ref, mine.label, answer, weight=weight, sample=mine.sample)

    for answer in ("present", "absent"):
        if answer != mine.answer:
            st.button(f"Mine: {answer}", key=f"change {number} {answer}", on_click=change, args=(answer,))
