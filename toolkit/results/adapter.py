"""What a training wrote about its test images: two models on the same images, in one file."""

from typing import Final

from toolkit.results import scan
from toolkit.results.reading import Opener, read_each
from toolkit.results.table import Results

OUTPUT_FLOOR = 5.0
"""Trainings report both models from this confidence up (percent)."""
_TRAINED: Final = "the one that was trained"
"""The adapter, where no answer says its ARN."""


def read_adapter_output(source: str, *, session: Opener | None = None) -> tuple[Results, Results]:
    """Loads the output manifest of an adapter's test images.

    The labels that people gave are in the same file: `read_truth` reads them, and `compare` takes all three. Warns
    (UserWarning) where an answer of the adapter carries no ProjectVersion: then the base model gave it.

    Parameters
    ----------
    source
        Path or S3 URI of the manifest, as `TestingDataResult.Output` names it.
    session
        For S3; None is boto3's default.

    Returns
    -------
    base, adapter
        Two runs on the same images, in the same order. Their floor is 5: nothing below was written.

    Raises
    ------
    NotFound, Unreachable, RequestRefused
    UnreadableManifest
        More than half of the lines are not what a model said; the manifest of the training images holds no answers.
    """
    base, adapter = (_run(source, session, layout) for layout in (scan.BASE, scan.RESULTS))
    adapter.warn_unless_answered_by(adapter.project_versions or [_TRAINED])
    return base, adapter


def _run(source: str, session: Opener | None, layout: scan.Layout) -> Results:
    [(tables, failed)] = read_each([str(source)], session, layout)
    errors = tables.errors if failed is None else failed
    return Results(tables.images, tables.labels, errors, OUTPUT_FLOOR, "job", failed is not None, (str(source),))
