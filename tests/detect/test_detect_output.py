"""Where a run writes: an output that cannot be written, is another run's, or was damaged or half removed."""

import concurrent.futures
import functools
import itertools
import re
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from detect_door import broken_off, own_bucket
from helpers import picture

import toolkit as tk
from toolkit import storage
from toolkit.detect import floor_beside
from toolkit.errors import InvalidArgument, NotFound, UnreadableManifest


def test_no_image_is_paid_for_where_the_output_cannot_be_written(local, photos, tmp_path) -> None:
    endpoint, door = local
    asked = len(door.times)
    with pytest.raises(NotFound, match=r"writing s3://nobody-has-this/run/detect.json: there is no such"):
        tk.detect(photos, "s3://nobody-has-this/run/", journal=tmp_path / "j", session=tk.connect(endpoint))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotFound, match="check the path"):
        tk.detect(photos, tmp_path / "file" / "run", session=tk.connect(endpoint))
    assert len(door.times) == asked


def test_of_two_runs_that_begin_at_once_one_is_refused_and_pays_for_nothing(local, photos, tmp_path) -> None:
    endpoint, door = local
    session = own_bucket(endpoint, "atonce")
    service, both, begun = door._app, threading.Barrier(2, timeout=30), len(door.times)
    looks = itertools.count()

    def front(environ: dict[str, Any], start_response: Any) -> Any:
        answer = list(service(environ, start_response))
        if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].endswith("detect.json") and next(looks) < 2:
            both.wait()  # each is told that nothing is there
        return answer

    def run(journal: str) -> tk.DetectRun | InvalidArgument:
        try:
            return tk.detect(photos, "s3://atonce/run/", journal=tmp_path / journal, session=session, progress=False)
        except InvalidArgument as refused:
            return refused

    door._app = front
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            ended, refused = sorted(pool.map(run, ("one", "other")), key=lambda one: isinstance(one, InvalidArgument))
    finally:
        door._app = service
    assert "another run has just begun there; run the same again once it has ended, or name another" in str(refused)
    assert (ended.requests, len(door.times) - begun) == (13, 13)
    assert not list(tmp_path.glob("*/detect.journal*"))


def test_a_run_that_is_refused_leaves_no_folder_for_its_journal(local, photos, tmp_path, monkeypatch) -> None:
    endpoint, _ = local
    session = own_bucket(endpoint, "toolate")
    monkeypatch.chdir(tmp_path)
    run, journal = sys.modules["toolkit.detect.run"], sys.modules["toolkit.detect.journal"].Journal

    def late(*settings: Any) -> Any:
        """Opens the journal after another run has begun."""
        storage.write("s3://toolate/run/detect.json", b"{}", session=session)
        return journal(*settings)

    monkeypatch.setattr(run, "Journal", late)
    with pytest.raises(InvalidArgument, match="another run has just begun there"):
        tk.detect(photos, "s3://toolate/run/", session=session, progress=False)
    with pytest.raises(NotFound, match="there is no such"):
        tk.detect(photos, "s3://nobody-has-this/run/", session=session, progress=False)
    assert not (tmp_path / "modkit-detect").exists()


def test_a_run_whose_results_were_removed_says_what_keeps_it_closed(endpoint, photos, tmp_path) -> None:
    run = tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint), progress=False)
    Path(run.results_uri).unlink()
    with pytest.raises(
        NotFound, match=r"detect.json beside it says that this run has ended; put it back, or remove"
    ) as said:
        tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint), progress=False)
    Path(re.findall(r"remove (\S+)", str(said.value))[0]).unlink()
    assert tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint), progress=False).requests == 13


def test_a_run_whose_summary_was_removed_says_so(endpoint, photos, tmp_path) -> None:
    detect = functools.partial(tk.detect, photos, tmp_path / "run", session=tk.connect(endpoint), progress=False)
    summary = Path(detect().summary_uri)
    kept = summary.read_bytes()
    summary.unlink()
    with pytest.raises(NotFound, match=r"manifest-summary.json: is gone, though .*; put it back, or remove") as said:
        detect()
    summary.write_bytes(kept)
    assert detect().requests == 0
    summary.unlink()
    for name in re.findall(r"(\S+) and (\S+) to ask about all images again", str(said.value))[0]:
        Path(name).unlink()
    assert detect().requests == 13


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        *[(damage, "is damaged; remove it and run the same again: what was answered is kept in") for damage in (
            b"", b"{}", b"null", b"[]", b'"x"', b"\xff", b'{"version": 1}', b'{"version": null, "identity": "x"}',
        )],
        (b'{"version": 2}', "of version 2, and this toolkit reads version 1; update the toolkit, or name another"),
        (None, "Is a directory; check the path"),
    ],
)  # fmt: skip
def test_a_damaged_record_strands_no_journal(damage: bytes | None, said: str, local, photos, tmp_path) -> None:
    endpoint, door = local
    detect = functools.partial(tk.detect, photos, tmp_path / "run", session=tk.connect(endpoint), progress=False)
    broken_off(door, 4, photos, tmp_path / "run", session=tk.connect(endpoint))
    record, journal = tmp_path / "run" / "detect.json", tmp_path / "run" / "detect.journal"
    record.unlink()
    record.mkdir() if damage is None else record.write_bytes(damage)
    with pytest.raises(NotFound if damage is None else UnreadableManifest, match=rf"detect.json: {said}") as raised:
        detect()
    assert (str(journal) in str(raised.value)) == ("is damaged" in said)
    record.rmdir() if damage is None else record.unlink()
    assert detect().requests == 9


@pytest.mark.parametrize(
    ("record", "floor"),
    [
        ('{"version": 1, "min_confidence": 5}', 5),
        ('{"version": 2, "min_confidence": 5}', None),
        ('{"version": 1, "min_confidence": 1' + "0" * 400 + "}", None),
        ("[" * 200_000, None),
        ("[]", None),
    ],
    ids=["ours", "newer", "endless", "deep", "list"],
)
def test_a_floor_is_taken_only_from_a_record_that_this_toolkit_reads(record: str, floor, tmp_path) -> None:
    (tmp_path / "detect.json").write_text(record)
    assert floor_beside(str(tmp_path / "results.jsonl")) == floor


def test_a_record_that_is_a_link_to_nowhere_is_no_other_run(endpoint, photos, tmp_path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "detect.json").symlink_to(tmp_path / "nowhere")
    with pytest.raises(NotFound, match=r"detect.json: is a link to a file that is not there; remove it, and run"):
        tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint), progress=False)
    (tmp_path / "run" / "detect.json").unlink()
    assert tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint), progress=False).requests == 13


def test_answers_of_one_endpoint_are_not_given_as_another_s(local, photos, tmp_path) -> None:
    endpoint, door = local
    here = tk.connect(endpoint)
    broken_off(door, 4, photos, tmp_path / "begun", session=here)
    tk.detect(photos, tmp_path / "ended", session=here, progress=False)
    for url, region in ((None, "us-east-1"), (None, "eu-west-1"), ("http://rekognition.example", "us-east-1")):
        there = functools.partial(tk.connect, url, region_name=region)
        for output in ("begun", "ended"):
            with pytest.raises(InvalidArgument, match="of other images or settings"):
                tk.detect(photos, tmp_path / output, session=there, tps=5, progress=False)
    again = tk.connect("http://localhost:9")  # a local service may have another port each time
    assert tk.detect(photos, tmp_path / "ended", session=again, progress=False).requests == 0
    again = tk.connect(endpoint.replace("127.0.0.1", "localhost"))
    assert tk.detect(photos, tmp_path / "begun", session=again, progress=False).requests == 9


def test_a_damaged_record_without_a_journal_asks_for_one_or_for_another_output(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, journal = tk.connect(endpoint), tmp_path / "journal"
    broken_off(door, 4, photos, tmp_path / "run", journal=journal, session=session)
    (tmp_path / "run" / "detect.json").write_bytes(b"")
    with pytest.raises(UnreadableManifest, match=r"name the folder of its journal, .*\(--journal.*another output"):
        tk.detect(photos, tmp_path / "run", session=session)
    with pytest.raises(UnreadableManifest, match="remove it and run the same again"):
        tk.detect(photos, tmp_path / "run", journal=journal, session=session)
    (tmp_path / "run" / "detect.json").unlink()
    assert tk.detect(photos, tmp_path / "run", journal=journal, session=session, progress=False).requests == 9


def test_a_run_that_another_one_has_just_ended_is_not_paid_for_again(local, tmp_path, monkeypatch) -> None:
    endpoint, door = local
    session = own_bucket(endpoint, "twogoon")
    refs = [f"s3://twogoon/{number}.jpg" for number in range(3)]
    storage.write(refs[0], picture(0), session=session)
    detect = functools.partial(tk.detect, refs, tmp_path / "run", session=session, progress=False)
    assert detect().unsettled == 2
    for number in (1, 2):
        storage.write(refs[number], picture(number), session=session)
    run, journal = sys.modules["toolkit.detect.run"], sys.modules["toolkit.detect.journal"].Journal

    def late(*settings: Any) -> Any:
        """Opens the journal after another run has gone on and ended."""
        monkeypatch.setattr(run, "Journal", journal)
        assert detect().requests == 2
        return journal(*settings)

    monkeypatch.setattr(run, "Journal", late)
    begun = len(door.times)
    with pytest.raises(InvalidArgument, match="another run has just begun there; run the same again once it has ended"):
        detect()
    assert len(door.times) - begun == 2
    assert not list((tmp_path / "run").glob("detect.journal*"))
    assert (detect().requests, detect().results().n_images) == (0, 3)


def test_a_denied_output_is_not_taken_for_an_empty_one(local, photos, tmp_path) -> None:
    endpoint, door = local
    session = own_bucket(endpoint, "denied")
    storage.write("s3://denied/run/results.jsonl", b"mine", session=session)
    service, asked = door._app, len(door.times)

    def denied(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return service(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/xml"), ("x-amz-request-id", "1")])
        return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]

    door._app = denied
    try:
        with pytest.raises(NotFound, match=r"whether something is there cannot be known; ask for .*s3:ListBucket"):
            tk.detect(photos, "s3://denied/run/", journal=tmp_path / "j", session=session, progress=False)
    finally:
        door._app = service
    assert len(door.times) == asked
    assert storage.read("s3://denied/run/results.jsonl", session=session) == b"mine"
