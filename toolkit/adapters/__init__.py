"""Custom moderation models: Rekognition's projects and project versions."""

from toolkit.adapters.adapter import (
    USABLE,
    Adapter,
    delete_project,
    find_adapter,
    list_adapters,
    read_evaluation,
)
from toolkit.adapters.ground_truth import GroundTruth, ground_truth, shortfalls
from toolkit.adapters.training import train_adapter

__all__ = [
    "USABLE",
    "Adapter",
    "GroundTruth",
    "delete_project",
    "find_adapter",
    "ground_truth",
    "list_adapters",
    "read_evaluation",
    "shortfalls",
    "train_adapter",
]
