"""A run that goes on: after kills and Ctrl-C, and though its images were moved, changed or removed."""

import base64
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from detect_door import answering, broken_off, names_answered
from helpers import ROOT, picture, started, unreliable

import toolkit as tk
from toolkit.errors import InvalidArgument


def test_a_run_that_was_killed_at_its_end_frees_its_journal_the_next_time(local, photos, tmp_path, monkeypatch) -> None:
    endpoint, _ = local
    journal = sys.modules["toolkit.detect.journal"].Journal
    detect = functools.partial(
        tk.detect, photos, session=tk.connect(endpoint), journal=tmp_path / "journal", progress=False
    )
    with monkeypatch.context() as patch:
        patch.setattr(journal, "remove", lambda _: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            detect(tmp_path / "one")
    with pytest.raises(InvalidArgument, match="one that has not ended; run that one again first, with this journal"):
        detect(tmp_path / "other")
    assert detect(tmp_path / "one").requests == 0
    assert detect(tmp_path / "other").requests == 13
    assert not list((tmp_path / "journal").iterdir())


def test_a_folder_may_be_named_in_several_ways_but_not_be_moved(local, photos, tmp_path, monkeypatch) -> None:
    endpoint, door = local
    session = tk.connect(endpoint)
    monkeypatch.chdir(tmp_path)
    broken_off(door, 4, "photos", "run", session=session)  # 00 to 03
    (photos / "00.jpg").unlink()
    (photos / "01.jpg").write_bytes(picture(50))
    monkeypatch.chdir("photos")
    with pytest.warns(UserWarning, match="1 images that were answered"):
        run = tk.detect(photos, "../run", session=session, progress=False)
    assert (run.images, run.requests) == (13, 10)  # not about 02 and 03, and not about 00, which is gone
    there = [str(photos / f"{number:02}.jpg") for number in range(1, 12)]
    assert run.results().images["source_ref"].tolist() == [*there, "photos/00.jpg"]
    monkeypatch.chdir(tmp_path)
    broken_off(door, 4, "./photos/", "other", session=session)
    photos.rename(tmp_path / "moved")
    with pytest.raises(InvalidArgument, match="holds a run of other images or settings that has not ended"):
        tk.detect("moved", "other", session=session, progress=False)
    (tmp_path / "moved").rename(photos)
    (tmp_path / "link").symlink_to(photos)
    assert tk.detect("link", "other", session=session, progress=False).requests == 8
    assert tk.detect(photos, tmp_path / "other", session=session, progress=False).requests == 0


def test_a_folder_may_have_a_name_that_is_no_text(local, photos, tmp_path, monkeypatch) -> None:
    endpoint, _ = local
    there = tmp_path / os.fsdecode(b"\xff")
    there.mkdir()
    photos.rename(there / "photos")
    monkeypatch.chdir(there)
    assert tk.detect("photos", tmp_path / "run", session=tk.connect(endpoint), progress=False).requests == 13


def test_copies_in_another_folder_are_other_images(local, photos, tmp_path) -> None:
    endpoint, door = local
    session = tk.connect(endpoint)
    detect = functools.partial(tk.detect, session=session, progress=False)
    broken_off(door, 4, photos, tmp_path / "run", session=session)
    shutil.copytree(photos, tmp_path / "others")  # of the same names, sizes and times
    with pytest.raises(InvalidArgument, match="holds a run of other images or settings that has not ended"):
        detect(tmp_path / "others", tmp_path / "run")
    assert detect(photos, tmp_path / "run").requests == 9
    with pytest.raises(InvalidArgument, match="holds results of other images or settings; name another output"):
        detect(tmp_path / "others", tmp_path / "run")


def test_files_that_have_all_changed_are_asked_about_again_in_the_same_run(local, photos, tmp_path) -> None:
    endpoint, door = local
    session = tk.connect(endpoint)
    broken_off(door, 4, photos, tmp_path / "run", session=session)  # 00 to 03
    for path in photos.iterdir():
        os.utime(path, (0, 0))
    broken_off(door, 2, photos, tmp_path / "run", session=session)  # 00 and 01 once more
    for number in (0, 1):
        (photos / f"{number:02}.jpg").unlink()
    with pytest.warns(UserWarning, match="2 images that were answered"):
        run = tk.detect(photos, tmp_path / "run", session=session, progress=False)
    assert (run.requests, run.images) == (11, 13)
    names = [Path(ref).name for ref in run.results().images["source_ref"]]
    assert names == [*(f"{n:02}.jpg" for n in range(2, 12)), "00.jpg", "01.jpg"]


def test_a_run_goes_on_though_its_collection_has_changed(local, photos, tmp_path) -> None:
    endpoint, door = local
    session = tk.connect(endpoint)
    broken_off(door, 4, photos, tmp_path / "run", session=session)  # 00 to 03
    (photos / "00.jpg").unlink()
    (photos / "01.jpg").write_bytes(picture(50))
    (photos / "02a.jpg").write_bytes(picture(51))
    with pytest.warns(UserWarning, match="1 images that were answered .* are not in the collection any more"):
        run = tk.detect(photos, tmp_path / "run", session=session, progress=False)
    assert run.requests == 13 - 2  # not about 02 and 03, and not about 00, which is gone
    assert (run.images, run.failed, run.summary().total, run.summary().valid) == (14, 1, 14, 13)
    names = [Path(ref).name for ref in run.results().images["source_ref"]]
    assert names == ["01.jpg", "02.jpg", "02a.jpg", *(f"{n:02}.jpg" for n in range(3, 12)), "00.jpg"]
    assert tk.detect(photos, tmp_path / "run", session=session, progress=False).requests == 0


@pytest.mark.slow
def test_ten_kills_lose_nothing_and_no_image_whose_answer_came_is_asked_about_again(photos, tmp_path) -> None:
    for number in range(12, 150):
        (photos / f"{number:03}.jpg").write_bytes(picture(number) + bytes([number]))
    names = {base64.b64encode(path.read_bytes()).decode(): path.name for path in photos.iterdir()}
    threads = 2
    asked: list[str] = []
    answered: set[str] = set()
    with (
        unreliable(tmp_path / "service", share=0.1) as (endpoint, door),
        answering(door, lambda request: asked.append(names[request["Image"]["Bytes"]])),
    ):
        command = [
            sys.executable, "-m", "toolkit", "detect", str(photos), str(tmp_path / "run"),
            "--endpoint", endpoint, "--tps", "25", "--concurrency", str(threads), "--json",
        ]  # fmt: skip
        for kill in range(10):
            with started(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
                begun = len(door.times)
                while len(door.times) < begun + 2 + kill % 5 and process.poll() is None:
                    time.sleep(0.01)
                assert process.poll() is None, "it ended before it could be killed"
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(0.1)  # what was in flight arrives
            assert not answered & set(asked), "an image whose answer was kept was asked about again"
            answered |= names_answered(tmp_path / "run" / "detect.journal")
            asked.clear()
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        document = json.loads(ended.stdout)
        assert (document["images"], document["errors"], ended.returncode) == (150, 1, 2)
        assert not answered & set(asked)
    assert answered
    refs = tk.read_results(tmp_path / "run").images["source_ref"].tolist()
    assert refs == sorted(set(refs))
    assert len(refs) == 150
    # What was in flight when a process died is asked about again: at most a request of each thread and kill.
    assert len(door.asked) == 151
    assert sum(door.asked.values()) - 151 <= 10 * threads


def test_ctrl_c_keeps_what_was_answered_and_says_how_to_go_on(photos, tmp_path) -> None:
    with unreliable(tmp_path / "service", share=0.0) as (endpoint, door):
        command = [sys.executable, "-m", "toolkit", "detect", str(photos), str(tmp_path / "run")]
        command += ["--endpoint", endpoint, "--tps", "3"]
        with started(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
            while len(door.times) < 3:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "run the same again to go on" in said
        assert "Traceback" not in said
        before = len(door.times)
        assert tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint)).requests == 13 - before
