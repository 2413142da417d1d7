"""A small workspace, the pages in a test harness, and a browser."""

import csv
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import streamlit as st
from helpers import started
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright
from streamlit.testing.v1 import AppTest

import toolkit as tk
from tests.browser import ADVICE, ARGUMENTS, find_chromium
from toolkit import manifests
from toolkit.studio import command

APP = Path(__file__).parents[2] / "app.py"
ARTIFACTS = Path(__file__).parents[2] / "artifacts"
PREFIX = "s3://demo-images/"
HOSTILE = (
    "**x** <img src=x onerror=alert(1)> :smile: [a](http://b) https://evil.example www.evil.example $y$ a@b.c -- `"
)
N = 40

expect.set_options(timeout=30_000)  # five seconds are not enough where other tests keep the machine busy


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


def written(app: AppTest) -> dict[str, str]:
    """The address, with what a page completes it by in the browser."""
    return dict(app.session_state["address as written"])


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """A browser; where there is none the test is skipped, and fails under CI=true."""
    path = find_chromium()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(ADVICE)
        pytest.skip(ADVICE)
    return path


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tk.Workspace:
    workspace = make_workspace(tmp_path_factory.mktemp("studio") / "modkit-demo")
    runs = workspace.runs | {HOSTILE: workspace.runs["adapter"]}
    workspace = tk.Workspace(workspace.folder, runs, workspace.truth, workspace.images)
    workspace.save()
    return workspace


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serving(command: Sequence[str], sign: str, **settings: object) -> Iterator[None]:
    """A server, from when it says this until the block ends."""
    with started(command, stderr=subprocess.STDOUT, **settings) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if sign in line:
                break
        else:
            pytest.fail("the server did not start: " + "".join(said))
        yield
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def address(demo) -> Iterator[str]:
    """The studio, started as the command line starts it, in the folder where the demo is."""
    port = free_port()
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "PYTHONUNBUFFERED": "1"}
    with serving(command(port=port), "URL:", cwd=demo.folder.parent, env=environment):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser(chromium_path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield started
        started.close()


class Watched:
    """A page that remembers what its console said, where it went, and which pictures came."""

    def __init__(self, browser: Browser, **settings: object) -> None:
        self.page: Page = browser.new_page(**settings)  # type: ignore[arg-type]
        self.complaints: list[str] = []
        self.hosts: set[str | None] = set()
        self.pictures: list[bytes] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._went(request.url))
        self.page.on("websocket", lambda opened: self.hosts.add(urlsplit(opened.url).hostname))
        self.page.on("requestfinished", self._keep)

    def _said(self, message) -> None:
        # Below a page's path, Streamlit's own client first asks in two wrong places for its server.
        # A picture that was replaced while the browser asked for it is gone; `see_pictures` waits for those that stay.
        if message.type == "error" and not re.search("/_stcore/|/media/", message.location["url"]):
            self.complaints.append(message.text)

    def _went(self, url: str) -> None:
        if not url.startswith("blob:"):  # made by the page itself
            self.hosts.add(urlsplit(url).hostname)

    def _keep(self, request) -> None:
        if "/media/" in request.url and request.url.endswith(".jpg"):
            with suppress(Error):  # the page was left meanwhile
                self.pictures.append(request.response().body())

    def wait_for_picture(self, among: set[bytes]) -> None:
        """A picture can be in the page before its request is told to have finished."""
        for _ in range(300):
            if among & set(self.pictures):
                return
            self.page.wait_for_timeout(100)
        pytest.fail("none of these pictures came within 30 seconds")

    def settle(self) -> None:
        self.page.wait_for_selector("[data-test-script-state=notRunning]")

    def stand_still(self) -> None:
        """Waits for the end of all animations: colours have their contrast then."""
        self.page.wait_for_function("document.getAnimations().every(each => each.playState !== 'running')")

    def see_pictures(self) -> None:
        """Waits for all of them: a page that is left before that has asked for files that are gone."""
        self.page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")

    def count(self, title: str):
        """One of the four counts beside the threshold line."""
        return self.page.locator(".mk-cell").filter(has_text=title).locator(".mk-count")

    def metric(self, title: str):
        return self.page.get_by_test_id("stMetric").filter(has_text=title).get_by_test_id("stMetricValue")


@pytest.fixture
def open_page(browser, address) -> Iterator:
    opened: list[Watched] = []

    def at(path: str = "/", **settings: object) -> Watched:
        watched = Watched(browser, **settings)
        opened.append(watched)
        watched.page.goto(address + path)
        watched.page.get_by_role("heading", level=1).wait_for()
        watched.settle()
        return watched

    yield at
    for watched in opened:
        watched.page.close()
        assert watched.hosts == {"127.0.0.1"}
        assert watched.complaints == []
