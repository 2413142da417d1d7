"""Asking about one image, and again when it is worth it; then about many, a few at a time."""

import random
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from toolkit import image_limits, manifests, storage
from toolkit.detect.rate import Rate
from toolkit.errors import NotFound
from toolkit.manifests import LineError

ATTEMPTS: Final = 12
"""Requests for one image, at most: with the pauses between them, one to two minutes."""
UNHEARD: Final = 6
"""Requests that nobody answers, before the run gives up: a few seconds."""
_BASE, _CAP = 0.2, 20.0
_RETRIABLE: Final = frozenset(
    {"ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError", "ServiceUnavailable"}
)
_ABOUT_US: Final = frozenset(
    {
        "AccessDeniedException", "ExpiredTokenException", "IncompleteSignature", "InvalidClientTokenId",
        "InvalidSignatureException", "MissingAuthenticationTokenException", "OptInRequired",
        "ResourceNotFoundException", "ResourceNotReadyException", "SubscriptionRequiredException",
        "UnknownOperationException", "UnrecognizedClientException",
    }
)  # fmt: skip
"""Errors that every other image would meet as well: the run stops."""
ADVICE: Final = {
    "AccessDeniedException": "ask for rekognition:DetectModerationLabels, then run the same again: it goes on",
    "ExpiredTokenException": "sign in again, then run the same again: it goes on",
    "ResourceNotFoundException": "check the adapter's ARN, and the region",
    "ResourceNotReadyException": "wait until the adapter is trained",
}
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Settings:
    """What every request of a run asks for. `min_confidence` in percent; None is Rekognition's 50."""

    min_confidence: float | None = None
    project_version: str | None = None

    def request(self) -> dict[str, Any]:
        """As DetectModerationLabels takes it, without the image."""
        confidence = {} if self.min_confidence is None else {"MinConfidence": float(self.min_confidence)}
        return confidence | ({} if self.project_version is None else {"ProjectVersion": self.project_version})


@dataclass(frozen=True)
class Entry:
    """One image to ask about: its line, counted from 1, and its S3 URI or path."""

    line: int
    source_ref: str


@dataclass(frozen=True)
class Outcome:
    """What came of one image: a line of a results manifest, or an error.

    Attributes
    ----------
    final
        Whether asking again would bring the same.
    requests
        How many it took.
    """

    entry: Entry
    result: str | None
    error: LineError | None = None
    final: bool = True
    requests: int = 1


class Stopped(Exception):
    """The run is ending, and this image was not asked about to the end."""


class Asker:
    """Asks about images, one at a time, from any thread.

    Parameters
    ----------
    session
        For Rekognition.
    settings
        Of every request.
    rate
        How often to ask.
    connections
        Threads that will ask at a time.
    stop
        Ends all waiting when it is set.
    """

    def __init__(
        self, session: boto3.Session, settings: Settings, rate: Rate, connections: int, stop: threading.Event
    ) -> None:
        # The retries are ours: botocore's know neither the run's rate nor how to end early.
        config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, max_pool_connections=connections)
        with storage.translated("asking Rekognition"):
            self._client: Any = session.client("rekognition", config=config)
        self._request = settings.request()
        self._rate = rate
        self._stop = stop
        self._random = random.Random()  # noqa: S311  (it spreads retries, and guards nothing)

    def ask(self, entry: Entry) -> Outcome:
        """Asks about one image until there is an answer, or no hope of one.

        Raises
        ------
        Unreachable, RequestRefused
            The run cannot go on: no credentials, no permission, no endpoint.
        Stopped
        """
        try:
            image = _image(entry.source_ref)
        except NotFound as error:
            return _failed(entry, "INVALID_IMAGE", str(error), requests=0)
        if isinstance(image, LineError):
            return _failed(entry, image.code, image.message, requests=0)
        for attempt in range(1, ATTEMPTS + 1):
            self._pause(self._rate.take())
            try:
                with storage.translated(f"asking about {entry.source_ref}", ADVICE):
                    found = self._once(image)
            except _Again as again:
                if attempt >= (ATTEMPTS if again.code else UNHEARD):
                    return self._given_up(entry, again)
                # Full jitter: anywhere between at once and twice as long as last time.
                self._pause(self._random.uniform(0, min(_CAP, _BASE * 2**attempt)))
                continue
            if isinstance(found, LineError):
                return _failed(entry, found.code, found.message, requests=attempt)
            line = manifests.to_line({"source-ref": entry.source_ref, manifests.RESULT_KEY: found})
            return Outcome(entry, line, requests=attempt)
        raise AssertionError  # the loop returns

    def _once(self, image: dict[str, Any]) -> dict[str, Any] | LineError:
        """The answer, or why this image has none. Raises _Again, or what boto3 raises."""
        try:
            answer: dict[str, Any] = self._client.detect_moderation_labels(Image=image, **self._request)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _RETRIABLE or status >= 500 or status == 429:
                self._rate.refused()
                raise _Again(code, error) from error
            self._rate.served()
            if code in _ABOUT_US:
                raise
            return LineError(0, _snake(code), str(error.response.get("Error", {}).get("Message", "")))
        except (ConnectionError, HTTPClientError) as error:
            self._rate.refused()
            raise _Again("", error) from error
        self._rate.served()
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    def _given_up(self, entry: Entry, again: "_Again") -> Outcome:
        if not again.code:  # nobody answers: neither this image nor any other
            with storage.translated(f"asking about {entry.source_ref}"):
                raise again.error
        message = f"no answer in {ATTEMPTS} requests; run the same again to ask once more."
        return _failed(entry, _snake(again.code), message, final=False, requests=ATTEMPTS)

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds) if seconds > 0 else self._stop.is_set():
            raise Stopped


class _Again(Exception):
    """A request that is worth repeating; `code` is empty where nobody answered."""

    def __init__(self, code: str, error: Exception) -> None:
        super().__init__(code)
        self.code = code
        self.error = error


def _image(source_ref: str) -> dict[str, Any] | LineError:
    """An image as a request takes it: a place in S3, or the bytes of a file. Raises NotFound."""
    if storage.is_s3(source_ref):
        bucket, key = storage.split_s3(source_ref)
        return {"S3Object": {"Bucket": bucket, "Name": key}}
    data = storage.read(source_ref)
    problem = image_limits.size_problem(len(data), image_limits.MAX_REQUEST_BYTES)
    return {"Bytes": data} if problem is None else LineError(0, *problem)


def _failed(entry: Entry, code: str, message: str, *, final: bool = True, requests: int = 1) -> Outcome:
    return Outcome(entry, None, LineError(entry.line, code, message, entry.source_ref), final, requests)


def _snake(code: str) -> str:
    """An exception's name as summaries write their codes.

    >>> _snake("InvalidS3ObjectException"), _snake("ImageTooLargeException")
    ('INVALID_S3_OBJECT', 'IMAGE_TOO_LARGE')
    """
    return _WORD.sub("_", code.removesuffix("Exception")).upper()


def ask_many(
    entries: Iterable[Entry], ask: Callable[[Entry], Outcome], deliver: Callable[[Outcome], None], *,
    threads: int, stop: threading.Event,
) -> None:  # fmt: skip
    """Asks about images on several threads, and hands over what came of each, on that thread, as it comes.

    Parameters
    ----------
    entries
        Taken one by one as threads are free.
    ask
        As `Asker.ask`.
    deliver
        Must take calls from several threads.
    threads
        How many ask at a time.
    stop
        Set when one thread failed, or the caller was interrupted: the others then end soon.

    Raises
    ------
    Exception
        The first that `ask` or `deliver` raised; but for `Stopped`, which ends a thread quietly.
    """
    todo, lock = iter(entries), threading.Lock()

    def work() -> None:
        try:
            while not stop.is_set():
                with lock:
                    entry = next(todo, None)
                if entry is None:
                    return
                deliver(ask(entry))
        except Stopped:
            return
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(work) for _ in range(threads)]
        try:
            for future in running:
                future.result()
        except BaseException:
            stop.set()
            raise
