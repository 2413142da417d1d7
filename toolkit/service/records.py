"""Rows of the service's memory. Times are seconds since 1970 (UTC), requests are kept as they came."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class JobRecord:
    """One media analysis job. `token` is the ClientRequestToken, `seq` rises with every job."""

    seq: int
    job_id: str
    account: str
    region: str
    token: str | None
    request: dict[str, Any]
    manifest_version: str | None
    status: str
    failure_code: str | None
    failure_message: str | None
    created: float
    completed: float | None
    done: int
    total: int
    results_version: str | None
    summary_version: str | None


@dataclass(frozen=True)
class ProjectRecord:
    """One project; it has nothing but a name and its versions."""

    seq: int
    arn: str
    account: str
    region: str
    name: str
    auto_update: str
    created: float


@dataclass(frozen=True)
class VersionRecord:
    """One project version. `adapter_id` names its trained heads, `output_folder` what its training wrote."""

    seq: int
    arn: str
    project_arn: str
    name: str
    adapter_id: str
    request: dict[str, Any]
    status: str
    message: str | None
    created: float
    ended: float | None
    billable_seconds: int | None
    f1: float | None
    output_folder: str | None
    done: int
    total: int
