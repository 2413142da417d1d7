"""From labelled samples in S3 to a custom moderation model."""

from typing import Any, Final

import boto3

from toolkit import constraints, storage
from toolkit.adapters.adapter import ADVICE, Adapter, project_of

_ANY_PROJECT: Final = "arn:aws:rekognition:us-east-1:000000000000:project/any/1"
"""Stands for the project while the rest of a request is checked."""


def train_adapter(
    name: str,
    training: str,
    output: str,
    *,
    testing: str | None = None,
    version_name: str = "v1",
    min_confidence: float | None = None,
    kms_key_id: str | None = None,
    session: boto3.Session | None = None,
) -> Adapter:
    """Starts training a version of a custom moderation model, in a new project or in one that is there.

    Parameters
    ----------
    name
        Of the project; made where it does not exist.
    training
        S3 URI of a ground-truth manifest.
    output
        `s3://bucket/prefix/` for what the training writes.
    testing
        S3 URI of a ground-truth manifest to evaluate on; None splits the training images.
    version_name
        Of the version; new in its project.
    min_confidence
        Percent at which the training evaluates; None is the service's 50.
    kms_key_id
        Key that encrypts what the training writes.
    session
        None is boto3's default.

    Returns
    -------
    Adapter
        Still training: `wait` for it.

    Raises
    ------
    NotFound, InvalidArgument, Unreachable, RequestRefused
    """
    session = session or storage.connect()
    bucket, prefix = storage.split_s3(output)
    request: dict[str, Any] = {
        "VersionName": version_name,
        "OutputConfig": {"S3Bucket": bucket, "S3KeyPrefix": prefix},
        "TrainingData": {"Assets": [_asset(training)]},
        "TestingData": {"Assets": [_asset(testing)]} if testing else {"AutoCreate": True},
    }
    if min_confidence is not None:
        request["FeatureConfig"] = {"ContentModeration": {"ConfidenceThreshold": constraints.percent(min_confidence)}}
    if kms_key_id is not None:
        request["KmsKeyId"] = kms_key_id
    what = f"training {name}/{version_name}"
    constraints.refuse(what, "CreateProject", {"ProjectName": name, "Feature": "CONTENT_MODERATION"})
    constraints.refuse(what, "CreateProjectVersion", request | {"ProjectArn": _ANY_PROJECT})
    project = _project(name, session)
    with storage.translated(what, ADVICE):
        client: Any = session.client("rekognition")
        version = client.create_project_version(ProjectArn=project, **request)["ProjectVersionArn"]
    return Adapter(session, project, version)


def _project(name: str, session: boto3.Session) -> str:
    """The project's ARN; it is made where there is none."""
    with storage.translated(f"creating adapter {name}", ADVICE):
        client: Any = session.client("rekognition")
        try:
            return str(client.create_project(ProjectName=name, Feature="CONTENT_MODERATION")["ProjectArn"])
        except client.exceptions.ResourceInUseException:
            found = project_of(name, session)
            if found is None:  # the name is taken by a project for other labels
                raise
            return found


def _asset(uri: str) -> dict[str, Any]:
    bucket, key = storage.split_s3(uri)
    return {"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Name": key}}}
