"""StartMediaAnalysisJob and its kin: start, watch, list, fetch, and find again."""

from toolkit.jobs.client import MediaAnalysis
from toolkit.jobs.group import JobGroup
from toolkit.jobs.job import DEFAULT_MIN_CONFIDENCE, PROGRESS_HEADER, Job
from toolkit.jobs.preflight import Check, Preflight
from toolkit.jobs.waiting import wait_for

__all__ = [
    "DEFAULT_MIN_CONFIDENCE",
    "PROGRESS_HEADER",
    "Check",
    "Job",
    "JobGroup",
    "MediaAnalysis",
    "Preflight",
    "wait_for",
]
