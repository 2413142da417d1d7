"""The front door: which service a request is for, and which requests are turned away before anybody reads them."""

import json
import logging
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from ipaddress import ip_address
from typing import IO, Any, Final
from urllib.parse import unquote, urlsplit
from uuid import uuid4
from xml.sax.saxutils import escape

from flask import Flask, Request, request
from moto.core.utils import convert_to_flask_response
from moto.moto_server.werkzeug_app import (
    HTTP_METHODS,
    UNSIGNED_ACTIONS,
    BackendRequest,
    DomainDispatcherApplication,
    create_backend_app,
)
from moto.s3.responses import S3Response
from werkzeug.wrappers import Response

from toolkit.service import durable
from toolkit.service.backend import Backend
from toolkit.service.disk import Disk
from toolkit.service.folder import is_out_of_files
from toolkit.service.regions import is_region
from toolkit.service.rekognition import Rekognition
from toolkit.service.signatures import ERRORS, NotAuthentic, Verifier
from toolkit.service.stored import Replaced

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""A 50 MB manifest in one piece fits; anything larger goes up as a multipart upload."""

SERVICES: Final = ("rekognition", "s3", "kms", "sts")
_TARGETS: Final = {"RekognitionService": "rekognition", "TrentService": "kms"}
_CREDENTIAL: Final = re.compile(r"Credential=[^/,\s]+/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")
_DECODED: Final = "x-amz-decoded-content-length"
_CHUNK: Final = re.compile(rb"([0-9a-fA-F]{1,8})\r\n")
_SIGNED_CHUNK: Final = re.compile(rb"([0-9a-fA-F]{1,8});[^\r\n]*\r\n")
_CHUNKS: Final = {
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": _CHUNK,
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": _SIGNED_CHUNK,
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": _SIGNED_CHUNK,
}
"""How a chunk begins, by what x-amz-content-sha256 says of the body."""
_MAX_CHUNKS: Final = 100_000
"""Clients send 8 KB or more at once."""
_REQUEST_ID: Final = "x-amzn-RequestId"
_LOOKS: Final = 5
"""How often an object is looked for that is replaced before it is read."""
_MOTO_PATHS: Final = ("/moto-api", "/latest/meta-data", "/latest/api")

_log = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Gate(DomainDispatcherApplication):
    """The WSGI application: Rekognition is ours; S3, KMS and STS are moto's; nothing else is there.

    Parameters
    ----------
    backend
        What Rekognition's operations do.
    host
        The address that is listened on. On a loopback address, requests must also name one as their Host: a web page
        whose name was made to point here (DNS rebinding) does not.
    verifier
        Checks every request's signature; None lets everybody in.
    """

    def __init__(self, backend: Backend, host: str, verifier: Verifier | None = None) -> None:
        super().__init__(lambda service: _moto_app(service, backend.disk))
        self.app_instances["rekognition"] = _rekognition_app(backend)
        self._local_only = is_loopback(host)
        self._verifier = verifier

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answers one request."""
        answer: Wsgi = self._turned_away(environ) or self.get_application(environ)
        return answer(environ, start_response)

    def get_application(self, environ: dict[str, Any]) -> Any:
        """The application for a request; one that says no where the service is not offered here."""
        service = self._service(environ)
        if service not in SERVICES:
            return _no(
                environ,
                400,
                "UnknownOperationException",
                f"{service}: not offered here, only {', '.join(SERVICES)} are.",
            )
        with self.lock:
            if service not in self.app_instances:
                self.app_instances[service] = self.create_app(service)
            return self.app_instances[service]

    def _turned_away(self, environ: dict[str, Any]) -> Wsgi | None:
        # Browsers send Origin with whatever a page's script does. No page has any business here: without this, every
        # web site that somebody visits could read the images on their machine.
        if "HTTP_ORIGIN" in environ:
            return _no(environ, 403, "AccessDenied", "Requests from web pages (with an Origin header) are refused.")
        if self._local_only and not _names_loopback(environ.get("HTTP_HOST", "")):
            return _no(environ, 403, "AccessDenied", "The Host header names another machine.")
        if _body_size(environ) > MAX_BODY_BYTES:
            return _too_large(environ)
        signed = _scope(environ)
        if signed and not is_region(signed[1]):
            code = "InvalidSignatureException" if environ.get("HTTP_X_AMZ_TARGET") else "AuthorizationHeaderMalformed"
            return _no(environ, 400, code, f"{signed[1]} is no AWS region; sign for one such as us-east-1.")
        return self._not_authentic(environ, self._verifier) if self._verifier else None

    def _not_authentic(self, environ: dict[str, Any], verifier: Verifier) -> Wsgi | None:
        try:
            # Before the body is read: whoever has no key is not to fill the memory.
            signed = verifier.recognize(environ)
            body = _take_body(environ)
            if len(body) > MAX_BODY_BYTES:
                return _too_large(environ)
            verifier.check(signed, environ, body)
        except TimeoutError:
            return _no(environ, 400, "RequestTimeout", "The rest of the request's body did not come.")
        except NotAuthentic as error:
            code = ERRORS[error.reason][0 if environ.get("HTTP_X_AMZ_TARGET") else 1]
            return _no(environ, 403, code, error.message)
        return None

    def _service(self, environ: dict[str, Any]) -> Any:  # a str; moto types it as one of 200 literals
        signed = _scope(environ)
        if signed:
            return signed[2].lower()
        target = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")[0]
        if target:
            return _TARGETS.get(target, target)
        path = environ.get("PATH_INFO", "")
        if path.startswith(_MOTO_PATHS):
            return path.strip("/").partition("/")[0]
        # A form at the root is STS's; anywhere else the body is somebody's object, and not ours to read.
        action = self.get_action_from_body(self._get_body(environ)) if path == "/" else None
        # Whatever is neither signed nor named is S3's: anonymous, or signed in its oldest way.
        return UNSIGNED_ACTIONS[action][0] if action in UNSIGNED_ACTIONS else "s3"


def _scope(environ: dict[str, Any]) -> re.Match[str] | None:
    """Region and service that a request is signed for."""
    signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    return signed or _CREDENTIAL.search(unquote(environ.get("QUERY_STRING", "")))


def _moto_app(service: Any, disk: Disk) -> Flask:
    app = create_backend_app(service)
    app.debug = False  # a mistake is a 500, not a traceback over the wire
    app.after_request_funcs.clear()  # moto allows every web page in (CORS); see Gate
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    if service == "s3":
        _take_keys_of_many_lines(app)
        _look_again(app)
        S3Response._handle_encoded_body = _decoded  # type: ignore[assignment,method-assign]

    @app.before_request
    def begin() -> Response | None:
        refused = _not_whole(request)
        if refused is None:
            durable.begin(disk, keys=service == "kms")
        return refused

    @app.errorhandler(OSError)
    @app.errorhandler(sqlite3.Error)
    def unwritten(error: Exception) -> Response:
        done = "read from" if request.method in ("GET", "HEAD") else "kept on"
        _log.error("%s: what was asked could not be %s disk", service, done, exc_info=error)
        if is_out_of_files(error):
            return _no(request.environ, 503, "SlowDown", "The service has too many files open; try again.")
        return _no(request.environ, 500, "InternalError", f"It could not be {done} disk ({error}).")

    @app.after_request
    def keep(answer: Response) -> Response:
        try:
            durable.commit()
        except (OSError, sqlite3.Error) as error:
            return unwritten(error)
        return answer

    return app


def _take_keys_of_many_lines(app: Flask) -> None:
    """Has moto's S3 serve keys with a newline, which the pattern of its own routes leaves out."""
    key = convert_to_flask_response(S3Response.key_dispatch)
    route = '/<regex("[^/]+"):bucket_name_path>/<regex("(?s:.+)"):key_name>'
    app.add_url_rule(route, "key_of_many_lines", key, methods=HTTP_METHODS, strict_slashes=False)


def _look_again(app: Flask) -> None:
    """Has a request begin anew where what it found was replaced before it was read: S3 gives the old or the new."""
    dispatch = app.dispatch_request

    def answer() -> Any:
        for _ in range(_LOOKS - 1):
            try:
                return dispatch()
            except Replaced:
                continue
        return dispatch()

    app.dispatch_request = answer  # type: ignore[method-assign]


def _not_whole(request: Request) -> Response | None:
    """Refuses a body in chunks (aws-chunked) that is not, or not as long as it says; moto takes it on trust."""
    kind = request.headers.get("x-amz-content-sha256", "")
    if not kind.upper().startswith("STREAMING-"):
        return None
    if kind not in _CHUNKS:
        return _no(request.environ, 501, "NotImplemented", f"{kind}: not read here; sign the body as a whole.")
    try:
        size = sum(map(len, _chunks(request.get_data(), _CHUNKS[kind])))
    except ValueError as error:
        return _no(request.environ, 400, "IncompleteBody", str(error))
    if size != request.headers.get(_DECODED, type=int):
        return _no(request.environ, 400, "IncompleteBody", f"The chunks of the body are not {_DECODED} bytes in all.")
    return None


def _chunks(body: bytes, pattern: re.Pattern[bytes]) -> Iterator[memoryview]:
    """What is in the chunks of a body, up to the empty one that ends it."""
    view, at = memoryview(body), 0
    for _ in range(_MAX_CHUNKS):
        chunk = pattern.match(body, at)
        if not chunk:
            raise ValueError("The body is not in chunks, or the last one is missing.")
        size, begin = int(chunk[1], 16), chunk.end()
        if not size:
            return
        at = begin + size + len(b"\r\n")
        if body[begin + size : at] != b"\r\n":
            raise ValueError("A chunk of the body is not as long as it says.")
        yield view[begin : begin + size]
    raise ValueError(f"The body is in more than {_MAX_CHUNKS:,} chunks; send larger ones.")


def _decoded(_: S3Response, body: IO[bytes] | bytes) -> bytes:
    """Takes the chunks off; moto's own way to do it needs a time that grows with the square of their number."""
    whole = body if isinstance(body, bytes) else body.read()
    return b"".join(_chunks(whole, _CHUNK)) if whole else b""


def _rekognition_app(backend: Backend) -> Flask:
    app = Flask("toolkit.service", static_folder=None)
    app.request_class = BackendRequest
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    def answer(asked: Any, full_url: str, headers: Any) -> Any:
        return Rekognition(backend)._dispatch(asked, full_url, headers)

    @app.after_request
    def numbered(said: Response) -> Response:
        said.headers.setdefault(_REQUEST_ID, str(uuid4()))  # moto numbers only what it lets through to an operation
        return said

    app.add_url_rule("/", "rekognition", convert_to_flask_response(answer), methods=["POST"])
    return app


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, can be reached from this machine only.

    >>> is_loopback("127.0.0.2"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _names_loopback(host: str) -> bool:
    """The same of a Host header, which may say a port and a bucket, too."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:  # no host at all, such as "[1"
        return False
    return is_loopback(name) or name.endswith(".localhost")


def _body_size(environ: dict[str, Any]) -> int:
    size = environ.get("CONTENT_LENGTH") or "0"
    return int(size) if size.isascii() and size.isdigit() else 0


def _take_body(environ: dict[str, Any]) -> bytes:
    """The body, which stays there for whoever reads it next."""
    stream = environ["wsgi.input"]
    chunked = environ.get("wsgi.input_terminated")  # its end is known, its size is not
    size = MAX_BODY_BYTES + 1 if chunked else _body_size(environ)
    body = b""
    while len(body) < size and (more := stream.read(size - len(body))):
        body += more
    environ["wsgi.input"] = BytesIO(body)
    return body


def _too_large(environ: dict[str, Any]) -> Response:
    message = f"A request may have {MAX_BODY_BYTES:,} bytes; upload larger in parts."
    return _no(environ, 413, "EntityTooLarge", message)


def _no(environ: dict[str, Any], status: int, code: str, message: str) -> Response:
    """A refusal in the words of the protocol that the client speaks: JSON where it names a target, else XML."""
    number = str(uuid4())
    headers = {"x-amzn-ErrorType": code, _REQUEST_ID: number}
    if environ.get("HTTP_X_AMZ_TARGET"):
        body = json.dumps({"__type": code, "message": message})
        return Response(body, status, headers, content_type="application/x-amz-json-1.1")
    error = f"<Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>"
    body = f"<ErrorResponse><Error>{error}</Error><RequestId>{number}</RequestId></ErrorResponse>"
    return Response(body, status, headers, content_type="application/xml")
