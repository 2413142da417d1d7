"""Starts the Streamlit app as a process of its own."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

from toolkit import studio
from toolkit.errors import Unreachable
from toolkit.studio import launch

_PATIENCE: Final = 60.0  # seconds until the app must answer


@dataclass(frozen=True)
class StudioProcess:
    """A running app: where this machine's browser finds it, and where those of others do."""

    url: str
    others: list[str]
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Shows the app in a browser, where this machine has a screen, and returns when the app has ended."""
        if sys.platform in {"darwin", "win32"} or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            webbrowser.open(self.url)
        self.process.wait()


@contextmanager
def open_studio(
    folder: Path | None, *, host: str = launch.LOOPBACK, port: int | None = None, endpoint_url: str | None = None
) -> Iterator[StudioProcess]:
    """Runs the app on a workspace folder for as long as the block lasts.

    Parameters
    ----------
    folder
        A workspace, or where one can be made; None lets the app look for one in the current folder.
    host
        Address to listen on.
    port
        0 takes a free one; None takes 8501, or a free one where that is taken.
    endpoint_url
        Where S3 is, for images that are not in the folder.

    Raises
    ------
    Unreachable
        The app does not start; its own words are on stderr.
    """
    port = launch.PORT if port is None and _is_free(launch.PORT) else port or _free_port()
    command = studio.command(
        folder and folder.resolve(), endpoint_url=endpoint_url, host=host, port=port, exit_with_stdin=True
    )
    # The pipe is never written to: it closes when this process ends, however that happens, and the app ends with it.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        url = _url(launch.LOOPBACK if host in launch.EVERY_ADDRESS else host, port)
        _await(url, process)
        yield StudioProcess(url, [_url(name, port) for name in launch.names_of(host)], process)
    finally:
        process.terminate()
        process.communicate()  # which also closes the pipe


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_free(port: int) -> bool:
    """Whether nobody listens there. To bind it would not tell: a port is refused for a while after its last user."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex((launch.LOOPBACK, port)) != 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy knows the way to this machine
    pause = 0.2
    for _ in range(int(_PATIENCE / pause)):
        if process.poll() is not None:
            break
        try:
            with direct.open(f"{url}/_stcore/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            Event().wait(pause)
    raise Unreachable(f"the app did not start at {url}; name another port with --port, and see what it said above.")
