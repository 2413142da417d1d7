"""Custom moderation adapters: one logistic regression for each label, on the features of the base model."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from toolkit.service.faults import ResourceNotFound, ResourceNotReady
from toolkit.service.model import FloatArray
from toolkit.service.state import State

MIN_EXAMPLES: Final = 5
"""Images with, and images without a label, that it takes to learn it at all. AWS asks for more."""
_C: Final = 0.01
_USABLE: Final = frozenset({"TRAINING_COMPLETED", "DEPRECATED"})


@dataclass(frozen=True)
class Adapter:
    """What a trained project version knows.

    Parameters
    ----------
    labels
        The L moderation labels (level 1) that it reports.
    weights
        Shape (L, 1024), the standardisation of the features folded in.
    bias
        Shape (L,).
    """

    labels: tuple[str, ...]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def train(cls, features: FloatArray, truth: NDArray[np.bool_], labels: Sequence[str]) -> "Adapter":
        """Learns from labelled images.

        Parameters
        ----------
        features
            Of n images, from the base model; shape (n, 1024).
        truth
            Which label which image has; shape (n, L), both values present in every column.
        labels
            The L names.
        """
        # scikit-learn takes a second to import, and only training needs it.
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(features)
        standardised = scaler.transform(features)
        weights, biases = [], []
        for column in truth.T:
            head = LogisticRegression(C=_C, class_weight="balanced", max_iter=1000).fit(standardised, column)
            folded = head.coef_[0] / scaler.scale_
            weights.append(folded)
            biases.append(head.intercept_[0] - folded @ scaler.mean_)
        return cls(tuple(labels), np.array(weights, dtype=np.float64), np.array(biases, dtype=np.float64))

    def predict(self, features: FloatArray) -> NDArray[np.float32]:
        """Probability of each label in each image, between 0 and 1; shape (n, 1024) in, (n, L) out."""
        logits = features.astype(np.float64) @ self.weights.T + self.bias
        return np.asarray(expit(logits), dtype=np.float32)

    def save(self, path: Path) -> None:
        """Writes the heads as one `.npz`; the file appears whole or not at all."""
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, labels=np.array(self.labels), weights=self.weights, bias=self.bias)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Adapter":
        """Reads what `save` wrote. Nothing in the file is ever executed."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(tuple(str(label) for label in stored["labels"]), stored["weights"], stored["bias"])


class AdapterShelf:
    """Trained adapters on disk. File names are our own ids, never something that a client chose.

    Parameters
    ----------
    state
        Knows the project versions.
    folder
        Made where it does not exist.
    """

    def __init__(self, state: State, folder: Path) -> None:
        self._state = state
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, adapter_id: str, adapter: Adapter) -> None:
        """Keeps a trained adapter."""
        adapter.save(self._path(adapter_id))

    def remove(self, adapter_id: str) -> None:
        """Deletes it, if it is there."""
        self._path(adapter_id).unlink(missing_ok=True)

    def choose(self, account: str, region: str, arn: str | None) -> Adapter | None:
        """The adapter that a request names; None for the base model.

        As on AWS, a DEPRECATED adapter still answers, and an EXPIRED one is ignored: the base model answers.

        Raises
        ------
        ResourceNotFound
            No such project version in this account and region.
        ResourceNotReady
            Its training has not (or not successfully) ended.
        """
        if arn is None:
            return None
        version = self._state.version(arn)
        if version is None or self._state.project(account, region, version.project_arn) is None:
            raise ResourceNotFound(f"ProjectVersion {arn}: there is no such project version.")
        if version.status == "EXPIRED":
            return None
        if version.status not in _USABLE:
            raise ResourceNotReady(f"ProjectVersion {arn}: its status is {version.status}; it must be trained first.")
        return Adapter.load(self._path(version.adapter_id))

    def _path(self, adapter_id: str) -> Path:
        return self._folder / f"{adapter_id}.npz"
