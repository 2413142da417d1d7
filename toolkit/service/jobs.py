"""Media analysis jobs: taking them on, running them in the background, telling how they stand."""

import logging
from concurrent.futures import Executor
from typing import Any

from toolkit.service import analysis
from toolkit.service.adapter import AdapterShelf
from toolkit.service.caller import Caller, require_place
from toolkit.service.disk import Disk
from toolkit.service.engine import Engine, Stopped
from toolkit.service.faults import IdempotentParameterMismatch, InvalidParameter, InvalidS3Object, ResourceNotFound
from toolkit.service.objects import ObjectError, ObjectStore
from toolkit.service.paging import DEFAULT_PAGE, Pager
from toolkit.service.records import JobRecord
from toolkit.service.state import State

_log = logging.getLogger(__name__)


class Jobs:
    """StartMediaAnalysisJob, GetMediaAnalysisJob and ListMediaAnalysisJobs.

    Parameters
    ----------
    executor
        Where jobs run; its workers are the jobs that run at once, the others wait as QUEUED.
    """

    def __init__(
        self, state: State, disk: Disk, engine: Engine, shelf: AdapterShelf, pager: Pager, executor: Executor
    ) -> None:
        self._state = state
        self._engine = engine
        self._shelf = shelf
        self._disk = disk
        self._pager = pager
        self._executor = executor

    def start(self, caller: Caller, request: dict[str, Any]) -> str:
        """Takes on a job and gives its JobId; a ClientRequestToken that is known gives the job that it made.

        Raises
        ------
        InvalidParameter, InvalidS3Object, InvalidManifest, ResourceNotFound, ResourceNotReady,
        IdempotentParameterMismatch
        """
        request = dict(request)
        token = request.pop("ClientRequestToken", None)
        known = self._state.job_of_token(caller.account, caller.region, token)
        # Asked first: a repeated request gets its answer even when the manifest has been deleted since.
        if known:
            return _same(known, request)
        version = self._check(caller, request)
        job, new = self._state.add_job(caller.account, caller.region, token, request, version)
        if not new:
            return _same(job, request)
        self._state.set_job_status(job.job_id, "QUEUED")
        self._executor.submit(self._run, job)
        return job.job_id

    def _check(self, caller: Caller, request: dict[str, Any]) -> str | None:
        config = request["OperationsConfig"].get("DetectModerationLabels")
        if config is None:
            raise InvalidParameter("OperationsConfig: names no operation; give DetectModerationLabels.")
        place = require_place(request["Input"]["S3Object"], "Input.S3Object")
        store = ObjectStore(self._disk, caller.account, caller.region)
        self._shelf.choose(caller.account, caller.region, config.get("ProjectVersion"))
        try:
            store.bucket(request["OutputConfig"]["S3Bucket"])
        except ObjectError as error:
            raise InvalidParameter(f"OutputConfig.S3Bucket: {error}") from error
        try:
            # The version that was checked is the one that will be analyzed, whatever is uploaded in between.
            return analysis.read_manifest(store, place, place.get("Version"))[1]
        except ObjectError as error:
            raise InvalidS3Object(f"Input.S3Object: {error}") from error

    def _run(self, job: JobRecord) -> None:
        try:
            self._state.set_job_status(job.job_id, "IN_PROGRESS")
            analysis.run(job, self._state, self._disk, self._engine, self._shelf)
        except analysis.JobFailure as failure:
            self._state.fail_job(job.job_id, failure.code, failure.message)
        except Stopped:
            _log.info("job %s: left unfinished, the service is being stopped", job.job_id)
        except Exception as error:
            # Nothing may leave a job in progress for ever, not even a mistake of ours.
            _log.exception("job %s", job.job_id)
            self._state.fail_job(
                job.job_id, "INTERNAL_ERROR", f"The service made a mistake ({type(error).__name__}); its log says more."
            )

    def get(self, caller: Caller, job_id: str) -> JobRecord:
        """One job.

        Raises
        ------
        ResourceNotFound
        """
        job = self._state.job(caller.account, caller.region, job_id)
        if job is None:
            raise ResourceNotFound(f"JobId {job_id}: there is no such job in {caller.region}.")
        return job

    def page(self, caller: Caller, request: dict[str, Any]) -> tuple[list[JobRecord], str | None]:
        """A page of jobs, newest first, and the token of the next page.

        Raises
        ------
        InvalidPaginationToken
        """
        listing = caller.listing("ListMediaAnalysisJobs")
        limit = request.get("MaxResults", DEFAULT_PAGE)
        before = self._pager.before(listing, request.get("NextToken"))
        return self._pager.page(listing, self._state.jobs(caller.account, caller.region, before, limit + 1), limit)


def _same(job: JobRecord, request: dict[str, Any]) -> str:
    if job.request != request:
        raise IdempotentParameterMismatch(
            f"ClientRequestToken {job.token}: already used for another request (job {job.job_id})."
        )
    return job.job_id
