"""What a run leaves behind."""

from dataclasses import dataclass, replace

import boto3

from toolkit import manifests, storage
from toolkit.results import Results, read_results


@dataclass(frozen=True)
class DetectRun:
    """One collection that was analyzed image by image.

    Attributes
    ----------
    output
        Folder or `s3://bucket/prefix/` that holds its files.
    min_confidence
        Its floor, percent.
    project_version
        ARN of the adapter that was asked for; None for the base model.
    images, failed
        Lines, and those among them without a result.
    requests
        How many it took this time; 0 where all was there already.
    unsettled
        Images that failed in a way that another try may mend: running the same again asks about these.
    """

    output: str
    min_confidence: float
    project_version: str | None
    images: int
    failed: int
    requests: int
    unsettled: int
    session: boto3.Session | None = None

    status = "SUCCEEDED"
    """As a job's: a run that has not ended is an exception, and no DetectRun."""

    id = None
    """There is no job."""

    @property
    def results_uri(self) -> str:
        """Where the results manifest is."""
        return storage.join(self.output, manifests.RESULTS_NAME)

    @property
    def summary_uri(self) -> str:
        """Where the summary is."""
        return storage.join(self.output, manifests.SUMMARY_NAME)

    def __repr__(self) -> str:
        model = self.project_version or "base model"
        failed = f", {self.failed:,} not analyzed" if self.failed else ""
        return (
            f"DetectRun({self.output}: {self.images:,} images{failed}; MinConfidence {self.min_confidence:g}, {model})"
        )

    def wait(self, timeout: float | None = None, progress: bool = True) -> "DetectRun":  # noqa: ARG002
        """The run itself, which has ended: whatever takes a job takes this too."""
        return self

    def results(self) -> Results:
        """What was found, with the run's own floor.

        Warns (UserWarning) when images were answered by another model than the adapter that was asked for.

        Raises
        ------
        NotFound, Unreachable, RequestRefused, UnreadableManifest
        """
        results = read_results(self.results_uri, min_confidence=self.min_confidence, session=self.session)
        results.warn_unless_answered_by({self.project_version})
        return replace(results, floor_source="job")

    def summary(self) -> manifests.Summary:
        """Lines, and those that were not analyzed. Raises as `results`."""
        return manifests.parse_summary(storage.read(self.summary_uri, session=self.session), self.summary_uri)

    def fetch(self, folder: str) -> list[str]:
        """Copies results and summary into a folder and returns the paths, results first. Raises as `results`."""
        paths = [storage.join(folder, name) for name in (manifests.RESULTS_NAME, manifests.SUMMARY_NAME)]
        for uri, path in zip((self.results_uri, self.summary_uri), paths, strict=True):
            storage.write(path, storage.read(uri, session=self.session))
        return paths
