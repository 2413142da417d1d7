"""StartMediaAnalysisJob and its kin: start, watch, list, fetch."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import boto3
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from toolkit import manifests, storage
from toolkit.collection import write_manifest
from toolkit.errors import JobFailed, NotFound, TimedOut
from toolkit.results import Results, read_results

DEFAULT_MIN_CONFIDENCE: Final = 50.0
"""What Rekognition uses when a job names no MinConfidence (percent)."""
PROGRESS_HEADER: Final = "x-modkit-progress"
"""Response header with which the local service tells how far a job is: `done/total`. AWS does not send it."""
_SHORT: Final = 20
"""Characters of a job's name beside its progress bar."""
FINISHED: Final = frozenset({"SUCCEEDED", "FAILED"})

_ADVICE: Final = {
    "ACCESS_DENIED": "give the role that starts the job read access to the images and write access to the output",
    "INVALID_S3_OBJECT": "check the manifest's bucket, key and region",
    "INVALID_MANIFEST": "write the manifest again with write_manifest",
    "INVALID_OUTPUT_CONFIG": "check the output bucket and prefix",
    "INVALID_KMS_KEY": "name a KMS key that is enabled and that you may use",
    "RESOURCE_NOT_FOUND": "check the adapter's ARN",
    "RESOURCE_NOT_READY": "wait until the adapter is trained",
    "THROTTLED": "start fewer jobs at a time, and this one again",
    "INTERNAL_ERROR": "start the job again",
}
_REQUEST_ADVICE: Final = {
    "InvalidS3ObjectException": "write the manifest first (write_manifest), or check its bucket, key and region",
    "InvalidManifestException": "write the manifest again (write_manifest), with 1 to 10,000 images",
    "InvalidParameterException": "correct it and start the job again",
    "ResourceNotFoundException": "check the id or ARN, and the region",
    "ResourceNotReadyException": "wait until the adapter is trained",
    "AccessDeniedException": "ask for the permission, or use another profile",
    "LimitExceededException": "wait until a running job has ended",
    "ThrottlingException": "wait a moment and try again",
    "ProvisionedThroughputExceededException": "wait a moment and try again",
    "IdempotentParameterMismatchException": "use another token for another request",
    "InternalServerError": "try again",
}


@dataclass(repr=False)
class Job:
    """One media analysis job, as it was when it was last asked for (`refresh`).

    Attributes
    ----------
    description
        The service's own answer (GetMediaAnalysisJob), as boto3 gives it.
    progress
        Images done and in total, where the service tells (the local one does); else None.
    """

    session: boto3.Session
    description: dict[str, Any]
    progress: tuple[int, int] | None = None

    @property
    def id(self) -> str:
        """JobId."""
        return str(self.description["JobId"])

    @property
    def name(self) -> str | None:
        """JobName, if it was given one."""
        return self.description.get("JobName")

    @property
    def status(self) -> str:
        """CREATED, QUEUED, IN_PROGRESS, SUCCEEDED or FAILED."""
        return str(self.description["Status"])

    @property
    def failure(self) -> tuple[str, str] | None:
        """Code and message of a FAILED job."""
        details = self.description.get("FailureDetails")
        return (str(details.get("Code", "")), str(details.get("Message", ""))) if details else None

    @property
    def _config(self) -> dict[str, Any]:
        return dict(self.description.get("OperationsConfig", {}).get("DetectModerationLabels", {}))

    @property
    def min_confidence(self) -> float:
        """The job's floor, percent; 50 when it named none."""
        return float(self._config.get("MinConfidence", DEFAULT_MIN_CONFIDENCE))

    @property
    def project_version(self) -> str | None:
        """ARN of the adapter that was asked for; None for the base model."""
        return self._config.get("ProjectVersion")

    @property
    def created(self) -> datetime:
        """When it was started."""
        created: datetime = self.description["CreationTimestamp"]
        return created

    @property
    def results_uri(self) -> str | None:
        """Where the results manifest is, once there is one."""
        return _uri(self.description.get("Results"))

    @property
    def summary_uri(self) -> str | None:
        """Where the summary is, once there is one."""
        return _uri(self.description.get("ManifestSummary"))

    def __repr__(self) -> str:
        done = f", {self.progress[0]:,} of {self.progress[1]:,} images" if self.progress else ""
        model = self.project_version or "base model"
        return f"Job({self.name or self.id}: {self.status}{done}; MinConfidence {self.min_confidence:g}, {model})"

    def refresh(self) -> "Job":
        """Asks the service again; the job itself comes back.

        Raises
        ------
        Unreachable, RequestRefused
        """
        with storage.translated(f"job {self.id}", _REQUEST_ADVICE):
            client: Any = self.session.client("rekognition")
            self.description = client.get_media_analysis_job(JobId=self.id)
            _ = self.id, self.status  # another web server's answer has neither
        self.progress = _progress(self.description)
        return self

    def wait(self, timeout: float | None = None, progress: bool = True) -> "Job":
        """Waits until the job has ended; Ctrl-C leaves it running.

        Parameters
        ----------
        timeout
            Seconds; None waits for as long as it takes.
        progress
            Whether to draw a bar on stderr.

        Raises
        ------
        JobFailed
            It ended as FAILED.
        TimedOut, Unreachable, RequestRefused
        """
        wait_for([self], timeout=timeout, progress=progress)
        return self

    def results(self) -> Results:
        """What the job found, with the job's own floor.

        Warns (UserWarning) when images were answered by another model than the adapter that was asked for.

        Raises
        ------
        JobFailed
            It failed, or has not ended.
        NotFound
            Its files are gone, or may not be read.
        Unreachable
            S3 does not answer, or there are no credentials for it.
        RequestRefused
            S3 answered with another error.
        UnreadableManifest
            More than half of the lines of its results are broken, or its summary is.
        """
        return JobGroup([self]).results()

    def summary(self) -> manifests.Summary:
        """What the job says of itself: lines, and those that were not analyzed.

        Raises
        ------
        JobFailed
            It failed, or has not ended.
        NotFound
            Its files are gone, or may not be read.
        Unreachable
            S3 does not answer, or there are no credentials for it.
        RequestRefused
            S3 answered with another error.
        UnreadableManifest
            Its summary cannot be understood.
        """
        uri = self._finished(self.summary_uri)
        return manifests.parse_summary(storage.read(uri, session=self.session), uri)

    def fetch(self, folder: str) -> list[str]:
        """Copies results and summary into a folder and returns the paths, results first.

        Parameters
        ----------
        folder
            On this machine; made where it does not exist.

        Raises
        ------
        JobFailed
            It failed, or has not ended.
        NotFound
            Its files are gone or may not be read, or the folder cannot be written.
        Unreachable
            S3 does not answer, or there are no credentials for it.
        RequestRefused
            S3 answered with another error.
        """
        uris = [self._finished(self.results_uri), self._finished(self.summary_uri)]
        names = [manifests.RESULTS_NAME, manifests.SUMMARY_NAME]
        paths = [storage.join(folder, name) for name in names]
        for uri, path in zip(uris, paths, strict=True):
            storage.write(path, storage.read(uri, session=self.session))
        return paths

    def raise_if_failed(self) -> None:
        """Nothing, unless the job FAILED.

        Raises
        ------
        JobFailed
            With the service's code and message, and what to do about that code.
        """
        if self.status == "FAILED":
            code, message = self.failure or ("INTERNAL_ERROR", "no reason was given")
            advice = _ADVICE.get(code, "look the code up in Rekognition's documentation")
            raise JobFailed(f"job {self.id} failed: {code}: {message.rstrip('.')}; {advice}.", code)

    def _finished(self, uri: str | None) -> str:
        self.raise_if_failed()
        if uri is None:
            raise JobFailed(f"job {self.id} is {self.status}: it has no results yet; wait for it.")
        return uri


@dataclass
class JobGroup:
    """The jobs that together analyze one collection."""

    jobs: list[Job]

    def wait(self, timeout: float | None = None, progress: bool = True) -> "JobGroup":
        """Waits until every job has ended. Raises as `Job.wait`, for the first that failed, after all have ended."""
        wait_for(self.jobs, timeout=timeout, progress=progress)
        return self

    def results(self) -> Results:
        """What all the jobs found, as one, with the highest of their floors. Warns as `Job.results`.

        Raises
        ------
        NotFound
            There is no job in the group, or as `Job.results`.
        JobFailed, Unreachable, RequestRefused, UnreadableManifest
            As `Job.results`.
        """
        if not self.jobs:
            raise NotFound("this group has no jobs, so no results; start at least one job.")
        uris = [job._finished(job.results_uri) for job in self.jobs]
        results = read_results(uris, session=self.jobs[0].session)
        results.warn_unless_answered_by({job.project_version for job in self.jobs})
        return replace(results, min_confidence=max(job.min_confidence for job in self.jobs), floor_source="job")


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
        NotFound, Unreachable, RequestRefused
        """
        bucket, key = storage.split_s3(manifest)
        output_bucket, prefix = storage.split_s3(output)
        source = {"Bucket": bucket, "Name": key} | ({"Version": manifest_version} if manifest_version else {})
        detect: dict[str, Any] = {}
        if min_confidence is not None:
            detect["MinConfidence"] = float(min_confidence)
        if project_version is not None:
            detect["ProjectVersion"] = project_version
        request: dict[str, Any] = {
            "OperationsConfig": {"DetectModerationLabels": detect},
            "Input": {"S3Object": source},
            "OutputConfig": {"S3Bucket": output_bucket} | ({"S3KeyPrefix": prefix} if prefix else {}),
            "ClientRequestToken": client_request_token or uuid.uuid4().hex,
        }
        if job_name is not None:
            request["JobName"] = job_name
        if kms_key_id is not None:
            request["KmsKeyId"] = kms_key_id
        with storage.translated(f"starting a job on {manifest}", _REQUEST_ADVICE):
            job_id = self._client().start_media_analysis_job(**request)["JobId"]
        return self.job(job_id)

    def analyze(self, images: str | Sequence[str], output: str, **settings: Any) -> JobGroup:
        """Writes the manifest of a collection below `output` and starts a job for each part of it.

        Parameters
        ----------
        images
            S3 URIs, or one `s3://bucket/prefix/`.
        output
            `s3://bucket/prefix/`.
        **settings
            As in `start`; a `client_request_token` gets the part's number appended.

        Raises
        ------
        NotFound, Unreachable, RequestRefused
        """
        name = f"manifests/{uuid.uuid4().hex}.jsonl"
        parts = write_manifest(images, storage.join(output, name), session=self.session)
        token = settings.pop("client_request_token", None) or uuid.uuid4().hex
        return JobGroup(
            [
                self.start(part, output, client_request_token=f"{token}-{number}", **settings)
                for number, part in enumerate(parts, start=1)
            ]
        )

    def job(self, job_id: str) -> Job:
        """A job by its id.

        Raises
        ------
        NotFound, Unreachable, RequestRefused
        """
        if not job_id.strip():
            raise NotFound("no job id given; name one that `modkit jobs` (MediaAnalysis.jobs) lists.")
        return Job(self.session, {"JobId": job_id, "Status": "CREATED"}).refresh()

    def jobs(self) -> Iterator[Job]:
        """All jobs of the account in this region, newest first; asks for further pages by itself.

        Raises
        ------
        Unreachable, RequestRefused
        """
        token: str | None = None
        while True:
            with storage.translated("listing jobs"):
                page = self._client().list_media_analysis_jobs(**({"NextToken": token} if token else {}))
                found = page["MediaAnalysisJobs"]
            for description in found:
                yield Job(self.session, description)
            token = page.get("NextToken")
            if not token:
                return


def wait_for(
    jobs: Sequence[Job],
    *,
    timeout: float | None = None,
    progress: bool = True,
    on_change: Callable[[Job], None] | None = None,
) -> None:
    """Waits until all of these jobs have ended.

    Parameters
    ----------
    jobs
        They are refreshed in place.
    timeout
        Seconds; None waits for as long as it takes.
    progress
        Whether to draw a bar for each job on stderr: images done of all where the service tells, else the status.
    on_change
        Called with a job each time it was asked for.

    Raises
    ------
    JobFailed
        After all have ended, for the first that FAILED.
    TimedOut, Unreachable, RequestRefused
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TimeElapsedColumn(),
    )
    ends = None if timeout is None else time.monotonic() + timeout
    pause = 0.2
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bars:
        rows = {job.id: bars.add_task(_short_name(job), total=None, status=job.status) for job in jobs}
        while True:
            for job in jobs:
                if job.status not in FINISHED:
                    job.refresh()
                done, total = job.progress or (0, None)
                bars.update(rows[job.id], completed=done, total=total, status=job.status)
                if on_change is not None:
                    on_change(job)
            waiting = [job for job in jobs if job.status not in FINISHED]
            if not waiting:
                break
            if ends is not None and time.monotonic() > ends:
                raise TimedOut(f"job {waiting[0].id} is still {waiting[0].status} after {timeout:g} s; it runs on.")
            threading.Event().wait(pause)
            pause = min(pause * 1.2, 10.0)  # polite: a long job is asked for every ten seconds
    for job in jobs:
        job.raise_if_failed()


def _short_name(job: Job) -> str:
    """A name that leaves room for a bar in 80 columns."""
    if job.name:
        return job.name if len(job.name) <= _SHORT else f"{job.name[: _SHORT - 1]}…"
    return f"job {job.id[:8]}…"


def _uri(holder: dict[str, Any] | None) -> str | None:
    found = (holder or {}).get("S3Object")
    return f"s3://{found['Bucket']}/{found['Name']}" if found else None


def _progress(answer: dict[str, Any]) -> tuple[int, int] | None:
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(PROGRESS_HEADER, "")
    done, slash, total = text.partition("/")
    return (int(done), int(total)) if slash and done.isdigit() and total.isdigit() else None
