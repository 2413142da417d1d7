"""A small run."""

import pytest
from helpers import ref

from toolkit import manifests


@pytest.fixture
def run(make):
    """A run of six images, half of which show gambling, with one that failed."""
    make.summary(7, manifests.LineError(7, "INVALID_IMAGE_FORMAT", "not a JPEG", ref(6)))
    scores = [{"Gambling": 90}, {"Gambling": 80}, {"Gambling": 70}, {"Gambling": 60}, {}, {}]
    make.results(*scores)
    make.truth("Gambling", [1, 1, 0, 1, 0, 0])
    return make.folder
