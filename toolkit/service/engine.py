"""From image references to what the network sees in them: read, decode and infer, on every core, in input order."""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from toolkit import image_limits
from toolkit.service.folder import is_out_of_files
from toolkit.service.model import BadImage, FloatArray, Network, prepare
from toolkit.service.objects import ObjectError, ObjectStore, ObjectTooLarge
from toolkit.storage import split_s3

if TYPE_CHECKING:
    from toolkit.service.cluster import Cluster

BATCH: Final = 8
"""Images that the network sees at once; larger batches are slower."""

RETRY_SECONDS: Final = 2.0
"""How long work waits that could not go on because too many files were open."""
_POLL: Final = 1.0
"""Seconds between two looks at whether there is still something to wait for."""


_log: Final = logging.getLogger(__name__)


class Stopped(Exception):
    """The service is being stopped; whoever is at work leaves it as it is."""


class Lost(Exception):
    """The machines that look have gone; the message is a sentence."""


@dataclass(frozen=True)
class Seen:
    """What the network saw in one image: the probability of being explicit, and its 1024 features."""

    probability: np.float32
    features: FloatArray


Looked = Seen | BadImage
Read = Callable[[], bytes]
"""Gives the bytes of an image, or raises BadImage."""


def look_at(network: Network, images: Sequence[Read]) -> list[Looked]:
    """Looks at the images of one batch.

    Parameters
    ----------
    network
        Sees them all at once.
    images
        Read one after the other, in this thread.

    Returns
    -------
    list of Seen or BadImage
        One for each image, in their order.
    """
    looked: dict[int, Looked] = {}
    prepared: dict[int, FloatArray] = {}
    for place, read in enumerate(images):
        try:
            prepared[place] = prepare(read())
        except BadImage as refusal:
            looked[place] = refusal  # an answer here, not an accident: it must not end the job
    if prepared:
        probabilities, features = network.run(np.stack(list(prepared.values())))
        looked |= zip(prepared, map(Seen, probabilities, features), strict=True)
    return [looked[place] for place in range(len(images))]


class Engine:
    """The network and the threads that look, shared by every job of this process.

    Each thread takes a batch from its bytes to the network's answer; onnxruntime adds no threads of its own. Jobs that
    run at once have equally many batches waiting, so they share the threads equally.

    Parameters
    ----------
    cluster
        Where batches are looked at instead; single images still are here.
    """

    def __init__(self, cluster: "Cluster | None" = None) -> None:
        self._network = Network()
        self._cluster = cluster
        self._cores = os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(self._cores, thread_name_prefix="look")
        self._single = threading.Semaphore(self._cores)
        self._stopping = threading.Event()

    def close(self) -> None:
        """Makes every `look` raise `Stopped` at its next image, and waits for the threads to end."""
        self._stopping.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._cluster:
            self._cluster.close()

    def look(self, refs: Iterable[str], store: ObjectStore) -> Iterator[Looked]:
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
        Stopped, Lost
        """
        coming = iter(refs)
        waiting: deque[Future[list[Looked]]] = deque()
        while True:
            ahead = 2 * (self._cluster.threads if self._cluster else self._cores)
            while len(waiting) < ahead and (batch := list(islice(coming, BATCH))):
                waiting.append(self._submit([self._reader(ref, store) for ref in batch]))
            if not waiting:
                return
            yield from self._answer(waiting.popleft())

    def look_once(self, data: bytes) -> Seen:
        """Looks at one image in this thread, beside the batches of jobs; as many at once as there are cores.

        Raises
        ------
        BadImage
        """
        with self._single:  # a decoded image takes up to a thousand times the memory of its file
            (looked,) = look_at(self._network, [lambda: data])
        if isinstance(looked, BadImage):
            raise looked
        return looked

    def retrying(self, work: Callable[[], None]) -> None:
        """Does work that may be begun again, and again while too many files are open, which is nothing final.

        Raises
        ------
        Stopped
            As well as what the work raises.
        """
        while True:
            try:
                return work()
            except OSError as error:
                if not is_out_of_files(error):
                    raise
                _log.warning("%s; tried again in %g seconds", error, RETRY_SECONDS)
            if self._stopping.wait(RETRY_SECONDS):
                raise Stopped

    def _submit(self, batch: list[Read]) -> Future[list[Looked]]:
        if self._cluster:
            return self._cluster.submit(batch)
        try:
            return self._threads.submit(look_at, self._network, batch)
        except RuntimeError as error:  # the engine was closed
            raise Stopped from error

    def _answer(self, future: Future[list[Looked]]) -> list[Looked]:
        while not wait([future], timeout=_POLL).done:
            if self._stopping.is_set():
                raise Stopped
            if self._cluster:
                self._cluster.check()
        try:
            return future.result()
        except Exception as error:
            if self._stopping.is_set():
                raise Stopped from error
            if self._cluster:
                raise self._cluster.lost(error) from error
            raise

    def _reader(self, ref: str, store: ObjectStore) -> Read:
        def read() -> bytes:
            if self._stopping.is_set():
                raise Stopped
            return read_image(store, *split_s3(ref))

        return read


def read_image(store: ObjectStore, bucket: str, name: str, version: str | None = None) -> bytes:
    """The bytes of an image in S3.

    Raises
    ------
    BadImage
        Not there (INVALID_S3_OBJECT) or over 15 MB (IMAGE_TOO_LARGE).
    """
    try:
        return store.read(bucket, name, version, max_bytes=image_limits.MAX_BYTES).data
    except ObjectTooLarge as error:
        raise BadImage("IMAGE_TOO_LARGE", str(error)) from error
    except ObjectError as error:
        raise BadImage("INVALID_S3_OBJECT", str(error)) from error
