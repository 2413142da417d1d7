"""One client's connection: how long it may be silent, and how it gets to see the answer to what it is still sending."""

import io
import math
import socket
import time
from typing import Any, Final

from moto.moto_server.werkzeug_app import MotoRequestHandler

HEAD_SECONDS: Final = 10.0
"""How long a client may take to say what it wants, up to the end of the headers; then its place is another's."""
SILENCE_SECONDS: Final = 60.0
"""A client that says nothing for so long in the middle of a request has gone."""

_LEAVE_SECONDS: Final = 30.0
_LEAVE_SILENCE_SECONDS: Final = 5.0
_LEAVE_BYTES: Final = 256 * 1024 * 1024
_PIECE: Final = 64 * 1024


class Handler(MotoRequestHandler):
    """Reads one request and answers it."""

    def setup(self) -> None:
        """Has what the client sends read with patience, but not for ever."""
        super().setup()
        self.rfile.close()
        self._incoming = _Incoming(self.connection, HEAD_SECONDS)
        self.rfile = io.BufferedReader(self._incoming)

    def make_environ(self) -> dict[str, Any]:
        """The request, as WSGI says it."""
        environ = super().make_environ()
        self._incoming.end_head()
        # When it has answered, werkzeug reads from `rfile` whatever of the body is left, ten megabytes at once and as
        # long as that takes. It shall find nothing there: `finish` does it, with an end.
        self.rfile = io.BytesIO()
        return environ

    def handle_expect_100(self) -> bool:
        """Leaves "100 Continue" to werkzeug, which says it, too."""
        return True

    def finish(self) -> None:
        """Lets go of the client."""
        super().finish()
        if not self._incoming.late:
            # A head that was refused has no longer to come than one that was not.
            _see_off(self.connection, min(_LEAVE_SECONDS, self._incoming.head_seconds_left))

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Says nothing of requests that were answered; errors are still logged."""


class _Incoming(io.RawIOBase):
    """What a client sends; silence, or a head that takes too long, ends in TimeoutError.

    Only reading is limited so: sending a large object to a slow client takes as long as it takes.
    """

    def __init__(self, connection: socket.socket, head_seconds: float) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + head_seconds

    @property
    def head_seconds_left(self) -> float:
        """How long the head of the request may still take; without end, once it is there."""
        return self._deadline - time.monotonic()

    @property
    def late(self) -> bool:
        """Whether the head of the request has not come in time."""
        return self.head_seconds_left <= 0

    def end_head(self) -> None:
        """What comes from here on is the body, which may be large."""
        self._deadline = math.inf

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.late:
            raise TimeoutError("The head of the request did not come in time.")
        self._connection.settimeout(min(SILENCE_SECONDS, max(self.head_seconds_left, 0.001)))
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(None)


def _see_off(connection: socket.socket, seconds: float) -> None:
    """Says that there is no more to come, and drops for so long what the client may still be sending.

    A connection that is closed at once is reset while the client sends, and then it does not see the answer.
    """
    deadline, left = time.monotonic() + seconds, _LEAVE_BYTES
    try:
        connection.shutdown(socket.SHUT_WR)
        while left > 0 and (seconds := deadline - time.monotonic()) > 0:
            connection.settimeout(min(seconds, _LEAVE_SILENCE_SECONDS))
            dropped = len(connection.recv(_PIECE))
            if not dropped:
                break
            left -= dropped
    except OSError:
        pass  # it has gone already, or is silent
