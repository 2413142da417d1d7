"""What a journal keeps, whose it is, and what is said when it is lost or damaged."""

import functools
import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from detect_door import broken_off, own_bucket
from helpers import picture, unreliable
from PIL import Image

import toolkit as tk
from toolkit import storage
from toolkit.errors import InvalidArgument, NotFound, UnreadableManifest


def test_a_run_that_goes_on_says_where_its_journal_is(local, photos, tmp_path, monkeypatch) -> None:
    endpoint, door = local
    session = own_bucket(endpoint, "somewhere")
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    broken_off(door, 4, photos, "s3://somewhere/run/", session=session)
    monkeypatch.chdir(tmp_path / "there")
    asked = len(door.times)
    with pytest.raises(
        InvalidArgument, match=r"has not ended.* in the journal in (\S+) on .*, with --journal"
    ) as raised:
        tk.detect(photos, "s3://somewhere/run/", session=session, progress=False)
    assert len(door.times) == asked
    (journal,) = re.findall(r"--journal (\S+)", str(raised.value))
    assert Path(journal).is_relative_to(tmp_path / "here")
    run = tk.detect(photos, "s3://somewhere/run/", journal=journal, session=session, progress=False)
    assert (run.requests, run.images) == (9, 13)
    assert tk.detect(photos, "s3://somewhere/run/", session=session, progress=False).requests == 0


def test_one_journal_folder_does_not_mix_two_outputs(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, journal = tk.connect(endpoint), tmp_path / "journal"
    broken_off(door, 4, photos, tmp_path / "one", journal=journal, session=session)
    (photos / "00.jpg").unlink()
    with pytest.raises(InvalidArgument, match=r"journal of a run into \S*one that has not ended; .*\(--journal\)"):
        tk.detect(photos, tmp_path / "other", journal=journal, session=session, progress=False)
    other = tk.detect(photos, tmp_path / "other", session=session, progress=False)
    assert (other.images, other.requests) == (12, 12)
    with pytest.warns(UserWarning, match="1 images that were answered"):
        run = tk.detect(photos, tmp_path / "one", journal=journal, session=session, progress=False)
    assert (run.images, run.requests) == (13, 9)
    broken_off(door, 0, photos, tmp_path / "nothing", journal=journal, session=session)  # which is nobody's journal yet
    assert tk.detect(photos, tmp_path / "last", journal=journal, session=session, progress=False).requests == 12


def test_a_journal_without_an_answer_opens_no_output_that_holds_results(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, journal, mine = tk.connect(endpoint), tmp_path / "journal", tmp_path / "mine"
    detect = functools.partial(tk.detect, photos, session=session, progress=False)
    broken_off(door, 0, photos, tmp_path / "one", journal=journal, session=session)
    mine.mkdir()
    (mine / "results.jsonl").write_text("mine\n")
    with pytest.raises(InvalidArgument, match="mine: holds results of other images or settings; name another output"):
        detect(mine, journal=journal)
    broken_off(door, 0, photos, tmp_path / "two", session=session)
    (tmp_path / "two" / "results.jsonl").write_text("mine\n")
    with pytest.raises(InvalidArgument, match="two: holds results of other images or settings; name another output"):
        detect(tmp_path / "two")
    assert {path.read_text() for path in tmp_path.glob("*/results.jsonl")} == {"mine\n"}
    (tmp_path / "one" / "detect.json").write_bytes(b"")
    with pytest.raises(UnreadableManifest, match="is damaged; remove it and run the same again"):
        detect(tmp_path / "one", journal=journal)
    (tmp_path / "one" / "detect.json").unlink()
    assert detect(tmp_path / "one", journal=journal).requests == 13


def _unsettled(
    endpoint: str, bucket: str, output: Path, **more: Any
) -> tuple[Callable[..., tk.DetectRun], tk.DetectRun]:
    """A run that was answered about one of three images, and how to run it again."""
    session = own_bucket(endpoint, bucket)
    storage.write(f"s3://{bucket}/0.jpg", picture(0), session=session)
    refs = [f"s3://{bucket}/{number}.jpg" for number in range(3)]
    detect = functools.partial(tk.detect, images=refs, output=output, session=session, progress=False, **more)
    run = detect()
    assert (run.unsettled, run.results().n_images) == (2, 1)
    return detect, run


def test_a_journal_that_was_emptied_opens_its_output_to_no_other_run(local, tmp_path) -> None:
    endpoint, _ = local
    detect, run = _unsettled(endpoint, "emptied", tmp_path / "run")
    results = Path(run.results_uri).read_text()
    for _ in range(2):
        (tmp_path / "run" / "detect.journal").write_bytes(b"")
        with pytest.raises(InvalidArgument, match="holds results of other images or settings; name another output"):
            detect(min_confidence=7)
        for images in (1, 3, 4):  # the collection may have changed
            with pytest.raises(
                NotFound, match=r"the journal is damaged \(it is empty\), and its answers are lost; remove it"
            ):
                detect(images=[f"s3://emptied/{number}.jpg" for number in range(images)])
        assert Path(run.results_uri).read_text() == results


def test_a_lost_journal_is_said_with_all_that_is_to_be_removed(local, tmp_path) -> None:
    endpoint, _ = local
    detect, _ = _unsettled(endpoint, "lostjournal", tmp_path / "run")
    (tmp_path / "run" / "detect.journal").unlink()
    with pytest.raises(InvalidArgument, match=r"its journal is not in \S+run any more; put it back, or name") as said:
        detect()
    assert "go on there" not in str(said.value)
    names = re.findall(r"remove (\S+) and (\S+) and (\S+) to ask about all images again", str(said.value))[0]
    assert [Path(name).name for name in names] == ["detect.json", "results.jsonl", "manifest-summary.json"]
    for name in names:
        Path(name).unlink()
    assert detect().requests == 3


def test_a_journal_whose_place_another_run_has_taken_is_not_said_to_be_there(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, journal = tk.connect(endpoint), tmp_path / "journal"
    detect = functools.partial(tk.detect, session=session, journal=journal, progress=False)
    broken_off(door, 0, photos, tmp_path / "one", journal=journal, session=session)
    detect(photos, tmp_path / "other")
    with pytest.raises(
        InvalidArgument, match=r"its journal is not in \S+journal any more; .* \(if the journal is lost"
    ):
        detect(photos, tmp_path / "one")
    results = tmp_path / "run" / "results.jsonl"
    again, _ = _unsettled(endpoint, "taken", tmp_path / "run", journal=journal)
    before = results.read_text()
    (journal / "detect.journal").unlink()
    broken_off(door, 0, photos, tmp_path / "third", journal=journal, session=session)
    with pytest.raises(
        InvalidArgument, match=r"its journal is not in \S+journal any more; .* \(if the journal is lost"
    ):
        again()
    assert results.read_text() == before


def test_a_run_whose_images_were_all_left_out_goes_on_with_others(local, tmp_path, killed_once_written) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    Image.new("RGB", (64, 48)).save(folder / "small.png")
    detect = functools.partial(tk.detect, folder, tmp_path / "run", session=tk.connect(local[0]), progress=False)
    with killed_once_written(), pytest.raises(KeyboardInterrupt):
        detect()
    assert (tmp_path / "run" / "results.jsonl").exists()
    (folder / "good.jpg").write_bytes(picture(1))
    with pytest.raises(InvalidArgument, match="holds results of other images or settings; name another output"):
        detect(min_confidence=7)
    assert (detect().images, detect().failed, detect().results().n_images) == (2, 1, 1)


def test_a_run_in_which_nothing_was_answered_goes_on_without_its_record(photos, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.detect.ask"], "ATTEMPTS", 2)
    with unreliable(tmp_path / "service", share=1.0) as (endpoint, door):
        detect = functools.partial(tk.detect, photos, tmp_path / "run", session=tk.connect(endpoint), progress=False)
        assert detect().unsettled == 13
        door._share = 0.0
        (tmp_path / "run" / "detect.json").write_bytes(b"")
        with pytest.raises(UnreadableManifest, match="is damaged; remove it and run the same again"):
            detect()
        (tmp_path / "run" / "detect.json").unlink()
        (photos / "12.jpg").write_bytes(picture(12))
        assert (detect().images, detect().unsettled) == (14, 0)


@pytest.mark.parametrize("damage", [lambda _: b"nonsense" * 1000, lambda data: data[:6000], lambda data: (
    data[:4096] + b"nonsense".ljust(len(data) - 4096, b"x")
)], ids=["garbage", "truncated", "within"])  # fmt: skip
def test_a_damaged_journal_is_called_one(damage: Callable[[bytes], bytes], local, photos, tmp_path) -> None:
    endpoint, door = local
    detect = functools.partial(tk.detect, photos, tmp_path / "run", session=tk.connect(endpoint), progress=False)
    broken_off(door, 4, *detect.args, session=detect.keywords["session"])
    journal = tmp_path / "run" / "detect.journal"
    journal.write_bytes(damage(journal.read_bytes()))
    said = r"detect.journal: the journal is damaged \(.*\), and its answers are lost; remove it, and what there is of"
    with pytest.raises(NotFound, match=said):
        detect()
    for name in ("detect.journal", "detect.json"):
        (tmp_path / "run" / name).unlink()
    assert detect().requests == 13


def test_a_run_that_has_ended_removes_its_journal_and_nothing_else(local, photos, tmp_path) -> None:
    endpoint, door = local
    broken_off(door, 4, photos, tmp_path / "run", session=tk.connect(endpoint))
    (tmp_path / "run" / "detect.journal.bak").write_bytes(b"mine")
    (tmp_path / "run" / "detect.journals").mkdir()
    assert tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint), progress=False).requests == 9
    left = {path.name for path in (tmp_path / "run").glob("detect.journal*")}
    assert left == {"detect.journal.bak", "detect.journals"}


def test_an_answered_journal_of_another_output_opens_none_and_mends_none(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, journal = tk.connect(endpoint), tmp_path / "journal"
    detect = functools.partial(tk.detect, photos, session=session, journal=journal, progress=False)
    broken_off(door, 4, photos, tmp_path / "one", journal=journal, session=session)
    for name, file in (("results", "results.jsonl"), ("damaged", "detect.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_bytes(b"")
    with pytest.raises(InvalidArgument, match="holds results of other images or settings; name another output"):
        detect(tmp_path / "results")
    with pytest.raises(UnreadableManifest, match="is damaged; if its run has not ended, name the folder of its"):
        detect(tmp_path / "damaged")
    assert detect(tmp_path / "one").requests == 9


def test_a_journal_that_another_version_began_is_not_touched(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, run = tk.connect(endpoint), tmp_path / "run"
    broken_off(door, 4, photos, run, session=session)
    with closing(sqlite3.connect(run / "detect.journal")) as file:
        (version,) = file.execute("PRAGMA user_version").fetchone()
        file.execute("PRAGMA user_version=0")
    with pytest.raises(InvalidArgument, match=r"detect.journal: is the journal of a run that another version .* began"):
        tk.detect(photos, run, session=session, progress=False)
    with closing(sqlite3.connect(run / "detect.journal")) as file:
        file.execute(f"PRAGMA user_version={version}")
    assert tk.detect(photos, run, session=session, progress=False).requests == 9


def test_a_journal_of_other_images_or_settings_is_left_alone(local, photos, tmp_path) -> None:
    endpoint, door = local
    session = tk.connect(endpoint)
    broken_off(door, 2, photos, tmp_path / "run", session=session)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "1.jpg").write_bytes(picture(1))
    for images, floor in ((photos, 7), (tmp_path / "others", None)):
        with pytest.raises(InvalidArgument, match="holds a run of other images or settings that has not ended"):
            tk.detect(images, tmp_path / "run", min_confidence=floor, session=session, progress=False)
    assert tk.detect(photos, tmp_path / "run", min_confidence=50, session=session, progress=False).requests == 11


def test_a_run_that_no_image_was_answered_in_binds_nobody(local, photos, tmp_path) -> None:
    endpoint, door = local
    broken_off(door, 0, photos, tmp_path / "run", min_confidence=7, session=tk.connect(endpoint))
    run = tk.detect(photos, tmp_path / "run", min_confidence=8, session=tk.connect(endpoint), progress=False)
    assert (run.requests, run.min_confidence) == (13, 8)
