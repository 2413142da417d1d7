"""From what was seen in an image to the moderation labels that are reported."""

from collections.abc import Mapping, Sequence

import numpy as np

from toolkit import taxonomy
from toolkit.manifests import Label
from toolkit.service.adapter import Adapter
from toolkit.service.engine import Seen
from toolkit.service.model import LABEL

DEFAULT_MIN_CONFIDENCE = 50.0
"""Where a request leaves MinConfidence out."""


def confidences(seen: Sequence[Seen], adapter: Adapter | None) -> list[dict[str, np.float32]]:
    """Confidence (percent) of every label that the models know, image by image.

    The base model knows Explicit; an adapter adds its labels, and wins where both know one.
    """
    images = [{LABEL: _percent(one.probability)} for one in seen]
    if adapter and seen:
        probabilities = adapter.predict(np.stack([one.features for one in seen]))
        for image, row in zip(images, probabilities, strict=True):
            image.update(zip(adapter.labels, map(_percent, row), strict=True))
    return images


def _percent(probability: np.float32) -> np.float32:
    # A softmax in float32 can end a hair above 1.
    return min(probability * np.float32(100), np.float32(100))


def reported(scores: Mapping[str, np.float32], min_confidence: float) -> list[Label]:
    """The labels of one image as a response lists them, most confident first.

    Parameters
    ----------
    scores
        Label to confidence in percent.
    min_confidence
        Percent; a label is reported when its confidence, a float32, is at least this. A reported label brings its
        ancestors along, each as confident as the most confident label under it.
    """
    floor = np.float32(min_confidence)
    kept = {name: score for name, score in scores.items() if score >= floor}
    for name, score in list(kept.items()):
        for above in taxonomy.ancestors(name):
            kept[above] = max(score, kept.get(above, score))
    labels = [
        Label(name, float(score), taxonomy.parent(name) or "", taxonomy.level(name) or 1)
        for name, score in kept.items()
    ]
    return sorted(labels, key=lambda label: (-label.confidence, -label.level, label.name))
