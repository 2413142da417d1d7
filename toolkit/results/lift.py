"""Answers of model 6.1 in the label tree of model 7.0."""

import warnings
from typing import Final

import numpy as np
import pandas as pd

from toolkit import taxonomy

_ILLUSTRATED: Final = "Illustrated Explicit Nudity"
"""What 6.1 said in a label, 7.0 says in a content type."""


def lifted(images: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables of `Results`, with what model 6 said translated; see `Results.to_taxonomy`."""
    old = images["model_version"].astype(object).astype("str").str.startswith("6.").fillna(False).to_numpy(bool)
    if not old.any():
        return images, labels
    said = labels[old[labels["image"]]].astype({"name": "str", "parent": "str"})
    moved = said.assign(name=said["name"].map(taxonomy.FROM_6_1))
    known = moved["name"].notna()
    # The label that was split is told by its children; only where there are none does it stay.
    split = said["name"] == taxonomy.SPLIT_SINCE_6_1
    by_children = split & said["image"].isin(_split_images(said[known]))
    kept = said[~known & ~by_children]
    _warn(kept)
    translated = pd.concat([_with_ancestors(moved[known]), kept, labels[~old[labels["image"]]]], ignore_index=True)
    translated = translated.sort_values("image", kind="stable", ignore_index=True)
    for column in ("name", "parent"):
        translated[column] = translated[column].astype("category")
    return _with_content_type(images, said), translated.astype({"level": "int8", "confidence": np.float32})


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


def _warn(kept: pd.DataFrame) -> None:
    if kept.empty:
        return
    counts = kept.groupby("name")["image"].nunique()
    names = ", ".join(f"{name} ({count:,} images)" for name, count in counts.items())
    warnings.warn(
        f"no counterpart in model {taxonomy.MODEL_VERSION}, kept as they are: {names}", UserWarning, stacklevel=4
    )
