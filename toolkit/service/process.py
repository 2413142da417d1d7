"""The service in a process of its own, which ends with this one."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Final

from toolkit.errors import Unreachable
from toolkit.service.folder import refused

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_LOG_NAME: Final = "service.log"


class ServiceProcess:
    """Starts the service in a child process, for a notebook, a script or the studio.

    The child dies with this process, however that ends. What it logs goes to `service.log` in its folder.

    Parameters
    ----------
    directory
        Where it keeps everything; made where it does not exist.
    port
        0 for any free one.

    Examples
    --------
    >>> with ServiceProcess(folder) as service:  # doctest: +SKIP
    ...     session = toolkit.storage.connect(service.endpoint_url)
    """

    def __init__(self, directory: str | os.PathLike[str], *, port: int = 0) -> None:
        self._directory = Path(directory)
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._endpoint_url = ""

    @property
    def endpoint_url(self) -> str:
        """What a client is given as its endpoint_url.

        Raises
        ------
        Unreachable
            It is not running.
        """
        if not self._endpoint_url:
            raise Unreachable("The local service is not running; call start() first.")
        return self._endpoint_url

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is no child."""
        return self._process.pid if self._process else None

    def start(self) -> "ServiceProcess":
        """Starts the child and waits until it answers. One that runs already is left as it is.

        Raises
        ------
        Unreachable
            It ended before that, or said nothing for a minute; the message has the last line that it logged.
        """
        if self._process and self._process.poll() is None:
            return self
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            log = (self._directory / _LOG_NAME).open("ab")
        except OSError as error:
            raise refused(self._directory, error) from error
        with log:
            logged = log.tell()
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=_environment()
            )
        first_line = _first_line(self._process)
        try:
            self._endpoint_url = str(json.loads(first_line)["endpoint"])
        except (ValueError, KeyError, TypeError) as error:
            self.stop()
            said = (self._directory / _LOG_NAME).read_bytes()[logged:].decode("utf-8", "replace").strip()
            why = said.splitlines()[-1] if said else f"it said nothing for {_START_SECONDS:.0f} seconds"
            raise Unreachable(f"The local service did not start: {why}") from error
        return self

    def _command(self) -> list[str]:
        arguments = ["--dir", str(self._directory), "--port", str(self._port), "--json", "--exit-with-stdin"]
        return [sys.executable, "-m", "toolkit.service", *arguments]

    def stop(self) -> None:
        """Ends the child, which takes at most five seconds. Twice does no harm."""
        process, self._process, self._endpoint_url = self._process, None, ""
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()  # the end of its input is what tells the child to stop
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> "ServiceProcess":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _environment() -> dict[str, str]:
    """Ours, with the folder of this package on the child's path: it may not be installed."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _first_line(process: "subprocess.Popen[bytes]") -> bytes:
    """What the child says first; empty if it ends or says nothing in time."""
    lines: list[bytes] = []

    def read() -> None:
        if process.stdout:
            lines.append(process.stdout.readline())

    # A thread, because a pipe cannot be waited for with a limit on every system.
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(_START_SECONDS)
    if reader.is_alive():
        process.kill()  # which also ends the reader
        reader.join()
    return lines[0] if lines else b""
