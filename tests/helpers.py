"""Helpers that make small data in few lines, and the truths to hold it against."""

import io
import signal
import subprocess
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
