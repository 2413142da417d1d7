"""A small workspace, the pages in a test harness, and a browser."""

import csv
import os
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import streamlit as st
from PIL import Image, ImageDraw
from streamlit.testing.v1 import AppTest

import toolkit as tk
from tests.browser import ADVICE, find_chromium
from toolkit import manifests

APP = Path(__file__).parents[2] / "app.py"
PREFIX = "s3://demo-images/"
HOSTILE = (
    "**x** <img src=x onerror=alert(1)> :smile: [a](http://b) https://evil.example www.evil.example $y$ a@b.c -- `"
)
N = 40


def picture(number: int) -> bytes:
    """A JPEG with sharp edges, unlike every other."""
    image = Image.new("RGB", (160, 120), (40 * number % 255, 90, 160))
    draw = ImageDraw.Draw(image)
    for x in range(0, 160, 8 + number % 5):
        draw.line([(x, 0), (160 - x, 120)], fill="white", width=2)
    out = BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


def is_gambling(number: int) -> bool:
    return number % 3 == 0


def score(number: int) -> float:
    """Confidence of Gambling: higher where it is there, with some that lie wrong."""
    return (70 if is_gambling(number) else 50.2) + number * 7 % 25


def labels(number: int) -> list[manifests.Label]:
    extra = [manifests.Label("Violence", 50.0 + number)] if number % 2 else []
    return [manifests.Label("Gambling", score(number)), *extra]


def make_workspace(folder: Path) -> tk.Workspace:
    """Two runs on the same images (base: only Explicit; adapter: Gambling, Violence), samples, pictures, two errors."""
    refs = [f"{PREFIX}image-{number:02}.jpg" for number in range(N)]
    (folder / "images").mkdir(parents=True)
    for number in range(N):
        (folder / "images" / f"image-{number:02}.jpg").write_bytes(picture(number))
    found = {
        "base": [[manifests.Label("Explicit", 61.0)] if number % 10 == 0 else [] for number in range(N)],
        "adapter": [labels(number) for number in range(N)],
    }
    errors = (
        manifests.LineError(3, "IMAGE_TOO_LARGE", "The image is too large.", f"{PREFIX}huge.png"),
        manifests.LineError(9, "INVALID_IMAGE_FORMAT", HOSTILE, f"{PREFIX}{HOSTILE}.gif"),
    )
    for name, answers in found.items():
        run = folder / "runs" / name
        run.mkdir(parents=True)
        lines = [manifests.to_line(manifests.result_record(r, a)) for r, a in zip(refs, answers, strict=True)]
        (run / "results.jsonl").write_text("".join(lines))
        (run / "manifest-summary.json").write_bytes(manifests.Summary(N + 2, errors).to_json())
    with (folder / "test.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["source_ref", "label", "present"])
        writer.writerows([ref, "Gambling", int(is_gambling(number))] for number, ref in enumerate(refs))
        writer.writerows([ref, "Violence", int(number % 4 == 1)] for number, ref in enumerate(refs))
    runs = {name: tk.Run(f"runs/{name}/results.jsonl", 50.0) for name in ("adapter", "base")}
    workspace = tk.Workspace(folder, runs, "test.csv", {PREFIX: "images"})
    workspace.save()
    return workspace


@pytest.fixture
def workspace(tmp_path: Path) -> tk.Workspace:
    return make_workspace(tmp_path / "modkit-demo")


Open = Callable[..., AppTest]


@pytest.fixture
def open_app(monkeypatch: pytest.MonkeyPatch) -> Open:
    """Runs the app as `streamlit run app.py -- …` would, with nothing remembered from another test."""
    st.cache_resource.clear()
    st.cache_data.clear()

    def opened(*arguments: str, **address: str) -> AppTest:
        monkeypatch.setattr(sys, "argv", [str(APP), *arguments])
        app = AppTest.from_file(str(APP), default_timeout=30)
        app.query_params.update(address)
        return app.run()

    return opened


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """A browser; where there is none the test is skipped, and fails under CI=true."""
    path = find_chromium()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(ADVICE)
        pytest.skip(ADVICE)
    return path
