"""Files for other people: nothing in them is run."""

import io

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from toolkit import export


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12), min_size=1))
def test_no_text_begins_a_formula_and_nothing_else_changes(texts):
    table = pd.DataFrame({"name": texts, "=change": [-1.5] * len(texts)})
    back = pd.read_csv(io.BytesIO(export.to_csv(table)), keep_default_na=False, dtype={"name": str})
    assert list(back.columns) == ["name", "'=change"]
    for before, after in zip(texts, back["name"], strict=True):
        assert not after.startswith(("=", "+", "-", "@", "\t"))
        assert after == ("'" + before if before.startswith(("=", "+", "-", "@", "\t")) else before)
    assert back["'=change"].tolist() == [-1.5] * len(texts)


def test_categories_and_missing_values_go_through_and_parquet_is_as_it_is():
    table = pd.DataFrame({"kind": pd.Categorical(["=a", None, "b"]), "n": [1, 2, 3]})
    assert export.neutralized(table)["kind"].tolist()[::2] == ["'=a", "b"]
    assert pd.read_parquet(io.BytesIO(export.to_parquet(table)))["kind"].tolist()[::2] == ["=a", "b"]
