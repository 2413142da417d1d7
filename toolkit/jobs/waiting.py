"""Waiting for jobs, with bars that say how far they are."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from toolkit import checks
from toolkit.errors import TimedOut

FINISHED: Final = frozenset({"SUCCEEDED", "FAILED"})


class Watched(Protocol):
    """A `Job`, as far as waiting for it goes."""

    @property
    def id(self) -> str:
        """JobId."""

    @property
    def name(self) -> str | None:
        """JobName."""

    @property
    def status(self) -> str:
        """As it was last told."""

    @property
    def progress(self) -> tuple[int, int] | None:
        """Images done and in total, where that is known."""

    def refresh(self) -> object:
        """Asks the service."""

    def raise_if_failed(self) -> None:
        """Raises JobFailed."""


AnyJob = TypeVar("AnyJob", bound=Watched)

_SHORT: Final = 20
"""Characters of a job's name beside its progress bar."""
_ROWS: Final = 8
"""More jobs than this share one bar."""
_SLOWEST: Final = 10.0
"""Seconds between two questions: a long job is asked for every ten."""


def wait_for(
    jobs: Sequence[AnyJob],
    *,
    timeout: float | None = None,
    progress: bool = True,
    on_change: Callable[[AnyJob], None] | None = None,
    come_back: str | None = None,
) -> None:
    """Waits until all of these jobs have ended.

    Parameters
    ----------
    jobs
        They are refreshed in place.
    timeout
        Seconds; None waits for as long as it takes.
    progress
        Whether to draw a bar for each job on stderr: images done of all where the service tells, else the status. More
        than eight jobs share one bar.
    on_change
        Called with a job each time it was asked for.
    come_back
        What to say when Ctrl-C ends the waiting, which the jobs do not hear of; None names the jobs.

    Raises
    ------
    JobFailed
        After all have ended, for the first that FAILED.
    InvalidArgument
        `timeout` is no number of seconds.
    TimedOut, Unreachable, RequestRefused
    """
    if timeout is not None:
        checks.within("timeout", timeout, 0, math.inf)
    ends = None if timeout is None else time.monotonic() + timeout
    pause = 0.2
    try:
        with _Bars(jobs, progress) as bars:
            while True:
                for job in jobs:
                    if job.status not in FINISHED:
                        job.refresh()
                        if on_change is not None:
                            on_change(job)
                bars.show()
                waiting = [job for job in jobs if job.status not in FINISHED]
                if not waiting:
                    break
                if ends is not None and time.monotonic() > ends:
                    raise TimedOut(f"job {waiting[0].id} is still {waiting[0].status} after {timeout:g} s; it runs on.")
                threading.Event().wait(pause)
                pause = min(pause * 1.2, _SLOWEST)
    except KeyboardInterrupt:
        Console(stderr=True).print(Text(come_back or _come_back(jobs)), soft_wrap=True)
        raise
    for job in jobs:
        job.raise_if_failed()


def _come_back(jobs: Sequence[Watched]) -> str:
    running = [job.id for job in jobs if job.status not in FINISHED]
    return (
        f"interrupted; the service goes on. `modkit fetch {running[0] if running else jobs[0].id} FOLDER` comes back."
    )


class _Bars:
    """A bar for each job, or one for all of many."""

    def __init__(self, jobs: Sequence[AnyJob], progress: bool) -> None:
        self._jobs = jobs
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
        )
        self._bars = Progress(*columns, console=Console(stderr=True), disable=not progress)
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> "_Bars":
        self._bars.start()
        if len(self._jobs) > _ROWS:
            self._rows[""] = self._bars.add_task(f"{len(self._jobs):,} jobs", total=len(self._jobs), status="")
        else:
            self._rows = {job.id: self._bars.add_task(_short_name(job), total=None, status="") for job in self._jobs}
        return self

    def __exit__(self, *_: Any) -> None:
        self._bars.stop()

    def show(self) -> None:
        """Draws how far the jobs are."""
        if "" in self._rows:
            statuses = [job.status for job in self._jobs]
            ended = sum(status in FINISHED for status in statuses)
            failed = statuses.count("FAILED")
            said = f"{failed:,} failed" if failed else f"{statuses.count('IN_PROGRESS'):,} running"
            self._bars.update(self._rows[""], completed=ended, status=said)
            return
        for job in self._jobs:
            done, total = job.progress or (0, None)
            self._bars.update(self._rows[job.id], completed=done, total=total, status=job.status)


def _short_name(job: Watched) -> str:
    """A name that leaves room for a bar in 80 columns."""
    if job.name:
        return job.name if len(job.name) <= _SHORT else f"{job.name[: _SHORT - 1]}…"
    return f"job {job.id[:8]}…"
