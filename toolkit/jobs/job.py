"""One media analysis job."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import boto3

from toolkit import manifests, storage
from toolkit.errors import JobFailed
from toolkit.jobs.request import REQUEST_ADVICE
from toolkit.jobs.waiting import wait_for
from toolkit.prices import Prices
from toolkit.results import Results, read_results

DEFAULT_MIN_CONFIDENCE: Final = 50.0
"""What Rekognition uses when a job names no MinConfidence (percent)."""
PROGRESS_HEADER: Final = "x-modkit-progress"
"""Response header with which the local service tells how far a job is: `done/total`. AWS does not send it."""

_ADVICE: Final = {
    "ACCESS_DENIED": "give the role that starts the job read access to the images and write access to the output",
    "INVALID_S3_OBJECT": "check the manifest's bucket, key and region",
    "INVALID_MANIFEST": "write the manifest again with write_manifest",
    "INVALID_OUTPUT_CONFIG": "check the output bucket and prefix",
    "INVALID_KMS_KEY": "name a KMS key that is enabled and that you may use",
    "RESOURCE_NOT_FOUND": "check the adapter's ARN",
    "RESOURCE_NOT_READY": "wait until the adapter is trained",
    "THROTTLED": "start fewer jobs at a time, and this one again",
    "INTERNAL_ERROR": "try it again",
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
        with storage.translated(f"job {self.id}", REQUEST_ADVICE):
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
        InvalidArgument
            `timeout` is no number of seconds.
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
        return results_of([self])

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
        uri = self.finished(self.summary_uri)
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
        uris = [self.finished(self.results_uri), self.finished(self.summary_uri)]
        names = [manifests.RESULTS_NAME, manifests.SUMMARY_NAME]
        paths = [storage.join(folder, name) for name in names]
        for uri, path in zip(uris, paths, strict=True):
            storage.write(path, storage.read(uri, session=self.session))
        return paths

    def cost(self, prices: Prices | None = None) -> float | None:
        """What its images cost at most, in the currency of the prices; None where it has not SUCCEEDED.

        Reads the summary: only images that were analyzed are paid for.

        Parameters
        ----------
        prices
            None takes the toolkit's own table (`Prices.load`).

        Raises
        ------
        NotFound, Unreachable, RequestRefused, UnreadableManifest
        """
        if self.status != "SUCCEEDED":
            return None
        if storage.is_local(self.session):
            return 0.0
        return (prices or Prices.load()).cost(self.summary().valid)

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

    def finished(self, uri: str | None) -> str:
        """A place that only a job which has SUCCEEDED has. Raises JobFailed."""
        self.raise_if_failed()
        if uri is None:
            raise JobFailed(f"job {self.id} is {self.status}: it has no results yet; wait for it.")
        return uri


def results_of(jobs: Sequence[Job]) -> Results:
    """What several jobs found, as one, with the highest of their floors. Warns and raises as `Job.results`."""
    uris = [job.finished(job.results_uri) for job in jobs]
    results = read_results(uris, min_confidence=0, session=jobs[0].session)  # jobs know their own, said below
    results.warn_unless_answered_by({job.project_version for job in jobs})
    return replace(results, min_confidence=max(job.min_confidence for job in jobs), floor_source="job")


def _uri(holder: dict[str, Any] | None) -> str | None:
    found = (holder or {}).get("S3Object")
    return f"s3://{found['Bucket']}/{found['Name']}" if found else None


def _progress(answer: dict[str, Any]) -> tuple[int, int] | None:
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(PROGRESS_HEADER, "")
    done, slash, total = text.partition("/")
    return (int(done), int(total)) if slash and done.isdigit() and total.isdigit() else None
