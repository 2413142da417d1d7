"""Which models answered: thresholds of one say nothing about another."""

from collections.abc import Collection, Mapping
from typing import Any

from toolkit.results import Results


def models_of(results: Results) -> list[str]:
    """Each version of the model that answered, with the ARN of the adapter where one did; sorted."""
    versions = results.images[["model_version", "project_version"]].drop_duplicates().astype("str").fillna("")
    return sorted({f"{model} {adapter}".strip() for model, adapter in versions.itertuples(index=False)} - {""})


def strangers(models: Collection[str], provenance: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Which of the models a policy does not come from, and which it comes from; where it does not say that, none."""
    results = provenance.get("results")
    known = results.get("models") if isinstance(results, Mapping) else None
    named = sorted(map(str, known)) if isinstance(known, list) else []
    return (sorted(set(models) - set(named)) if named else []), named
