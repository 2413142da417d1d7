"""Answers of model 6.1 in the label tree of model 7.0, and a warning where they are not."""

import warnings
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from toolkit import taxonomy
from toolkit.errors import InvalidArgument

_OLD: Final = "6."
_CURRENT: Final = taxonomy.MODEL_VERSION.partition(".")[0]
_ILLUSTRATED: Final = "Illustrated Explicit Nudity"
"""What 6.1 said in a label, 7.0 says in a content type."""


def require_version(version: str) -> None:
    """Refuses another label tree than that of model 7.0. Raises InvalidArgument."""
    if version != taxonomy.MODEL_VERSION:
        raise InvalidArgument(f"taxonomy {version!r}: results can be translated to {taxonomy.MODEL_VERSION!r}.")


def lifted(images: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Both tables of `Results`, with what model 6 said translated, and the labels that have no counterpart; see
    `Results.to_taxonomy`.
    """
    old = images["model_version"].astype(object).astype("str").str.startswith(_OLD).fillna(False).to_numpy(bool)
    if not old.any():
        return images, labels, labels.iloc[:0]
    said = labels[old[labels["image"]]].astype({"name": "str", "parent": "str"})
    moved = said.assign(name=said["name"].map(taxonomy.FROM_6_1))
    known = moved["name"].notna()
    # The label that was split is told by its children; only where there are none does it stay.
    split = said["name"] == taxonomy.SPLIT_SINCE_6_1
    by_children = split & said["image"].isin(_split_images(said[known]))
    kept = said[~known & ~by_children]
    translated = pd.concat([_with_ancestors(moved[known]), kept, labels[~old[labels["image"]]]], ignore_index=True)
    translated = translated.sort_values("image", kind="stable", ignore_index=True)
    for column in ("name", "parent"):
        translated[column] = translated[column].astype("category")
    return _with_content_type(images, said), translated.astype({"level": "int8", "confidence": np.float32}), kept


def warn_of_kept(kept: pd.DataFrame) -> None:
    """Says which labels have no counterpart (UserWarning)."""
    if kept.empty:
        return
    counts = kept.groupby("name")["image"].nunique()
    names = ", ".join(f"{name} ({count:,} images)" for name, count in counts.items())
    warnings.warn(
        f"no counterpart in model {taxonomy.MODEL_VERSION}, kept as they are: {names}", UserWarning, stacklevel=3
    )


def foreign(versions: Sequence[str]) -> list[str]:
    """Those whose labels are not those of model 7.0."""
    return [version for version in versions if version.partition(".")[0] != _CURRENT]


def untranslated(versions: Sequence[str]) -> list[str]:
    """Those whose labels `lifted` does not put into the tree of model 7.0."""
    return [version for version in versions if not version.startswith(_OLD)]


def warn_of_models(what: str, versions: Sequence[str], remedy: str) -> None:
    """A label of an older model may be called like another one of model 7.0: that must not stay silent.

    Warns (UserWarning) of answers of models with another label tree.

    Parameters
    ----------
    what
        The results, in a word or two.
    versions
        Of the models that answered.
    remedy
        How to translate what model 6 said.
    """
    others = foreign(versions)
    if not others:
        return
    if untranslated(others):
        remedy = "look at the results of each model by themselves"
    warnings.warn(
        f"{what}: answered by model {' and '.join(versions)}; labels of {' and '.join(others)} are not those of "
        f"{taxonomy.MODEL_VERSION} that policies and labelled samples name, even where they are called the same; "
        f"{remedy}.",
        stacklevel=1,
    )


def _split_images(known: pd.DataFrame) -> pd.Series:
    return known.loc[known["parent"] == taxonomy.SPLIT_SINCE_6_1, "image"]


def _with_ancestors(moved: pd.DataFrame) -> pd.DataFrame:
    """The likeliest of what became one label, and above it every ancestor."""
    above = {name: [name, *taxonomy.ancestors(name)] for name in moved["name"].unique()}
    whole = moved[["image", "name", "confidence"]].assign(name=moved["name"].map(above)).explode("name")
    whole = whole.groupby(["image", "name"], sort=False)["confidence"].max().reset_index()
    parents = whole["name"].map({name: taxonomy.parent(name) or "" for name in taxonomy.PARENTS})
    return whole.assign(
        parent=parents, level=whole["name"].map({name: taxonomy.level(name) for name in taxonomy.PARENTS})
    )


def _with_content_type(images: pd.DataFrame, said: pd.DataFrame) -> pd.DataFrame:
    drawn = images["image"].isin(said.loc[said["name"] == _ILLUSTRATED, "image"]) & images["content_type"].isna()
    if not drawn.any():
        return images
    told = images["content_type"].astype(object).mask(drawn, "Illustrated")
    return images.assign(content_type=pd.Categorical(told))
