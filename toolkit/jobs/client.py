"""The client: start jobs, find them again."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import boto3
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from toolkit import collection, constraints, storage
from toolkit.collection import Collection, Images, OnDone
from toolkit.errors import InvalidArgument, NotFound, RequestRefused, ToolkitError
from toolkit.jobs.group import FILE_NAME, JobGroup, Part, Plan, group_id, jobs_of
from toolkit.jobs.job import DEFAULT_MIN_CONFIDENCE, Job
from toolkit.jobs.preflight import Preflight, preflight
from toolkit.jobs.request import REQUEST_ADVICE, JobSettings, start_request

_FULL: Final = "LimitExceededException"
"""As many jobs run as may run at once."""
_STATUSES: Final[tuple[str, ...]] = tuple(
    constraints.rekognition().shape_for("MediaAnalysisJobStatus").metadata["enum"]
)
_SAVED_EVERY: Final = 1.0
"""Seconds. What was started since is found again by its token."""


class MediaAnalysis:
    """Rekognition's bulk analysis, on AWS or on any endpoint that speaks its API.

    Parameters
    ----------
    session
        A boto3 session; None is boto3's default (or one for `endpoint_url`).
    endpoint_url
        For example the local service's `http://127.0.0.1:4555`; used for S3 as well.
    region_name
        As in boto3.

    Examples
    --------
    >>> client = MediaAnalysis(endpoint_url="http://127.0.0.1:4555")
    >>> job = client.start("s3://bucket/manifest.jsonl", "s3://bucket/out/", min_confidence=5)  # doctest: +SKIP
    >>> job.wait().results()  # doctest: +SKIP
    """

    def __init__(
        self,
        session: boto3.Session | None = None,
        *,
        endpoint_url: str | None = None,
        region_name: str | None = None,
    ) -> None:
        self.session = session or storage.connect(endpoint_url, region_name=region_name)

    def _client(self) -> Any:
        return self.session.client("rekognition")

    def start(
        self,
        manifest: str,
        output: str,
        *,
        min_confidence: float | None = None,
        project_version: str | None = None,
        job_name: str | None = None,
        manifest_version: str | None = None,
        kms_key_id: str | None = None,
        client_request_token: str | None = None,
    ) -> Job:
        """Starts one job.

        Parameters
        ----------
        manifest
            S3 URI of an input manifest (`write_manifest`).
        output
            `s3://bucket/prefix/`; results appear under it in a folder named after the job.
        min_confidence
            Percent, 0–100; None is Rekognition's 50. Nothing below it will ever be known of these images.
        project_version
            ARN of a custom moderation adapter; None is the base model.
        job_name
            To find it again: letters, digits, `_`, `.` and `-`, at most 64.
        manifest_version
            Version id of the manifest object, in a versioned bucket.
        kms_key_id
            Key that encrypts the results.
        client_request_token
            The same token with the same request starts nothing twice. None makes a new one.

        Raises
        ------
        NotFound, InvalidArgument, Unreachable, RequestRefused
        """
        settings = JobSettings(min_confidence, project_version, job_name, kms_key_id)
        token = uuid.uuid4().hex if client_request_token is None else client_request_token
        request = start_request(manifest, output, settings, token=token, manifest_version=manifest_version)
        return self._started(request, manifest)

    def _started(self, request: dict[str, Any], manifest: str) -> Job:
        with storage.translated(f"starting a job on {manifest}", REQUEST_ADVICE):
            job_id = self._client().start_media_analysis_job(**request)["JobId"]
        return self.job(job_id)

    def analyze(
        self,
        images: Images | Collection,
        output: str,
        *,
        min_confidence: float | None = None,
        project_version: str | None = None,
        job_name: str | None = None,
        kms_key_id: str | None = None,
        progress: bool = True,
    ) -> JobGroup:
        """Analyzes a collection of any size: writes its manifests, and starts a job for each part of it.

        No more jobs are started at once than the account may run: it waits for one to end. Everything about the group
        is in a folder of its own below the output, named after the images and settings: manifests, `group.json` and
        results. Calling it again with the same images, settings and output starts nothing twice: it finds the group.

        Parameters
        ----------
        images
            What `collect` takes: S3 URIs, a column of them, a prefix, a manifest, or a folder on this machine, whose
            images are first copied to `images/` below the output, each once.
        output
            `s3://bucket/prefix/`.
        min_confidence, project_version, job_name, kms_key_id
            As in `start`. To analyze the same once more, give another name.
        progress
            Whether to draw bars on stderr.

        Returns
        -------
        JobGroup
            All its jobs have started; `wait` for them. `skipped` names the images that were left out.

        Raises
        ------
        NotFound
            There are no images, or output or bucket are not there, or it may not be read whether the group is there.
        InvalidArgument
            `images` is nothing that names images, or `min_confidence` is no number.
        RequestRefused
            A setting breaks a constraint, or the service refuses a job.
        Unreachable
        """
        # Said, as the group of who leaves it out is the group of who says it: one token must mean one request.
        floor = DEFAULT_MIN_CONFIDENCE if min_confidence is None else min_confidence
        settings = JobSettings(floor, project_version, job_name, kms_key_id)
        found = images if isinstance(images, Collection) else collection.collect(images, session=self.session)
        storage.split_s3(output)  # said of what was given, not of a manifest below it
        # Settings that cannot be are said before anything is copied.
        start_request(storage.join(output, "manifest.jsonl"), output, settings, token="checked")  # noqa: S106
        plan = self._planned(found, output, settings, progress)
        return self._go_on(plan, progress)

    def group(self, uri: str) -> JobGroup:
        """A group of jobs, found again.

        Parameters
        ----------
        uri
            Of its `group.json`, or of the folder that holds it.

        Raises
        ------
        NotFound, Unreachable, RequestRefused
        UnreadableManifest
            It is not a group.
        """
        plan = Plan.load(uri, self.session)
        return JobGroup(jobs_of(plan, self.session, {}), plan)

    def resume(self, uri: str, *, progress: bool = True) -> JobGroup:
        """A group of jobs, found again and gone on with: parts without a job and those that FAILED are started.

        Parameters
        ----------
        uri
            Of its `group.json`, or of the folder that holds it.
        progress
            Whether to draw a bar on stderr.

        Raises
        ------
        NotFound, Unreachable, RequestRefused
        UnreadableManifest
            It is not a group.
        """
        group = self.group(uri)
        plan = Plan.load(uri, self.session)
        failed = {job.id for job in group.jobs if job.refresh().status == "FAILED"}
        for number, part in enumerate(plan.parts):
            if part.job_id in failed:
                plan = plan.with_part(number, Part(part.manifest, part.images, None, part.attempt + 1))
        return self._go_on(plan, progress, {job.id: job for job in group.jobs})

    def preflight(
        self, images: Images | Collection, output: str, *, kms_key_id: str | None = None, sample: int = 20
    ) -> Preflight:
        """Checks, before money is spent, whether a collection can be analyzed.

        Credentials, the region against the buckets', read access to a sample of the images and their limits, write
        access to the output (and the KMS key), and whether the account may use bulk analysis at all.

        Parameters
        ----------
        images, output, kms_key_id
            As in `analyze`.
        sample
            How many images are read, spread over the collection.

        Raises
        ------
        NotFound, InvalidArgument, Unreachable, RequestRefused
            The images cannot even be listed.
        """
        found = images if isinstance(images, Collection) else collection.collect(images, session=self.session)
        return preflight(self.session, found, output, kms_key_id, sample)

    def job(self, job_id: str) -> Job:
        """A job by its id.

        Raises
        ------
        NotFound, Unreachable, RequestRefused
        """
        if not job_id.strip():
            raise NotFound("no job id given; name one that `modkit jobs` (MediaAnalysis.jobs) lists.")
        return Job(self.session, {"JobId": job_id, "Status": "CREATED"}).refresh()

    def jobs(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Job]:
        """The account's jobs in this region, newest first; asks for further pages by itself.

        Parameters
        ----------
        status
            CREATED, QUEUED, IN_PROGRESS, SUCCEEDED or FAILED; None is any.
        name
            Of the job; `*` stands for anything.
        since, until
            When it was started; without a time zone, UTC.

        Raises
        ------
        InvalidArgument
            There is no such status.
        Unreachable, RequestRefused
        """
        if status is not None and status.upper() not in _STATUSES:
            raise InvalidArgument(f"status {status!r}: a job is one of {', '.join(_STATUSES)}.")
        first, last = _utc(since), _utc(until)
        for job in self._all_jobs():
            if first is not None and job.created < first:
                return  # all others are older
            if (
                (status is None or job.status == status.upper())
                and (name is None or fnmatchcase(job.name or "", name))
                and (last is None or job.created <= last)
            ):
                yield job

    def _all_jobs(self) -> Iterator[Job]:
        token: str | None = None
        while True:
            with storage.translated("listing jobs", REQUEST_ADVICE):
                page = self._client().list_media_analysis_jobs(**({"NextToken": token} if token else {}))
                found = page["MediaAnalysisJobs"]
            for description in found:
                yield Job(self.session, description)
            token = page.get("NextToken")
            if not token:
                return

    # -- groups -------------------------------------------------------------------------------------------------------

    def _planned(self, found: Collection, output: str, settings: JobSettings, progress: bool) -> Plan:
        """The plan of a group: the one that is there already, or a new one, its manifests written."""
        refs = found.usable
        if found.folder is not None:
            with _bar("copying images", progress) as on_done:
                beside = storage.join(output, "images")
                refs = collection.upload_collection(found, beside, session=self.session, on_done=on_done)
        if not refs:
            raise NotFound(f"no image can be analyzed; {found.complaint}")
        _, lines = collection.name_parts("", refs)
        folder = storage.join(output, group_id(lines, output.rstrip("/"), settings)) + "/"
        names, _ = collection.name_parts(storage.join(folder, "manifest.jsonl"), refs)
        uri = storage.join(folder, FILE_NAME)
        if (data := storage.read_if_there(uri, session=self.session)) is not None:
            return Plan.parse(uri, data)
        for name, data in zip(names, lines, strict=True):
            storage.write(name, data, session=self.session)
        parts = tuple(Part(name, data.count(b"\n")) for name, data in zip(names, lines, strict=True))
        plan = Plan(folder, settings, parts, tuple(found.problems.values()))
        plan.save(self.session)
        return plan

    def _go_on(self, plan: Plan, progress: bool, known: dict[str, Job] | None = None) -> JobGroup:
        """Starts the parts that have no job, no faster than the account allows, and keeps `group.json` true."""
        jobs = dict(known or {})
        saved = time.monotonic()
        try:
            with _bar("starting jobs", progress and plan.pending > 1) as on_done:
                for number, part in enumerate(plan.parts):
                    if part.job_id is None:
                        request = start_request(part.manifest, plan.folder, plan.settings, token=plan.token(part))
                        job = self._when_there_is_room(request, part.manifest)
                        jobs[job.id] = job
                        plan = plan.with_part(number, Part(part.manifest, part.images, job.id, part.attempt))
                        if time.monotonic() - saved > _SAVED_EVERY:
                            plan.save(self.session)
                            saved = time.monotonic()
                    on_done(number + 1, len(plan.parts))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):  # at once: who is impatient presses it twice
                done = f"{len(plan.parts) - plan.pending:,} of {len(plan.parts):,}"
                said = f"interrupted; {done} jobs have started, and run on. `modkit resume {plan.uri}` starts the rest."
                Console(stderr=True).print(Text(said), soft_wrap=True)
            with suppress(ToolkitError):  # what ended this is worth more than that the file could not be written
                plan.save(self.session)
            raise
        if jobs:
            plan.save(self.session)
        return JobGroup(jobs_of(plan, self.session, jobs), plan)

    def _when_there_is_room(self, request: dict[str, Any], manifest: str) -> Job:
        pause = 0.5
        while True:
            try:
                return self._started(request, manifest)
            except RequestRefused as error:
                if error.code != _FULL:
                    raise
            threading.Event().wait(pause)
            pause = min(pause * 1.5, 30.0)  # jobs take minutes to hours


@contextmanager
def _bar(what: str, progress: bool) -> Iterator[OnDone]:
    """A bar on stderr, moved by what it gives."""
    columns = (TextColumn(what), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:

        def on_done(done: int, total: int) -> None:
            if not bar.task_ids:  # where there is nothing to do, there is no bar
                bar.add_task("", total=total)
            bar.update(bar.task_ids[0], completed=done)

        yield on_done


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
