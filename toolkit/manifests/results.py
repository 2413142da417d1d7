"""The results manifest of a job: what a model said about each image."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from toolkit import taxonomy
from toolkit.manifests.lines import confidence_of, list_of, name_of, parse_object, source_ref_of, text_of

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
    record = parse_object(raw)
    return Result(source_ref_of(record), parse_answer(record.get(key), key))


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
    record = parse_object(raw)
    return source_ref_of(record) if record.get("source-ref") is not None else None, parse_answer(record, "response")


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
    labels = answer.get("ModerationLabels")
    if not isinstance(labels, list):
        raise ValueError('"ModerationLabels" is not a list')
    return Answer(
        tuple(_parse_label(label) for label in labels),
        text_of(answer, "ModerationModelVersion"),
        text_of(answer, "ProjectVersion"),
        {name_of(item): confidence_of(item) for item in list_of(answer, "ContentTypes")},
    )


def _parse_label(item: Any) -> Label:
    name = name_of(item)
    level = item.get("TaxonomyLevel")
    if level is not None and (type(level) is not int or not 1 <= level <= 9):
        raise ValueError('"TaxonomyLevel" is not a small whole number')
    parent = text_of(item, "ParentName") or ""
    if level is None:
        level = taxonomy.level(name) or (2 if parent else 1)
    return Label(name, confidence_of(item), parent, level)
