"""Decide how strictly images are moderated: run Rekognition's bulk analysis, load, look, tune, compare."""

from toolkit import errors, plots, storage, taxonomy, widgets
from toolkit.adapters import (
    Adapter,
    GroundTruth,
    delete_project,
    find_adapter,
    ground_truth,
    list_adapters,
    read_evaluation,
    shortfalls,
    train_adapter,
)
from toolkit.collection import Collection, collect, write_manifest
from toolkit.compare import Comparison, compare
from toolkit.curves import OperatingPoint, ThresholdCurve, curve_of_scores, ranking_intervals, threshold_curve
from toolkit.detect import DetectRun, detect, moderate
from toolkit.drift import Drift, drift
from toolkit.errors import ToolkitError
from toolkit.images import thumbnail
from toolkit.jobs import Job, JobGroup, MediaAnalysis, Preflight, wait_for
from toolkit.labelling import LabelLog
from toolkit.policy import Policy, PolicyChoice, Rule, choose_policy
from toolkit.prices import Prices
from toolkit.report import write_report
from toolkit.results import Results, read_adapter_output, read_results
from toolkit.sampling import positives_needed, sample_for_labeling
from toolkit.slices import slices
from toolkit.storage import connect
from toolkit.summarize import CollectionSummary, summarize
from toolkit.truth import Annotations, Truth, annotations, make_truth, read_truth
from toolkit.tuning import Choice, choose_threshold
from toolkit.workspace import Run, Workspace

__all__ = [
    "Adapter",
    "Annotations",
    "Choice",
    "Collection",
    "CollectionSummary",
    "Comparison",
    "DetectRun",
    "Drift",
    "GroundTruth",
    "Job",
    "JobGroup",
    "LabelLog",
    "MediaAnalysis",
    "OperatingPoint",
    "Policy",
    "PolicyChoice",
    "Preflight",
    "Prices",
    "Results",
    "Rule",
    "Run",
    "ThresholdCurve",
    "ToolkitError",
    "Truth",
    "Workspace",
    "annotations",
    "choose_policy",
    "choose_threshold",
    "collect",
    "compare",
    "connect",
    "curve_of_scores",
    "delete_project",
    "detect",
    "drift",
    "errors",
    "find_adapter",
    "ground_truth",
    "list_adapters",
    "make_truth",
    "moderate",
    "plots",
    "positives_needed",
    "ranking_intervals",
    "read_adapter_output",
    "read_evaluation",
    "read_results",
    "read_truth",
    "sample_for_labeling",
    "shortfalls",
    "slices",
    "storage",
    "summarize",
    "taxonomy",
    "threshold_curve",
    "thumbnail",
    "train_adapter",
    "wait_for",
    "widgets",
    "write_manifest",
    "write_report",
]
