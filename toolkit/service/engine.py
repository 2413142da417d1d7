"""From image references to what the network sees in them: read, decode and infer, overlapping, in input order."""

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from toolkit.service.model import MAX_IMAGE_BYTES, BadImage, FloatArray, Network, prepare
from toolkit.service.objects import ObjectError, ObjectStore, ObjectTooLarge
from toolkit.storage import split_s3

BATCH: Final = 8
"""Images that the network sees at once; on two cores larger batches are slower."""
_AHEAD: Final = 4 * BATCH
"""Prepared images that may wait for the network: 0.6 MB each, so memory does not grow with the manifest."""


class Stopped(Exception):
    """The service is being stopped; whoever is at work leaves it as it is."""


@dataclass(frozen=True)
class Seen:
    """What the network saw in one image: the probability of being explicit, and its 1024 features."""

    probability: np.float32
    features: FloatArray


class Engine:
    """The network and the threads that feed it, shared by every job of this process."""

    def __init__(self) -> None:
        self.network = Network()
        self._decoders = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="decode")
        self._stopping = threading.Event()

    def close(self) -> None:
        """Makes every `look` raise `Stopped` at its next image, and waits for the threads to end."""
        self._stopping.set()
        self._decoders.shutdown(wait=True, cancel_futures=True)

    def look(self, refs: Iterable[str], store: ObjectStore) -> Iterator[Seen | BadImage]:
        """Looks at images, batch by batch.

        Parameters
        ----------
        refs
            `s3://bucket/key`; duplicates are looked at again.
        store
            Where they are read.

        Yields
        ------
        Seen or BadImage
            One for each reference, in their order.

        Raises
        ------
        Stopped
        """
        prepared = self._prepared(refs, store)
        while chunk := list(islice(prepared, BATCH)):
            good = [item for item in chunk if not isinstance(item, BadImage)]
            seen = iter(self.see(good)) if good else iter(())
            for item in chunk:
                yield item if isinstance(item, BadImage) else next(seen)

    def see(self, prepared: list[FloatArray]) -> list[Seen]:
        """Runs the network on prepared images (at least one) as one batch."""
        probabilities, features = self.network.run(np.stack(prepared))
        return [Seen(*pair) for pair in zip(probabilities, features, strict=True)]

    def _prepared(self, refs: Iterable[str], store: ObjectStore) -> Iterator[FloatArray | BadImage]:
        waiting: deque[Future[FloatArray | BadImage]] = deque()
        coming = iter(refs)
        while True:
            for ref in islice(coming, _AHEAD - len(waiting)):
                waiting.append(self._submit(ref, store))
            if not waiting:
                return
            first = waiting.popleft()
            self._check_running()
            try:
                prepared = first.result()
            except CancelledError as error:  # the engine was closed between the check and here
                raise Stopped from error
            yield prepared

    def _submit(self, ref: str, store: ObjectStore) -> Future[FloatArray | BadImage]:
        self._check_running()
        try:
            return self._decoders.submit(_read_and_prepare, ref, store)
        except RuntimeError as error:  # so it was here
            raise Stopped from error

    def _check_running(self) -> None:
        if self._stopping.is_set():
            raise Stopped


def _read_and_prepare(ref: str, store: ObjectStore) -> FloatArray | BadImage:
    # A refusal is an answer here, not an accident: it must not end the job.
    try:
        return prepare(read_image(store, *split_s3(ref)))
    except BadImage as refusal:
        return refusal


def read_image(store: ObjectStore, bucket: str, name: str, version: str | None = None) -> bytes:
    """The bytes of an image in S3.

    Raises
    ------
    BadImage
        Not there (INVALID_S3_OBJECT) or over 15 MB (IMAGE_TOO_LARGE).
    """
    try:
        return store.read(bucket, name, version, max_bytes=MAX_IMAGE_BYTES).data
    except ObjectTooLarge as error:
        raise BadImage("IMAGE_TOO_LARGE", str(error)) from error
    except ObjectError as error:
        raise BadImage("INVALID_S3_OBJECT", str(error)) from error
