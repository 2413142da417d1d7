"""Output of labelling jobs of SageMaker Ground Truth: image classification, single- and multi-label."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from toolkit.manifests.lines import parse_object, source_ref_of

_METADATA: Final = "-metadata"
_SINGLE: Final = "groundtruth/image-classification"
_MULTI: Final = "groundtruth/image-classification-multilabel"


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
    """

    source_ref: str
    classes: tuple[str, ...] | None
    exclusive: bool


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
    kind = metadata.get("type")
    if metadata.get("failure-reason") is not None:
        return Annotation(source_ref, None, kind == _SINGLE)
    if kind == _MULTI:
        return Annotation(source_ref, _several(record.get(attribute), metadata.get("class-map")), exclusive=False)
    if kind != _SINGLE:
        raise ValueError(f'"{attribute}" is of type {kind!r}, not an image classification')
    name = metadata.get("class-name")
    if not isinstance(name, str) or not name:
        raise ValueError(f'"{attribute}" has no "class-name"')
    return Annotation(source_ref, (name,), exclusive=True)


def _annotated(record: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Name of the labelled attribute, the last where jobs were chained, and what is said about it."""
    found = [key for key, value in record.items() if key.endswith(_METADATA) and isinstance(value, dict)]
    if not found:
        raise ValueError(f'no "…{_METADATA}" of a labelling job')
    return found[-1].removesuffix(_METADATA), record[found[-1]]


def _several(numbers: Any, names: Any) -> tuple[str, ...]:
    if not isinstance(numbers, list) or not isinstance(names, dict):
        raise ValueError('a multi-label annotation is a list of numbers with a "class-map"')
    classes = [names.get(str(number)) for number in numbers]
    named = tuple(name for name in classes if isinstance(name, str) and name)
    if len(named) < len(classes):
        raise ValueError('a class that is not in "class-map"')
    return named
