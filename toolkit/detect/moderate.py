"""One image, asked about at once: for trying a model out."""

import tempfile
from pathlib import Path
from typing import Any

import boto3

from toolkit import image_limits, manifests, storage
from toolkit.detect.ask import ADVICE, Settings, answer_of
from toolkit.errors import UnreadableImage
from toolkit.results import Results, read_results

_USUAL = 50.0


def moderate(
    image: bytes,
    *,
    min_confidence: float | None = None,
    project_version: str | None = None,
    session: boto3.Session | None = None,
) -> Results:
    """What a model says about one image, by DetectModerationLabels.

    Parameters
    ----------
    image
        A JPEG or PNG file of at most 5 MB, 80 to 10,000 pixels a side.
    min_confidence
        Percent; nothing below it is reported. None is Rekognition's 50.
    project_version
        ARN of an adapter; None is the base model.
    session
        None is boto3's default.

    Returns
    -------
    Results
        A run of this one image, called `image`. Warns as `Job.results` where another model answered than was asked.

    Raises
    ------
    UnreadableImage
        It is against the limits.
    Unreachable, RequestRefused
    """
    problem = image_limits.problem_of(image, image_limits.MAX_REQUEST_BYTES)
    if problem is not None:
        raise UnreadableImage(f"this image cannot be analyzed: {problem[1]}")
    request = Settings(min_confidence, project_version).request()
    with storage.translated("asking about the image", ADVICE):
        client: Any = (session or storage.connect()).client("rekognition")
        answer = answer_of(client.detect_moderation_labels(Image={"Bytes": image}, **request))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, manifests.RESULTS_NAME)
        path.write_text(manifests.to_line({"source-ref": "image", manifests.RESULT_KEY: answer}))
        results = read_results(path, min_confidence=_USUAL if min_confidence is None else min_confidence)
    if project_version is not None:
        results.warn_unless_answered_by({project_version})
    return results
