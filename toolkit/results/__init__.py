"""What a model said about a collection of images."""

from toolkit.results.adapter import read_adapter_output
from toolkit.results.reading import MISSING_LINE, FloorsDiffer, HasResults, Opener, list_manifests, read_results
from toolkit.results.scan import UNREADABLE_LINE
from toolkit.results.table import GUESSED, NO_SUMMARY, Counted, Results, histogram_of

__all__ = [
    "GUESSED",
    "MISSING_LINE",
    "NO_SUMMARY",
    "UNREADABLE_LINE",
    "Counted",
    "FloorsDiffer",
    "HasResults",
    "Opener",
    "Results",
    "histogram_of",
    "list_manifests",
    "read_adapter_output",
    "read_results",
]
