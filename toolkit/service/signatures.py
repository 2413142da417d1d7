"""Who asks: verifies that a request was signed with the one key pair that this service was given (SigV4) [1]_.

botocore computes the signature that the request ought to have; nothing of the arithmetic is ours.

References
----------
.. [1] AWS, "Signature Version 4 for API requests", IAM User Guide.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

MAX_SKEW: Final = timedelta(minutes=15)
"""How far a client's clock may be off; also how long a request that somebody recorded can be sent again."""
MAX_EXPIRES: Final = timedelta(days=7)
"""How long a presigned URL may be good for."""

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_TIME: Final = "%Y%m%dT%H%M%SZ"
# In us-east-1 boto3 makes such URLs unless it is told otherwise.
_OLD_URL: Final = (
    "The URL is signed with Signature Version 2, which is not taken here; make it with Version 4 (AWS4-HMAC-SHA256), "
    'in boto3 by a client with Config(signature_version="s3v4").'
)
_UNSIGNED_PAYLOADS: Final = frozenset({"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})


class NotAuthentic(Exception):
    """A request is not from who has the key. `reason` is a key of `ERRORS`; the message is a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


ERRORS: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("MissingAuthenticationTokenException", "AccessDenied"),
    "unknown key": ("UnrecognizedClientException", "InvalidAccessKeyId"),
    "mismatch": ("InvalidSignatureException", "SignatureDoesNotMatch"),
    "skew": ("InvalidSignatureException", "RequestTimeTooSkewed"),
    "payload": ("InvalidSignatureException", "XAmzContentSHA256Mismatch"),
    "form": ("IncompleteSignatureException", "AuthorizationHeaderMalformed"),
    "version": ("IncompleteSignatureException", "InvalidRequest"),
    "expired": ("InvalidSignatureException", "AccessDenied"),
}
"""Reason to the error code of AWS's JSON services, and of S3."""


@dataclass(frozen=True)
class Signed:
    """What a request says of its own signature."""

    access_key: str
    scope: tuple[str, str, str]
    headers: tuple[str, ...]
    signature: str
    time: str
    expires: timedelta | None

    @property
    def at(self) -> datetime:
        """When it was signed."""
        return datetime.strptime(self.time, _TIME).replace(tzinfo=UTC)


class Verifier:
    """Knows one key pair.

    Parameters
    ----------
    access_key, secret_key
        What clients sign with.
    now
        The time, with its zone.
    """

    def __init__(self, access_key: str, secret_key: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._credentials = Credentials(access_key, secret_key)
        self._now = now

    def recognize(self, environ: Mapping[str, Any]) -> Signed:
        """What a request says of its signature, as far as that can be looked at before the body is read.

        Parameters
        ----------
        environ
            Of the request (WSGI).

        Raises
        ------
        NotAuthentic
            It is not signed, not with this access key, or not for this moment.
        """
        signed = _signed(environ)
        if not hmac.compare_digest(signed.access_key.encode(), self._credentials.access_key.encode()):
            raise NotAuthentic("unknown key", "The access key is not the one that this service was started with.")
        self._check_time(signed)
        unsigned = _must_be_signed(environ) - set(map(_key, signed.headers))
        if unsigned:
            names = ", ".join(sorted(map(_header, unsigned)))
            raise NotAuthentic("form", f"These headers must be signed, too: {names}.")
        return signed

    def check(self, signed: Signed, environ: Mapping[str, Any], body: bytes) -> None:
        """Lets a request pass that was signed with the key, as it is and for this body.

        Parameters
        ----------
        signed
            From `recognize`.
        environ
            Of the request (WSGI), with `REQUEST_URI` as the client sent it.
        body
            All of it.

        Raises
        ------
        NotAuthentic
        """
        if not hmac.compare_digest(self._expected(environ, signed, body), signed.signature):
            raise NotAuthentic("mismatch", "The signature is not what the secret key gives; check the secret key.")
        _check_payload(environ.get("HTTP_X_AMZ_CONTENT_SHA256"), body, service=signed.scope[2])

    def _check_time(self, signed: Signed) -> None:
        try:
            age = self._now() - signed.at
        except ValueError as error:
            raise NotAuthentic("form", "X-Amz-Date must be written as 20260101T000000Z.") from error
        if not signed.time.startswith(signed.scope[0]):
            raise NotAuthentic("form", "The credential is for another day than the request.")
        if signed.expires and age > signed.expires:
            raise NotAuthentic("expired", "Request has expired; make a new URL.")
        if not -MAX_SKEW <= age <= (signed.expires or MAX_SKEW):
            raise NotAuthentic("skew", f"The request was signed for {signed.time}; check this computer's clock.")

    def _expected(self, environ: Mapping[str, Any], signed: Signed, body: bytes) -> str:
        _, region, service = signed.scope
        kind = S3SigV4QueryAuth if signed.expires else S3SigV4Auth if service == "s3" else SigV4Auth
        auth: Any = kind(self._credentials, service, region)
        request: Any = AWSRequest(
            method=environ["REQUEST_METHOD"],
            url=f"http://{environ.get('HTTP_HOST', '')}{_target(environ)}",
            headers={name: environ.get(_key(name), "") for name in signed.headers},
            data=body,
        )
        request.context["timestamp"] = signed.time
        return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))


def _signed(environ: Mapping[str, Any]) -> Signed:
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    query = parse_qs(environ.get("QUERY_STRING", ""))
    if "X-Amz-Signature" in query:
        fields = {name.removeprefix("X-Amz-"): values[0] for name, values in query.items()}
        algorithm, time = fields.get("Algorithm", ""), fields.get("Date", "")
    elif authorization:
        algorithm, _, rest = authorization.partition(" ")
        fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        time = environ.get("HTTP_X_AMZ_DATE", "")
    elif "AWSAccessKeyId" in query:
        raise NotAuthentic("version", _OLD_URL)
    else:
        raise NotAuthentic("missing", "The request is not signed; this service was started with an access key.")
    scope = fields.get("Credential", "").split("/")
    if algorithm != _ALGORITHM or len(scope) != 5 or scope[4] != "aws4_request" or not fields.get("Signature"):
        raise NotAuthentic("form", "Requests are signed with Signature Version 4 here (AWS4-HMAC-SHA256).")
    expires = None
    if "X-Amz-Signature" in query:
        try:
            expires = min(timedelta(seconds=max(1, int(fields["Expires"]))), MAX_EXPIRES)
        except (KeyError, ValueError, OverflowError) as error:
            raise NotAuthentic("form", "X-Amz-Expires must say for how many seconds the URL is good.") from error
        if scope[3] != "s3":
            raise NotAuthentic("form", "Only S3 takes presigned URLs here; sign with the Authorization header.")
    headers = tuple(fields.get("SignedHeaders", "").lower().split(";"))
    return Signed(scope[0], (scope[1], scope[2], scope[3]), headers, fields["Signature"], time, expires)


def _key(header: str) -> str:
    """What WSGI calls a header."""
    name = header.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


def _header(key: str) -> str:
    """What the client calls it."""
    return key.removeprefix("HTTP_").replace("_", "-").lower()


def _must_be_signed(environ: Mapping[str, Any]) -> set[str]:
    # Of a presigned URL too: `x-amz-copy-source` would make an upload read any object.
    return {"HTTP_HOST"} | {name for name in environ if name.startswith(("HTTP_X_AMZ_", "HTTP_X_MOTO_"))}


def _target(environ: Mapping[str, Any]) -> str:
    """Path and query as the client wrote them, but for the signature itself."""
    target = str(environ["REQUEST_URI"])
    if not target.startswith("/"):  # a proxy's way to write it, with scheme and host
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    pairs = [pair for pair in query.split("&") if pair and not pair.startswith("X-Amz-Signature=")]
    return path + ("?" + "&".join(pairs) if pairs else "")


def _check_payload(said: str | None, body: bytes, service: str) -> None:
    # Where the header is missing, the signature covers the body itself (or, in a presigned URL, says that it does not).
    if said is None or (service == "s3" and said in _UNSIGNED_PAYLOADS):
        return
    if said.startswith("STREAMING-"):
        raise NotAuthentic(
            "form", "Bodies in signed chunks are not read here; sign the body as a whole, or not at all."
        )
    if not hmac.compare_digest(hashlib.sha256(body).hexdigest(), said.lower()):
        raise NotAuthentic("payload", "The body is not what was signed.")
