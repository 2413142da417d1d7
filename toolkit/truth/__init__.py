"""What people said about a sample of a collection."""

from toolkit.truth.annotations import Annotations, annotations
from toolkit.truth.reading import make_truth, read_truth
from toolkit.truth.table import CHANCES, UNEQUAL, Truth

__all__ = ["CHANCES", "UNEQUAL", "Annotations", "Truth", "annotations", "make_truth", "read_truth"]
