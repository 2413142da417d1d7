"""Judgements to read, as tables."""

import pandas as pd
from helpers import ref
from hypothesis import strategies as st


def rows(*judgements: tuple[int, str, object]) -> pd.DataFrame:
    return pd.DataFrame([(ref(n), label, p) for n, label, p in judgements], columns=["source_ref", "label", "present"])


wide = st.dictionaries(
    st.integers(0, 9),
    st.fixed_dictionaries(
        {"Gambling": st.sampled_from([True, False, None]), "Alcohol": st.sampled_from([True, False])}
    ),
    min_size=1,
)


def weighted(*judgements: tuple[int, str, object, float]) -> pd.DataFrame:
    return rows(*(each[:3] for each in judgements)).assign(weight=[each[3] for each in judgements])
