"""Media analysis jobs: taking them on, running them in the background, telling how they stand."""

import logging
import secrets
import sqlite3
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from toolkit.service import analysis
from toolkit.service.adapter import AdapterShelf
from toolkit.service.caller import Caller, require_place
from toolkit.service.checkpoint import Checkpoint
from toolkit.service.disk import Disk
from toolkit.service.engine import Engine, Lost, Stopped
from toolkit.service.faults import (
    AccessDenied,
    IdempotentParameterMismatch,
    InvalidParameter,
    InvalidS3Object,
    LimitExceeded,
    ResourceNotFound,
)
from toolkit.service.limits import Limits
from toolkit.service.objects import Denied, ObjectError, ObjectStore
from toolkit.service.paging import DEFAULT_PAGE, Pager
from toolkit.service.records import JobRecord
from toolkit.service.state import State, TooMany

_log = logging.getLogger(__name__)


class Jobs:
    """StartMediaAnalysisJob, GetMediaAnalysisJob and ListMediaAnalysisJobs.

    Parameters
    ----------
    folder
        Where the progress of jobs is kept while they run.
    executor
        Where jobs run; its workers are the jobs that run at once, the others wait as QUEUED.
    limits
        How many jobs an account may have that have not ended.
    """

    def __init__(
        self,
        folder: Path,
        state: State,
        disk: Disk,
        engine: Engine,
        shelf: AdapterShelf,
        pager: Pager,
        executor: Executor,
        limits: Limits,
    ) -> None:
        self._state = state
        self._engine = engine
        self._shelf = shelf
        self._folder = folder
        self._disk = disk
        self._pager = pager
        self._executor = executor
        self._limits = limits

    def start(self, caller: Caller, request: dict[str, Any]) -> str:
        """Takes on a job and gives its JobId; a ClientRequestToken that is known gives the job that it made.

        Raises
        ------
        InvalidParameter, InvalidS3Object, InvalidManifest, ResourceNotFound, ResourceNotReady, AccessDenied,
        IdempotentParameterMismatch, LimitExceeded
        """
        request = dict(request)
        token = request.pop("ClientRequestToken", None)
        known = self._state.job_of_token(caller.account, caller.region, token)
        # Asked first: a repeated request gets its answer even when the manifest has been deleted since.
        if known:
            return _same(known, request)
        job_id = secrets.token_hex(32)
        version = self._check(caller, request, job_id)
        try:
            job, new = self._state.add_job(
                job_id, caller.account, caller.region, token, request, version, self._limits.max_concurrent_jobs
            )
        except TooMany as error:
            raise LimitExceeded(
                f"{self._limits.max_concurrent_jobs} jobs have not ended, as many as may be at once; wait for one."
            ) from error
        if not new:
            return _same(job, request)
        self._executor.submit(self._run, job)
        return job.job_id

    def _check(self, caller: Caller, request: dict[str, Any], job_id: str) -> str | None:
        config = request["OperationsConfig"].get("DetectModerationLabels")
        if config is None:
            raise InvalidParameter("OperationsConfig: names no operation; give DetectModerationLabels.")
        place = require_place(request["Input"]["S3Object"], "Input.S3Object")
        store = ObjectStore(self._disk, caller.account, caller.region)
        self._shelf.choose(caller.account, caller.region, config.get("ProjectVersion"))
        try:
            analysis.require_output(store, request, job_id)
        except Denied as error:
            raise AccessDenied(f"OutputConfig: {error}") from error
        except ObjectError as error:
            raise InvalidParameter(f"OutputConfig: {error}") from error
        try:
            # The version that was checked is the one that will be analyzed, whatever is uploaded in between.
            return analysis.read_manifest(store, place, place.get("Version"))[1]
        except ObjectError as error:
            raise InvalidS3Object(f"Input.S3Object: {error}") from error

    def resume(self) -> None:
        """Goes on with the jobs that an earlier process left unfinished, oldest first."""
        unfinished = self._state.unfinished_jobs()
        known = {job.job_id for job in unfinished}
        for folder in self._folder.glob("*"):
            if folder.name not in known:  # its job had just ended
                Checkpoint(folder).remove()
        for job in unfinished:
            self._executor.submit(self._run, job)

    def _run(self, job: JobRecord) -> None:
        checkpoint = Checkpoint(self._folder / job.job_id)

        def work() -> None:
            analysis.run(job, self._state, self._disk, self._engine, self._shelf, checkpoint)

        try:
            self._state.set_job_status(job.job_id, "IN_PROGRESS")
            self._engine.retrying(work)
        except Stopped:
            _log.info("job %s: left for the next start, the service is being stopped", job.job_id)
            return
        except analysis.JobFailure as failure:
            code, message = failure.code, failure.message
        except Lost as error:
            code, message = "INTERNAL_ERROR", str(error)
        except (OSError, sqlite3.Error) as error:
            _log.exception("job %s", job.job_id)
            code, message = "INTERNAL_ERROR", f"The service could not write to its disk ({error})."
        except Exception as error:
            # Nothing may leave a job in progress for ever, not even a mistake of ours.
            _log.exception("job %s", job.job_id)
            code = "INTERNAL_ERROR"
            message = f"The service made a mistake ({type(error).__name__}); its log says more."
        else:
            checkpoint.remove()
            return
        checkpoint.remove()  # first, as it may be what fills the disk
        self._state.fail_job(job.job_id, code, message)

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
