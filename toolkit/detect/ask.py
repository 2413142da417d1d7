"""Asking about one image, and again when it is worth it; then about many, a few at a time."""

import io
import random
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError
from botocore.parsers import ResponseParserError
from botocore.retries.standard import RetryContext, StandardRetryConditions
from PIL import Image

from toolkit import constraints, image_limits, manifests, storage
from toolkit.detect.rate import Rate
from toolkit.errors import NotFound
from toolkit.manifests import LineError

ATTEMPTS: Final = 12
"""Requests for one image, at most: with the pauses between them, one to two minutes."""
UNHEARD: Final = 6
"""Requests that nobody answers, before the run gives up: a few seconds."""
_BASE, _CAP = 0.2, 20.0
_PASSING: Final = StandardRetryConditions(max_attempts=2)
"""Botocore's own judgement of which errors pass; it does not ask again here, as it knows neither the run's rate nor how
to end early."""
_PARAMETER: Final = "InvalidParameterException"
"""The image's, when it is too small; everybody's, when it is the settings'."""
_ABOUT_THE_IMAGE: Final = frozenset(
    {"ImageTooLargeException", "InvalidImageFormatException", "InvalidS3ObjectException", _PARAMETER}
)
"""Errors of one image. Any other error every image would meet: the run stops, and goes on once that is mended."""
_MAY_COME: Final = "InvalidS3ObjectException"
"""Not there, or not readable: that may be another time."""
ADVICE: Final = {
    "AccessDeniedException": "ask for rekognition:DetectModerationLabels, then run the same again: it goes on",
    "ExpiredTokenException": "sign in again, then run the same again: it goes on",
    "ResourceNotFoundException": "check the adapter's ARN, and the region",
    "ResourceNotReadyException": "wait until the adapter is trained",
}
_ADVICE: Final = ADVICE | {"": "once that is mended, run the same again: it goes on"}
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Settings:
    """What every request of a run asks for. `min_confidence` in percent; None is Rekognition's 50."""

    min_confidence: float | None = None
    project_version: str | None = None

    def request(self) -> dict[str, Any]:
        """As DetectModerationLabels takes it, without the image.

        Raises
        ------
        InvalidArgument
            `min_confidence` is no number.
        """
        confidence = {} if self.min_confidence is None else {"MinConfidence": constraints.percent(self.min_confidence)}
        return confidence | ({} if self.project_version is None else {"ProjectVersion": self.project_version})


@dataclass(frozen=True)
class Entry:
    """One image to ask about: its line, counted from 1, its S3 URI or path, and the requests that it took so far."""

    line: int
    source_ref: str
    requests: int = 0


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
    """The run, or this batch of it, is ending, and an image was not asked about to the end."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry)
        self.entry = entry


class _Ending(Exception):
    """There is no time to wait."""


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
        self._answered = False
        self._trying = threading.Lock()

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
        requests = entry.requests
        try:
            while True:
                self._pause(self._rate.take())
                requests += 1
                try:
                    with storage.translated(f"asking about {entry.source_ref}", _ADVICE):
                        found = self._once(image)
                        tried = self._try_settings() if isinstance(found, LineError) and found.code == _PARAMETER else 0
                    return _outcome(entry, found, requests + tried)
                except _Again as again:
                    if requests >= (ATTEMPTS if again.code else UNHEARD):
                        return self._given_up(entry, again, requests)
                # Full jitter: anywhere between at once and twice as long as last time.
                self._pause(self._random.uniform(0, min(_CAP, _BASE * 2**requests)))
        except _Ending:
            raise Stopped(replace(entry, requests=requests)) from None

    def _once(self, image: dict[str, Any]) -> dict[str, Any] | LineError:
        """The answer, or why this image has none. Raises as `_answer`."""
        try:
            return self._answer(image)
        except ClientError as error:
            code = _code(error)
            if code not in _ABOUT_THE_IMAGE:
                raise
            return LineError(0, code, str(error.response["Error"].get("Message", "")))

    def _answer(self, image: dict[str, Any]) -> dict[str, Any]:
        """One request, and the answer to it. Raises _Again, or what boto3 raises."""
        try:
            answer = answer_of(self._client.detect_moderation_labels(Image=image, **self._request))
        except ClientError as error:
            if self._passes(error):
                self._rate.refused()
                raise _Again(_code(error), error) from error
            self._rate.served()
            raise
        # Nobody answers, or somebody who is not AWS, or half an answer came.
        except (ConnectionError, HTTPClientError, ResponseParserError, KeyError) as error:
            self._rate.refused()
            raise _Again("", error) from error
        self._rate.served()
        self._answered = True
        return answer

    def _passes(self, error: ClientError) -> bool:
        """Whether it is worth asking again."""
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        # What stands between may answer with any of these, and with codes of its own.
        if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return True
        operation = self._client.meta.service_model.operation_model("DetectModerationLabels")
        response = SimpleNamespace(status_code=status)
        return bool(_PASSING.is_retryable(RetryContext(1, operation, error.response, response)))

    def _try_settings(self) -> int:
        """Asks about a picture that is right, unless some image was answered: refused, it is no image's fault.

        Returns the requests that it took. Raises as `_answer`.
        """
        with self._trying:
            if self._answered:
                return 0
            self._pause(self._rate.take())
            self._answer({"Bytes": _right_picture()})
            return 1

    def _given_up(self, entry: Entry, again: "_Again", requests: int) -> Outcome:
        if not again.code:  # nobody answers: neither this image nor any other
            with storage.translated(f"asking about {entry.source_ref}"):
                raise again.error
        message = f"no answer in {ATTEMPTS} requests; run the same again to ask once more."
        return _failed(entry, _snake(again.code), message, final=False, requests=requests)

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds) if seconds > 0 else self._stop.is_set():
            raise _Ending


class _Again(Exception):
    """A request that is worth repeating; `code` is empty where nobody answered."""

    def __init__(self, code: str, error: Exception) -> None:
        super().__init__(code)
        self.code = code
        self.error = error


def answer_of(response: dict[str, Any]) -> dict[str, Any]:
    """An answer of DetectModerationLabels, as results manifests hold it.

    Botocore makes an empty one of whatever it cannot read, such as a web page or half an answer.

    Raises
    ------
    KeyError
        What every answer has is not there.
    """
    for name in ("ModerationLabels", "ModerationModelVersion"):
        if response.get(name) is None:
            raise KeyError(name)
    return {name: value for name, value in response.items() if name != "ResponseMetadata"}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _right_picture() -> bytes:
    """An image that is within all limits."""
    out = io.BytesIO()
    Image.new("RGB", (256, 256), "white").save(out, "PNG")
    return out.getvalue()


def _image(source_ref: str) -> dict[str, Any] | LineError:
    """An image as a request takes it: a place in S3, or the bytes of a file. Raises NotFound."""
    if storage.is_s3(source_ref):
        bucket, key = storage.split_s3(source_ref)
        image: dict[str, Any] = {"S3Object": {"Bucket": bucket, "Name": key}}
        try:  # botocore would refuse it as it refuses wrong settings, which end the run: this is one image's fault
            constraints.check_request("DetectModerationLabels", {"Image": image})
        except constraints.ConstraintBroken as error:
            return LineError(0, "INVALID_S3_OBJECT", str(error))
        return image
    data = storage.read(source_ref)
    problem = image_limits.size_problem(len(data), image_limits.MAX_REQUEST_BYTES)
    return {"Bytes": data} if problem is None else LineError(0, *problem)


def _outcome(entry: Entry, found: dict[str, Any] | LineError, requests: int) -> Outcome:
    if isinstance(found, LineError):
        final = found.code != _MAY_COME
        return _failed(entry, _snake(found.code), found.message, final=final, requests=requests)
    line = manifests.to_line({"source-ref": entry.source_ref, manifests.RESULT_KEY: found})
    return Outcome(entry, line, requests=requests)


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
) -> list[Entry]:  # fmt: skip
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
        Set when one thread failed, the caller was interrupted, or there is no more time: all then end soon.

    Returns
    -------
    list of Entry
        Those that were not asked about to the end.

    Raises
    ------
    Exception
        The first that `ask` or `deliver` raised; but for `Stopped`, which ends a thread quietly.
    """
    todo, lock, left = iter(entries), threading.Lock(), list[Entry]()

    def work() -> None:
        try:
            while not stop.is_set():
                with lock:
                    entry = next(todo, None)
                if entry is None:
                    return
                deliver(ask(entry))
        except Stopped as stopped:
            left.append(stopped.entry)
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
    return [*left, *todo]
