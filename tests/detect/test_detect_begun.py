"""A run that has begun: what is its own, what was lost, and what of it is refused."""

import concurrent.futures
import functools
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from detect_door import GOOD, answering, broken_off, json_answer, names_answered, own_bucket
from distributed import Client, LocalCluster
from helpers import picture

import toolkit as tk
from toolkit import storage
from toolkit.detect.journal import HERE, Image, Journal
from toolkit.errors import InvalidArgument, JobFailed, NotFound


@pytest.fixture
def killed(local, photos, tmp_path, monkeypatch) -> tuple[Path, storage.Session]:
    """The output of a run that was killed after four answers, with all that its journal consists of then."""
    endpoint, door = local
    run, copy = tmp_path / "run", tmp_path / "copy"
    close = Journal.close

    def copied(journal: Journal) -> None:
        shutil.copytree(run, copy)
        close(journal)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "close", copied)
        broken_off(door, 4, photos, run, session=tk.connect(endpoint))
    shutil.copytree(copy, run, dirs_exist_ok=True)  # closing the file never came
    return run, tk.connect(endpoint)


def test_a_run_that_was_killed_goes_on(killed, photos) -> None:
    run, session = killed
    assert tk.detect(photos, run, session=session, progress=False).requests == 9


@pytest.mark.parametrize("lose", [
    lambda run: (run / "detect.journal").write_bytes(b""),
    lambda run: (run / "detect.journal-wal").unlink(),
    lambda run: (run / "detect.journal-wal").write_bytes(os.urandom(9000)),
], ids=["emptied", "without its log", "with another log"])  # fmt: skip
def test_no_image_is_paid_for_again_before_it_is_said_that_answers_are_lost(lose, killed, local, photos) -> None:
    run, session = killed
    lose(run)
    asked = len(local[1].times)
    with pytest.raises(NotFound, match=r"detect.journal: the journal is damaged \(it is empty\), and its answers are"):
        tk.detect(photos, run, session=session, progress=False)
    assert len(local[1].times) == asked
    for name in ("detect.journal", "detect.json"):
        (run / name).unlink()
    assert tk.detect(photos, run, session=session, progress=False).requests == 13


def test_a_run_that_was_killed_before_it_said_so_begins_anew(local, photos, tmp_path, monkeypatch) -> None:
    detect = functools.partial(tk.detect, photos, tmp_path / "run", session=tk.connect(local[0]), progress=False)
    with monkeypatch.context() as patch:
        output = sys.modules["toolkit.detect.output"].Output
        patch.setattr(output, "begin", lambda *_: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            detect()
    assert (tmp_path / "run" / "detect.journal").exists()
    assert detect().requests == 13


def test_a_link_that_leads_elsewhere_now_has_no_answer_of_the_file_before(local, tmp_path) -> None:
    endpoint, door = local
    session, links = tk.connect(endpoint), tmp_path / "links"
    links.mkdir()
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(picture(number))
    for number in range(4):
        (links / f"{number}.jpg").symlink_to(tmp_path / f"{number}.jpg")
    broken_off(door, 2, links, tmp_path / "run", session=session)
    (links / "0.jpg").unlink()
    (links / "0.jpg").symlink_to(tmp_path / "4.jpg")
    run = tk.detect(links, tmp_path / "run", session=session, progress=False)
    assert (run.images, run.requests) == (4, 3)
    assert run.results().images["source_ref"].tolist() == [str(links / f"{number}.jpg") for number in range(4)]


@pytest.fixture
def links(tmp_path, monkeypatch) -> Path:
    """A folder of four links, `links` in the current folder, to four of six pictures beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "links").mkdir()
    (tmp_path / "alias").symlink_to("links")
    for number in range(6):
        (tmp_path / f"{number}.jpg").write_bytes(picture(number))
    for number in range(4):
        (tmp_path / "links" / f"{number}.jpg").symlink_to(tmp_path / f"{number}.jpg")
    return tmp_path / "links"


@pytest.mark.parametrize("then", ["{}", "links", "./links", "../{.parent.name}/links", "alias"])
def test_a_link_that_leads_elsewhere_is_one_whatever_its_folder_is_called(then: str, links, local, tmp_path) -> None:
    endpoint, door = local
    session = tk.connect(endpoint)
    broken_off(door, 2, "links", "run", session=session)
    (links / "0.jpg").unlink()
    (links / "0.jpg").symlink_to(tmp_path / "4.jpg")
    run = tk.detect(then.format(links), "run", session=session, progress=False)
    assert (run.images, run.requests) == (4, 3)
    assert [Path(ref).name for ref in run.results().images["source_ref"]] == [f"{number}.jpg" for number in range(4)]


def test_a_link_that_was_several_files_and_is_gone_has_the_answer_of_none(links, local, tmp_path) -> None:
    endpoint, door = local
    session = tk.connect(endpoint)
    broken_off(door, 3, "links", "run", session=session)
    (links / "0.jpg").unlink()
    (links / "0.jpg").symlink_to(tmp_path / "4.jpg")
    broken_off(door, 1, links, "run", session=session)
    (links / "0.jpg").unlink()
    (links / "1.jpg").unlink()
    with pytest.warns(UserWarning, match="1 images that were answered"):
        run = tk.detect("links", "run", session=session, progress=False)
    names = [Path(ref).name for ref in run.results().images["source_ref"]]
    assert (run.images, names) == (3, ["2.jpg", "3.jpg", "1.jpg"])


def test_results_that_the_run_has_not_written_are_left_alone(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, results = tk.connect(endpoint), tmp_path / "run" / "results.jsonl"
    broken_off(door, 4, photos, tmp_path / "run", session=session)
    results.write_text("mine\n")
    with pytest.raises(InvalidArgument, match="holds results of other images or settings; name another output"):
        tk.detect(photos, tmp_path / "run", session=session, progress=False)
    assert results.read_text() == "mine\n"
    results.unlink()
    assert tk.detect(photos, tmp_path / "run", session=session, progress=False).requests == 9


@pytest.mark.parametrize("without_record", [False, True])
def test_a_run_that_was_killed_once_its_results_were_written_ends_the_next_time(
    without_record: bool, local, photos, tmp_path, killed_once_written
) -> None:
    run = tmp_path / "run"
    detect = functools.partial(tk.detect, photos, run, session=tk.connect(local[0]), progress=False)
    with killed_once_written():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                detect()
            assert (run / "results.jsonl").exists()
            if without_record:
                (run / "detect.json").unlink()
    assert (detect().images, detect().requests) == (13, 0)


def test_an_error_that_is_kept_does_not_keep_the_journal(tmp_path) -> None:
    def interrupted() -> Iterator[Image]:
        yield Image("file:///1.jpg", 1, "", "1.jpg", "file:///1.jpg")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as kept:
        Journal(tmp_path / "detect.journal", "settings", HERE, interrupted())
    Journal(tmp_path / "detect.journal", "settings", HERE, []).close()
    assert kept.value.__traceback__ is not None  # with all that its frames hold


@pytest.mark.parametrize("kind", ["session", "lambda"])
def test_a_session_that_cannot_be_sent_is_said_to_be_one(kind: str, endpoint: str, photos, tmp_path) -> None:
    session = tk.connect(endpoint) if kind == "session" else lambda: tk.connect(endpoint)
    with (
        concurrent.futures.ProcessPoolExecutor(1) as executor,
        pytest.raises(InvalidArgument, match=r"^session cannot be sent to the .*; give a function of a module that"),
    ):
        tk.detect(photos, tmp_path / "run", session=session, executor=executor, progress=False)


def _shut_pool() -> concurrent.futures.Executor:
    executor = concurrent.futures.ThreadPoolExecutor(1)
    executor.shutdown()
    return executor


def _closed_dask() -> concurrent.futures.Executor:
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as dask:
        return dask.get_executor()


@pytest.mark.parametrize("kind", [_shut_pool, _closed_dask])
def test_an_executor_that_is_shut_down_ends_the_run_as_a_lost_one(kind, endpoint: str, photos, tmp_path) -> None:
    session = functools.partial(tk.connect, endpoint)
    with pytest.raises(JobFailed, match=r"lost a batch \(.*\); .* run the same again, with a new executor, to go on"):
        tk.detect(photos, tmp_path / "run", session=session, executor=kind(), progress=False)
    assert tk.detect(photos, tmp_path / "run", session=session, progress=False).requests == 13


def test_a_batch_that_never_comes_back_is_waited_for_half_a_minute_at_most(endpoint, photos, tmp_path, monkeypatch):
    work = sys.modules["toolkit.detect.work"]
    assert work._BATCH_SECONDS + work._ANSWER_SECONDS <= 30
    monkeypatch.setattr(work, "_BATCH_SECONDS", 0.2)
    monkeypatch.setattr(work, "_ANSWER_SECONDS", 0.3)
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        monkeypatch.setattr(executor, "submit", lambda *_: concurrent.futures.Future())
        monkeypatch.setattr(work, "wait", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint), executor=executor, progress=False)
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_dask_workers_that_were_told_so_hand_over_their_answers_at_ctrl_c(local, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.detect.work"], "_BATCH_SECONDS", 4.0)
    endpoint, door = local
    refs = [f"s3://abc/{number}.jpg" for number in range(400)]
    with (
        answering(door, lambda _: json_answer(200, GOOD)),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as dask,
    ):
        processes = [*dask.run(os.getpid).values(), os.getpid()]

        def ignore() -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

        dask.run(ignore)

        def ctrl_c() -> None:
            for process in processes:
                os.kill(process, signal.SIGINT)

        threading.Timer(2, ctrl_c).start()
        with pytest.raises(KeyboardInterrupt):
            tk.detect(
                refs, tmp_path / "run", session=functools.partial(tk.connect, endpoint), executor=dask.get_executor(),
                workers=2, tps=20, progress=False,
            )  # fmt: skip
    assert len(names_answered(tmp_path / "run" / "detect.journal")) > 10


@pytest.mark.parametrize(("journal", "said"), [
    (None, r"detect.journal: another run is writing there; wait for it, or name another output\."),
    ("journal", r"wait for it, or name another folder for the journal \(--journal\), and another output if it is"),
])  # fmt: skip
def test_a_journal_that_is_being_written_is_said_with_what_can_be_named_instead(
    journal: str | None, said: str, local, photos, tmp_path
) -> None:
    session = tk.connect(local[0])
    where = tmp_path / (journal or "run")
    with (
        Journal(where / "detect.journal", "settings", HERE, []),
        pytest.raises(InvalidArgument, match=said),
    ):
        tk.detect(photos, tmp_path / "run", journal=journal and where, session=session, progress=False)


def test_images_in_another_order_are_said_to_be_other_ones(local, tmp_path) -> None:
    session = own_bucket(local[0], "inorder")
    refs = [f"s3://inorder/{number}.jpg" for number in range(2)]
    for number, ref in enumerate(refs):
        storage.write(ref, picture(number), session=session)
    tk.detect(refs, tmp_path / "run", session=session, progress=False)
    with pytest.raises(InvalidArgument, match=r"name another output .* \(the same images in another order are other"):
        tk.detect(refs[::-1], tmp_path / "run", session=session, progress=False)


def test_an_output_may_have_a_name_that_is_no_text(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, journal, output = tk.connect(endpoint), tmp_path / "journal", os.fsencode(tmp_path) + b"/\xff"
    broken_off(door, 4, photos, os.fsdecode(output), journal=journal, session=session)
    with pytest.raises(InvalidArgument, match=r"journal of a run into \S*\\xff that has not ended"):
        tk.detect(photos, tmp_path / "other", journal=journal, session=session, progress=False)
    run = tk.detect(photos, os.fsdecode(output), journal=journal, session=session, progress=False)
    assert (run.images, run.requests) == (13, 9)
