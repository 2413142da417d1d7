"""Training an adapter: from ground-truth manifests in S3 to heads, their evaluation and what became of every line."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from toolkit import taxonomy
from toolkit.manifests import (
    MAX_BYTES,
    MAX_LINES,
    Evaluation,
    LineError,
    Summary,
    adapter_output_record,
    parse_ground_truth_line,
    to_line,
)
from toolkit.service.adapter import MIN_EXAMPLES, Adapter
from toolkit.service.engine import Engine, Seen
from toolkit.service.evaluation import answers, evaluate
from toolkit.service.model import BadImage
from toolkit.service.objects import ObjectError, ObjectStore
from toolkit.storage import split_s3

_TEST_SHARE: Final = 5
"""With AutoCreate, every fifth image of those that carry the same labels is held out for testing."""
DEFAULT_THRESHOLD: Final = 50.0
"""Percent; where FeatureConfig leaves ConfidenceThreshold out."""


class TrainingFailure(Exception):
    """An adapter cannot be trained from this; the message is the StatusMessage."""


@dataclass(frozen=True)
class Example:
    """One labelled image. Lines count through all manifests of a training, training before testing."""

    line: int
    ref: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """What a training gives: the adapter, how it did on the test images, and the files that say so.

    `training_output` and `testing_output` are the lines of the two output manifests.
    """

    adapter: Adapter
    evaluation: Evaluation
    training_output: str
    testing_output: str
    summary: Summary
    message: str


def train(
    request: dict[str, Any], arn: str, store: ObjectStore, engine: Engine, progress: Callable[[int, int], None]
) -> Trained:
    """Trains and evaluates an adapter as CreateProjectVersion asks.

    Parameters
    ----------
    request
        The parsed request; `TrainingData.Assets` and `TestingData` (Assets or AutoCreate) are there.
    arn
        Of the project version.
    progress
        Called with images looked at and images in all.

    Notes
    -----
    The F1 score is over all labels together (micro-averaged), a label counting as found when its confidence is at
    least FeatureConfig.ContentModeration.ConfidenceThreshold (50 where left out).

    Raises
    ------
    TrainingFailure
        What is wrong with the data.
    Stopped
        The service is being stopped.
    """
    training, testing, total = _examples(request, store)
    errors: list[LineError] = []
    training, training_seen = _look(training, store, engine, errors, lambda done: progress(done, total))
    before = len(training) + len(errors)
    testing, testing_seen = _look(testing, store, engine, errors, lambda done: progress(before + done, total))
    if not training or not testing:
        raise TrainingFailure(
            f"No image of the {'testing' if training else 'training'} data could be read; the first reason: "
            f"{errors[0].message if errors else 'it has none.'}"
        )
    labels = _learnable(training)
    unlearned = _unlearned(testing, labels)
    features = np.array([seen.features for seen in training_seen])
    adapter = Adapter.train(features, _truth(training, labels), labels)
    evaluation = evaluate(
        _truth(testing, labels),
        testing_seen,
        adapter,
        threshold=confidence_threshold(request),
        training_images=len(training),
        project_version=arn,
    )
    said = zip(testing, answers(testing_seen, adapter, arn), answers(testing_seen, None, None), strict=True)
    message = f"Trained on {len(training)} images and tested on {len(testing)}"
    message += f"; {len(errors)} could not be read, see the manifest summary." if errors else "."
    if unlearned:
        message += f" Not learned, as no training image has them: {', '.join(unlearned)} (in test images only)."
    return Trained(
        adapter,
        evaluation,
        "".join(to_line(adapter_output_record(one.ref, one.labels)) for one in training),
        "".join(
            to_line(adapter_output_record(one.ref, one.labels, adapter=custom, base=base)) for one, custom, base in said
        ),
        Summary(total, tuple(sorted(errors, key=lambda error: error.line))),
        message,
    )


def confidence_threshold(request: dict[str, Any]) -> float:
    """FeatureConfig.ContentModeration.ConfidenceThreshold of a CreateProjectVersion request, in percent."""
    asked = request.get("FeatureConfig", {}).get("ContentModeration", {}).get("ConfidenceThreshold")
    return DEFAULT_THRESHOLD if asked is None else float(asked)


def _examples(request: dict[str, Any], store: ObjectStore) -> tuple[list[Example], list[Example], int]:
    """Training images, testing images, and how many there are."""
    training = _read(request["TrainingData"]["Assets"], store, "training", first_line=1)
    if request["TestingData"].get("AutoCreate"):
        return *split(training), len(training)
    testing = _read(request["TestingData"]["Assets"], store, "testing", first_line=len(training) + 1)
    return training, testing, len(training) + len(testing)


def split(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Holds out every fifth image of those with the same labels; the same data is always split the same way."""
    alike: defaultdict[tuple[str, ...], list[Example]] = defaultdict(list)
    for example in sorted(examples, key=lambda example: hashlib.sha256(example.ref.encode()).digest()):
        alike[tuple(sorted(example.labels))].append(example)
    held_out = {example.line for group in alike.values() for example in group[_TEST_SHARE - 1 :: _TEST_SHARE]}
    if not held_out:
        raise TrainingFailure(
            f"Too few images to hold some out for testing: AutoCreate takes {_TEST_SHARE} with the same labels."
        )
    return (
        [example for example in examples if example.line not in held_out],
        [example for example in examples if example.line in held_out],
    )


def _read(assets: Sequence[dict[str, Any]], store: ObjectStore, part: str, first_line: int) -> list[Example]:
    examples: list[Example] = []
    buckets: set[str] = set()
    refs: set[str] = set()
    for asset in assets:
        place = asset["GroundTruthManifest"]["S3Object"]
        name = f"s3://{place['Bucket']}/{place['Name']}"
        try:
            stored = store.read(place["Bucket"], place["Name"], place.get("Version"), max_bytes=MAX_BYTES)
        except ObjectError as error:
            raise TrainingFailure(f"The {part} manifest cannot be read: {error}") from error
        for number, line in enumerate(stored.data.split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                ref, labels = _parse(line)
                if ref in refs:
                    raise ValueError(f"{ref} is there twice")
                if not buckets <= {split_s3(ref)[0]}:
                    raise ValueError("its image is in another bucket than the images before it")
            except ValueError as error:
                raise TrainingFailure(f"Line {number} of the {part} manifest {name}: {error}.") from error
            buckets.add(split_s3(ref)[0])
            refs.add(ref)
            examples.append(Example(first_line + len(examples), ref, labels))
    if not examples:
        raise TrainingFailure(f"The {part} manifest is empty.")
    if len(examples) > MAX_LINES:
        raise TrainingFailure(f"{len(examples):,} {part} images, more than the {MAX_LINES:,} allowed.")
    return examples


def _parse(line: bytes) -> tuple[str, tuple[str, ...]]:
    ref, labels = parse_ground_truth_line(line)
    bucket, _, key = ref.removeprefix("s3://").partition("/")
    if not ref.startswith("s3://") or not bucket or not key:
        raise ValueError(f"{ref!r:.80} is not s3://bucket/key")
    for label in labels:
        if label not in taxonomy.LEVEL_1:
            raise ValueError(f"{label!r:.80} is not a level-1 moderation label ({', '.join(taxonomy.LEVEL_1)})")
    return ref, labels


def _look(
    examples: Sequence[Example],
    store: ObjectStore,
    engine: Engine,
    errors: list[LineError],
    progress: Callable[[int], None],
) -> tuple[list[Example], list[Seen]]:
    """The examples that could be read, and what the network saw in them; the others go to `errors`."""
    readable: list[Example] = []
    found: list[Seen] = []
    looks = engine.look([example.ref for example in examples], store)
    for done, (example, seen) in enumerate(zip(examples, looks, strict=True), start=1):
        if isinstance(seen, Seen):
            readable.append(example)
            found.append(seen)
        else:
            errors.append(_line_error(example, seen))
        progress(done)
    return readable, found


def _line_error(example: Example, refusal: BadImage) -> LineError:
    return LineError(example.line, refusal.code, refusal.message, example.ref)


def _learnable(examples: Sequence[Example]) -> list[str]:
    named = {label for example in examples for label in example.labels}
    labels = [label for label in taxonomy.LEVEL_1 if label in named]
    if not labels:
        raise TrainingFailure("No training image carries a label, so there is nothing to learn.")
    for label in labels:
        present = sum(label in example.labels for example in examples)
        absent = len(examples) - present
        if min(present, absent) < MIN_EXAMPLES:
            raise TrainingFailure(
                f"{label}: {present} training images with it and {absent} without; each takes at least {MIN_EXAMPLES}."
            )
    return labels


def _unlearned(testing: Sequence[Example], labels: Sequence[str]) -> list[str]:
    """The test images' labels that are not learned; some others must be among them, or there is nothing to test."""
    named = {label for example in testing for label in example.labels}
    unlearned = sorted(named - set(labels))
    if unlearned and len(unlearned) == len(named):
        raise TrainingFailure(
            f"No training image has a label of the test images ({', '.join(unlearned)}), and no test image one of the "
            f"training images ({', '.join(labels)})."
        )
    return unlearned


def _truth(examples: Sequence[Example], labels: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([[label in example.labels for label in labels] for example in examples], dtype=np.bool_)
