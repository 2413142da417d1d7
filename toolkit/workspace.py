"""A folder that holds one piece of work: runs, labelled samples, pictures and a policy, found again by name.

The folder can be moved or handed on: every path in its `workspace.json` is relative to it and stays inside it.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final, Protocol, Self

from toolkit import manifests, storage
from toolkit.errors import NotFound, ToolkitError, UnreadableManifest
from toolkit.results import Results, read_results
from toolkit.truth import Truth, read_truth

FILE_NAME: Final = "workspace.json"
VERSION: Final = 1


@dataclass(frozen=True)
class Run:
    """One analyzed collection: where its results manifest is, and with which settings it was made.

    `results` is a path inside the workspace; `min_confidence` the run's floor in percent.
    """

    results: str
    min_confidence: float
    job_id: str | None = None
    project_version: str | None = None


class Finished(Protocol):
    """A job, a group of jobs, or a run of `detect`."""

    @property
    def id(self) -> str | None:
        """Of the job."""

    @property
    def min_confidence(self) -> float:
        """Its floor, percent."""

    @property
    def project_version(self) -> str | None:
        """ARN of the adapter that was asked for."""

    def fetch(self, folder: str) -> list[str]:
        """Copies results and summary into a folder."""


@dataclass(frozen=True)
class Workspace:
    """What a workspace folder holds.

    Attributes
    ----------
    folder
        Where it is.
    runs
        Name to `Run`.
    truth
        Path of the labelled samples inside the folder, or None.
    images
        S3 prefix to the folder inside the workspace that holds a copy of its objects.
    """

    folder: Path
    runs: Mapping[str, Run] = field(default_factory=dict)
    truth: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)

    def save(self) -> None:
        """Writes `workspace.json`.

        Raises
        ------
        NotFound
            The folder cannot be written.
        """
        document = {
            "version": VERSION,
            "runs": {name: asdict(run) for name, run in self.runs.items()},
            "truth": self.truth,
            "images": dict(self.images),
        }
        storage.write(self.folder / FILE_NAME, (json.dumps(document, indent=2) + "\n").encode())

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Self:
        """Opens a workspace folder.

        Raises
        ------
        NotFound
            There is none.
        UnreadableManifest
            Its `workspace.json` is not one that this toolkit writes.
        """
        path = Path(folder, FILE_NAME)
        try:
            document: dict[str, Any] = json.loads(storage.read(path))
            if document["version"] != VERSION:
                raise UnreadableManifest(
                    f"{path}: version {document['version']}; this toolkit reads version {VERSION}."
                )
            runs = {name: Run(**run) for name, run in document["runs"].items()}
            return cls(Path(folder), runs, document["truth"], dict(document["images"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UnreadableManifest(f"{path}: not a workspace; run `modkit demo` to make one.") from error

    def path(self, name: str) -> Path:
        """A file of this workspace.

        Raises
        ------
        NotFound
            The name leads out of the folder, or cannot be one.
        """
        root = self.folder.resolve()
        try:
            path = (root / name).resolve()
        except (OSError, ValueError) as error:  # a name too long, or with a NUL in it
            raise NotFound(f"{name[:80]!r}: not a file name; only files inside {self.folder} are opened.") from error
        if not path.is_relative_to(root):
            raise NotFound(f"{name}: outside the workspace {self.folder}; only files inside it are opened.")
        return path

    def results(self, name: str) -> Results:
        """The results of one run. Warns as `Job.results`; raises NotFound for a run that is not here, else as
        `read_results`.
        """
        if name not in self.runs:
            raise NotFound(f"{name}: no such run in {self.folder}; there are: {', '.join(self.runs) or 'none'}.")
        run = self.runs[name]
        results = read_results(self.path(run.results), min_confidence=run.min_confidence)
        if run.project_version is not None:
            results.warn_unless_answered_by({run.project_version})
        return replace(results, floor_source="job") if run.job_id else results

    def samples(self) -> Truth | None:
        """The labelled samples, if there are any. Raises as `read_truth`."""
        return read_truth(self.path(self.truth)) if self.truth else None

    def image(self, source_ref: str) -> bytes | None:
        """The copy of an image that lies in this workspace; None if there is none.

        Raises
        ------
        NotFound
            The reference leads out of the folder, or the file may not be read.
        """
        for prefix, folder in self.images.items():
            if source_ref.startswith(prefix):
                path = self.path(folder + "/" + source_ref.removeprefix(prefix))
                if not path.is_relative_to(self.path(folder)):
                    raise NotFound(f"{source_ref}: leads out of the workspace's images.")
                return storage.read(path) if _is_file(path) else None
        return None


def keep_run(job: Finished, folder: Path, name: str = "run") -> Workspace:
    """Copies results and summary into a folder, as one run of the workspace there.

    Parameters
    ----------
    job
        A job, a group of jobs or a run of `detect` that has SUCCEEDED.
    folder
        A workspace; made where there is none yet.
    name
        Of the run, and of its subfolder; a run of that name is replaced.

    Raises
    ------
    JobFailed
        It failed, or has not ended.
    NotFound, Unreachable, RequestRefused
        Its files cannot be had, or the folder cannot be written.
    UnreadableManifest
        The folder's `workspace.json` is not one that this toolkit writes.
    """
    job.fetch(str(folder / name))
    try:
        known = Workspace.load(folder)
    except NotFound:
        known = Workspace(folder)
    run = Run(f"{name}/{manifests.RESULTS_NAME}", job.min_confidence, job.id, job.project_version)
    workspace = Workspace(folder, {**known.runs, name: run}, known.truth, known.images)
    workspace.save()
    return workspace


def runs_of(results: Sequence[str | PathLike[str]]) -> list[Run | None]:
    """What workspaces around results manifests know of them; None where one lies in none.

    Parameters
    ----------
    results
        Paths of manifests on this machine. Runs lie one or two folders below their workspace.
    """
    known: dict[Path, dict[Path, Run]] = {}
    return [_run_of(Path(one).resolve(), known) for one in results]


def _run_of(path: Path, known: dict[Path, dict[Path, Run]]) -> Run | None:
    for folder in path.parents[:3]:
        if folder not in known:
            known[folder] = {}
            if _is_file(folder / FILE_NAME):
                with suppress(ToolkitError):  # whoever reads a manifest need not hear of what is wrong beside it
                    runs = Workspace.load(folder).runs.values()
                    known[folder] = {(folder / run.results).resolve(): run for run in runs}
        if path in known[folder]:
            return known[folder][path]
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that the system does not take is no file
        return False
