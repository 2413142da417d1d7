"""What people said about a sample of a collection."""

from toolkit.truth.reading import make_truth, read_truth
from toolkit.truth.table import Truth

__all__ = ["Truth", "make_truth", "read_truth"]
