"""A service whose answers a test gives in its place, and runs that end before their time."""

import io
import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import Unreliable

import toolkit as tk
from toolkit import storage
from toolkit.errors import RequestRefused
from toolkit.service.faults import Fault
from toolkit.service.limits import Throttle

Answer = tuple[int, str, bytes]
"""HTTP status, content type and body."""

HTML = b"<!doctype html><title>Sign in</title>" + b"<p>Hello.</p>" * 100

GOOD = {"ModerationLabels": [], "ModerationModelVersion": "7.0"}

ARN = "arn:aws:rekognition:us-east-1:123456789012:project/cards/version/v1/1234567890123"


def json_answer(status: int, document: dict[str, Any]) -> Answer:
    return status, "application/x-amz-json-1.1", json.dumps(document).encode()


def error_answer(status: int, code: str) -> Answer:
    return json_answer(status, {"__type": code, "message": f"this is {code}"})


@contextmanager
def answering(door: Unreliable, answer: Callable[[dict[str, Any]], Answer | None]) -> Iterator[None]:
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
        start_response(f"{status} Said", [("Content-Type", kind), ("Content-Length", str(len(data)))])
        return [data]

    door._app = front
    try:
        yield
    finally:
        door._app = service


def at_first(times: int, said: Answer, then: Answer | None = None) -> Callable[[dict[str, Any]], Answer | None]:
    """So often this answer, then that one."""
    counter = itertools.count()
    return lambda _: said if next(counter) < times else then


def broken_off(door: Unreliable, answered: int, *where: Any, **settings: Any) -> None:
    """A run that ends, after so many answers, in an error that is no image's."""
    expired = error_answer(400, "ExpiredTokenException")
    counter = itertools.count()
    with (
        answering(door, lambda _: None if next(counter) < answered else expired),
        pytest.raises(RequestRefused, match="sign in again, then run the same again: it goes on"),
    ):
        tk.detect(*where, concurrency=1, progress=False, **settings)


def own_bucket(endpoint: str, name: str) -> storage.Session:
    session = tk.connect(endpoint)
    storage.make_bucket(name, session=session)
    return session


def names_answered(journal: Path) -> set[str]:
    """Names of the images whose answers are in a journal."""
    with closing(sqlite3.connect(journal)) as file:
        return {Path(ref).name for (ref,) in file.execute("SELECT source_ref FROM outcome WHERE final")}


def serving_at(tps: float) -> Callable[[dict[str, Any]], Answer]:
    """Answers so many requests a second."""
    throttle = Throttle(tps)

    def answer(_: dict[str, Any]) -> Answer:
        try:
            throttle.admit("")
        except Fault as refused:
            return error_answer(400, refused.code)
        return json_answer(200, GOOD)

    return answer
