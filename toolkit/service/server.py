"""The bulk-analysis endpoint as a server: in a thread of this process, or as the whole work of one."""

import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer

from toolkit.errors import Unreachable
from toolkit.service.backend import Backend
from toolkit.service.connection import Handler
from toolkit.service.gate import Gate, is_loopback
from toolkit.service.limits import NO_LIMITS, Limits
from toolkit.service.signatures import Verifier

try:
    import resource
except ImportError:  # Windows, where sockets are no files
    resource = None  # type: ignore[assignment]

_BACKLOG: Final = 128
_POLL: Final = 0.1
"""Seconds between two looks at whether to stop answering."""
MAX_CONNECTIONS: Final = 512
"""Clients that are served at once; more wait."""
_FILES_EACH: Final = 4
"""Files that may be open for each connection, with a share of those that jobs read."""
AT_ONCE: Final = 8
"""Jobs and trainings that run at once, each as fast as the others; more are QUEUED."""
_GRACE: Final = 4.0
"""Seconds that a stopped process takes at most: then it leaves, whatever a thread may be doing."""


class LocalService:
    """Rekognition's media analysis, S3, KMS and STS on one port of this machine.

    Everything survives a restart on the same folder, S3 objects and KMS keys too. These two are moto's: services in one
    process see each other's, but each keeps its own.

    Parameters
    ----------
    directory
        Where all that is kept; one service at a time.
    host
        The address to listen on.
    port
        0 for any free one.
    workers
        Jobs and trainings that run at once.
    limits
        What an account may ask for; the default is anything.
    scheduler
        Address of a Dask scheduler, such as `tcp://10.0.0.1:8786`: its workers look at the images of jobs. Whoever may
        talk to it may run anything there; use your own.
    access_key, secret_key
        What every request must be signed with. Without, anybody who can reach the port may ask for anything, so an
        address that other machines can reach takes them.

    Raises
    ------
    Unreachable
        Only one of the two keys, an empty one, or none for such an address.

    Examples
    --------
    >>> with LocalService(folder) as service:  # doctest: +SKIP
    ...     rekognition = boto3.client("rekognition", endpoint_url=service.endpoint_url)
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        workers: int = AT_ONCE,
        limits: Limits = NO_LIMITS,
        scheduler: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
    ) -> None:
        self._directory = Path(directory)
        self._host = host
        self._port = port
        self._workers = workers
        self._limits = limits
        self._scheduler = scheduler
        self._verifier = _verifier(host, access_key, secret_key)
        self._backend: Backend | None = None
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def directory(self) -> Path:
        """Where everything is kept."""
        return self._directory

    @property
    def endpoint_url(self) -> str:
        """`http://host:port`; what a client is given as its endpoint_url.

        Raises
        ------
        Unreachable
            It is not running.
        """
        if self._server is None:
            raise Unreachable("The local service is not running; call start() first.")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.port}"

    @property
    def backend(self) -> Backend:
        """What is behind the operations.

        Raises
        ------
        Unreachable
            It is not running.
        """
        if self._backend is None:
            raise Unreachable("The local service is not running; call start() first.")
        return self._backend

    def start(self) -> "LocalService":
        """Loads the model and begins to answer, in a thread. A service that runs already is left as it is.

        Raises
        ------
        Unreachable
            The port is taken, the address is not this machine's, or the folder is not to be used.
        """
        if self._thread:
            return self
        with _listening_socket(self._host, self._port) as listening:
            self._backend = Backend(self._directory, self._workers, self._limits, self._scheduler)
            self._server = _Server(
                self._host,
                listening.getsockname()[1],
                Gate(self._backend, self._host, self._verifier),
                Handler,
                fd=listening.fileno(),  # it is duplicated; ours is closed
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), name="service", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stops answering, ends the jobs that run, and closes the files. Twice does no harm."""
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None
        if self._backend:
            self._backend.close()
            self._backend = None

    def serve_forever(self) -> None:
        """Starts, where that has not been done, and returns when `stop` is called from another thread."""
        thread = self.start()._thread
        if thread:
            thread.join()

    def __enter__(self) -> "LocalService":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadedWSGIServer):
    """A thread for each connection, as long as there is room; more wait in the queue of the listening socket.

    Without a limit, connections that say nothing would take the files that jobs read.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._room = threading.BoundedSemaphore(min(MAX_CONNECTIONS, max(1, _open_files_limit() // _FILES_EACH)))

    def get_request(self) -> tuple[Any, Any]:
        if not self._room.acquire(timeout=_POLL):
            raise BlockingIOError("No room; the connection waits.")  # the loop looks again
        try:
            return super().get_request()
        except BaseException:
            self._room.release()
            raise

    def shutdown_request(self, request: Any) -> None:  # called once for each connection that was taken
        try:
            super().shutdown_request(request)
        finally:
            self._room.release()


def _open_files_limit() -> int:
    if resource is None:
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def _allow_open_files() -> None:
    """Has the system let this process open as many files as all connections may take, or as many as it may have."""
    if resource is None or _open_files_limit() >= (wanted := MAX_CONNECTIONS * _FILES_EACH):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def run(service: LocalService, *, announce: Callable[[str], None], exit_with_stdin: bool = False) -> None:
    """Serves until the process is told to stop (SIGTERM, SIGINT), which takes less than five seconds.

    Parameters
    ----------
    service
        Not started yet.
    announce
        Called once with the endpoint's URL when it answers.
    exit_with_stdin
        Also stop when standard input ends: a parent that holds its other end cannot die without taking us along, not
        even by kill -9, and on no system.

    Raises
    ------
    Unreachable
        As in `LocalService.start`.
    """
    leave = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: leave.set())
    if exit_with_stdin:
        threading.Thread(target=_watch_stdin, args=(leave,), name="stdin", daemon=True).start()
    _allow_open_files()
    service.start()
    announce(service.endpoint_url)
    while not leave.wait(1):  # a wait without end cannot be interrupted on every system
        pass
    # A photo of a hundred megapixels or a long training cannot be interrupted; what is on disk does not need them.
    deadline = threading.Timer(_GRACE, os._exit, (0,))
    deadline.daemon = True
    deadline.start()
    service.stop()
    deadline.cancel()


def _verifier(host: str, access_key: str | None, secret_key: str | None) -> Verifier | None:
    if access_key and secret_key:
        return Verifier(access_key, secret_key)
    # Nobody gives an empty key who does not want one: a shell variable was not set.
    if access_key is not None or secret_key is not None:
        raise Unreachable("An access key and a secret key go together, and neither is empty; give both.")
    if not is_loopback(host):
        raise Unreachable(
            f"{host}: no loopback address, so other machines can reach it; give an access key and a secret key, too, "
            f"or listen on 127.0.0.1."
        )
    return None


def _watch_stdin(leave: threading.Event) -> None:
    # Past Python's buffer: a thread that waits inside it keeps the interpreter from ending.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    leave.set()


def _listening_socket(host: str, port: int) -> socket.socket:
    """Opened here because werkzeug prints and exits when a port is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        if isinstance(error, socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
            raise Unreachable(
                f"{host}: cannot listen there, it is no address of this machine; name one, such as 127.0.0.1 (--host)."
            ) from error
        raise Unreachable(
            f"{host}:{port}: cannot listen there ({getattr(error, 'strerror', None) or error}); give another port."
        ) from error
    return listening
