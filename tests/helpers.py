"""Helpers that make small data in few lines, and the truths to hold it against."""

import io
import json
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

import toolkit as tk
from toolkit import manifests, taxonomy

ROOT = Path(__file__).parent.parent


@contextmanager
def started(command: Sequence[str], **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """A program that ends with the block, whatever happens in it.

    A shell without job control starts what it puts in the background with SIGINT ignored, which every child inherits:
    here it is heard again, so that a test may send it.
    """

    def hear_ctrl_c() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    pipe = {"stdout": subprocess.PIPE, "text": True, "preexec_fn": hear_ctrl_c}
    with subprocess.Popen(command, **(pipe | settings)) as process:
        try:
            yield process
        finally:
            process.kill()  # does nothing to one that has ended; else leaving the block would wait for ever


def ref(number: int) -> str:
    """The source-ref of one made-up image."""
    return f"s3://bucket/{number}.jpg"


def result_line(number: int, scores: Mapping[str, float], **settings: Any) -> str:
    """One results line: label to confidence."""
    labels = [
        manifests.Label(name, float(np.float32(value)), taxonomy.parent(name) or "", taxonomy.level(name) or 1)
        for name, value in scores.items()
    ]
    return manifests.to_line(manifests.result_record(ref(number), labels, **settings))


class Maker:
    """Writes small manifests into a test's folder and loads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, lines: Iterable[str], name: str = "results.jsonl") -> Path:
        path = self.folder / name
        path.write_text("".join(lines), encoding="utf-8")
        return path

    def results(self, *scores: Mapping[str, float], min_confidence: float | None = 0.0, **settings: Any) -> tk.Results:
        """A run with one image for each mapping of label to confidence."""
        lines = (result_line(number, labels, **settings) for number, labels in enumerate(scores))
        return tk.read_results(self.write(lines), min_confidence=min_confidence)

    def truth(self, label: str, present: Iterable[bool | int | None]) -> tk.Truth:
        """What people said of the first images, in order; None is not judged."""
        rows = [f"{ref(number)},{label},{int(value)}" for number, value in enumerate(present) if value is not None]
        (self.folder / "truth.csv").write_text("\n".join(["source_ref,label,present", *rows]), encoding="utf-8")
        return tk.read_truth(self.folder / "truth.csv")

    def summary(self, total: int, *errors: manifests.LineError) -> None:
        (self.folder / manifests.SUMMARY_NAME).write_bytes(manifests.Summary(total, errors).to_json())


def picture(number: int, shape: str = "ellipse") -> bytes:
    """A JPEG of 160 pixels with a red disc or a blue square, somewhere."""
    image = Image.new("RGB", (160, 160), "white")
    left, top = 10 + number * 7 % 60, 10 + number * 11 % 60
    draw = ImageDraw.Draw(image)
    getattr(draw, shape)([left, top, left + 80, top + 80], fill="red" if shape == "ellipse" else "blue")
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


class Unreliable:
    """Stands before a service's door and turns some DetectModerationLabels away, as AWS does on a bad day.

    Parameters
    ----------
    app
        The service's WSGI application.
    share
        Of requests that get an error, 0–1; of them half are throttled, half are answered with a 500 or 503.
    seed
        Makes the same weather again.

    Attributes
    ----------
    asked
        Images that were let through, each time, by key (or by content, where the request brings the bytes).
    times
        When each request came, in seconds.
    """

    ERRORS = (
        (400, "ProvisionedThroughputExceededException"),
        (500, "InternalServerError"),
        (400, "ThrottlingException"),
        (503, "ServiceUnavailable"),
    )

    def __init__(self, app: Any, share: float = 0.0, seed: int = 0) -> None:
        self._app = app
        self._share = share
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        self.times: list[float] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if not environ.get("HTTP_X_AMZ_TARGET", "").endswith(".DetectModerationLabels"):
            return self._app(environ, start_response)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            self.times.append(time.monotonic())
            refused = self._random.random() < self._share
            status, code = self._random.choice(self.ERRORS)
            if not refused:
                image = json.loads(body)["Image"]
                self.asked[image["S3Object"]["Name"] if "S3Object" in image else image["Bytes"]] += 1
        if not refused:
            return self._app(environ, start_response)
        start_response(f"{status} {code}", [("x-amzn-ErrorType", code), ("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps({"__type": code, "message": "a bad day"}).encode()]


@contextmanager
def unreliable(folder: Path, share: float, *, tps: float | None = None) -> Iterator[tuple[str, Unreliable]]:
    """A local service behind `Unreliable`: its URL, and the door."""
    from toolkit.service import LocalService
    from toolkit.service.limits import Limits

    with LocalService(folder, limits=Limits(tps)) as service:
        assert service._server is not None
        door = Unreliable(service._server.app, share)
        service._server.app = door
        yield service.endpoint_url, door
