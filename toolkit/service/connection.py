"""One client's connection: how long it may be silent, and how it gets to see the answer to what it is still sending."""

import io
import socket
import time
from typing import Any, Final

from moto.moto_server.werkzeug_app import MotoRequestHandler

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
        self.rfile = io.BufferedReader(_Incoming(self.connection))

    def make_environ(self) -> dict[str, Any]:
        """The request, as WSGI says it."""
        environ = super().make_environ()
        # When it has answered, werkzeug reads from `rfile` whatever of the body is left, ten megabytes at once and as
        # long as that takes. It shall find nothing there: `finish` does it, with an end.
        self.rfile = io.BytesIO()
        return environ

    def finish(self) -> None:
        """Lets go of the client."""
        super().finish()
        _see_off(self.connection)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Says nothing of requests that were answered; errors are still logged."""


class _Incoming(io.RawIOBase):
    """What a client sends; silence ends in TimeoutError.

    Only reading is limited so: sending a large object to a slow client takes as long as it takes.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(SILENCE_SECONDS)
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(None)


def _see_off(connection: socket.socket) -> None:
    """Says that there is no more to come, and drops for a while what the client may still be sending.

    A connection that is closed at once is reset while the client sends, and then it does not see the answer.
    """
    deadline, left = time.monotonic() + _LEAVE_SECONDS, _LEAVE_BYTES
    try:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(_LEAVE_SILENCE_SECONDS)
        while left > 0 and time.monotonic() < deadline and (dropped := len(connection.recv(_PIECE))):
            left -= dropped
    except OSError:
        pass  # it has gone already, or is silent
