"""One media analysis job from manifest to results, as Rekognition documents the files."""

from itertools import islice
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
from toolkit.service.checkpoint import Checkpoint, Outcome
from toolkit.service.disk import Disk
from toolkit.service.engine import BATCH, Engine, Seen
from toolkit.service.faults import InvalidManifest, ResourceNotFound, ResourceNotReady
from toolkit.service.model import BadImage
from toolkit.service.moderation import DEFAULT_MIN_CONFIDENCE, confidences, reported
from toolkit.service.objects import Denied, KeyUnusable, ObjectError, ObjectStore, ObjectTooLarge
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


def require_output(store: ObjectStore, request: dict[str, Any], job_id: str) -> None:
    """Finds out whether both files of a job can be written.

    Raises
    ------
    ObjectError
    """
    keys = [output_key(request, job_id, name) for name in (RESULTS_NAME, SUMMARY_NAME)]
    store.require_writable(request["OutputConfig"]["S3Bucket"], *keys)


def output_key(request: dict[str, Any], job_id: str, name: str) -> str:
    """Where a file of a job lies in its output bucket."""
    prefix = request["OutputConfig"].get("S3KeyPrefix", "").rstrip("/")
    return "/".join([prefix, job_id, name] if prefix else [job_id, name])


def run(job: JobRecord, state: State, disk: Disk, engine: Engine, shelf: AdapterShelf, checkpoint: Checkpoint) -> None:
    """Analyzes every line of the manifest and writes results and summary; goes on where an earlier process was stopped.

    A line that cannot be analyzed is an error in the summary, and the job still succeeds.

    Raises
    ------
    JobFailure
        It cannot be done.
    Stopped
        The service is being stopped; the job is left as it is.
    OSError, sqlite3.Error
        The disk is full or broken.
    """
    store = ObjectStore(disk, job.account, job.region)
    _key(job, store)  # found out now rather than after an hour of analysis
    lines = _lines(job, store, checkpoint)
    config = job.request["OperationsConfig"]["DetectModerationLabels"]
    adapter = checkpoint.adapter(lambda: _adapter(job, config, shelf))
    refs, errors = _parse(lines)
    total = len(refs) + len(errors)
    # An expired adapter is not named: that is how a client learns that the base model answered.
    project_version = config.get("ProjectVersion") if adapter else None

    def outcome(ref: str, seen: Seen | BadImage) -> Outcome:
        if isinstance(seen, BadImage):
            return None, [seen.code, seen.message]
        labels = reported(confidences([seen], adapter)[0], config.get("MinConfidence", DEFAULT_MIN_CONFIDENCE))
        return to_line(result_record(ref, labels, project_version=project_version)), []

    made_with = {"batch": BATCH, "model": taxonomy.MODEL_VERSION, "project_version": project_version}
    with checkpoint.go_on(made_with, len(refs), BATCH) as recorder:
        # Recorded in whole batches: they lie at the same places of the manifest however often the job is stopped.
        rest = list(refs.values())[recorder.done :]
        looks = zip(rest, engine.look(rest, store), strict=True)
        state.set_job_progress(job.job_id, len(errors) + recorder.done, total)
        while batch := list(islice(looks, BATCH)):
            recorder.add([outcome(ref, seen) for ref, seen in batch])
            state.set_job_progress(job.job_id, len(errors) + recorder.done, total)
    _finish(job, state, store, refs, errors, checkpoint)


def results_description(job: JobRecord) -> dict[str, Any]:
    """`Results` and `ManifestSummary` of a job that succeeded, as its description carries them."""

    def place(name: str, version: str | None) -> dict[str, Any]:
        found = {"Bucket": job.request["OutputConfig"]["S3Bucket"], "Name": output_key(job.request, job.job_id, name)}
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
        require_output(store, job.request, job.job_id)
        return store.key_arn(given) if given else None
    except ObjectError as error:
        raise JobFailure(_code(error, "INVALID_OUTPUT_CONFIG"), str(error)) from error
    except KeyUnusable as error:
        raise JobFailure("INVALID_KMS_KEY", str(error)) from error


def _code(error: ObjectError, otherwise: str) -> str:
    return "ACCESS_DENIED" if isinstance(error, Denied) else otherwise


def _lines(job: JobRecord, store: ObjectStore, checkpoint: Checkpoint) -> list[bytes]:
    kept = checkpoint.manifest()
    if kept is not None:
        return kept
    try:
        lines = read_manifest(store, job.request["Input"]["S3Object"], job.manifest_version)[0]
    except ObjectError as error:
        raise JobFailure(_code(error, "INVALID_S3_OBJECT"), str(error)) from error
    except InvalidManifest as error:
        raise JobFailure("INVALID_MANIFEST", error.message) from error
    checkpoint.keep_manifest(lines)
    return lines


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


def _finish(
    job: JobRecord,
    state: State,
    store: ObjectStore,
    refs: dict[int, str],
    errors: list[LineError],
    checkpoint: Checkpoint,
) -> None:
    """Writes results and summary from what was recorded."""
    key_arn = _key(job, store)
    results: list[str] = []
    for (number, ref), (result, refusal) in zip(refs.items(), checkpoint.outcomes(), strict=True):
        if result is None:
            code, message = refusal
            errors.append(LineError(number, code, message, ref))
        else:
            results.append(result)
    summary = Summary(len(results) + len(errors), tuple(sorted(errors, key=lambda error: error.line)))
    results_version = _write(job, store, RESULTS_NAME, "".join(results).encode("utf-8"), key_arn)
    summary_version = _write(job, store, SUMMARY_NAME, summary.to_json(), key_arn)
    state.finish_job(job.job_id, results_version, summary_version)


def _write(job: JobRecord, store: ObjectStore, name: str, data: bytes, key_arn: str | None) -> str | None:
    bucket, key = job.request["OutputConfig"]["S3Bucket"], output_key(job.request, job.job_id, name)
    try:
        # It is there already where a process was killed before it could say that the job had ended.
        return store.write(bucket, key, data, key_arn=key_arn, unless_there=True)
    except ObjectError as error:
        raise JobFailure(_code(error, "INVALID_OUTPUT_CONFIG"), str(error)) from error
