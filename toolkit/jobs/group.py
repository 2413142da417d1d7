"""The jobs that together analyze one collection, and the file by which they are found again."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Final, Self

import boto3

from toolkit import manifests, storage
from toolkit.errors import JobFailed, NotFound, UnreadableManifest
from toolkit.jobs.job import DEFAULT_MIN_CONFIDENCE, Job, results_of
from toolkit.jobs.request import JobSettings
from toolkit.jobs.waiting import wait_for
from toolkit.manifests import LineError, Summary
from toolkit.results import Results

FILE_NAME: Final = "group.json"
_VERSION: Final = 1


@dataclass(frozen=True)
class Part:
    """One input manifest of a group, and the job that analyzes it, once there is one.

    `attempt` counts from 1; another one takes another token.
    """

    manifest: str
    images: int
    job_id: str | None = None
    attempt: int = 1


@dataclass(frozen=True)
class Plan:
    """What `group.json` holds: everything that it takes to go on from anywhere.

    Attributes
    ----------
    folder
        `s3://bucket/prefix/` of the group: manifests, `group.json`, and below it the results of its jobs.
    settings
        Of every job.
    parts
        In order.
    skipped
        Images that were left out before; `line` is their place in the collection, from 1.
    """

    folder: str
    settings: JobSettings
    parts: tuple[Part, ...]
    skipped: tuple[LineError, ...] = ()

    @property
    def uri(self) -> str:
        """Where it is kept."""
        return storage.join(self.folder, FILE_NAME)

    @property
    def pending(self) -> int:
        """Parts that have no job yet."""
        return sum(part.job_id is None for part in self.parts)

    def token(self, part: Part) -> str:
        """ClientRequestToken of a part: the same for the same images, settings, output and attempt."""
        return hashlib.sha256(f"{part.manifest} {part.attempt}".encode()).hexdigest()

    def with_part(self, number: int, part: Part) -> "Plan":
        """The plan with one part replaced; numbers count from 0."""
        return replace(self, parts=(*self.parts[:number], part, *self.parts[number + 1 :]))

    def save(self, session: boto3.Session) -> None:
        """Writes `group.json`. Raises as `storage.write`."""
        document = {
            "version": _VERSION,
            "settings": self.settings.record(),
            "parts": [asdict(part) for part in self.parts],
            "skipped": [asdict(error) for error in self.skipped],
        }
        storage.write(self.uri, (json.dumps(document, indent=1) + "\n").encode(), session=session)

    @classmethod
    def load(cls, uri: str, session: boto3.Session) -> Self:
        """Reads a `group.json`.

        Raises
        ------
        NotFound, Unreachable, RequestRefused
        UnreadableManifest
            It is not one.
        """
        name = uri if uri.endswith(FILE_NAME) else storage.join(uri, FILE_NAME)
        return cls.parse(name, storage.read(name, session=session))

    @classmethod
    def parse(cls, name: str, data: bytes) -> Self:
        """What a `group.json` of this URI holds.

        Raises
        ------
        UnreadableManifest
            It is not one.
        """
        try:
            document = json.loads(data)
            if document["version"] != _VERSION:
                raise ValueError(f"version {document['version']}")
            return cls(
                name.removesuffix(FILE_NAME),
                JobSettings(**document["settings"]),
                tuple(Part(**part) for part in document["parts"]),
                tuple(LineError(**error) for error in document["skipped"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableManifest(
                f"{name}: not a group of jobs ({error}); name the one that analyze wrote."
            ) from error


def group_id(lines: Iterable[bytes], output: str, settings: JobSettings) -> str:
    """What tells one group from another: its images, its settings and where it is written.

    A MinConfidence that is left out is Rekognition's 50, and asks for the same.
    """
    record = settings.record()
    if record["min_confidence"] is None:
        record["min_confidence"] = DEFAULT_MIN_CONFIDENCE
    whole = hashlib.sha256(json.dumps([output, record], sort_keys=True).encode())
    for part in lines:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:16]


@dataclass(repr=False)
class JobGroup:
    """The jobs that together analyze one collection.

    Attributes
    ----------
    jobs
        One for each part that was started.
    plan
        What `group.json` holds; None for jobs that were put together by hand.
    """

    jobs: list[Job]
    plan: Plan | None = None

    def __repr__(self) -> str:
        counts = Counter(job.status for job in self.jobs)
        each = ", ".join(f"{count:,} {status}" for status, count in counts.items()) or "no jobs"
        pending = f", {self.plan.pending:,} parts without a job" if self.plan is not None and self.plan.pending else ""
        skipped = f", {len(self.skipped):,} images left out" if self.skipped else ""
        return f"JobGroup({self.id or 'put together by hand'}: {each}{pending}{skipped})"

    @property
    def id(self) -> str | None:
        """Name of its folder."""
        return None if self.plan is None else self.plan.folder.rstrip("/").rpartition("/")[2]

    @property
    def uri(self) -> str | None:
        """Its `group.json`: with this, `MediaAnalysis.group` and `modkit resume` find it again."""
        return None if self.plan is None else self.plan.uri

    @property
    def skipped(self) -> tuple[LineError, ...]:
        """Images that were left out, because the limits forbid them or a line names none."""
        return () if self.plan is None else self.plan.skipped

    @property
    def min_confidence(self) -> float:
        """The highest floor of its jobs, percent."""
        return max((job.min_confidence for job in self.jobs), default=DEFAULT_MIN_CONFIDENCE)

    @property
    def project_version(self) -> str | None:
        """ARN of the adapter that was asked for."""
        return next((job.project_version for job in self.jobs), None)

    def wait(self, timeout: float | None = None, progress: bool = True) -> "JobGroup":
        """Waits until every job has ended. Raises as `Job.wait`, for the first that failed, after all have ended."""
        come_back = self.uri and f"interrupted; the jobs run on. `modkit resume {self.uri}` comes back."
        with self._resumable():
            wait_for(self.jobs, timeout=timeout, progress=progress, come_back=come_back)
        return self

    def results(self) -> Results:
        """What all the jobs found, as one, with the highest of their floors. Warns as `Job.results`.

        Images that were left out before the jobs began are in `errors` too.

        Raises
        ------
        NotFound
            There is no job in the group, or as `Job.results`.
        JobFailed
            A job failed or has not ended, or a part was not started.
        Unreachable, RequestRefused, UnreadableManifest
            As `Job.results`.
        """
        whole = results_of(self._started())
        return whole.with_errors(str(self.uri), self.skipped) if self.skipped else whole

    def summary(self) -> Summary:
        """What the jobs say of themselves, as one; what was left out stands at the end. Raises as `results`."""
        return put_together([job.summary() for job in self._started()], self.skipped)

    def fetch(self, folder: str) -> list[str]:
        """Copies results and summary into a folder, each as one file, and returns the paths. Raises as `results`."""
        jobs = self._started()
        session = jobs[0].session
        results = [storage.read(job.finished(job.results_uri), session=session) for job in jobs]
        paths = [storage.join(folder, name) for name in (manifests.RESULTS_NAME, manifests.SUMMARY_NAME)]
        storage.write(paths[1], self.summary().to_json())
        storage.write(paths[0], b"".join(results))
        return paths

    def _started(self) -> Sequence[Job]:
        if self.plan is not None and self.plan.pending:
            raise JobFailed(
                f"{self.plan.pending:,} of {len(self.plan.parts):,} parts were not started; "
                f"`modkit resume {self.plan.uri}` starts them."
            )
        if not self.jobs:
            raise NotFound("this group has no jobs, so no results; start at least one job.")
        with self._resumable():
            for job in self.jobs:
                job.raise_if_failed()
        return self.jobs

    @contextmanager
    def _resumable(self) -> Iterator[None]:
        """Of a job that failed also says that the group goes on with it: it must not be started by hand."""
        try:
            yield
        except JobFailed as error:
            if self.uri is None:
                raise
            said = f"{str(error).rstrip('.')}; `modkit resume {self.uri}` starts the jobs that failed once more."
            raise JobFailed(said, error.code) from error


def put_together(summaries: Sequence[Summary], skipped: Sequence[LineError] = ()) -> Summary:
    """Summaries of the parts of a collection as one: lines count on from part to part.

    >>> one = Summary(3, (LineError(2, "X", "bad"),))
    >>> [error.line for error in put_together([one, one], [LineError(9, "Y", "left out")]).errors]
    [2, 5, 7]
    """
    errors: list[LineError] = []
    total = 0
    for summary in summaries:
        errors += [replace(error, line=error.line + total) for error in summary.errors]
        total += summary.total
    errors += [replace(error, line=total + number) for number, error in enumerate(skipped, start=1)]
    return Summary(total + len(skipped), tuple(errors))


def jobs_of(plan: Plan, session: boto3.Session, known: Mapping[str, Job]) -> list[Job]:
    """The plan's jobs; those that are not known yet are asked for when somebody waits for them."""
    operation = plan.settings.operation()
    named = {} if plan.settings.job_name is None else {"JobName": plan.settings.job_name}
    return [
        known.get(part.job_id)
        or Job(session, {"JobId": part.job_id, "Status": "CREATED", "OperationsConfig": operation} | named)
        for part in plan.parts
        if part.job_id is not None
    ]
