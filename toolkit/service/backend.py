"""Everything behind the operations: the memory on disk, the engine, and the threads that jobs run in."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from toolkit import taxonomy
from toolkit.errors import Unreachable
from toolkit.service import stores
from toolkit.service.adapter import AdapterShelf
from toolkit.service.caller import Caller, require_place
from toolkit.service.disk import Disk
from toolkit.service.engine import Engine, read_image
from toolkit.service.faults import Fault, ImageTooLarge, InvalidImageFormat, InvalidParameter, InvalidS3Object
from toolkit.service.folder import kept_in, refused
from toolkit.service.jobs import Jobs
from toolkit.service.limits import Limits, Throttle
from toolkit.service.model import BadImage
from toolkit.service.moderation import DEFAULT_MIN_CONFIDENCE, confidences, reported
from toolkit.service.objects import ObjectStore
from toolkit.service.paging import Pager
from toolkit.service.projects import Projects
from toolkit.service.regions import isolate_moto
from toolkit.service.state import State

if TYPE_CHECKING:
    from toolkit.service.cluster import Cluster

_REFUSED_IMAGE: Final[dict[str, type[Fault]]] = {
    "INVALID_IMAGE_FORMAT": InvalidImageFormat,
    "IMAGE_TOO_LARGE": ImageTooLarge,
    "IMAGE_TOO_SMALL": InvalidParameter,
    "INVALID_S3_OBJECT": InvalidS3Object,
}


class Backend:
    """The service without its HTTP side.

    Parameters
    ----------
    directory
        Where `service.sqlite`, `adapters/`, `jobs/`, `objects.sqlite`, `objects/` and `kms.json` lie; made where it
        does not exist. One service at a time uses it.
    workers
        Jobs and trainings that run at once.
    limits
        What an account may ask for.
    scheduler
        Address of a Dask scheduler whose workers look at the images; None looks at them here.

    Raises
    ------
    Unreachable
        The disk is full, the folder cannot be written, another service uses it, a file in it is damaged, or no
        scheduler answers.
    """

    def __init__(self, directory: Path, workers: int, limits: Limits, scheduler: str | None) -> None:
        isolate_moto()
        with ExitStack() as undo:
            try:
                directory.mkdir(parents=True, exist_ok=True)
                self._lock = _lock(directory)
                undo.callback(self._lock.close)
                with kept_in(directory / "service.sqlite"):
                    self.state = State(directory / "service.sqlite")
                    undo.callback(self.state.close)
                    pager = Pager(self.state.secret("paging"))
                with kept_in(directory / "objects.sqlite"):
                    self.disk = Disk(directory)
                    undo.callback(self.disk.close)
                    undo.callback(stores.unload, self.disk)  # of what was loaded, if not all can be
                    stores.load(self.disk)
                shelf = AdapterShelf(self.state, directory / "adapters")
            except (OSError, sqlite3.Error) as error:
                raise refused(directory, error) from error
            except stores.BucketTaken as error:
                raise Unreachable(f"{directory}: {error}") from error
            self.engine = Engine(_cluster(scheduler) if scheduler else None)
            self._shelf = shelf
            self._executor = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="job")
            self.jobs = Jobs(
                directory / "jobs", self.state, self.disk, self.engine, shelf, pager, self._executor, limits
            )
            self.projects = Projects(self.state, self.disk, self.engine, shelf, pager, self._executor)
            self.throttle = Throttle(limits.tps)
            with kept_in(directory / "service.sqlite"):
                self.projects.resume()
                self.jobs.resume()
            undo.pop_all()

    def close(self) -> None:
        """Stops the jobs that run (the next start goes on with them) and closes the files."""
        self.engine.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
        stores.unload(self.disk)
        self.disk.close()
        self.state.close()
        self._lock.close()

    def detect(self, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
        """DetectModerationLabels: one image, answered at once.

        Returns
        -------
        dict
            The response.

        Raises
        ------
        InvalidParameter, ImageTooLarge, InvalidImageFormat, InvalidS3Object, ResourceNotFound, ResourceNotReady
        """
        if request.get("HumanLoopConfig"):
            raise InvalidParameter("HumanLoopConfig: human review (Amazon A2I) is not offered here; leave it out.")
        image = request["Image"]
        if ("Bytes" in image) == ("S3Object" in image):
            raise InvalidParameter("Image: give either Bytes or S3Object.")
        adapter = self._shelf.choose(caller.account, caller.region, request.get("ProjectVersion"))
        try:
            if "Bytes" in image:
                data = image["Bytes"]
            else:
                place = require_place(image["S3Object"], "Image.S3Object")
                store = ObjectStore(self.disk, caller.account, caller.region)
                data = read_image(store, place["Bucket"], place["Name"], place.get("Version"))
            seen = self.engine.look_once(data)
        except BadImage as refusal:
            raise _REFUSED_IMAGE[refusal.code](f"Image: {refusal.message}") from refusal
        scores = confidences([seen], adapter)[0]
        labels = reported(scores, request.get("MinConfidence", DEFAULT_MIN_CONFIDENCE))
        answer: dict[str, Any] = {
            "ModerationLabels": [label.record() for label in labels],
            "ModerationModelVersion": taxonomy.MODEL_VERSION,
            "ContentTypes": [],  # this model cannot tell a drawing from a photo
        }
        return answer | ({"ProjectVersion": request["ProjectVersion"]} if adapter else {})


def _cluster(scheduler: str) -> "Cluster":
    from toolkit.service.cluster import Cluster  # Dask takes a second to load, and most services go without

    return Cluster(scheduler)


def _lock(directory: Path) -> sqlite3.Connection:
    """Keeps a second service out of the folder: it would run the first one's jobs a second time.

    SQLite's own lock works on every system, and goes away with the process that held it.
    """
    lock = sqlite3.connect(directory / "service.lock", check_same_thread=False, isolation_level=None, timeout=0)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:  # a full disk, say
            raise
        raise Unreachable(f"{directory}: another service uses this folder; stop it, or name another one.") from error
    return lock
