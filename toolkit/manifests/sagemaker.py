"""Output of labelling jobs of SageMaker Ground Truth: image classification, single- and multi-label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from toolkit.manifests.lines import parse_object, source_ref_of

_METADATA: Final = "-metadata"
_SINGLE: Final = "groundtruth/image-classification"
_MULTI: Final = "groundtruth/image-classification-multilabel"
_VERIFICATION: Final = "groundtruth/label-verification"
_ATTRIBUTE: Final = "moderation-labels"
_WEIGHT: Final = "sampling-weight"
"""An attribute of our own: how many images of the collection this one stands for. SageMaker passes on what it does not
know.
"""


@dataclass(frozen=True)
class Annotation:
    """What a labelling job says of one image.

    Parameters
    ----------
    source_ref
        The image.
    classes
        The classes that were given to it; None where the annotation failed, which is no judgement at all.
    exclusive
        Whether exactly one class was to be chosen.
    offered
        The classes that the line names, given or not.
    weight
        How many images this one stands for, as it is written; None where the line does not say so.
    """

    source_ref: str
    classes: tuple[str, ...] | None
    exclusive: bool
    offered: tuple[str, ...] = ()
    weight: Any = None


def annotation_record(
    source_ref: str, offered: Sequence[str], chosen: Sequence[int], created: datetime, weight: float | None = None
) -> dict[str, Any]:
    """One line of a manifest for several labels: which of those offered were chosen, by their places.

    All that were offered stand in the line, so that one that nobody chose is known to be absent.
    """
    return {
        "source-ref": source_ref,
        **({} if weight is None else {_WEIGHT: weight}),
        _ATTRIBUTE: list(chosen),
        f"{_ATTRIBUTE}{_METADATA}": {
            "class-map": {str(number): name for number, name in enumerate(offered)},
            "confidence-map": {str(number): 1.0 for number in chosen},
            "human-annotated": "yes",
            "creation-date": created.strftime("%Y-%m-%dT%H:%M:%S.%f"),
            "job-name": f"labeling-job/{_ATTRIBUTE}",
            "type": _MULTI,
        },
    }


def parse_annotation_line(raw: bytes | str) -> Annotation:
    """Reads and checks one line of an output manifest.

    Raises
    ------
    ValueError
        What is wrong with the line, in a few words.

    >>> parse_annotation_line(
    ...     '{"source-ref": "s3://b/1.jpg", "kind": [0], "kind-metadata": '
    ...     '{"class-map": {"0": "Gambling"}, "type": "groundtruth/image-classification-multilabel"}}'
    ... ).classes
    ('Gambling',)
    """
    record = parse_object(raw)
    source_ref = source_ref_of(record)
    attribute, metadata = _annotated(record)
    kind, weight = metadata.get("type"), record.get(_WEIGHT)
    if metadata.get("failure-reason") is not None:
        return Annotation(source_ref, None, kind == _SINGLE, weight=weight)
    if kind == _MULTI:
        names: Any = metadata.get("class-map")
        given = _several(record.get(attribute), names)  # refuses names that are none
        offered = tuple(name for name in names.values() if isinstance(name, str) and name)
        return Annotation(source_ref, given, exclusive=False, offered=offered, weight=weight)
    if kind != _SINGLE:
        raise ValueError(f'"{attribute}" is of type {kind!r}, not an image classification')
    name = metadata.get("class-name")
    if not isinstance(name, str) or not name:
        raise ValueError(f'"{attribute}" has no "class-name"')
    return Annotation(source_ref, (name,), exclusive=True, weight=weight)


def _annotated(record: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Name of the labelled attribute, the last where jobs were chained, and what is said about it.

    What jobs of other kinds found, boxes for example, is passed over; not so that someone verified the classes, as they
    may have been found wrong.
    """
    found = [key for key, value in record.items() if key.endswith(_METADATA) and isinstance(value, dict)]
    if not found:
        raise ValueError(f'no "…{_METADATA}" of a labelling job')
    about_classes = [key for key in found if record[key].get("type") in (_SINGLE, _MULTI, _VERIFICATION)]
    last = (about_classes or found)[-1]
    return last.removesuffix(_METADATA), record[last]


def _several(numbers: Any, names: Any) -> tuple[str, ...]:
    if not isinstance(numbers, list) or not isinstance(names, dict):
        raise ValueError('a multi-label annotation is a list of numbers with a "class-map"')
    classes = [names.get(str(number)) for number in numbers]
    named = tuple(name for name in classes if isinstance(name, str) and name)
    if len(named) < len(classes):
        raise ValueError('a class that is not in "class-map"')
    return named
