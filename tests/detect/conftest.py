"""Photos to ask about, and one service for all tests of this folder."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from helpers import Unreliable, picture, unreliable


@pytest.fixture
def photos(tmp_path) -> Path:
    """Twelve pictures, all different, and one file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.jpg").write_bytes(picture(number) + bytes([number]))
    (folder / "bad.jpg").write_bytes(b"nonsense")
    return folder


@pytest.fixture
def killed_once_written(monkeypatch) -> Callable[[], AbstractContextManager[None]]:
    """Under it, a run is interrupted when its results are written, and `detect.json` does not say so yet."""

    @contextmanager
    def killed() -> Iterator[None]:
        output = sys.modules["toolkit.detect.output"].Output
        written = output._write_results

        def write(*settings: object) -> None:
            written(*settings)
            signal.raise_signal(signal.SIGINT)

        with monkeypatch.context() as patch:
            patch.setattr(output, "_write_results", write)
            yield

    return killed


@pytest.fixture(scope="session")
def local(tmp_path_factory) -> Iterator[tuple[str, Unreliable]]:
    """The URL of a service, and a door before it that may answer in its place."""
    with unreliable(tmp_path_factory.mktemp("service"), share=0) as found:
        yield found
