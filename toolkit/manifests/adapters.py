"""The files of custom moderation adapters: ground truth in; predictions and an evaluation out."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pandas as pd

from toolkit.errors import UnreadableManifest
from toolkit.manifests.lines import name_of, parse_object, source_ref_of
from toolkit.manifests.results import RESULT_KEY, Answer, parse_answer

TRUTH_KEY: Final = "content-moderation-groundtruth"
BASE_KEY: Final = "detect-moderation-labels-base-model"

_COUNTS: Final = {"tp": "TruePositive", "tn": "TrueNegative", "fp": "FalsePositive", "fn": "FalseNegative"}


def ground_truth_record(source_ref: str, labels: Iterable[str]) -> dict[str, Any]:
    """One line of a training or test manifest; no labels means a safe image."""
    return {
        "source-ref": source_ref,
        TRUTH_KEY: {"ModerationLabels": [{"Name": name} for name in labels]},
    }


def parse_ground_truth_line(raw: bytes | str) -> tuple[str, tuple[str, ...]]:
    """Image and label names of one line of a training or test manifest.

    Raises
    ------
    ValueError
        What is wrong with the line, in a few words.

    >>> from toolkit.manifests import to_line
    >>> parse_ground_truth_line(to_line(ground_truth_record("s3://b/1.jpg", ["Gambling"])))
    ('s3://b/1.jpg', ('Gambling',))
    """
    record = parse_object(raw)
    source_ref = source_ref_of(record)
    truth = record.get(TRUTH_KEY)
    if not isinstance(truth, dict) or not isinstance(truth.get("ModerationLabels"), list):
        raise ValueError(f'no "{TRUTH_KEY}" with a list of "ModerationLabels"')
    return source_ref, tuple(dict.fromkeys(name_of(item) for item in truth["ModerationLabels"]))


# -- what a training writes -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AdapterOutput:
    """One line of an adapter's output manifest, read.

    `truth` are the labels that people gave; `adapter` and `base` are what the two models said, from confidence 5 up.
    They are None for training images, which are not predicted.
    """

    source_ref: str
    truth: tuple[str, ...]
    adapter: Answer | None
    base: Answer | None


def adapter_output_record(
    source_ref: str, truth: Iterable[str], *, adapter: Answer | None = None, base: Answer | None = None
) -> dict[str, Any]:
    """One line of an adapter's output manifest: ground truth, and for a test image what adapter and base model said."""
    record = ground_truth_record(source_ref, truth)
    for key, answer in ((RESULT_KEY, adapter), (BASE_KEY, base)):
        if answer is not None:
            record[key] = answer.record()
    return record


def parse_adapter_output_line(raw: bytes | str) -> AdapterOutput:
    """Reads and checks one line of an adapter's output manifest.

    Raises
    ------
    ValueError
        What is wrong with the line, in a few words.

    >>> from toolkit.manifests import to_line
    >>> line = to_line(adapter_output_record("s3://b/1.jpg", ["Gambling"], adapter=Answer(), base=Answer()))
    >>> parse_adapter_output_line(line).adapter.labels
    ()
    """
    source_ref, truth = parse_ground_truth_line(raw)
    record = parse_object(raw)
    adapter, base = (parse_answer(record[key], key) if key in record else None for key in (RESULT_KEY, BASE_KEY))
    return AdapterOutput(source_ref, truth, adapter, base)


@dataclass(frozen=True)
class Confusion:
    """Numbers of images: flagged rightly, left alone rightly, flagged wrongly, missed."""

    tp: int
    tn: int
    fp: int
    fn: int

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(self.tp + other.tp, self.tn + other.tn, self.fp + other.fp, self.fn + other.fn)

    def record(self) -> dict[str, int]:
        """As it stands in an evaluation."""
        return {name: getattr(self, count) for count, name in _COUNTS.items()}


@dataclass(frozen=True)
class ThresholdEvaluation:
    """Base model and adapter on the test images, where flagged means confidence >= `threshold` (percent).

    Parameters
    ----------
    labels
        Label to the counts of the base model and of the adapter.
    """

    threshold: float
    labels: Mapping[str, tuple[Confusion, Confusion]]

    @property
    def base(self) -> Confusion:
        """The base model's counts, summed over the labels."""
        return sum((base for base, _ in self.labels.values()), Confusion(0, 0, 0, 0))

    @property
    def adapter(self) -> Confusion:
        """The adapter's counts, summed over the labels."""
        return sum((adapter for _, adapter in self.labels.values()), Confusion(0, 0, 0, 0))

    def record(self) -> dict[str, Any]:
        """As it stands in an evaluation."""
        return {
            "ConfidenceThreshold": self.threshold,
            "AggregatedEvaluationResults": {"BaseModel": self.base.record(), "Adapter": self.adapter.record()},
            "LabelEvaluationResults": [
                {"Label": label, "BaseModel": base.record(), "Adapter": adapter.record()}
                for label, (base, adapter) in self.labels.items()
            ],
        }


@dataclass(frozen=True)
class Evaluation:
    """What a training says of the adapter that it made.

    Parameters
    ----------
    f1
        The adapter's F1 score over all labels together, 0–1, at the threshold that the training was asked for.
    ended
        When the evaluation ended.
    labels
        What the adapter was trained to report.
    testing_images, training_images
        How many there were.
    project_version
        The adapter's ARN.
    at_input
        At the threshold that the training was asked for.
    thresholds
        At 5, 10, … 100.
    """

    f1: float
    ended: datetime
    labels: tuple[str, ...]
    testing_images: int
    training_images: int
    project_version: str
    at_input: ThresholdEvaluation
    thresholds: tuple[ThresholdEvaluation, ...]

    def table(self) -> pd.DataFrame:
        """One row a threshold and label.

        Returns
        -------
        pandas.DataFrame
            `threshold` (percent), `label`, and the counts `base_tp`, `base_fp`, `base_fn`, `base_tn`, `adapter_tp`, …
        """
        return pd.DataFrame(
            {"threshold": at.threshold, "label": label}
            | {
                f"{model}_{count}": getattr(confusion, count)
                for model, confusion in (("base", base), ("adapter", adapter))
                for count in ("tp", "fp", "fn", "tn")
            }
            for at in self.thresholds
            for label, (base, adapter) in at.labels.items()
        )

    def to_json(self) -> bytes:
        """The document."""
        document = {
            "AggregatedEvaluationResults": {"F1Score": self.f1},
            "EvaluationDetails": {
                "EvaluationEndTimestamp": self.ended.isoformat(timespec="milliseconds"),
                "Labels": list(self.labels),
                "NumberOfTestingImages": self.testing_images,
                "NumberOfTrainingImages": self.training_images,
                "ProjectVersionArn": self.project_version,
            },
            "ContentModeration": {
                "InputConfidenceThresholdEvalResults": self.at_input.record(),
                "AllConfidenceThresholdsEvalResults": [one.record() for one in self.thresholds],
            },
        }
        return json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8")


def parse_evaluation(raw: bytes | str, name: str = "evaluation") -> Evaluation:
    """Reads the evaluation of an adapter.

    Parameters
    ----------
    raw
        The document.
    name
        What to call it in an error.

    Raises
    ------
    UnreadableManifest
        Not an evaluation.
    """
    try:
        document = parse_object(raw)
        details, moderation = document["EvaluationDetails"], document["ContentModeration"]
        every = tuple(map(_parse_threshold, moderation["AllConfidenceThresholdsEvalResults"]))
        if len({one.threshold for one in every}) < len(every):
            raise ValueError("a threshold is there twice")
        return Evaluation(
            _between(document["AggregatedEvaluationResults"]["F1Score"], 0, 1),
            datetime.fromisoformat(details["EvaluationEndTimestamp"]),
            tuple(map(str, details["Labels"])),
            _count(details["NumberOfTestingImages"]),
            _count(details["NumberOfTrainingImages"]),
            str(details["ProjectVersionArn"]),
            _parse_threshold(moderation["InputConfidenceThresholdEvalResults"]),
            every,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UnreadableManifest(
            f"{name}: not the evaluation of an adapter, or damaged; point at what EvaluationResult.Summary names."
        ) from error


def _parse_threshold(record: Mapping[str, Any]) -> ThresholdEvaluation:
    labels = {
        str(one["Label"]): (_parse_confusion(one["BaseModel"]), _parse_confusion(one["Adapter"]))
        for one in record["LabelEvaluationResults"]
    }
    return ThresholdEvaluation(_between(record["ConfidenceThreshold"], 0, 100), labels)


def _parse_confusion(record: Mapping[str, Any]) -> Confusion:
    return Confusion(**{count: _count(record[name]) for count, name in _COUNTS.items()})


def _count(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value or value < 0:
        raise ValueError(f"{value!r} is no number of images")
    return int(value)


def _between(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{value!r} is not from {low} to {high}")
    return float(value)
