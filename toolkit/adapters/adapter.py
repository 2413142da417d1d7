"""One custom moderation model: found, waited for, deleted."""

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Final

import boto3
from rich.console import Console
from rich.text import Text

from toolkit import checks, manifests, storage
from toolkit.errors import JobFailed, NotFound, TimedOut

ADVICE: Final = {
    "ResourceInUseException": "wait until its training has ended, or give another version name",
    "ResourceNotFoundException": "check the ARN, and the region (`modkit adapter list`)",
    "LimitExceededException": "wait until a running training has ended, or delete an adapter",
    "AccessDeniedException": "ask for the permission, or use another profile",
    "InvalidS3ObjectException": "check the manifest's bucket, key and region",
    "ThrottlingException": "wait a moment and try again",
}
USABLE: Final = frozenset({"TRAINING_COMPLETED", "DEPRECATED"})
"""Statuses in which an adapter answers. An EXPIRED one is silently ignored by AWS."""


@dataclass(repr=False)
class Adapter:
    """One trained (or training) version of a custom moderation model.

    Attributes
    ----------
    project_arn, arn
        Of the project, and of the version: the latter is what a job takes as `project_version`.
    description
        The service's own answer (DescribeProjectVersions), as boto3 gives it.
    """

    session: boto3.Session
    project_arn: str
    arn: str
    description: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of its project."""
        return self.arn.partition(":project/")[2].partition("/")[0]

    @property
    def version(self) -> str:
        """Its version's name."""
        return self.arn.partition("/version/")[2].partition("/")[0]

    @property
    def status(self) -> str:
        """TRAINING_IN_PROGRESS, TRAINING_COMPLETED, TRAINING_FAILED, DEPRECATED, EXPIRED, …"""
        return str(self.description.get("Status", "TRAINING_IN_PROGRESS"))

    @property
    def f1(self) -> float | None:
        """F1 score on the test images, 0–1, as the service tells it."""
        score = self.description.get("EvaluationResult", {}).get("F1Score")
        return None if score is None else float(score)

    def __repr__(self) -> str:
        score = "" if self.f1 is None else f", F1 {self.f1:.3f} on its test images"
        return f"Adapter({self.arn}: {self.status}{score})"

    def refresh(self) -> "Adapter":
        """Asks the service again; the adapter itself comes back.

        Raises
        ------
        JobFailed
            The version is not there any more.
        Unreachable, RequestRefused
        """
        name = self.arn.split("/version/")[1].split("/")[0]
        with storage.translated(f"adapter {self.arn}"):
            client: Any = self.session.client("rekognition")
            answer = client.describe_project_versions(ProjectArn=self.project_arn, VersionNames=[name])
        found = [v for v in answer["ProjectVersionDescriptions"] if v["ProjectVersionArn"] == self.arn]
        if not found:
            raise JobFailed(f"adapter {self.arn} is not there any more; train it again.")
        self.description = found[0]
        return self

    def wait(self, timeout: float | None = None, progress: bool = True) -> "Adapter":
        """Waits until the training has ended. Ctrl-C ends the waiting, not the training, and says how to come back.

        Parameters
        ----------
        timeout
            Seconds; None waits for as long as it takes.
        progress
            Whether to draw a spinner on stderr.

        Raises
        ------
        JobFailed
            The training failed; the message is the service's.
        InvalidArgument
            `timeout` is no number of seconds.
        TimedOut, Unreachable, RequestRefused
        """
        if timeout is not None:
            checks.within("timeout", timeout, 0, math.inf)
        console = Console(stderr=True, quiet=not progress)
        ends = None if timeout is None else time.monotonic() + timeout
        pause = 0.2
        try:
            with console.status(f"training {self.name}"):
                while self.refresh().status == "TRAINING_IN_PROGRESS":
                    if ends is not None and time.monotonic() > ends:
                        raise TimedOut(
                            f"adapter {self.arn} still trains after {timeout:g} s; it goes on: ask for it again."
                        )
                    threading.Event().wait(pause)
                    pause = min(pause * 1.2, 30.0)
        except KeyboardInterrupt:
            which = f"{self.name}/{self.version}"
            said = f"interrupted; {which} goes on training. `modkit adapter wait {which}` waits for it."
            Console(stderr=True).print(Text(said), soft_wrap=True)
            raise
        if self.status not in USABLE:
            message = str(self.description.get("StatusMessage", "no reason was given")).rstrip(".")
            raise JobFailed(f"training of {self.arn} ended as {self.status}: {message}.", self.status)
        return self

    @property
    def evaluation_uri(self) -> str | None:
        """Where its evaluation is, once it is trained."""
        place = self.description.get("EvaluationResult", {}).get("Summary", {}).get("S3Object")
        return f"s3://{place['Bucket']}/{place['Name']}" if place else None

    def evaluation(self) -> manifests.Evaluation:
        """What its training says of it, at thresholds from 5 to 100.

        Raises
        ------
        JobFailed
            It is not trained.
        NotFound, Unreachable, RequestRefused, UnreadableManifest
        """
        if self.evaluation_uri is None:
            raise JobFailed(f"adapter {self.arn} is {self.status}: it has no evaluation; wait until it is trained.")
        return read_evaluation(self.evaluation_uri, session=self.session)

    def delete(self) -> None:
        """Deletes this version; its project stays. There is no way back.

        Raises
        ------
        RequestRefused
            It is being trained.
        Unreachable
        """
        with storage.translated(f"deleting adapter {self.arn}", ADVICE):
            client: Any = self.session.client("rekognition")
            client.delete_project_version(ProjectVersionArn=self.arn)


def list_adapters(session: boto3.Session | None = None) -> Iterator[Adapter]:
    """The custom moderation adapters of an account, newest project first.

    Parameters
    ----------
    session
        None is boto3's default.

    Raises
    ------
    Unreachable, RequestRefused
    """
    session = session or storage.connect()
    for project in _projects(session):
        yield from _versions(project, session)


def find_adapter(name: str, *, session: boto3.Session | None = None) -> Adapter:
    """The adapter of that name.

    Parameters
    ----------
    name
        Of its project, which takes the newest version that can be used; or `project/version`, or the version's ARN.
    session
        None is boto3's default.

    Raises
    ------
    NotFound
        There is none, or it cannot be used: it still trains, failed, or has expired.
    Unreachable, RequestRefused
    """
    project, _, version = name.partition("/")
    known = list(list_adapters(session))
    named = [a for a in known if name == a.arn or (a.name == project and version in ("", a.version))]
    usable = [adapter for adapter in named if adapter.status in USABLE]
    if usable:
        return max(usable, key=lambda adapter: adapter.arn.rpartition("/")[2])  # ends with the time of its making
    if named:
        raise NotFound(f"{name}: {named[0].status}, so it cannot be used; `modkit adapter list` shows which can.")
    names = ", ".join(dict.fromkeys(adapter.name for adapter in known)) or "none"
    raise NotFound(f"{name}: no such adapter in this account and region; there are: {names}.")


def delete_project(name: str, *, session: boto3.Session | None = None, timeout: float = 120) -> int:
    """Deletes a project with all its versions. There is no way back.

    Parameters
    ----------
    name
        Of the project.
    session
        None is boto3's default.
    timeout
        Seconds to wait until the service has deleted the versions.

    Returns
    -------
    int
        How many versions it had.

    Raises
    ------
    NotFound
        There is no such project.
    TimedOut, Unreachable, RequestRefused
    """
    session = session or storage.connect()
    project = project_of(name, session)
    if project is None:
        raise NotFound(f"{name}: no such adapter in this account and region; `modkit adapter list` shows them.")
    versions = _versions(project, session)
    for version in versions:
        if version.status != "DELETING":
            version.delete()
    ends = time.monotonic() + timeout
    while _versions(project, session):
        if time.monotonic() > ends:
            raise TimedOut(f"{name}: its versions are still being deleted; delete it again in a minute.")
        threading.Event().wait(1)
    with storage.translated(f"deleting project {name}", ADVICE):
        client: Any = session.client("rekognition")
        client.delete_project(ProjectArn=project)
    return len(versions)


def project_of(name: str, session: boto3.Session) -> str | None:
    """ARN of the content moderation project of that name; None where there is none. Raises as `list_adapters`."""
    return next((arn for arn in _projects(session) if arn.partition(":project/")[2].partition("/")[0] == name), None)


def _projects(session: boto3.Session) -> Iterator[str]:
    with storage.translated("listing adapters", ADVICE):
        client: Any = session.client("rekognition")
        pages = client.get_paginator("describe_projects").paginate(Features=["CONTENT_MODERATION"])
        yield from (found["ProjectArn"] for page in pages for found in page["ProjectDescriptions"])


def _versions(project: str, session: boto3.Session) -> list[Adapter]:
    with storage.translated("listing adapters", ADVICE):
        client: Any = session.client("rekognition")
        pages = client.get_paginator("describe_project_versions").paginate(ProjectArn=project)
        found = pages.search("ProjectVersionDescriptions[]")
        return [Adapter(session, project, one["ProjectVersionArn"], one) for one in found]


def read_evaluation(source: str | PathLike[str], *, session: storage.Session | None = None) -> manifests.Evaluation:
    """What a training says of its adapter, at thresholds from 5 to 100.

    Parameters
    ----------
    source
        Path or S3 URI of the JSON document, as `EvaluationResult.Summary` names it.
    session
        For S3; None is boto3's default.

    Returns
    -------
    Evaluation
        `table()` has one row a threshold and label.

    Raises
    ------
    NotFound, Unreachable, RequestRefused
    UnreadableManifest
        Not such a document.
    """
    return manifests.parse_evaluation(storage.read(source, session=session), str(source))
