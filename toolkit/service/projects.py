"""Projects and project versions: custom moderation adapters, trained in the background."""

import logging
import math
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, Final

from toolkit.manifests import SUMMARY_NAME
from toolkit.service.adapter import AdapterShelf
from toolkit.service.caller import Caller, require_place
from toolkit.service.disk import Disk
from toolkit.service.engine import BATCH, Engine, Lost, Stopped
from toolkit.service.faults import AccessDenied, InvalidParameter, ResourceInUse, ResourceNotFound
from toolkit.service.objects import Denied, KeyUnusable, ObjectError, ObjectStore
from toolkit.service.paging import DEFAULT_PAGE, Pager, Record
from toolkit.service.records import ProjectRecord, VersionRecord
from toolkit.service.state import AlreadyThere, Gone, State
from toolkit.service.training import Trained, TrainingFailure, train

FEATURE: Final = "CONTENT_MODERATION"
TRAINING_OUTPUT: Final = "training-output.jsonl"
TESTING_OUTPUT: Final = "testing-output.jsonl"
EVALUATION: Final = "evaluation.json"
_OUTPUTS: Final = (TRAINING_OUTPUT, TESTING_OUTPUT, EVALUATION, SUMMARY_NAME)

_log = logging.getLogger(__name__)


class Projects:
    """CreateProject, CreateProjectVersion, and their Describe… and Delete…."""

    def __init__(
        self, state: State, disk: Disk, engine: Engine, shelf: AdapterShelf, pager: Pager, executor: Executor
    ) -> None:
        self._state = state
        self._engine = engine
        self._shelf = shelf
        self._disk = disk
        self._pager = pager
        self._executor = executor

    def create(self, caller: Caller, request: dict[str, Any]) -> str:
        """A new project; its ARN.

        Raises
        ------
        InvalidParameter
            Another Feature than CONTENT_MODERATION; left out it means CUSTOM_LABELS, as on AWS.
        ResourceInUse
            The name is taken.
        """
        if request.get("Feature") != FEATURE:
            raise InvalidParameter(f"Feature: only {FEATURE} is offered here (left out, it means CUSTOM_LABELS).")
        name, now = request["ProjectName"], time.time()
        arn = caller.arn(f"project/{name}/{int(now * 1000)}")
        auto_update = request.get("AutoUpdate", "DISABLED")
        try:
            self._state.add_project(ProjectRecord(0, arn, caller.account, caller.region, name, auto_update, now))
        except AlreadyThere as error:
            raise ResourceInUse(f"ProjectName: there is a project {name} already.") from error
        return arn

    def page(self, caller: Caller, request: dict[str, Any]) -> tuple[list[ProjectRecord], str | None]:
        """A page of projects, newest first, and the token of the next page.

        Features left out means CUSTOM_LABELS, as on AWS, of which there are none here.

        Raises
        ------
        InvalidPaginationToken
        """
        names, features = request.get("ProjectNames"), request.get("Features") or ["CUSTOM_LABELS"]
        found = [
            project
            for project in self._state.projects(caller.account, caller.region)
            if (not names or project.name in names) and FEATURE in features
        ]
        return self._page(caller.listing("DescribeProjects"), found, request)

    def delete(self, caller: Caller, arn: str) -> None:
        """Forgets a project.

        Raises
        ------
        ResourceNotFound
        ResourceInUse
            It has versions.
        """
        self._project(caller, arn)
        if not self._state.delete_project(arn):
            raise ResourceInUse(f"ProjectArn {arn}: the project has versions; delete them first.")

    def create_version(self, caller: Caller, request: dict[str, Any]) -> str:
        """A new version, whose training begins; its ARN.

        Raises
        ------
        InvalidParameter, ResourceNotFound, AccessDenied
        ResourceInUse
            The name is taken.
        """
        project = self._project(caller, request["ProjectArn"])
        _check_data(request)
        name = request["VersionName"]
        keys = [output_place(request, f"{project.name}/{name}", output)["Name"] for output in _OUTPUTS]
        store = ObjectStore(self._disk, caller.account, caller.region)
        try:
            store.require_writable(request["OutputConfig"]["S3Bucket"], *keys)
        except Denied as error:
            raise AccessDenied(f"OutputConfig: {error}") from error
        except ObjectError as error:
            raise InvalidParameter(f"OutputConfig: {error}") from error
        arn = f"{project.arn.rpartition('/')[0]}/version/{name}/{int(time.time() * 1000)}"
        try:
            version = self._state.add_version(arn, project.arn, name, request)
        except AlreadyThere as error:
            raise ResourceInUse(f"VersionName: {project.name} has a version {name} already.") from error
        except Gone as error:
            raise _no_project(project.arn, caller) from error
        self._executor.submit(self._train, project, version)
        return arn

    def page_of_versions(self, caller: Caller, request: dict[str, Any]) -> tuple[list[VersionRecord], str | None]:
        """A page of a project's versions, newest first, and the token of the next page.

        Raises
        ------
        ResourceNotFound, InvalidPaginationToken
        """
        project = self._project(caller, request["ProjectArn"])
        names = request.get("VersionNames")
        found = [version for version in self._state.versions(project.arn) if not names or version.name in names]
        return self._page(caller.listing("DescribeProjectVersions", project.arn), found, request)

    def delete_version(self, caller: Caller, arn: str) -> None:
        """Forgets a version and deletes its adapter.

        Raises
        ------
        ResourceNotFound
        ResourceInUse
            It is being trained.
        """
        version = self._state.version(arn)
        if version is None or self._state.project(caller.account, caller.region, version.project_arn) is None:
            raise ResourceNotFound(f"ProjectVersionArn {arn}: there is no such project version.")
        if version.status == "TRAINING_IN_PROGRESS":
            raise ResourceInUse(f"ProjectVersionArn {arn}: it is being trained; wait until that ends.")
        self._state.delete_version(arn)
        self._shelf.remove(version.adapter_id)

    def _project(self, caller: Caller, arn: str) -> ProjectRecord:
        project = self._state.project(caller.account, caller.region, arn)
        if project is None:
            raise _no_project(arn, caller)
        return project

    def _page(
        self, listing: str, records: Sequence[Record], request: dict[str, Any]
    ) -> tuple[list[Record], str | None]:
        before = self._pager.before(listing, request.get("NextToken"))
        rest = [record for record in records if before is None or record.seq < before]
        return self._pager.page(listing, rest, request.get("MaxResults", DEFAULT_PAGE))

    def resume(self) -> None:
        """Starts the trainings again that an earlier process left unfinished."""
        for project, version in self._state.unfinished_versions():
            self._executor.submit(self._train, project, version)

    def _train(self, project: ProjectRecord, version: VersionRecord) -> None:
        began = time.monotonic()

        def progress(done: int, total: int) -> None:
            if done % BATCH == 0 or done == total:
                self._state.set_version_progress(version.arn, done, total)

        def work() -> None:
            store = ObjectStore(self._disk, project.account, project.region)
            given_key = version.request.get("KmsKeyId")
            key_arn = store.key_arn(given_key) if given_key else None
            trained = train(version.request, version.arn, store, self._engine, progress)
            folder = _write_outputs(store, project, version, trained, key_arn)
            self._shelf.put(version.adapter_id, trained.adapter)
            seconds = math.ceil(time.monotonic() - began)
            self._state.finish_version(version.arn, trained.message, trained.evaluation.f1, seconds, folder)

        try:
            self._engine.retrying(work)
        except (TrainingFailure, ObjectError, KeyUnusable, Lost) as failure:
            self._state.fail_version(version.arn, str(failure))
        except Stopped:
            _log.info("training of %s: left for the next start, the service is being stopped", version.arn)
        except (OSError, sqlite3.Error) as error:
            _log.exception("training of %s", version.arn)
            self._state.fail_version(version.arn, f"The service could not write to its disk ({error}).")
        except Exception as error:
            _log.exception("training of %s", version.arn)
            self._state.fail_version(
                version.arn, f"The service made a mistake ({type(error).__name__}); its log says more."
            )


def _no_project(arn: str, caller: Caller) -> ResourceNotFound:
    return ResourceNotFound(f"ProjectArn {arn}: there is no such project in {caller.region}.")


def _check_data(request: dict[str, Any]) -> None:
    if not request["OutputConfig"].get("S3Bucket"):
        raise InvalidParameter("OutputConfig.S3Bucket: required, but missing.")
    testing = request.get("TestingData") or {}
    if not (request.get("TrainingData") or {}).get("Assets"):
        raise InvalidParameter("TrainingData.Assets: required here, name a ground-truth manifest.")
    if bool(testing.get("Assets")) == bool(testing.get("AutoCreate")):
        raise InvalidParameter("TestingData: give either Assets or AutoCreate.")
    for member in ("TrainingData", "TestingData"):
        for position, asset in enumerate(request[member].get("Assets") or []):
            place = (asset.get("GroundTruthManifest") or {}).get("S3Object")
            require_place(place, f"{member}.Assets[{position}].GroundTruthManifest.S3Object")


def output_place(request: dict[str, Any], folder: str, name: str) -> dict[str, str]:
    """Where a file of a training lies; `folder` is the project's name and the version's."""
    output = request["OutputConfig"]
    prefix = output.get("S3KeyPrefix", "").rstrip("/")
    return {"Bucket": output["S3Bucket"], "Name": "/".join(filter(None, [prefix, folder, name]))}


def _write_outputs(
    store: ObjectStore, project: ProjectRecord, version: VersionRecord, trained: Trained, key_arn: str | None
) -> str:
    """Writes what a training says of itself; gives the folder."""
    folder = f"{project.name}/{version.name}"
    contents = (
        trained.training_output.encode("utf-8"),
        trained.testing_output.encode("utf-8"),
        trained.evaluation.to_json(),
        trained.summary.to_json(),
    )
    for name, data in zip(_OUTPUTS, contents, strict=True):
        place = output_place(version.request, folder, name)
        store.write(place["Bucket"], place["Name"], data, key_arn=key_arn)
    return folder
