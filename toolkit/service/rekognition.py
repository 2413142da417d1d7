"""Rekognition's operations over HTTP: moto parses and serialises by botocore's model, the backend does the work."""

import json
import logging
import re
import sqlite3
from datetime import UTC, datetime
from typing import Any, Final

from moto.core.common_types import TYPE_RESPONSE
from moto.core.request import Request
from moto.core.responses import ActionResult, BaseResponse

from toolkit import constraints, taxonomy
from toolkit.manifests import SUMMARY_NAME
from toolkit.service.analysis import results_description
from toolkit.service.backend import Backend
from toolkit.service.caller import Caller
from toolkit.service.faults import Fault, InternalServerError, InvalidParameter
from toolkit.service.folder import is_full, is_out_of_files
from toolkit.service.projects import EVALUATION, FEATURE, TESTING_OUTPUT, TRAINING_OUTPUT, output_place
from toolkit.service.records import JobRecord, ProjectRecord, VersionRecord
from toolkit.service.training import confidence_threshold

OPERATIONS: Final = (
    "CreateProject",
    "CreateProjectVersion",
    "DeleteProject",
    "DeleteProjectVersion",
    "DescribeProjectVersions",
    "DescribeProjects",
    "DetectModerationLabels",
    "GetMediaAnalysisJob",
    "ListMediaAnalysisJobs",
    "StartMediaAnalysisJob",
)
PROGRESS_HEADER: Final = "x-modkit-progress"
"""`done/total`, beside GetMediaAnalysisJob's and DescribeProjectVersions' answers, which have no member for it."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_log = logging.getLogger(__name__)


class Rekognition(BaseResponse):
    """One request. A method is named after its operation; `self.params` is the parsed and checked request."""

    use_raw_body = True

    def __init__(self, backend: Backend) -> None:
        super().__init__(service_name="rekognition")
        self.automated_parameter_parsing = True
        self.allow_request_decompression = False  # no client of Rekognition compresses, and a small body can unfold
        self._backend = backend

    # -- the way in ---------------------------------------------------------------------------------------------------

    def _dispatch(self, request: Request, full_url: str | None = None, headers: Any = None) -> TYPE_RESPONSE:
        operation = _operation(request)
        if operation not in OPERATIONS:
            return refusal(
                "UnknownOperationException", f"{operation or 'No operation'}: here are {', '.join(OPERATIONS)}."
            )
        try:
            body = json.loads((request.data or b"{}").decode("utf-8"))
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            return refusal("SerializationException", "The request's body is not a JSON object.")
        try:
            return super()._dispatch(request, full_url, headers)
        except Fault as refused:
            return self._refused(refused)
        except Exception as error:
            _log.exception("%s", operation)
            return self._refused(InternalServerError(_why(error)))

    def _refused(self, fault: Fault) -> TYPE_RESPONSE:
        _, headers, answer = self.serialized(ActionResult(fault))
        return fault.status, headers, answer

    def _get_action(self) -> str:
        return _operation(self.normalized_request)

    def get_region_from_url(self, request: Any, full_url: str) -> str:
        """The region that the request is signed for; the URL of a local endpoint says nothing about it."""
        scope = request.headers.get("Authorization", "").partition("Credential=")[2].split("/")
        return scope[2] if len(scope) > 4 else super().get_region_from_url(request, full_url)

    def parse_parameters(self, request: Request) -> None:
        """Counts the request and checks it against the service model, before moto converts it."""
        self._backend.throttle.admit(self._caller.listing(self._get_action()))
        try:
            body = json.loads((request.data or b"{}").decode("utf-8"))
            constraints.check_request(self._get_action(), body)
        except constraints.ConstraintBroken as error:
            raise InvalidParameter(str(error)) from error
        if member := _member_that_is_no_text(body):
            raise InvalidParameter(f"{member}: half of a surrogate pair, which is no text.")
        super().parse_parameters(request)

    @property
    def _caller(self) -> Caller:
        return Caller(self.get_current_account(), self.region)

    def _progress(self, record: JobRecord | VersionRecord) -> None:
        self.response_headers[PROGRESS_HEADER] = f"{record.done}/{record.total}"

    # -- operations ---------------------------------------------------------------------------------------------------

    def start_media_analysis_job(self) -> ActionResult:
        """Takes on a job; answers with its JobId."""
        return ActionResult({"JobId": self._backend.jobs.start(self._caller, self.params)})

    def get_media_analysis_job(self) -> ActionResult:
        """One job as it stands, with its progress in a header."""
        job = self._backend.jobs.get(self._caller, self.params["JobId"])
        self._progress(job)
        return ActionResult(describe_job(job))

    def list_media_analysis_jobs(self) -> ActionResult:
        """A page of jobs, newest first."""
        jobs, token = self._backend.jobs.page(self._caller, self.params)
        return ActionResult({"MediaAnalysisJobs": [describe_job(job) for job in jobs], "NextToken": token})

    def detect_moderation_labels(self) -> ActionResult:
        """One image, analyzed at once."""
        return ActionResult(self._backend.detect(self._caller, self.params))

    def create_project(self) -> ActionResult:
        """A new project for content moderation."""
        return ActionResult({"ProjectArn": self._backend.projects.create(self._caller, self.params)})

    def describe_projects(self) -> ActionResult:
        """A page of projects, newest first."""
        projects, token = self._backend.projects.page(self._caller, self.params)
        descriptions = [describe_project(project) for project in projects]
        return ActionResult({"ProjectDescriptions": descriptions, "NextToken": token})

    def delete_project(self) -> ActionResult:
        """Deletes a project that has no versions."""
        self._backend.projects.delete(self._caller, self.params["ProjectArn"])
        return ActionResult({"Status": "DELETING"})

    def create_project_version(self) -> ActionResult:
        """Starts the training of a version (an adapter)."""
        return ActionResult({"ProjectVersionArn": self._backend.projects.create_version(self._caller, self.params)})

    def describe_project_versions(self) -> ActionResult:
        """A page of versions; of a single one, with its progress in a header."""
        versions, token = self._backend.projects.page_of_versions(self._caller, self.params)
        if len(versions) == 1:
            self._progress(versions[0])
        descriptions = [describe_version(version) for version in versions]
        return ActionResult({"ProjectVersionDescriptions": descriptions, "NextToken": token})

    def delete_project_version(self) -> ActionResult:
        """Deletes a version that is not being trained."""
        self._backend.projects.delete_version(self._caller, self.params["ProjectVersionArn"])
        return ActionResult({"Status": "DELETING"})


def _why(error: Exception) -> str:
    if isinstance(error, (OSError, sqlite3.Error)) and is_full(error):
        return "The service's disk is full; make room there."
    if is_out_of_files(error):
        return "The service has too many files open; try again."
    return "The service made a mistake; its log says more."


def refusal(code: str, message: str) -> TYPE_RESPONSE:
    """An error that is in no service model, as AWS's JSON protocol writes it."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code}
    return 400, headers, json.dumps({"__type": code, "message": message})


def _operation(request: Request) -> str:
    return str(request.headers.get("x-amz-target", "")).rpartition(".")[2]


def _member_that_is_no_text(request: dict[str, Any]) -> str | None:
    """The member whose value JSON can say and UTF-8 cannot, so that it would be nobody's key or file later."""
    waiting: list[tuple[str, Any]] = list(request.items())
    while waiting:
        member, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{member}.{name}", inner) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{member}[{position}]", inner) for position, inner in enumerate(value)]
        elif isinstance(value, str) and _SURROGATE.search(value):
            return member
    return None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def describe_job(job: JobRecord) -> dict[str, Any]:
    """A job as GetMediaAnalysisJob and ListMediaAnalysisJobs answer it."""
    description = job.request | {
        "JobId": job.job_id,
        "Status": job.status,
        "CreationTimestamp": _time(job.created),
    }
    if job.completed is not None:
        description["CompletionTimestamp"] = _time(job.completed)
    if job.status == "FAILED":
        description["FailureDetails"] = {"Code": job.failure_code, "Message": job.failure_message}
    if job.status == "SUCCEEDED":
        description |= results_description(job)
    return description


def describe_project(project: ProjectRecord) -> dict[str, Any]:
    """A project as DescribeProjects answers it."""
    return {
        "ProjectArn": project.arn,
        "CreationTimestamp": _time(project.created),
        "Status": "CREATED",
        "Feature": FEATURE,
        "AutoUpdate": project.auto_update,
    }


def describe_version(version: VersionRecord) -> dict[str, Any]:
    """A project version as DescribeProjectVersions answers it."""
    request = version.request
    description: dict[str, Any] = {
        "ProjectVersionArn": version.arn,
        "CreationTimestamp": _time(version.created),
        "Status": version.status,
        "StatusMessage": version.message,
        "OutputConfig": request["OutputConfig"],
        "Feature": FEATURE,
        "FeatureConfig": {"ContentModeration": {"ConfidenceThreshold": confidence_threshold(request)}},
        "BaseModelVersion": taxonomy.MODEL_VERSION,
        "TrainingDataResult": {"Input": request["TrainingData"]},
        "TestingDataResult": {"Input": request["TestingData"]},
    }
    for member in ("KmsKeyId", "VersionDescription"):
        if member in request:
            description[member] = request[member]
    if version.ended is not None:
        description["TrainingEndTimestamp"] = _time(version.ended)
    if version.output_folder is not None:
        _add_outputs(description, version, version.output_folder)
    return description


def _add_outputs(description: dict[str, Any], version: VersionRecord, folder: str) -> None:
    def place(name: str) -> dict[str, Any]:
        return {"S3Object": output_place(version.request, folder, name)}

    for member, name in (("TrainingDataResult", TRAINING_OUTPUT), ("TestingDataResult", TESTING_OUTPUT)):
        description[member]["Output"] = {"Assets": [{"GroundTruthManifest": place(name)}]}
    description["EvaluationResult"] = {"F1Score": version.f1, "Summary": place(EVALUATION)}
    description["BillableTrainingTimeInSeconds"] = version.billable_seconds
    description["ManifestSummary"] = place(SUMMARY_NAME)
