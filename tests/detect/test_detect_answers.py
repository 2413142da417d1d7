"""Answers that are none, errors that are an image's own, and those that are nobody's fault."""

import functools
import re
import sys

import pytest
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker
from detect_door import ARN, GOOD, HTML, Answer, answering, at_first, error_answer, json_answer
from helpers import picture
from PIL import Image

import toolkit as tk
from toolkit import collection, manifests, storage
from toolkit.errors import RequestRefused, ToolkitError, Unreachable


@pytest.fixture(autouse=True)
def asks_again_soon(monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.detect.ask"], "_BASE", 0.01)


@pytest.mark.parametrize(
    "said", [(200, "text/html", HTML), (200, "application/x-amz-json-1.1", b'{"ModerationLabels": [], "Mod')]
)
def test_half_an_answer_is_none_and_is_asked_for_again(said: Answer, local, photos, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["toolkit.detect.ask"], "UNHEARD", 2)
    endpoint, door = local
    detect = functools.partial(tk.detect, photos, concurrency=1, session=tk.connect(endpoint), progress=False)
    with answering(door, at_first(1, said, json_answer(200, GOOD))):
        run = detect(tmp_path / "once")
    assert (run.failed, run.requests, run.results().n_images) == (0, 14, 13)
    with answering(door, lambda _: said):
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
            error_answer(400, code)
            for code in (
                "NotAuthorized", "RequestExpired", "IncompleteSignatureException", "ValidationException",
                "ExpiredTokenException", "AccessDeniedException", "SomethingNewException", "InvalidParameterException",
            )
        ],
        error_answer(403, "SignatureDoesNotMatch"),
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
    with answering(door, at_first(answered, json_answer(200, GOOD), said)), pytest.raises(ToolkitError) as raised:
        detect()
    assert re.fullmatch(r"asking about .*(this is \w+; .*|does not answer as AWS does .*)\.", str(raised.value))
    assert len(str(raised.value)) < 400
    assert not (tmp_path / "run" / "results.jsonl").exists()
    with answering(door, lambda _: json_answer(200, GOOD)):
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
            error_answer(400, code)
            for code in sorted({
                *ThrottledRetryableChecker._THROTTLED_ERROR_CODES, *TransientRetryableChecker._TRANSIENT_ERROR_CODES
            })
        ],
        error_answer(408, "RequestTimeoutException"), (408, "text/html", HTML), (429, "text/html", HTML),
        (503, "text/html", HTML),
    ],
    ids=lambda said: f"{said[0]} {said[2][:40].decode()}",
)  # fmt: skip
def test_what_passes_is_asked_again_as_botocore_would(said: Answer, local, photos, tmp_path) -> None:
    endpoint, door = local
    with answering(door, at_first(1, said, json_answer(200, GOOD))):
        run = tk.detect(photos, tmp_path / "run", concurrency=1, session=tk.connect(endpoint), progress=False)
    assert (run.requests, run.failed) == (14, 0)


def test_a_line_that_no_request_can_hold_is_that_image_s_error(local, tmp_path) -> None:
    endpoint, door = local
    refs = ["s3://ab/x.jpg", "s3://abc/x.jpg"]
    with answering(door, lambda _: json_answer(200, GOOD)):
        run = tk.detect(refs, tmp_path / "run", session=tk.connect(endpoint), progress=False)
    assert (run.requests, run.failed, run.unsettled) == (1, 1, 0)
    assert run.results().errors["code"].tolist() == ["INVALID_S3_OBJECT"]


def test_what_was_left_out_and_then_mended_is_asked_about_when_the_run_goes_on(local, tmp_path) -> None:
    endpoint, door = local
    refs = [f"s3://abc/{number}.jpg" for number in range(3)]
    large = collection.Collection(tuple(refs), {3: manifests.LineError(3, "IMAGE_TOO_LARGE", "16 MB.", refs[2])})
    once = at_first(1, json_answer(200, GOOD), error_answer(400, "ExpiredTokenException"))
    detect = functools.partial(tk.detect, session=tk.connect(endpoint), concurrency=1, progress=False)
    with answering(door, once), pytest.raises(RequestRefused):
        detect(large, tmp_path / "run")
    with answering(door, lambda _: json_answer(200, GOOD)):
        run = detect(refs, tmp_path / "run")
    assert (run.requests, run.failed) == (2, 0)
