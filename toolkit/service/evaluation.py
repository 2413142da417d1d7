"""What a training says of the adapter that it made: both models on the test images, line by line and counted."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from toolkit.manifests import Answer, Confusion, Evaluation, ThresholdEvaluation
from toolkit.service.adapter import Adapter
from toolkit.service.engine import Seen
from toolkit.service.moderation import confidences, reported

THRESHOLDS: Final = tuple(range(5, 101, 5))
"""Percent; where the models are compared besides the threshold that was asked for."""
OUTPUT_FLOOR: Final = 5.0
"""Percent; what an output manifest reports begins here."""

_NOT_KNOWN: Final = np.float32(-1)
"""Stands for the confidence of a label that a model does not know: it is flagged at no threshold, not even at 0."""


def answers(seen: Sequence[Seen], adapter: Adapter | None, project_version: str | None) -> list[Answer]:
    """What a model says about each image, from confidence 5 up."""
    return [
        Answer(tuple(reported(scores, OUTPUT_FLOOR)), project_version=project_version)
        for scores in confidences(seen, adapter)
    ]


def evaluate(
    truth: NDArray[np.bool_],
    seen: Sequence[Seen],
    adapter: Adapter,
    *,
    threshold: float,
    training_images: int,
    project_version: str,
) -> Evaluation:
    """Holds base model and adapter against the labels of the test images.

    Parameters
    ----------
    truth
        Which of the adapter's L labels which of the n test images has; shape (n, L).
    seen
        The n images.
    threshold
        Percent; what the training was asked for. Flagged means confidence >= threshold, both as float32.
    """
    base, custom = (_scores(seen, model, adapter.labels) for model in (None, adapter))

    def at(percent: float) -> ThresholdEvaluation:
        floor = np.float32(percent)
        return ThresholdEvaluation(
            float(percent),
            {
                label: (_confusion(known, base[:, place] >= floor), _confusion(known, custom[:, place] >= floor))
                for place, (label, known) in enumerate(zip(adapter.labels, truth.T, strict=True))
            },
        )

    asked = at(threshold)
    return Evaluation(
        _f1(asked.adapter),
        datetime.now(UTC),
        adapter.labels,
        len(seen),
        training_images,
        project_version,
        asked,
        tuple(map(at, THRESHOLDS)),
    )


def _scores(seen: Sequence[Seen], adapter: Adapter | None, labels: Sequence[str]) -> NDArray[np.float32]:
    rows = [[image.get(label, _NOT_KNOWN) for label in labels] for image in confidences(seen, adapter)]
    return np.array(rows, dtype=np.float32)


def _confusion(truth: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> Confusion:
    return Confusion(
        tp=int((truth & flagged).sum()),
        tn=int((~truth & ~flagged).sum()),
        fp=int((~truth & flagged).sum()),
        fn=int((truth & ~flagged).sum()),
    )


def _f1(counts: Confusion) -> float:
    return 2 * counts.tp / (2 * counts.tp + counts.fp + counts.fn) if counts.tp else 0.0
