"""The request that starts a job: put together, and refused here where AWS would refuse it."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from toolkit import constraints, storage

REQUEST_ADVICE: Final = {
    "InvalidS3ObjectException": "write the manifest first (write_manifest), or check its bucket, key and region",
    "InvalidManifestException": "write the manifest again (write_manifest), with 1 to 10,000 images",
    "InvalidParameterException": "correct it and start the job again",
    "ResourceNotFoundException": "check the id or ARN, and the region",
    "ResourceNotReadyException": "wait until the adapter is trained",
    "AccessDeniedException": "`modkit preflight` says what is missing: a permission, or bulk analysis itself, which "
    "AWS has closed to new accounts (`modkit detect` is open to all)",
    "LimitExceededException": "wait until a running job has ended",
    "ThrottlingException": "wait a moment and try again",
    "ProvisionedThroughputExceededException": "wait a moment and try again",
    "IdempotentParameterMismatchException": "use another token for another request",
    "InternalServerError": "try again",
}


@dataclass(frozen=True)
class JobSettings:
    """What a job is told besides its manifest and output. `min_confidence` in percent; None is left out."""

    min_confidence: float | None = None
    project_version: str | None = None
    job_name: str | None = None
    kms_key_id: str | None = None

    def record(self) -> dict[str, Any]:
        """As it stands in a `group.json`. Raises as `operation`."""
        floor = None if self.min_confidence is None else constraints.percent(self.min_confidence)
        return asdict(self) | {"min_confidence": floor}

    def operation(self) -> dict[str, Any]:
        """OperationsConfig, as StartMediaAnalysisJob takes it and GetMediaAnalysisJob gives it back.

        Raises
        ------
        InvalidArgument
            `min_confidence` is no number.
        """
        detect: dict[str, Any] = {}
        if self.min_confidence is not None:
            detect["MinConfidence"] = constraints.percent(self.min_confidence)
        if self.project_version is not None:
            detect["ProjectVersion"] = self.project_version
        return {"DetectModerationLabels": detect}


def start_request(
    manifest: str, output: str, settings: JobSettings, *, token: str, manifest_version: str | None = None
) -> dict[str, Any]:
    """StartMediaAnalysisJob's parameters.

    Raises
    ------
    NotFound, InvalidArgument
        Manifest or output is not in S3, or a setting is of another type.
    RequestRefused
        A parameter breaks a constraint of the service's model that botocore does not check: a maximum, a pattern.
    """
    bucket, key = storage.split_s3(manifest)
    output_bucket, prefix = storage.split_s3(output)
    source = {"Bucket": bucket, "Name": key} | ({} if manifest_version is None else {"Version": manifest_version})
    request: dict[str, Any] = {
        "OperationsConfig": settings.operation(),
        "Input": {"S3Object": source},
        "OutputConfig": {"S3Bucket": output_bucket} | ({"S3KeyPrefix": prefix} if prefix else {}),
        "ClientRequestToken": token,
    }
    if settings.job_name is not None:
        request["JobName"] = settings.job_name
    if settings.kms_key_id is not None:
        request["KmsKeyId"] = settings.kms_key_id
    constraints.refuse(f"starting a job on {manifest}", "StartMediaAnalysisJob", request)
    return request
