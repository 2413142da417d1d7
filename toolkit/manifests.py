"""Every file format of bulk analysis, one line or one document at a time.

All of them are JSON, mostly JSON Lines (UTF-8, one object a line). What is read from outside is checked; what is wrong
with it is said in a `ValueError` of one sentence, which the caller puts beside the line's number.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from toolkit import storage, taxonomy
from toolkit.errors import NotFound, UnreadableManifest

MAX_LINES: Final = 10_000
"""Images in one job."""
MAX_BYTES: Final = 50 * 1024 * 1024
"""Size of one input manifest."""
MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""A longer line is not read: no response is anywhere near as long."""
IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png")

RESULTS_NAME: Final = "results.jsonl"
SUMMARY_NAME: Final = "manifest-summary.json"

_RESULT_KEY: Final = "detect-moderation-labels"
_TRUTH_KEY: Final = "content-moderation-groundtruth"


def to_line(record: Mapping[str, Any]) -> str:
    """One JSON Lines line, newline included.

    >>> to_line({"source-ref": "s3://b/1.jpg"})
    '{"source-ref": "s3://b/1.jpg"}\\n'
    """
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def _object(raw: bytes | str) -> dict[str, Any]:
    if len(raw) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES // 1024**2} MB")
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        value = json.loads(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("not a JSON object; the line may be cut off") from error
    if not isinstance(value, dict):
        raise ValueError(f"a JSON {type(value).__name__}, not an object")
    return value


def _source_ref(record: Mapping[str, Any]) -> str:
    source_ref = record.get("source-ref")
    if not isinstance(source_ref, str) or not source_ref:
        raise ValueError('no "source-ref"')
    return source_ref


# -- input manifest ---------------------------------------------------------------------------------------------------


def parse_input_line(raw: bytes | str) -> str:
    """The image that one line of an input manifest names, as an S3 URI.

    Raises
    ------
    ValueError
        Not an object, no `source-ref`, or not `s3://bucket/key`.

    >>> parse_input_line('{"source-ref": "s3://b/1.jpg"}')
    's3://b/1.jpg'
    """
    source_ref = _source_ref(_object(raw))
    bucket, _, key = source_ref.removeprefix("s3://").partition("/")
    if not storage.is_s3(source_ref) or not bucket or not key:
        raise ValueError('"source-ref" is not s3://bucket/key')
    return source_ref


def split_lines(lines: Iterable[str]) -> list[bytes]:
    """Joins manifest lines into as few parts as the limits of one job allow (10,000 lines, 50 MB each).

    >>> [len(part) for part in split_lines(["a\\n", "b\\n"])]
    [4]
    """
    parts: list[bytes] = []
    part: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode("utf-8")
        if part and (len(part) == MAX_LINES or size + len(data) > MAX_BYTES):
            parts.append(b"".join(part))
            part, size = [], 0
        part.append(data)
        size += len(data)
    if part:
        parts.append(b"".join(part))
    return parts


def is_image_name(name: str) -> bool:
    """Whether a key or path ends as images do that moderation accepts (JPEG and PNG).

    >>> is_image_name("a/b.JPG"), is_image_name("a/b.txt")
    (True, False)
    """
    return name.lower().endswith(IMAGE_SUFFIXES)


def write_manifest(
    images: str | os.PathLike[str] | Sequence[str],
    destination: str | os.PathLike[str],
    *,
    session: storage.Session | None = None,
) -> list[str]:
    """Writes the input manifest of a job, in as many parts as the service's limits ask for.

    Parameters
    ----------
    images
        S3 URIs of images (every one is written, duplicates too), one `s3://bucket/prefix/` (its JPEG and PNG objects,
        sorted), or a folder on this machine, whose JPEG and PNG files are first copied to `images/` beside the
        manifest.
    destination
        S3 URI of the manifest (or a path, for images that are in S3 already). One part keeps this name; several get
        `-1`, `-2`, … before the suffix.
    session
        For S3; None is boto3's default.

    Returns
    -------
    list of str
        URIs of the parts, at most 10,000 lines and 50 MB each.

    Raises
    ------
    NotFound
        No image was found, or one is not an S3 URI.
    """
    if isinstance(images, (str, os.PathLike)):
        refs = [ref for ref in storage.list_files(images, session=session) if is_image_name(ref)]
        if not refs:
            raise NotFound(f"{images}: no JPEG or PNG there; name a prefix or folder that holds images.")
        if not storage.is_s3(images):
            names = [Path(ref).relative_to(images).as_posix() for ref in refs]
            beside = storage.join(str(destination).rpartition("/")[0], "images")
            refs = storage.upload(images, beside, names=names, session=session)
    else:
        refs = list(images)
        if not refs:
            raise NotFound("no images given; name at least one s3://bucket/key.")
    for ref in refs:
        if not all(storage.split_s3(ref)):
            raise NotFound(f"{ref}: not an image in S3; write it as s3://bucket/key.")
    parts = split_lines(to_line({"source-ref": ref}) for ref in refs)
    targets = _part_names(str(destination), len(parts))
    for name, part in zip(targets, parts, strict=True):
        storage.write(name, part, session=session)
    return targets


def _part_names(destination: str, parts: int) -> list[str]:
    if parts == 1:
        return [destination]
    stem, suffix = os.path.splitext(destination)  # noqa: PTH122  (a URI, not a path)
    return [f"{stem}-{number}{suffix}" for number in range(1, parts + 1)]


# -- results ----------------------------------------------------------------------------------------------------------


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


def result_record(
    source_ref: str,
    labels: Iterable[Label],
    *,
    model_version: str = taxonomy.MODEL_VERSION,
    content_types: Mapping[str, float] | None = None,
    project_version: str | None = None,
) -> dict[str, Any]:
    """One line of a results manifest. `content_types` maps a name to its confidence (percent)."""
    answer: dict[str, Any] = {
        "ModerationLabels": [label.record() for label in labels],
        "ModerationModelVersion": model_version,
        "ContentTypes": [
            {"Confidence": confidence, "Name": name} for name, confidence in (content_types or {}).items()
        ],
    }
    if project_version is not None:
        answer["ProjectVersion"] = project_version
    return {"source-ref": source_ref, _RESULT_KEY: answer}


@dataclass(frozen=True)
class Result:
    """One line of a results manifest, read."""

    source_ref: str
    labels: tuple[Label, ...]
    model_version: str | None
    project_version: str | None
    content_types: Mapping[str, float]


def parse_result_line(raw: bytes | str) -> Result:
    """Reads and checks one line of a results manifest.

    Raises
    ------
    ValueError
        What is wrong with the line, in a few words.

    >>> parse_result_line('{"source-ref": "s3://b/1.jpg", "detect-moderation-labels": {"ModerationLabels": []}}').labels
    ()
    """
    record = _object(raw)
    source_ref = _source_ref(record)
    answer = record.get(_RESULT_KEY)
    if not isinstance(answer, dict):
        raise ValueError(f'no "{_RESULT_KEY}" object')
    labels = answer.get("ModerationLabels")
    if not isinstance(labels, list):
        raise ValueError('"ModerationLabels" is not a list')
    return Result(
        source_ref,
        tuple(_parse_label(label) for label in labels),
        _text(answer, "ModerationModelVersion"),
        _text(answer, "ProjectVersion"),
        {_name(item): _confidence(item) for item in _list(answer, "ContentTypes")},
    )


def _parse_label(item: Any) -> Label:
    name = _name(item)
    level = item.get("TaxonomyLevel")
    if level is not None and (type(level) is not int or not 1 <= level <= 9):
        raise ValueError('"TaxonomyLevel" is not a small whole number')
    parent = _text(item, "ParentName") or ""
    if level is None:
        level = taxonomy.level(name) or (2 if parent else 1)
    return Label(name, _confidence(item), parent, level)


def _list(record: Mapping[str, Any], key: str) -> list[Any]:
    value = record.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f'"{key}" is not a list')
    return value


def _text(record: Mapping[str, Any], key: str) -> str | None:
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f'"{key}" is not text')
    return value or None


def _name(item: Any) -> str:
    name = item.get("Name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not name:
        raise ValueError('a label without a "Name"')
    return name


def _confidence(item: Mapping[str, Any]) -> float:
    value = item.get("Confidence")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError('a "Confidence" that is not a number')
    if not math.isfinite(value) or not 0 <= value <= 100:
        raise ValueError(f'a "Confidence" of {value}, not between 0 and 100')
    return float(value)


# -- summary ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LineError:
    """One line of an input manifest that was not analyzed. Lines count from 1; `source_ref` may be unknown."""

    line: int
    code: str
    message: str
    source_ref: str | None = None


@dataclass(frozen=True)
class Summary:
    """What a job says of itself: lines read, and those that could not be analyzed."""

    total: int
    errors: tuple[LineError, ...] = field(default=())

    @property
    def valid(self) -> int:
        """Lines that were analyzed."""
        return self.total - len(self.errors)

    def to_json(self) -> bytes:
        """The document that stands beside the results."""
        errors = [
            {"line-number": error.line}
            | ({"source-ref": error.source_ref} if error.source_ref else {})
            | {"code": error.code, "message": error.message}
            for error in self.errors
        ]
        document = {
            "version": "1.0",
            "statistics": {
                "total-json-lines": self.total,
                "valid-json-lines": self.valid,
                "invalid-json-lines": len(self.errors),
            },
            "errors": errors,
        }
        return json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8")


def parse_summary(raw: bytes | str, name: str = "summary") -> Summary:
    """Reads a summary. AWS documents the line's key as `line-numer`; both spellings are read.

    Parameters
    ----------
    raw
        The document.
    name
        What to call it in an error.

    Raises
    ------
    UnreadableManifest
        Not a summary.
    """
    try:
        document = _object(raw)
        statistics = document["statistics"]
        errors = tuple(
            LineError(
                line=int(item.get("line-number", item.get("line-numer", 0))),
                code=str(item.get("code", "")),
                message=str(item.get("message", "")),
                source_ref=_text(item, "source-ref"),
            )
            for item in _list(document, "errors")
        )
        return Summary(int(statistics["total-json-lines"]), errors)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableManifest(
            f"{name}: not the summary of a media analysis job; point at the job's {SUMMARY_NAME}."
        ) from error


# -- ground truth -----------------------------------------------------------------------------------------------------


def ground_truth_record(source_ref: str, labels: Iterable[str]) -> dict[str, Any]:
    """One line of a training or test manifest; no labels means a safe image."""
    return {
        "source-ref": source_ref,
        _TRUTH_KEY: {"ModerationLabels": [{"Name": name} for name in labels]},
    }


def parse_ground_truth_line(raw: bytes | str) -> tuple[str, tuple[str, ...]]:
    """Image and label names of one line of a training or test manifest.

    Raises
    ------
    ValueError
        What is wrong with the line, in a few words.

    >>> parse_ground_truth_line(to_line(ground_truth_record("s3://b/1.jpg", ["Gambling"])))
    ('s3://b/1.jpg', ('Gambling',))
    """
    record = _object(raw)
    source_ref = _source_ref(record)
    truth = record.get(_TRUTH_KEY)
    if not isinstance(truth, dict) or not isinstance(truth.get("ModerationLabels"), list):
        raise ValueError(f'no "{_TRUTH_KEY}" with a list of "ModerationLabels"')
    return source_ref, tuple(dict.fromkeys(_name(item) for item in truth["ModerationLabels"]))
