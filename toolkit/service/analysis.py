"""One media analysis job from manifest to results, as Rekognition documents the files."""

from typing import Any, Final

from toolkit import taxonomy
from toolkit.manifests import (
    MAX_BYTES,
    MAX_LINES,
    RESULTS_NAME,
    SUMMARY_NAME,
    LineError,
    Summary,
    parse_input_line,
    result_record,
    to_line,
)
from toolkit.service.adapter import Adapter, AdapterShelf
from toolkit.service.disk import Disk
from toolkit.service.engine import BATCH, Engine
from toolkit.service.faults import InvalidManifest, ResourceNotFound, ResourceNotReady
from toolkit.service.model import BadImage
from toolkit.service.moderation import DEFAULT_MIN_CONFIDENCE, confidences, reported
from toolkit.service.objects import KeyUnusable, ObjectError, ObjectStore, ObjectTooLarge
from toolkit.service.records import JobRecord
from toolkit.service.state import State


class JobFailure(Exception):
    """A job ends without results; `code` is a MediaAnalysisJobFailureCode."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_REFUSED_ADAPTER: Final = {ResourceNotFound: "RESOURCE_NOT_FOUND", ResourceNotReady: "RESOURCE_NOT_READY"}


def read_manifest(store: ObjectStore, place: dict[str, str], version: str | None) -> tuple[list[bytes], str | None]:
    """The lines of an input manifest, and the version that was read.

    Parameters
    ----------
    place
        `Bucket` and `Name`.
    version
        None for the latest.

    Returns
    -------
    lines
        One for each line of the file, without its end; a blank one stays, so that positions remain line numbers.
    version
        None where the bucket keeps none.

    Raises
    ------
    ObjectError
        It cannot be read.
    InvalidManifest
        Nothing in it, over 10,000 lines, or over 50 MB.
    """
    try:
        stored = store.read(place["Bucket"], place["Name"], version, max_bytes=MAX_BYTES)
    except ObjectTooLarge as error:
        raise InvalidManifest(str(error)) from error
    lines = [line.strip() for line in stored.data.split(b"\n")]
    count = sum(map(bool, lines))
    name = f"s3://{place['Bucket']}/{place['Name']}"
    if not count:
        raise InvalidManifest(f"{name}: the manifest is empty.")
    if count > MAX_LINES:
        raise InvalidManifest(f"{name}: {count:,} lines, more than the {MAX_LINES:,} that one job may have.")
    return lines, stored.version


def output_key(job: JobRecord, name: str) -> str:
    """Where a file of this job lies in its output bucket."""
    prefix = job.request["OutputConfig"].get("S3KeyPrefix", "").rstrip("/")
    return "/".join([prefix, job.job_id, name] if prefix else [job.job_id, name])


def run(job: JobRecord, state: State, disk: Disk, engine: Engine, shelf: AdapterShelf) -> None:
    """Analyzes every line of the manifest and writes results and summary.

    A line that cannot be analyzed is an error in the summary, and the job still succeeds.

    Raises
    ------
    JobFailure
        It cannot be done.
    Stopped
        The service is being stopped; the job is left as it is.
    """
    store = ObjectStore(disk, job.account, job.region)
    key_arn = _key(job, store)
    lines = _lines(job, store)
    config = job.request["OperationsConfig"]["DetectModerationLabels"]
    adapter = _adapter(job, config, shelf)
    refs, errors = _parse(lines)
    total = len(refs) + len(errors)
    state.set_job_progress(job.job_id, len(errors), total)
    # An expired adapter is not named: that is how a client learns that the base model answered.
    project_version = config.get("ProjectVersion") if adapter else None
    min_confidence = config.get("MinConfidence", DEFAULT_MIN_CONFIDENCE)
    results: list[str] = []
    for seen, (number, ref) in zip(engine.look(refs.values(), store), refs.items(), strict=True):
        if isinstance(seen, BadImage):
            errors.append(LineError(number, seen.code, seen.message, ref))
        else:
            labels = reported(confidences([seen], adapter)[0], min_confidence)
            results.append(to_line(result_record(ref, labels, project_version=project_version)))
        done = len(results) + len(errors)
        if done % BATCH == 0:
            state.set_job_progress(job.job_id, done, total)
    summary = Summary(total, tuple(sorted(errors, key=lambda error: error.line)))
    results_version = _write(job, store, RESULTS_NAME, "".join(results).encode("utf-8"), key_arn)
    summary_version = _write(job, store, SUMMARY_NAME, summary.to_json(), key_arn)
    state.finish_job(job.job_id, results_version, summary_version)


def results_description(job: JobRecord) -> dict[str, Any]:
    """`Results` and `ManifestSummary` of a job that succeeded, as its description carries them."""

    def place(name: str, version: str | None) -> dict[str, Any]:
        found = {"Bucket": job.request["OutputConfig"]["S3Bucket"], "Name": output_key(job, name)}
        return found | ({"Version": version} if version else {})

    return {
        "Results": {
            "S3Object": place(RESULTS_NAME, job.results_version),
            "ModelVersions": {"Moderation": taxonomy.MODEL_VERSION},
        },
        "ManifestSummary": {"S3Object": place(SUMMARY_NAME, job.summary_version)},
    }


def _key(job: JobRecord, store: ObjectStore) -> str | None:
    given = job.request.get("KmsKeyId")
    try:
        # Found out now rather than after an hour of analysis.
        store.bucket(job.request["OutputConfig"]["S3Bucket"])
        return store.key_arn(given) if given else None
    except ObjectError as error:
        raise JobFailure("INVALID_OUTPUT_CONFIG", str(error)) from error
    except KeyUnusable as error:
        raise JobFailure("INVALID_KMS_KEY", str(error)) from error


def _lines(job: JobRecord, store: ObjectStore) -> list[bytes]:
    try:
        return read_manifest(store, job.request["Input"]["S3Object"], job.manifest_version)[0]
    except ObjectError as error:
        raise JobFailure("INVALID_S3_OBJECT", str(error)) from error
    except InvalidManifest as error:
        raise JobFailure("INVALID_MANIFEST", error.message) from error


def _adapter(job: JobRecord, config: dict[str, Any], shelf: AdapterShelf) -> Adapter | None:
    try:
        return shelf.choose(job.account, job.region, config.get("ProjectVersion"))
    except (ResourceNotFound, ResourceNotReady) as fault:
        raise JobFailure(_REFUSED_ADAPTER[type(fault)], fault.message) from fault


def _parse(lines: list[bytes]) -> tuple[dict[int, str], list[LineError]]:
    refs: dict[int, str] = {}
    errors: list[LineError] = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            refs[number] = parse_input_line(line)
        except ValueError as error:
            errors.append(LineError(number, "INVALID_JSON_LINE", f"{error}."))
    return refs, errors


def _write(job: JobRecord, store: ObjectStore, name: str, data: bytes, key_arn: str | None) -> str | None:
    try:
        return store.write(job.request["OutputConfig"]["S3Bucket"], output_key(job, name), data, key_arn=key_arn)
    except ObjectError as error:
        raise JobFailure("INVALID_OUTPUT_CONFIG", str(error)) from error
