"""The results manifest of a job: what a model said about each image."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from toolkit import taxonomy
from toolkit.manifests.lines import (
    confidence_of,
    float32,
    list_of,
    name_of,
    parse_object,
    source_ref_of,
    text_of,
    value_of,
)

RESULTS_NAME: Final = "results.jsonl"
RESULT_KEY: Final = "detect-moderation-labels"


@dataclass(frozen=True)
class Label:
    """One label that a model reported for an image; confidence in percent, 0–100."""

    name: str
    confidence: float
    parent: str = ""
    level: int = 1

    def record(self) -> dict[str, Any]:
        """As it stands in a response."""
        return {
            "Confidence": self.confidence,
            "Name": self.name,
            "ParentName": self.parent,
            "TaxonomyLevel": self.level,
        }


@dataclass(frozen=True)
class Answer:
    """What a model said about one image.

    Parameters
    ----------
    labels
        The moderation labels that it reported; none means that it saw nothing to report.
    model_version
        Of the moderation model, such as "7.0".
    project_version
        ARN of the adapter that answered; None where the base model did.
    content_types
        Name of a content type to its confidence in percent.
    """

    labels: tuple[Label, ...] = ()
    model_version: str | None = taxonomy.MODEL_VERSION
    project_version: str | None = None
    content_types: Mapping[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As it stands in a results manifest."""
        record: dict[str, Any] = {
            "ModerationLabels": [label.record() for label in self.labels],
            "ModerationModelVersion": self.model_version,
            "ContentTypes": [
                {"Confidence": confidence, "Name": name} for name, confidence in self.content_types.items()
            ],
        }
        return record | ({"ProjectVersion": self.project_version} if self.project_version is not None else {})


def result_record(source_ref: str, labels: Iterable[Label], **answer: Any) -> dict[str, Any]:
    """One line of a results manifest; keywords are those of `Answer`."""
    return {"source-ref": source_ref, RESULT_KEY: Answer(tuple(labels), **answer).record()}


@dataclass(frozen=True)
class Result:
    """One line of a results manifest, read."""

    source_ref: str
    answer: Answer


def parse_result_line(raw: bytes | str, key: str = RESULT_KEY) -> Result:
    """Reads and checks one line of a results manifest.

    Parameters
    ----------
    raw
        The line.
    key
        Under which the answer stands; an adapter output manifest holds a second one.

    Raises
    ------
    ValueError
        What is wrong with the line, in a few words.

    >>> line = '{"source-ref": "s3://b/1.jpg", "detect-moderation-labels": {"ModerationLabels": []}}'
    >>> parse_result_line(line).answer.labels
    ()
    """
    record = parse_object(raw, forgiving=True)
    return Result(source_ref_of(record), parse_answer(value_of(record, key), key))


def parse_response_line(raw: bytes | str) -> tuple[str | None, Answer]:
    """Reads and checks a response of DetectModerationLabels that was saved as a line.

    Returns
    -------
    source_ref, answer
        The image if whoever saved it wrote it beside the response, under `source-ref`.

    Raises
    ------
    ValueError
        What is wrong with the line, in a few words.

    >>> parse_response_line('{"ModerationLabels": [], "ModerationModelVersion": "7.0"}')[0] is None
    True
    """
    record = parse_object(raw, forgiving=True)
    source_ref = source_ref_of(record) if value_of(record, "source-ref") is not None else None
    return source_ref, parse_answer(record, "response")


def parse_answer(answer: Any, key: str) -> Answer:
    """Reads and checks what a model said.

    Parameters
    ----------
    answer
        As it stands in the file.
    key
        Where it stood, for the message.

    Raises
    ------
    ValueError
        What is wrong with it, in a few words.
    """
    if not isinstance(answer, dict):
        raise ValueError(f'no "{key}" object')
    labels = value_of(answer, "ModerationLabels")
    if not isinstance(labels, list):
        raise ValueError('"ModerationLabels" is not a list')
    return Answer(
        tuple(_parse_label(label) for label in labels),
        model_version_of(answer),
        text_of(answer, "ProjectVersion"),
        _content_types(list_of(answer, "ContentTypes")),
    )


def _content_types(items: Iterable[Any]) -> dict[str, float]:
    """Name to confidence, the higher one of a name that stands twice; of those that are alike, the last is last."""
    found: dict[str, float] = {}
    for item in items:
        name, confidence = name_of(item), confidence_of(item)
        if confidence >= found.get(name, 0):
            found.pop(name, None)
            found[name] = confidence
    return found


def _parse_label(item: Any) -> Label:
    name, parent = name_of(item), parent_of(item)
    return Label(name, confidence_of(item), parent, level_of(item) or usual_level(name, parent))


def parent_of(item: Mapping[str, Any]) -> str:
    """The label one level up, as a response says it; empty where it says none. Raises as `text_of`."""
    return text_of(item, "ParentName") or ""


def level_of(item: Mapping[str, Any]) -> int | None:
    """The level of a label, 1–9, as a number or as text that is one; None where it is left out.

    Raises
    ------
    ValueError
        Something else is there.

    >>> level_of({"TaxonomyLevel": "1"}), level_of({"TaxonomyLevel": 2.0})
    (1, 2)
    """
    value = value_of(item, "TaxonomyLevel")
    try:
        level = math.nan if value is None else float32(float(value))
    except (TypeError, ValueError, OverflowError):
        level = math.inf
    if math.isnan(level):
        return None
    if level not in range(1, 10):
        raise ValueError('"TaxonomyLevel" is not a small whole number')
    return int(level)


def usual_level(name: str, parent: str) -> int:
    """The level of a label whose response says none.

    >>> usual_level("Weapons", "Violence"), usual_level("Brand New", "")
    (2, 1)
    """
    return taxonomy.level(name) or (2 if parent else 1)


def model_version_of(answer: Mapping[str, Any]) -> str | None:
    """The version of the moderation model, as a number or as text; None where it is left out or empty.

    Raises
    ------
    ValueError
        Something else is there.

    >>> model_version_of({"ModerationModelVersion": 7.0})
    '7.0'
    """
    value = value_of(answer, "ModerationModelVersion")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return text_of(answer, "ModerationModelVersion")
