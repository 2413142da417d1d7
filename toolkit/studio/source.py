"""What can be opened, and opening it: runs of a workspace, manifests that the user named, labelled samples.

Everything read is kept until its file changes. What users name in a form is remembered in the project's folder, or for
as long as the studio runs where there is none, so that a reload, or a second tab, shows the same; addresses never name
files, only what was opened before.
"""

import re
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import streamlit as st

from toolkit import storage, taxonomy
from toolkit.errors import NotFound, ToolkitError
from toolkit.manifests import RESULTS_NAME, SUMMARY_NAME
from toolkit.results import Results, list_manifests, read_results
from toolkit.service import ServiceProcess
from toolkit.truth import Truth, read_truth
from toolkit.workspace import FILE_NAME, Workspace

DEMO: Final = "modkit-demo"
NOT_OPEN: Final = "is not open here; open it again on the Runs page"
"""What is said of a run that an address names."""
_HASH: Final = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24,}\b")
"""Of a job's id, eight digits are enough for people."""

Stamp = tuple[tuple[int, int], ...]
"""When files were last changed and how large they were; what was read from them is good until this changes."""


@dataclass(frozen=True)
class Connection:
    """Where Rekognition and S3 are reached: an endpoint, or AWS (None) by a profile and in a region."""

    endpoint: str | None = None
    profile: str | None = None
    region: str | None = None

    @property
    def local(self) -> bool:
        """Whether it is a service on this machine, which costs nothing."""
        return self.endpoint is not None and storage.is_local(session(self))


@dataclass(frozen=True)
class Source:
    """A results manifest that can be opened.

    Attributes
    ----------
    name
        What to call it; for a manifest that the user named, its path or URI.
    results
        Path or S3 URI.
    min_confidence
        The run's floor in percent; None takes the smallest confidence seen.
    adapter
        ARN of the project version that the run asked for; None for the base model, or where that is not known.
    connection
        Where S3 is reached.
    s3
        Whether pictures may be fetched from S3 when the workspace holds no copy.
    opened
        Counts how often the user opened it: what lies in S3 is read again then.
    """

    name: str
    results: str
    min_confidence: float | None = None
    adapter: str | None = None
    connection: Connection = Connection()
    s3: bool = False
    opened: int = 0


@dataclass(frozen=True)
class Samples:
    """Labelled samples: what to call them, and where they are (path or S3 URI)."""

    name: str
    location: str
    connection: Connection = Connection()
    opened: int = 0


@dataclass
class Desk:
    """What users of this process have opened: manifests by name, samples instead of the workspace's, a connection.

    `aws` says whether somebody chose AWS for it: it is where boto3 goes when nobody chose anything. `given` is the
    endpoint of the command line, `home` the folder that it names, or the one that the studio was started in. `served`
    is the address of the local service that this project had last. `folder` is the project that all this is kept in
    (`project.py`), `kept` what its file says, and `notice` what is wrong with that file.
    """

    sources: dict[str, Source] = field(default_factory=dict)
    samples: Samples | None = None
    connection: Connection = Connection()
    aws: bool = False
    given: Connection | None = None
    home: Path = Path()
    service: ServiceProcess | None = None
    served: str | None = None
    folder: Path | None = None
    kept: dict[str, Any] = field(default_factory=dict)
    notice: str | None = None
    uploads: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)

    @property
    def chosen(self) -> bool:
        """Whether somebody said where requests go; until then nothing is sent anywhere unasked."""
        return self.aws or self.connection != Connection()

    @property
    def own(self) -> Path:
        """Where uploaded files are kept: in the project, else in a folder that is gone when the studio ends."""
        return (self.folder or Path(self.uploads.name)) / "uploads"

    def serve(self, endpoint_url: str) -> None:
        """Has all that was at the project's local service be reached at its new address."""
        gone, now = Connection(self.served), Connection(endpoint_url)
        if self.served is not None:
            for name, run in self.sources.items():
                self.sources[name] = replace(run, connection=now) if run.connection == gone else run
            if self.samples is not None and self.samples.connection == gone:
                self.samples = replace(self.samples, connection=now)
        self.served = endpoint_url


@dataclass(frozen=True)
class View:
    """What a page shows: one run and one label, loaded.

    Attributes
    ----------
    source, results
        The run.
    samples, truth
        Labelled samples; None where there are none, or where they cannot be read.
    label
        The moderation label under the eyes.
    workspace
        Holds copies of pictures; None where none is open.
    runs
        Everything that can be opened, this one too, in the sidebar's order.
    """

    source: Source
    results: Results
    samples: Samples | None
    truth: Truth | None
    label: str
    workspace: Workspace | None
    runs: tuple[Source, ...]


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """The one desk of this process."""
    return Desk()


def find_workspace(given: str | None, here: Path) -> Workspace | None:
    """The workspace to open.

    Parameters
    ----------
    given
        Its folder, if the user named one.
    here
        Where to look otherwise: its `modkit-demo`, then itself, then the subfolder whose workspace changed last.

    Returns
    -------
    Workspace or None
        None where there is none yet: a project can be started there.

    Raises
    ------
    NotFound, UnreadableManifest
        It cannot be read.
    """
    if given is not None:
        return Workspace.load(given) if Path(given, FILE_NAME).is_file() else None
    below = sorted(here.glob(f"*/{FILE_NAME}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in (here / DEMO / FILE_NAME, here / FILE_NAME, *below):
        if path.is_file():
            return Workspace.load(path.parent)
    return None


def sources(workspace: Workspace | None, endpoint: str | None) -> dict[str, Source]:
    """Everything that can be opened, by name: the workspace's runs first."""
    runs = workspace.runs.items() if workspace else ()
    found = {
        name: Source(
            name,
            str(workspace.path(run.results)),
            run.min_confidence,
            run.project_version,
            Connection(endpoint),
            s3=endpoint is not None,
        )
        for name, run in runs
        if workspace
    }
    return found | desk().sources


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Each name's telling part: of paths and URIs the end, as much of it as tells them apart.

    >>> short_names(["base", "/cards/may/base/results.jsonl", "s3://bucket/june/base/results.jsonl"]).values()
    dict_values(['base', '…/may/base', '…/june/base'])
    """
    parts = {name: _parts(name) for name in names}

    def end(name: str, count: int) -> str:
        return "/".join(["…", *parts[name][-count:]]) if count < len(parts[name]) else name

    def short(name: str) -> str:
        counts = range(2, len(parts[name]))
        return next((end(name, n) for n in counts if [end(each, n) for each in parts].count(end(name, n)) == 1), name)

    return {name: short(name) for name in parts}


def _parts(name: str) -> list[str]:
    if not (storage.is_s3(name) or Path(name).is_absolute() or name.endswith(RESULTS_NAME)):
        return [name]
    return [_HASH.sub(r"\1…", part) for part in name.removesuffix(f"/{RESULTS_NAME}").split("/")]


def adapter_name(arn: str) -> str:
    """Project and version of an adapter's ARN, which are what people called it.

    >>> adapter_name("arn:aws:rekognition:eu-west-1:123456789012:project/cards/version/two/1700000000000")
    'cards/two'
    """
    project, _, version = arn.partition(":project/")[2].partition("/version/")
    return f"{project}/{version.partition('/')[0]}" if version else arn


def load(source: Source) -> Results:
    """Its results. Raises as `read_results`."""
    return _load(source, stamp(source))


@st.cache_resource(max_entries=8, show_spinner="Reading the results …")
def _load(source: Source, stamp: Stamp) -> Results:  # noqa: ARG001  (part of the cache's key)
    results = read_results(source.results, min_confidence=source.min_confidence, session=session(source.connection))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the sidebar says which model answered
        return results.to_taxonomy(taxonomy.MODEL_VERSION)


def samples_of(workspace: Workspace | None) -> Samples | None:
    """The labelled samples in use: those that the user named, else the workspace's; None without any."""
    named = desk().samples
    if named is None and workspace is not None and workspace.truth is not None:
        return Samples(workspace.truth, str(workspace.path(workspace.truth)))
    return named


def load_samples(samples: Samples) -> Truth:
    """What people said. Raises as `read_truth`."""
    try:
        return _load_samples(samples, stamp(samples))
    except ToolkitError as error:
        # An upload lies under a name of ours; the user knows it by another.
        raise type(error)(str(error).replace(samples.location, samples.name)) from error


@st.cache_resource(max_entries=8, show_spinner="Reading the labelled samples …")
def _load_samples(samples: Samples, stamp: Stamp) -> Truth:  # noqa: ARG001  (part of the cache's key)
    return read_truth(samples.location, session=session(samples.connection))


def keep_upload(name: str, data: bytes) -> Samples:
    """Uploaded samples as a file of the project, under a safe name."""
    suffix = Path(name).suffix.lower()
    safe = sha256(data).hexdigest()[:16] + (suffix if suffix in {".csv", ".parquet"} else ".jsonl")
    path = desk().own / "samples" / safe
    storage.write(path, data)
    return Samples(name, str(path))


def labels(results: Results, truth: Truth | None) -> list[str]:
    """Labels to speak of: those that people found and the run reported, the most frequent first, then the others."""
    reported = results.label_names()
    found = truth.present_labels if truth else []
    judged = truth.labels if truth else []
    first = [label for label in found if label in reported]
    return list(dict.fromkeys([*first, *reported, *found, *judged]))


def every_label(results: Results, truth: Truth | None) -> list[str]:
    """Labels to choose from; those that nobody has found yet come last, for who labels the first images of one."""
    return list(dict.fromkeys([*labels(results, truth), *taxonomy.PARENTS]))


def session(connection: Connection) -> storage.Session:
    """For requests there. Raises as `storage.connect`."""
    return storage.connect(connection.endpoint, region_name=connection.region, profile_name=connection.profile)


def connection_of(source: Source) -> Connection | None:
    """Where to ask the model of a run: where the run is from, else where a user connected to; None where nobody did."""
    if source.connection != Connection() or storage.is_s3(source.results):
        return source.connection
    return desk().connection if desk().chosen else None


def set_aside(path: Path) -> str:
    """Gives a file that cannot be read another name beside its own (`policy-1.json`), and says which.

    Raises
    ------
    NotFound
        It cannot be renamed.
    """
    number = 1
    while (aside := path.with_name(f"{path.stem}-{number}{path.suffix}")).exists():
        number += 1
    try:
        path.rename(aside)
    except OSError as error:
        raise NotFound(f"{path}: cannot be read, nor set aside ({error.strerror}); move it away.") from error
    return aside.name


def in_words(error: ToolkitError) -> str:
    """An error for people in front of the studio, who have fields where the command line has options."""
    if isinstance(error, storage.NoRegion):
        return "No AWS region is configured: write one, such as eu-west-1, under Connection on the Runs page."
    return str(error)


def stamp(of: Source | Samples) -> Stamp:
    """Changes when one of its files does; what lies in S3 is good until it is opened again."""
    if isinstance(of, Samples):
        return _stamp(of.location)
    if storage.is_s3(of.results):
        return ()
    files = list_manifests(of.results)  # a folder or a glob may hold more of them than the last time
    return _stamp(*files, *(Path(file).with_name(SUMMARY_NAME) for file in files))


def _stamp(*files: str | Path) -> Stamp:
    found = [Path(file).stat() for file in files if not storage.is_s3(str(file)) and Path(file).is_file()]
    return tuple((status.st_mtime_ns, status.st_size) for status in found)
