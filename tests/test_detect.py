"""`detect` over HTTP: what it leaves, how often it asks, and what is lost when things go wrong (nothing)."""

import base64
import concurrent.futures
import functools
import io
import itertools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker
from botocore.stub import Stubber
from distributed import Client, LocalCluster
from helpers import ROOT, Unreliable, picture, started, unreliable
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import toolkit as tk
from toolkit import collection, manifests, storage
from toolkit.detect import floor_beside
from toolkit.detect.ask import Entry, Outcome, Settings
from toolkit.detect.quota import account_tps
from toolkit.detect.rate import Learned, Rate
from toolkit.errors import (
    InvalidArgument,
    JobFailed,
    NotFound,
    RequestRefused,
    ToolkitError,
    Unreachable,
    UnreadableManifest,
)
from toolkit.service.faults import Fault
from toolkit.service.limits import Throttle


@pytest.fixture
def photos(tmp_path) -> Path:
    """Twelve pictures, all different, and one file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.jpg").write_bytes(picture(number) + bytes([number]))
    (folder / "bad.jpg").write_bytes(b"nonsense")
    return folder


def _upload(photos: Path, bucket: str, session: storage.Session) -> list[str]:
    return storage.upload(photos, f"s3://{bucket}/in/", session=session)


Answer = tuple[int, str, bytes]
"""HTTP status, content type and body."""
HTML = b"<!doctype html><title>Sign in</title>" + b"<p>Hello.</p>" * 100
GOOD = {"ModerationLabels": [], "ModerationModelVersion": "7.0"}
ARN = "arn:aws:rekognition:us-east-1:123456789012:project/cards/version/v1/1234567890123"


def _json(status: int, document: dict[str, Any]) -> Answer:
    return status, "application/x-amz-json-1.1", json.dumps(document).encode()


def _error(status: int, code: str) -> Answer:
    return _json(status, {"__type": code, "message": f"this is {code}"})


@contextmanager
def _answering(door: Unreliable, answer: Callable[[dict[str, Any]], Answer | None]) -> Iterator[None]:
    """DetectModerationLabels is answered by a function of the request; None leaves it to the service."""
    service = door._app

    def front(environ: dict[str, Any], start_response: Any) -> Any:
        if not environ.get("HTTP_X_AMZ_TARGET", "").endswith(".DetectModerationLabels"):
            return service(environ, start_response)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        if (said := answer(json.loads(body))) is None:
            return service(environ, start_response)
        status, kind, data = said
        start_response(f"{status} Said", [("Content-Type", kind)])
        return [data]

    door._app = front
    try:
        yield
    finally:
        door._app = service


def _first(times: int, said: Answer, then: Answer | None = None) -> Callable[[dict[str, Any]], Answer | None]:
    """So often this answer, then that one."""
    counter = itertools.count()
    return lambda _: said if next(counter) < times else then


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Iterator[tuple[str, Unreliable]]:
    """The URL of a service, and a door before it that may answer in its place."""
    with unreliable(tmp_path_factory.mktemp("service"), share=0) as found:
        yield found


def test_detect_leaves_what_a_job_leaves(endpoint: str, bucket: str, photos) -> None:
    session = tk.connect(endpoint)
    uris = _upload(photos, bucket, session)
    run = tk.detect(uris, f"s3://{bucket}/run/", min_confidence=0, session=session, journal=photos.parent / "j")
    (job,) = tk.MediaAnalysis(session).analyze(uris, f"s3://{bucket}/jobs/", min_confidence=0).wait().jobs
    mine, theirs = run.results(), job.results()
    assert mine.images["source_ref"].tolist() == theirs.images["source_ref"].tolist()
    assert mine.labels["confidence"].tolist() == pytest.approx(theirs.labels["confidence"].tolist(), abs=1.0)
    assert mine.errors[["line", "source_ref", "code"]].equals(theirs.errors[["line", "source_ref", "code"]])
    assert (run.summary().total, run.summary().valid) == (job.summary().total, job.summary().valid) == (13, 12)
    assert (mine.min_confidence, mine.floor_source, run.requests) == (0, "job", 13)
    assert tk.read_results(run).n_images == 12
    assert not list((photos.parent / "j").glob("detect.journal*"))


def test_a_folder_is_sent_along_and_a_second_run_asks_for_nothing(endpoint: str, photos, tmp_path) -> None:
    session = tk.connect(endpoint)
    run = tk.detect(photos, tmp_path / "run", session=session)
    assert (run.images, run.failed, run.requests, run.unsettled) == (13, 1, 13, 0)
    assert repr(run).endswith("13 images, 1 not analyzed; MinConfidence 50, base model)")
    assert tk.detect(photos, tmp_path / "run", session=session).requests == 0
    with pytest.raises(InvalidArgument, match=r"holds results of other images or settings; name another output"):
        tk.detect(photos, tmp_path / "run", min_confidence=1, session=session)
    (photos / "00.jpg").write_bytes(picture(99))
    with pytest.raises(InvalidArgument, match="name another output"):
        tk.detect(photos, tmp_path / "run", session=session)


def test_results_of_something_else_are_not_overwritten(endpoint: str, photos, tmp_path) -> None:
    (tmp_path / "results.jsonl").write_text("mine\n")
    with pytest.raises(InvalidArgument, match="name another output"):
        tk.detect(photos, tmp_path, session=tk.connect(endpoint))
    assert (tmp_path / "results.jsonl").read_text() == "mine\n"


def test_what_the_limits_forbid_and_broken_lines_are_errors_without_a_request(endpoint, bucket, tmp_path) -> None:
    session = tk.connect(endpoint)
    storage.write(f"s3://{bucket}/1.jpg", picture(1), session=session)
    (tmp_path / "m.jsonl").write_text(f'{{"source-ref": "s3://{bucket}/1.jpg"}}\n{{}}\n')
    run = tk.detect(tmp_path / "m.jsonl", tmp_path / "run", session=session)
    assert run.requests == 1
    assert run.results().errors[["line", "code"]].values.tolist() == [[2, "INVALID_JSON_LINE"]]
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "1.jpg").write_bytes(picture(1).ljust(5 * 1024 * 1024 + 1, b"\0"))
    run = tk.detect(tmp_path / "large", tmp_path / "run2", session=session)
    assert (run.requests, run.results().errors["code"].tolist()) == (0, ["IMAGE_TOO_LARGE"])


def test_on_a_bad_day_no_image_is_lost_and_none_is_doubled(photos, tmp_path) -> None:
    with unreliable(tmp_path / "service", share=0.3) as (endpoint, door):
        run = tk.detect(photos, tmp_path / "run", tps=100, session=tk.connect(endpoint), progress=False)
        assert (run.images, run.failed, run.unsettled) == (13, 1, 0)
        assert set(door.asked.values()) == {1}
        assert run.requests == len(door.times) > 13
    assert run.results().images["source_ref"].tolist() == [str(photos / f"{n:02}.jpg") for n in range(12)]


def test_what_never_was_answered_is_an_error_and_asked_about_again(photos, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.detect.ask"], "ATTEMPTS", 2)
    with unreliable(tmp_path / "service", share=1.0) as (endpoint, door):
        run = tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint))
        assert (run.failed, run.unsettled) == (13, 13)
        assert run.results().n_images == 0
        door._share = 0.0
        _begun(door, 0, photos, tmp_path / "run", session=tk.connect(endpoint))
        run = tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint))
        assert (run.failed, run.unsettled) == (1, 0)
        assert run.results().n_images == 12


def test_what_every_image_would_meet_ends_the_run_in_one_sentence(endpoint, bucket, photos, tmp_path) -> None:
    arn = "arn:aws:rekognition:us-east-1:123456789012:project/none/version/v1/1234567890123"
    with pytest.raises(RequestRefused, match=r"ResourceNotFoundException.*; check the adapter's ARN"):
        tk.detect(photos, tmp_path / "run", project_version=arn, session=tk.connect(endpoint))
    with pytest.raises(InvalidArgument, match=r"ProjectVersion.*; check the adapter's ARN"):
        tk.detect(photos, tmp_path / "run2", project_version="mine", session=tk.connect(endpoint))
    with pytest.raises(InvalidArgument, match="tps is 0;"):
        tk.detect(photos, tmp_path / "run2", tps=0, session=tk.connect(endpoint))
    with pytest.raises(NotFound, match="no JPEG or PNG"):
        tk.detect(tmp_path / "run", tmp_path / "run2", session=tk.connect(endpoint))


def test_an_endpoint_that_is_gone_ends_the_run_and_keeps_what_was_answered(photos, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.detect.ask"], "UNHEARD", 2)
    session = tk.connect("http://127.0.0.1:9")
    with pytest.raises(Unreachable, match="does not answer"):
        tk.detect(photos, tmp_path / "run", session=session)
    assert (tmp_path / "run" / "detect.journal").exists()
    assert not (tmp_path / "run" / "results.jsonl").exists()


def test_two_runs_do_not_write_one_journal(endpoint, photos, tmp_path) -> None:
    from toolkit.detect.journal import Journal

    with (
        Journal(tmp_path / "run" / "detect.journal", "other", ".", []),
        pytest.raises(InvalidArgument, match="another run is writing there"),
    ):
        tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint))


# -- answers that are none, and errors that are nobody's fault ---------------------------------------------------------


@pytest.mark.parametrize(
    "said", [(200, "text/html", HTML), (200, "application/x-amz-json-1.1", b'{"ModerationLabels": [], "Mod')]
)
def test_half_an_answer_is_none_and_is_asked_for_again(said: Answer, local, photos, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.detect.ask"], "UNHEARD", 2)
    endpoint, door = local
    detect = functools.partial(tk.detect, photos, concurrency=1, session=tk.connect(endpoint), progress=False)
    with _answering(door, _first(1, said, _json(200, GOOD))):
        run = detect(tmp_path / "once")
    assert (run.failed, run.requests, run.results().n_images) == (0, 14, 13)
    with _answering(door, lambda _: said):
        with pytest.raises(Unreachable, match="the URL does not answer as AWS does") as raised:
            detect(tmp_path / "run")
        with pytest.raises(Unreachable, match="the URL does not answer as AWS does"):
            tk.moderate(picture(1), session=tk.connect(endpoint))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run" / "results.jsonl").exists()
    assert detect(tmp_path / "run").requests == 13


@pytest.mark.parametrize(
    "said",
    [
        *[
            _error(400, code)
            for code in (
                "NotAuthorized", "RequestExpired", "IncompleteSignatureException", "ValidationException",
                "ExpiredTokenException", "AccessDeniedException", "SomethingNewException", "InvalidParameterException",
            )
        ],
        _error(403, "SignatureDoesNotMatch"),
        (403, "text/html", HTML),
    ],
    ids=lambda said: said[2][:40].decode(),
)  # fmt: skip
def test_what_is_no_image_s_fault_ends_the_run_and_the_same_goes_on(said: Answer, local, photos, tmp_path) -> None:
    endpoint, door = local
    detect = functools.partial(
        tk.detect, photos, tmp_path / "run", project_version=ARN, concurrency=1, session=tk.connect(endpoint),
        progress=False,
    )  # fmt: skip
    # A parameter can be the image's own, once another image was answered.
    answered = 0 if b"InvalidParameter" in said[2] else 5
    with _answering(door, _first(answered, _json(200, GOOD), said)), pytest.raises(ToolkitError) as raised:
        detect()
    assert re.fullmatch(r"asking about .*(this is \w+; .*|does not answer as AWS does .*)\.", str(raised.value))
    assert len(str(raised.value)) < 400
    assert not (tmp_path / "run" / "results.jsonl").exists()
    with _answering(door, lambda _: _json(200, GOOD)):
        run = detect()
    assert (run.requests, run.failed, run.images) == (13 - answered, 0, 13)


def test_an_image_that_is_too_small_is_its_own_fault_even_if_it_is_the_first(endpoint, bucket, tmp_path) -> None:
    session = tk.connect(endpoint)
    for number in range(3):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(tmp_path / f"{number}.png")
    uris = storage.upload(tmp_path, f"s3://{bucket}/", session=session)
    run = tk.detect(uris, tmp_path / "run", session=session, progress=False)
    assert run.results().errors["code"].tolist() == ["INVALID_PARAMETER"] * 3
    assert run.requests == 4  # one of them about a picture of ours, to tell whose fault it is
    assert tk.detect(uris, tmp_path / "run", session=session, progress=False).requests == 0


def test_an_object_that_is_not_there_may_be_there_when_the_same_is_run_again(endpoint, bucket, tmp_path) -> None:
    session = tk.connect(endpoint)
    refs = [f"s3://{bucket}/{number}.jpg" for number in range(3)]
    for number in (0, 2):
        storage.write(refs[number], picture(number), session=session)
    run = tk.detect(refs, tmp_path / "run", session=session, progress=False)
    assert (run.requests, run.failed, run.unsettled) == (3, 1, 1)
    storage.write(refs[1], picture(1), session=session)
    run = tk.detect(refs, tmp_path / "run", session=session, progress=False)
    assert (run.requests, run.failed, run.unsettled) == (1, 0, 0)
    assert run.results().images["source_ref"].tolist() == refs


@pytest.mark.parametrize(
    "said",
    [
        *[
            _error(400, code)
            for code in sorted({
                *ThrottledRetryableChecker._THROTTLED_ERROR_CODES, *TransientRetryableChecker._TRANSIENT_ERROR_CODES
            })
        ],
        _error(408, "RequestTimeoutException"), (408, "text/html", HTML), (429, "text/html", HTML),
        (503, "text/html", HTML),
    ],
    ids=lambda said: f"{said[0]} {said[2][:40].decode()}",
)  # fmt: skip
def test_what_passes_is_asked_again_as_botocore_would(said: Answer, local, photos, tmp_path) -> None:
    endpoint, door = local
    with _answering(door, _first(1, said, _json(200, GOOD))):
        run = tk.detect(photos, tmp_path / "run", concurrency=1, session=tk.connect(endpoint), progress=False)
    assert (run.requests, run.failed) == (14, 0)


# -- where it is written ----------------------------------------------------------------------------------------------


def _begun(door: Unreliable, answered: int, *where: Any, **settings: Any) -> None:
    """A run that ends, after so many answers, in an error that is no image's."""
    expired = _error(400, "ExpiredTokenException")
    counter = itertools.count()
    with (
        _answering(door, lambda _: None if next(counter) < answered else expired),
        pytest.raises(RequestRefused, match="sign in again, then run the same again: it goes on"),
    ):
        tk.detect(*where, concurrency=1, progress=False, **settings)


def _own_bucket(endpoint: str, name: str) -> storage.Session:
    session = tk.connect(endpoint)
    storage.make_bucket(name, session=session)
    return session


def test_no_image_is_paid_for_where_the_output_cannot_be_written(local, photos, tmp_path) -> None:
    endpoint, door = local
    asked = len(door.times)
    with pytest.raises(NotFound, match=r"writing s3://nobody-has-this/run/detect.json: there is no such"):
        tk.detect(photos, "s3://nobody-has-this/run/", journal=tmp_path / "j", session=tk.connect(endpoint))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotFound, match="check the path"):
        tk.detect(photos, tmp_path / "file" / "run", session=tk.connect(endpoint))
    assert len(door.times) == asked


def test_a_run_that_goes_on_says_where_its_journal_is(local, photos, tmp_path, monkeypatch) -> None:
    endpoint, door = local
    session = _own_bucket(endpoint, "somewhere")
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    _begun(door, 4, photos, "s3://somewhere/run/", session=session)
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


def test_of_two_runs_that_begin_at_once_one_is_refused_and_pays_for_nothing(local, photos, tmp_path) -> None:
    endpoint, door = local
    session = _own_bucket(endpoint, "atonce")
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
    session = _own_bucket(endpoint, "toolate")
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


def test_one_journal_folder_does_not_mix_two_outputs(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, journal = tk.connect(endpoint), tmp_path / "journal"
    _begun(door, 4, photos, tmp_path / "one", journal=journal, session=session)
    (photos / "00.jpg").unlink()
    with pytest.raises(InvalidArgument, match=r"journal of a run into \S*one that has not ended; .*\(--journal\)"):
        tk.detect(photos, tmp_path / "other", journal=journal, session=session, progress=False)
    other = tk.detect(photos, tmp_path / "other", session=session, progress=False)
    assert (other.images, other.requests) == (12, 12)
    with pytest.warns(UserWarning, match="1 images that were answered"):
        run = tk.detect(photos, tmp_path / "one", journal=journal, session=session, progress=False)
    assert (run.images, run.requests) == (13, 9)
    _begun(door, 0, photos, tmp_path / "nothing", journal=journal, session=session)  # which is nobody's journal yet
    assert tk.detect(photos, tmp_path / "last", journal=journal, session=session, progress=False).requests == 12


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
    _begun(door, 4, photos, tmp_path / "run", session=tk.connect(endpoint))
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


def test_a_journal_without_an_answer_opens_no_output_that_holds_results(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, journal, mine = tk.connect(endpoint), tmp_path / "journal", tmp_path / "mine"
    detect = functools.partial(tk.detect, photos, session=session, progress=False)
    _begun(door, 0, photos, tmp_path / "one", journal=journal, session=session)
    mine.mkdir()
    (mine / "results.jsonl").write_text("mine\n")
    with pytest.raises(InvalidArgument, match="mine: holds results of other images or settings; name another output"):
        detect(mine, journal=journal)
    _begun(door, 0, photos, tmp_path / "two", session=session)
    (tmp_path / "two" / "results.jsonl").write_text("mine\n")
    with pytest.raises(InvalidArgument, match="two: holds results of other images or settings; name another output"):
        detect(tmp_path / "two")
    assert {path.read_text() for path in tmp_path.glob("*/results.jsonl")} == {"mine\n"}
    (tmp_path / "one" / "detect.json").write_bytes(b"")
    with pytest.raises(UnreadableManifest, match="is damaged; remove it and run the same again"):
        detect(tmp_path / "one", journal=journal)
    (tmp_path / "one" / "detect.json").unlink()
    assert detect(tmp_path / "one", journal=journal).requests == 13


def _unsettled(endpoint: str, bucket: str, output: Path) -> tuple[Callable[..., tk.DetectRun], tk.DetectRun]:
    """A run that was answered about one of three images, and how to run it again."""
    session = _own_bucket(endpoint, bucket)
    storage.write(f"s3://{bucket}/0.jpg", picture(0), session=session)
    refs = [f"s3://{bucket}/{number}.jpg" for number in range(3)]
    detect = functools.partial(tk.detect, images=refs, output=output, session=session, progress=False)
    run = detect()
    assert (run.unsettled, run.results().n_images) == (2, 1)
    return detect, run


def test_a_journal_that_was_emptied_opens_its_output_to_no_other_run(local, tmp_path) -> None:
    endpoint, _ = local
    detect, run = _unsettled(endpoint, "emptied", tmp_path / "run")
    results = Path(run.results_uri).read_text()
    for _ in range(2):
        (tmp_path / "run" / "detect.journal").write_bytes(b"")
        for other in ({"min_confidence": 7}, {"images": ["s3://emptied/0.jpg"]}):
            with pytest.raises(InvalidArgument, match="holds results of other images or settings; name another output"):
                detect(**other)
        assert Path(run.results_uri).read_text() == results
        assert detect().requests == 3


def test_a_lost_journal_is_said_with_all_that_is_to_be_removed(local, tmp_path) -> None:
    endpoint, _ = local
    detect, _ = _unsettled(endpoint, "lostjournal", tmp_path / "run")
    (tmp_path / "run" / "detect.journal").unlink()
    with pytest.raises(InvalidArgument, match="if the journal is lost, remove") as said:
        detect()
    names = re.findall(r"remove (\S+) and (\S+) and (\S+) to ask about all images again", str(said.value))[0]
    assert [Path(name).name for name in names] == ["detect.json", "results.jsonl", "manifest-summary.json"]
    for name in names:
        Path(name).unlink()
    assert detect().requests == 3


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
    _begun(door, 4, *detect.args, session=detect.keywords["session"])
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
    _begun(door, 4, photos, tmp_path / "run", session=tk.connect(endpoint))
    (tmp_path / "run" / "detect.journal.bak").write_bytes(b"mine")
    (tmp_path / "run" / "detect.journals").mkdir()
    assert tk.detect(photos, tmp_path / "run", session=tk.connect(endpoint), progress=False).requests == 9
    left = {path.name for path in (tmp_path / "run").glob("detect.journal*")}
    assert left == {"detect.journal.bak", "detect.journals"}


def test_answers_of_one_endpoint_are_not_given_as_another_s(local, photos, tmp_path) -> None:
    endpoint, door = local
    here = tk.connect(endpoint)
    _begun(door, 4, photos, tmp_path / "begun", session=here)
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


def test_an_answered_journal_of_another_output_opens_none_and_mends_none(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, journal = tk.connect(endpoint), tmp_path / "journal"
    detect = functools.partial(tk.detect, photos, session=session, journal=journal, progress=False)
    _begun(door, 4, photos, tmp_path / "one", journal=journal, session=session)
    for name, file in (("results", "results.jsonl"), ("damaged", "detect.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_bytes(b"")
    with pytest.raises(InvalidArgument, match="holds results of other images or settings; name another output"):
        detect(tmp_path / "results")
    with pytest.raises(UnreadableManifest, match="is damaged; if its run has not ended, name the folder of its"):
        detect(tmp_path / "damaged")
    assert detect(tmp_path / "one").requests == 9


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


def test_a_journal_that_another_version_began_is_not_touched(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, run = tk.connect(endpoint), tmp_path / "run"
    _begun(door, 4, photos, run, session=session)
    with closing(sqlite3.connect(run / "detect.journal")) as file:
        (version,) = file.execute("PRAGMA user_version").fetchone()
        file.execute("PRAGMA user_version=0")
    with pytest.raises(InvalidArgument, match=r"detect.journal: is the journal of a run that another version .* began"):
        tk.detect(photos, run, session=session, progress=False)
    with closing(sqlite3.connect(run / "detect.journal")) as file:
        file.execute(f"PRAGMA user_version={version}")
    assert tk.detect(photos, run, session=session, progress=False).requests == 9


def test_a_damaged_record_without_a_journal_asks_for_one_or_for_another_output(local, photos, tmp_path) -> None:
    endpoint, door = local
    session, journal = tk.connect(endpoint), tmp_path / "journal"
    _begun(door, 4, photos, tmp_path / "run", journal=journal, session=session)
    (tmp_path / "run" / "detect.json").write_bytes(b"")
    with pytest.raises(UnreadableManifest, match=r"name the folder of its journal, .*\(--journal.*another output"):
        tk.detect(photos, tmp_path / "run", session=session)
    with pytest.raises(UnreadableManifest, match="remove it and run the same again"):
        tk.detect(photos, tmp_path / "run", journal=journal, session=session)
    (tmp_path / "run" / "detect.json").unlink()
    assert tk.detect(photos, tmp_path / "run", journal=journal, session=session, progress=False).requests == 9


def test_a_run_that_another_one_has_just_ended_is_not_paid_for_again(local, tmp_path, monkeypatch) -> None:
    endpoint, door = local
    session = _own_bucket(endpoint, "twogoon")
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


def test_a_folder_may_be_named_in_several_ways_but_not_be_moved(local, photos, tmp_path, monkeypatch) -> None:
    endpoint, door = local
    session = tk.connect(endpoint)
    monkeypatch.chdir(tmp_path)
    _begun(door, 4, "photos", "run", session=session)  # 00 to 03
    (photos / "00.jpg").unlink()
    (photos / "01.jpg").write_bytes(picture(50))
    monkeypatch.chdir("photos")
    with pytest.warns(UserWarning, match="1 images that were answered"):
        run = tk.detect(photos, "../run", session=session, progress=False)
    assert (run.images, run.requests) == (13, 10)  # not about 02 and 03, and not about 00, which is gone
    there = [str(photos / f"{number:02}.jpg") for number in range(1, 12)]
    assert run.results().images["source_ref"].tolist() == [*there, "photos/00.jpg"]
    monkeypatch.chdir(tmp_path)
    _begun(door, 4, "./photos/", "other", session=session)
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
    _begun(door, 4, photos, tmp_path / "run", session=session)
    shutil.copytree(photos, tmp_path / "others")  # of the same names, sizes and times
    with pytest.raises(InvalidArgument, match="holds a run of other images or settings that has not ended"):
        detect(tmp_path / "others", tmp_path / "run")
    assert detect(photos, tmp_path / "run").requests == 9
    with pytest.raises(InvalidArgument, match="holds results of other images or settings; name another output"):
        detect(tmp_path / "others", tmp_path / "run")


def test_files_that_have_all_changed_are_asked_about_again_in_the_same_run(local, photos, tmp_path) -> None:
    endpoint, door = local
    session = tk.connect(endpoint)
    _begun(door, 4, photos, tmp_path / "run", session=session)  # 00 to 03
    for path in photos.iterdir():
        os.utime(path, (0, 0))
    _begun(door, 2, photos, tmp_path / "run", session=session)  # 00 and 01 once more
    for number in (0, 1):
        (photos / f"{number:02}.jpg").unlink()
    with pytest.warns(UserWarning, match="2 images that were answered"):
        run = tk.detect(photos, tmp_path / "run", session=session, progress=False)
    assert (run.requests, run.images) == (11, 13)
    names = [Path(ref).name for ref in run.results().images["source_ref"]]
    assert names == [*(f"{n:02}.jpg" for n in range(2, 12)), "00.jpg", "01.jpg"]


def test_a_denied_output_is_not_taken_for_an_empty_one(local, photos, tmp_path) -> None:
    endpoint, door = local
    session = _own_bucket(endpoint, "denied")
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


def test_a_run_goes_on_though_its_collection_has_changed(local, photos, tmp_path) -> None:
    endpoint, door = local
    session = tk.connect(endpoint)
    _begun(door, 4, photos, tmp_path / "run", session=session)  # 00 to 03
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


def test_a_journal_of_other_images_or_settings_is_left_alone(local, photos, tmp_path) -> None:
    endpoint, door = local
    session = tk.connect(endpoint)
    _begun(door, 2, photos, tmp_path / "run", session=session)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "1.jpg").write_bytes(picture(1))
    for images, floor in ((photos, 7), (tmp_path / "others", None)):
        with pytest.raises(InvalidArgument, match="holds a run of other images or settings that has not ended"):
            tk.detect(images, tmp_path / "run", min_confidence=floor, session=session, progress=False)
    assert tk.detect(photos, tmp_path / "run", min_confidence=50, session=session, progress=False).requests == 11


def test_a_run_that_no_image_was_answered_in_binds_nobody(local, photos, tmp_path) -> None:
    endpoint, door = local
    _begun(door, 0, photos, tmp_path / "run", min_confidence=7, session=tk.connect(endpoint))
    run = tk.detect(photos, tmp_path / "run", min_confidence=8, session=tk.connect(endpoint), progress=False)
    assert (run.requests, run.min_confidence) == (13, 8)


def test_an_image_that_stands_there_twice_is_asked_about_twice(local, tmp_path) -> None:
    endpoint, door = local
    session = _own_bucket(endpoint, "doubles")
    for number in range(2):
        storage.write(f"s3://doubles/{number}.jpg", picture(number), session=session)
    refs = [f"s3://doubles/{number}.jpg" for number in (0, 1, 0, 0)]
    _begun(door, 3, refs, tmp_path / "run", session=session)
    run = tk.detect(refs, tmp_path / "run", session=session, progress=False)
    assert (run.requests, run.results().images["source_ref"].tolist()) == (1, refs)


@pytest.mark.parametrize("floor", [True, "5", np.bool_(True)])
def test_a_floor_that_is_no_number_is_said_in_one_sentence(floor, photos, tmp_path) -> None:
    with pytest.raises(InvalidArgument, match=r"in_?[cC]onfidence is .*; give a number from 0 to 100\.$"):
        tk.detect(photos, tmp_path / "run", min_confidence=floor, session=tk.connect("http://127.0.0.1:9"))


# -- interrupted ------------------------------------------------------------------------------------------------------


def _answered(journal: Path) -> set[str]:
    """Names of the images whose answers are in a journal."""
    with closing(sqlite3.connect(journal)) as file:
        return {Path(ref).name for (ref,) in file.execute("SELECT source_ref FROM outcome WHERE final")}


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
        _answering(door, lambda request: asked.append(names[request["Image"]["Bytes"]])),
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
            time.sleep(0.5)  # what was in flight arrives
            assert not answered & set(asked), "an image whose answer was kept was asked about again"
            answered |= _answered(tmp_path / "run" / "detect.journal")
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
    _begun(door, 4, photos, tmp_path / "run", session=tk.connect(endpoint))
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


def test_a_line_that_no_request_can_hold_is_that_image_s_error(local, tmp_path) -> None:
    endpoint, door = local
    refs = ["s3://ab/x.jpg", "s3://abc/x.jpg"]
    with _answering(door, lambda _: _json(200, GOOD)):
        run = tk.detect(refs, tmp_path / "run", session=tk.connect(endpoint), progress=False)
    assert (run.requests, run.failed, run.unsettled) == (1, 1, 0)
    assert run.results().errors["code"].tolist() == ["INVALID_S3_OBJECT"]


@pytest.mark.parametrize("setting", ["concurrency", "workers"])
def test_half_a_worker_is_refused_in_one_sentence(setting: str, photos, tmp_path) -> None:
    with pytest.raises(InvalidArgument, match=f"{setting} is 2.5; give a whole number, 1 or more"):
        tk.detect(photos, tmp_path / "run", session=tk.connect("http://127.0.0.1:9"), **{setting: 2.5})


def test_what_was_left_out_and_then_mended_is_asked_about_when_the_run_goes_on(local, tmp_path) -> None:
    endpoint, door = local
    refs = [f"s3://abc/{number}.jpg" for number in range(3)]
    large = collection.Collection(tuple(refs), {3: manifests.LineError(3, "IMAGE_TOO_LARGE", "16 MB.", refs[2])})
    once = _first(1, _json(200, GOOD), _error(400, "ExpiredTokenException"))
    detect = functools.partial(tk.detect, session=tk.connect(endpoint), concurrency=1, progress=False)
    with _answering(door, once), pytest.raises(RequestRefused):
        detect(large, tmp_path / "run")
    with _answering(door, lambda _: _json(200, GOOD)):
        run = detect(refs, tmp_path / "run")
    assert (run.requests, run.failed) == (2, 0)


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


def _serving(tps: float) -> Callable[[dict[str, Any]], Answer]:
    """Answers so many requests a second."""
    throttle = Throttle(tps)

    def answer(_: dict[str, Any]) -> Answer:
        try:
            throttle.admit("")
        except Fault as refused:
            return _error(400, refused.code)
        return _json(200, GOOD)

    return answer


@pytest.mark.slow
def test_workers_that_know_too_high_a_limit_share_what_the_service_gives(local, tmp_path) -> None:
    endpoint, door = local
    refs = [f"s3://abc/{number}.jpg" for number in range(400)]
    with _answering(door, _serving(20)), concurrent.futures.ThreadPoolExecutor(4) as executor:
        began = time.monotonic()
        run = tk.detect(refs, tmp_path / "run", session=tk.connect(endpoint), executor=executor, tps=80, progress=False)
        took = time.monotonic() - began
    assert (run.images, run.failed, run.unsettled) == (400, 0, 0)
    assert took < 1.5 * 400 / 20  # one worker got all of it, and the others waited for minutes


def test_a_worker_hands_over_what_it_has_and_the_rest_is_dealt_again(local, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.detect.work"], "_BATCH_SECONDS", 0.5)
    endpoint, door = local
    refs = [f"s3://abc/{number}.jpg" for number in range(30)]
    begun, in_journal = len(door.times), [time.monotonic()]
    keep = sys.modules["toolkit.detect.journal"].Journal.keep

    def kept(journal: Any, outcome: Outcome) -> None:
        in_journal.append(time.monotonic())
        keep(journal, outcome)

    monkeypatch.setattr(sys.modules["toolkit.detect.journal"].Journal, "keep", kept)
    with _answering(door, _serving(6)), concurrent.futures.ThreadPoolExecutor(1) as executor:
        run = tk.detect(
            refs, tmp_path / "run", session=tk.connect(endpoint), executor=executor, workers=1, tps=40, progress=False
        )
    assert (run.images, run.failed) == (30, 0)
    assert run.requests == len(door.times) - begun  # those of images that were stopped in between count, too
    assert max(later - earlier for earlier, later in itertools.pairwise(in_journal)) < 1.5


@pytest.mark.parametrize(("tps", "opening"), [(4, 0), (50, 0.5)])
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
def test_ctrl_c_waits_for_a_slow_batch_no_longer_than_its_time(kind, local, tmp_path) -> None:
    endpoint, door = local
    refs = [f"s3://abc/{number}.jpg" for number in range(400)]
    with _answering(door, _serving(4)), kind(2) as executor:
        threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            tk.detect(
                refs, tmp_path / "run", session=functools.partial(tk.connect, endpoint), executor=executor, workers=2,
                tps=40, progress=False,
            )  # fmt: skip
        assert time.monotonic() - began < 15
    assert len(_answered(tmp_path / "run" / "detect.journal")) > 10


@pytest.mark.slow
def test_workers_together_ask_no_more_than_the_rate_and_slow_down_with_the_service(local, tmp_path) -> None:
    endpoint, door = local
    (tmp_path / "photos").mkdir()
    for number in range(45):
        (tmp_path / "photos" / f"{number:03}.jpg").write_bytes(picture(number) + bytes([number]))
    begun = len(door.times)
    with _answering(door, _serving(5)), concurrent.futures.ThreadPoolExecutor(8) as executor:
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


# -- the rate ---------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _asked_in(rate: Rate, clock: Clock, seconds: float, allowed: float) -> int:
    """Requests of one client that asks whenever it may, to a service that serves so many a second."""
    asked, end, throttle = 0, clock.now + seconds, Throttle(allowed, clock)
    while clock.now < end:
        clock.now += rate.take() or 0.0001
        asked += 1
        try:
            throttle.admit("")
            rate.served()
        except Fault:
            rate.refused()
    return asked


@given(st.floats(1, 200), st.lists(st.floats(0, 0.3), min_size=50, max_size=50))
def test_never_more_than_the_limit_whatever_the_pauses(limit: float, pauses: list[float]) -> None:
    clock = Clock()
    rate = Rate(limit, clock=clock)
    times = []
    for pause in pauses:
        clock.now += rate.take()
        times.append(clock.now)
        rate.served()
        clock.now += pause
    burst = max(1.0, 0.1 * limit) + 1
    for first in range(0, len(times), 7):
        for last in range(first, len(times)):
            assert last - first + 1 <= (times[last] - times[first]) * limit * 1.0001 + burst + 1


def test_the_rate_falls_to_what_is_served_and_comes_back() -> None:
    clock = Clock()
    rate = Rate(100, clock=clock)
    _asked_in(rate, clock, 10, allowed=20)
    assert 15 <= (rate.per_second or 0) <= 30
    _asked_in(rate, clock, 60, allowed=1e9)
    assert rate.per_second == 100


def test_a_slow_rate_grows_again_without_waiting_for_many_answers() -> None:
    clock = Clock()
    rate = Rate(20, Learned(1), clock)
    _asked_in(rate, clock, 60, allowed=1e9)
    assert (rate.per_second or 0) > 10


def test_a_limit_below_one_a_second_is_never_exceeded() -> None:
    clock = Clock()
    rate = Rate(0.5, clock=clock)
    asked = _asked_in(rate, clock, 600, allowed=0.1)
    assert rate.per_second == 0.5
    assert asked <= 0.5 * 600 * 1.05


def test_no_more_than_the_limit_is_asked_of_a_service_that_serves_less() -> None:
    clock = Clock()
    assert _asked_in(Rate(50, clock=clock), clock, 3, allowed=10) <= 50 * 3 * 1.1


def test_what_one_batch_learned_the_next_one_knows() -> None:
    clock = Clock()
    throttle, learned, asked = Throttle(2, clock), Learned(5), 0
    for _ in range(20):
        rate = Rate(5, learned, clock)
        for _ in range(7):  # too few to learn from
            clock.now += rate.take()
            asked += 1
            try:
                throttle.admit("")
                rate.served()
            except Fault:
                rate.refused()
        learned = rate.learned
        assert asked <= 5 * clock.now * 1.2 + 2
    assert 1 <= (learned.per_second or 0) <= 3


def test_tokens_that_nobody_waited_for_are_not_the_next_batch_s_debt() -> None:
    clock = Clock()
    rate = Rate(5, clock=clock)
    for _ in range(50):
        rate.take()  # by threads that are then stopped
    assert rate.learned.wait <= 1 / 5


def test_without_a_limit_it_finds_the_services() -> None:
    clock = Clock()
    rate = Rate(None, clock=clock)
    _asked_in(rate, clock, 20, allowed=50)
    assert 40 <= (rate.per_second or 0) <= 80


def test_single_refusals_do_not_slow_it_down() -> None:
    clock = Clock()
    rate = Rate(50, clock=clock)
    for number in range(1000):
        clock.now += rate.take()
        rate.refused() if number % 10 == 0 else rate.served()
    assert rate.per_second == 50
    assert clock.now == pytest.approx(1000 * 0.9 / 50, rel=0.05)  # what was refused is given back


def test_the_accounts_limit_is_read_from_service_quotas(endpoint, monkeypatch) -> None:
    session = tk.connect("http://example.invalid", region_name="eu-west-1")
    client = session.client("service-quotas")
    quotas = [
        {"QuotaName": "Transactions per second per account for the Amazon Rekognition Image operation DetectFaces"},
        {
            "QuotaName": "Transactions per second per account for the Amazon Rekognition Image operation "
            "DetectModerationLabels",
            "Value": 25.0,
        },
    ]
    with Stubber(client) as stub:
        stub.add_response("list_service_quotas", {"Quotas": quotas}, {"ServiceCode": "rekognition"})
        monkeypatch.setattr(session, "client", lambda _: client)
        assert account_tps(session) == 25
    assert account_tps(tk.connect(endpoint)) is None


def test_the_command_writes_a_workspace_and_says_what_failed(endpoint, photos, tmp_path) -> None:
    command = [sys.executable, "-m", "toolkit", "detect", str(photos), str(tmp_path / "run")]
    command += ["--endpoint", endpoint, "--min-confidence", "5", "--save", str(tmp_path / "work"), "--json"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "1 of 13 lines was not analyzed, line 13 (INVALID_IMAGE_FORMAT" in ended.stderr
    document = json.loads(ended.stdout)
    assert (document["images"], document["errors"], document["status"]) == (12, 1, "SUCCEEDED")
    assert tk.Workspace.load(tmp_path / "work").results("run").min_confidence == 5
    assert (tmp_path / "run" / manifests.SUMMARY_NAME).is_file()
