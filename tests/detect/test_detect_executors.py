"""Asking with an executor's workers: threads, processes and Dask."""

import concurrent.futures
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from detect_door import answering, broken_off, names_answered, serving_at
from distributed import Client, LocalCluster
from helpers import picture

import toolkit as tk
from toolkit import storage
from toolkit.detect.ask import Entry, Outcome, Settings
from toolkit.errors import InvalidArgument, JobFailed, RequestRefused


@pytest.mark.parametrize("kind", [concurrent.futures.ThreadPoolExecutor, concurrent.futures.ProcessPoolExecutor])
def test_an_executor_asks_with_its_share_of_the_rate(kind, endpoint: str, photos, tmp_path) -> None:
    with kind(2) as executor:
        run = tk.detect(
            photos,
            tmp_path / "run",
            session=functools.partial(tk.connect, endpoint),
            executor=executor,
            workers=2,
            tps=40,
        )
    assert (run.images, run.failed, run.requests) == (13, 1, 13)
    assert run.results().images["source_ref"].is_monotonic_increasing


class Killed(Exception):
    """As an executor's own error, such as Dask's KilledWorker, which comes out of the future."""


def _killed(*_: Any) -> concurrent.futures.Future[Any]:
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.set_exception(Killed("on 3\nworkers. See the logs."))
    return future


def test_a_worker_that_dies_is_said_in_one_sentence(local, photos, tmp_path, monkeypatch) -> None:
    endpoint, door = local
    broken_off(door, 4, photos, tmp_path / "run", session=tk.connect(endpoint))
    session = functools.partial(tk.connect, endpoint)
    detect = functools.partial(tk.detect, photos, tmp_path / "run", session=session, tps=40, progress=False)
    with (
        concurrent.futures.ProcessPoolExecutor(1, initializer=os._exit, initargs=(1,)) as executor,
        pytest.raises(JobFailed, match=r"lost a batch \(BrokenProcessPool: .* is in the journal: run the same again"),
    ):
        detect(executor=executor)
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        with monkeypatch.context() as patch:
            patch.setattr(executor, "submit", _killed)
            with pytest.raises(
                JobFailed, match=r"lost a batch \(Killed: on 3 workers\); every .* new executor"
            ) as raised:
                detect(executor=executor)
        assert isinstance(raised.value.__cause__, Killed)
        assert detect(executor=executor).requests == 9


def test_a_session_of_main_is_said_to_be_one_where_a_batch_is_lost(endpoint, photos, tmp_path, monkeypatch) -> None:
    def session() -> storage.Session:
        return tk.connect(endpoint)

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        monkeypatch.setattr(executor, "submit", _killed)
        detect = functools.partial(tk.detect, photos, tmp_path / "run", executor=executor, progress=False)
        with pytest.raises(JobFailed, match=r"with a new executor, to go on\.$"):
            detect(session=session)
        session.__module__ = "__main__"
        with pytest.raises(JobFailed, match=r"`session` must be a function of a module that the workers can import\.$"):
            detect(session=session)


@pytest.mark.parametrize("executor", [concurrent.futures.ProcessPoolExecutor, object(), 4])
def test_what_is_no_executor_is_refused_before_anything_is_written(executor: Any, photos, tmp_path) -> None:
    with pytest.raises(InvalidArgument, match=r"^executor is .*, not an executor; give an instance of one with submit"):
        tk.detect(photos, tmp_path / "run", executor=executor, progress=False)
    assert not (tmp_path / "run").exists()


@contextmanager
def _dask() -> Iterator[concurrent.futures.Executor]:
    """Dask's executor, whose futures do not say that they run."""
    with Client(processes=False, n_workers=1, threads_per_worker=8, dashboard_address=None) as dask:
        yield dask.get_executor()


@pytest.mark.parametrize("kind", [functools.partial(concurrent.futures.ThreadPoolExecutor, 8), _dask])
@pytest.mark.parametrize("error", [RequestRefused("over", "X"), KeyboardInterrupt()])
def test_what_ends_a_batch_keeps_the_answers_of_all_that_are_out(error: BaseException, kind, monkeypatch) -> None:
    work = sys.modules["toolkit.detect.work"]
    asked, delivered = [], []

    def ask(entries, _settings, _rate, deliver, *_: Any) -> None:
        asked.append(len(entries))
        for entry in entries:
            deliver(Outcome(entry, "{}"))
        if entries[0].line == 1:
            time.sleep(0.1)  # until the others have begun
            raise error
        time.sleep(0.3)

    monkeypatch.setattr(work, "_ask", ask)
    entries = [Entry(line, f"s3://abc/{line}") for line in range(1, 2001)]
    with kind() as executor, pytest.raises(type(error)):
        work.ask_elsewhere(
            entries, Settings(), None, delivered.append, session=None, executor=executor, workers=8, concurrency=3
        )
    assert len(asked) == 3  # no more than `concurrency`, and none after the error
    assert len(delivered) == sum(asked)


@pytest.mark.slow
def test_workers_that_know_too_high_a_limit_share_what_the_service_gives(local, tmp_path) -> None:
    endpoint, door = local
    refs = [f"s3://abc/{number}.jpg" for number in range(400)]
    with answering(door, serving_at(20)), concurrent.futures.ThreadPoolExecutor(4) as executor:
        began = time.monotonic()
        run = tk.detect(refs, tmp_path / "run", session=tk.connect(endpoint), executor=executor, tps=80, progress=False)
        took = time.monotonic() - began
    assert (run.images, run.failed, run.unsettled) == (400, 0, 0)
    assert took < 1.5 * 400 / 20  # one worker got all of it, and the others waited for minutes


def test_a_worker_hands_over_what_it_has_and_the_rest_is_dealt_again(local, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.detect.work"], "_BATCH_SECONDS", 0.5)
    endpoint, door = local
    refs = [f"s3://abc/{number}.jpg" for number in range(30)]
    begun, batches = len(door.times), 0

    class Counting(concurrent.futures.ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Any:
            nonlocal batches
            batches += 1
            return super().submit(*args, **kwargs)

    with answering(door, serving_at(6)), Counting(1) as executor:
        run = tk.detect(
            refs, tmp_path / "run", session=tk.connect(endpoint), executor=executor, workers=1, tps=40, progress=False
        )
    assert (run.images, run.failed) == (30, 0)
    assert run.requests == len(door.times) - begun  # those of images that were stopped in between count, too
    assert batches >= 4  # five seconds' work in pieces of half a second; what was promised would have been two


@pytest.mark.parametrize(("tps", "opening"), [(4, 0), (50, 0.3)])
def test_a_batch_is_never_too_short_for_an_image(
    local, photos, tmp_path, monkeypatch, tps: float, opening: float
) -> None:
    from toolkit.detect import work

    monkeypatch.setattr(work, "_BATCH_SECONDS", 0.2)  # less than a request's share of the rate, or than a session takes
    endpoint, _ = local

    def session() -> storage.Session:
        time.sleep(opening)
        return tk.connect(endpoint)

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        run = tk.detect(photos, tmp_path / "out", tps=tps, session=session, executor=executor, progress=False)
    assert (run.images, run.failed) == (13, 1)


@pytest.mark.parametrize("kind", [concurrent.futures.ThreadPoolExecutor, concurrent.futures.ProcessPoolExecutor])
@pytest.mark.slow
def test_ctrl_c_waits_for_a_slow_batch_no_longer_than_its_time(kind, local, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.detect.work"], "_BATCH_SECONDS", 5.0)
    endpoint, door = local
    refs = [f"s3://abc/{number}.jpg" for number in range(400)]
    with answering(door, serving_at(4)), kind(2) as executor:
        threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            tk.detect(
                refs, tmp_path / "run", session=functools.partial(tk.connect, endpoint), executor=executor, workers=2,
                tps=40, progress=False,
            )  # fmt: skip
        assert time.monotonic() - began < 10
    assert len(names_answered(tmp_path / "run" / "detect.journal")) > 10


@pytest.mark.slow
def test_workers_together_ask_no_more_than_the_rate_and_slow_down_with_the_service(local, tmp_path) -> None:
    endpoint, door = local
    (tmp_path / "photos").mkdir()
    for number in range(45):
        (tmp_path / "photos" / f"{number:03}.jpg").write_bytes(picture(number) + bytes([number]))
    begun = len(door.times)
    with answering(door, serving_at(5)), concurrent.futures.ThreadPoolExecutor(8) as executor:
        run = tk.detect(
            tmp_path / "photos", tmp_path / "run", session=tk.connect(endpoint), executor=executor, workers=8,
            tps=10, progress=False,
        )  # fmt: skip
    assert (run.images, run.failed) == (45, 0)
    times = np.array(door.times[begun:])
    in_a_second = [int(((times >= first) & (times < first + 1)).sum()) for first in times]
    assert max(in_a_second) <= 10 / 0.85 + 1
    late = times[times > times[0] + 4]
    assert len(late) / (late[-1] - times[0] - 4) < 8  # it has learned that 10 are too many


@pytest.mark.slow
def test_the_machines_of_a_dask_cluster_ask_too(endpoint: str, photos, tmp_path) -> None:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as dask:
        run = tk.detect(
            photos,
            tmp_path / "run",
            session=functools.partial(tk.connect, endpoint),
            executor=dask.get_executor(),
            workers=2,
            tps=40,
        )
    assert (run.images, run.failed, run.requests) == (13, 1, 13)
