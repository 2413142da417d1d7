"""What people said about a sample of a collection."""

from toolkit.truth.reading import make_truth, read_truth
from toolkit.truth.table import CHANCES, UNEQUAL, Truth

__all__ = ["CHANCES", "UNEQUAL", "Truth", "make_truth", "read_truth"]
