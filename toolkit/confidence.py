"""Confidences as text."""

import numpy as np


def written(confidence: float) -> str:
    """The shortest text that is this very confidence.

    Rekognition's confidences are float32, and so a threshold is compared as one: whoever types what is printed here
    flags the same images.

    Parameters
    ----------
    confidence
        Percent.

    Examples
    --------
    >>> written(50.308650970458984), written(80.0), written(99.9)
    ('50.30865', '80', '99.9')
    """
    return np.format_float_positional(np.float32(confidence), trim="-")
