"""What the studio has started and goes on by itself: `modkit analyze` as a process, how far it is, how it ended.

Tasks belong to the studio, not to a tab: a reload, or another tab, shows them and can cancel them.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import streamlit as st

from toolkit.studio.text import plain
from toolkit.studio.widgets import guarded

_SECONDS: Final = 1
_PATIENCE: Final = 10
"""Seconds in which a cancelled one must end by itself."""
_TAIL: Final = 4096
_AS_TERMINAL: Final = {"TTY_COMPATIBLE": "1", "NO_COLOR": "1", "COLUMNS": "100"}
"""Has rich draw its bars while they grow, and not once at the end."""
_MOVES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BAR: Final = re.compile(r"(\w[\w ]*\w)\s[━╸╺ ]* (\d+)/(\d+) ")


@dataclass(eq=False)
class Task:
    """A running or ended process: what it is called, and the folder with what it printed."""

    name: str
    process: subprocess.Popen[bytes]
    folder: tempfile.TemporaryDirectory[str]

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def answer(self) -> dict[str, Any]:
        """What it printed for programs, once it has ended well."""
        found: dict[str, Any] = json.loads(Path(self.folder.name, "out").read_bytes())
        return found

    def words(self) -> str:
        """The last line that it said, for people."""
        said = _MOVES.sub("", Path(self.folder.name, "err").read_bytes()[-_TAIL:].decode("utf-8", "replace"))
        lines = said.replace("\r", "\n").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def cancel(self) -> None:
        """Ends it; harmless where it has ended."""
        self.process.terminate()
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@st.cache_resource(show_spinner=False)
def _all() -> list[Task]:
    return []


def start(name: str, arguments: Sequence[str]) -> None:
    """Starts `modkit` with these arguments; `--json` must be among them."""
    folder = tempfile.TemporaryDirectory()
    with Path(folder.name, "out").open("wb") as out, Path(folder.name, "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "toolkit", *arguments],
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=os.environ | _AS_TERMINAL,
        )  # fmt: skip
    _all().append(Task(name, process, folder))


def section() -> None:
    """All of them, each with a way to cancel it or to put it away; those that run are looked at by themselves."""
    running = [task for task in _all() if task.running]
    if _all():
        st.fragment(_shown, run_every=_SECONDS if running else None)(running)


def _shown(running: list[Task]) -> None:
    """Once one of those that ran has ended, there are new jobs: the whole page is drawn again."""
    if not all(task.running for task in running):
        st.rerun()
    for number, task in enumerate(list(_all())):
        said, button = st.columns([4, 1], vertical_alignment="center")
        with said, guarded():
            _progress(task) if task.running else _end(task)
        if task.running and button.button("Cancel", key=f"cancel {number}", width="stretch"):
            task.cancel()
            _put_away(task)
            st.toast("Stopped. What was copied stays; starting the same again goes on from there.")
            st.rerun()
        if not task.running and button.button("Put away", key=f"put away {number}", width="stretch"):
            _put_away(task)
            st.rerun()


def _put_away(task: Task) -> None:
    if task in _all():  # another tab may have been quicker
        _all().remove(task)


def _progress(task: Task) -> None:
    """Until all jobs of the collection have started; they then run on by themselves."""
    words = task.words()
    bar = _BAR.match(words)
    if bar is None:
        st.info(plain(f"Copying, splitting and starting {task.name}: {words or '…'}"))
        return
    what, done, total = bar[1].capitalize(), int(bar[2]), int(bar[3])
    st.progress(done / total if total else 0.0, plain(f"{what} of {task.name}: {done:,} of {total:,}"))


def _end(task: Task) -> None:
    if task.process.returncode == 0:
        group = task.answer()
        count = len(group["jobs"])
        st.success(plain(f"{count:,} job{'s' if count != 1 else ''} started: {group['group']} finds the group again."))
    else:
        silent = "The start ended without a word; run `modkit analyze` in a terminal to see why."
        st.error(plain(task.words() or silent), icon=":material/error:")
