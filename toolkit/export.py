"""Tables as files for other people: CSV that no spreadsheet takes for formulas, and Parquet."""

import io
from typing import Final

import pandas as pd

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def neutralized(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every text that a spreadsheet would take for a formula.

    Names of files and messages come from outside: opened in a spreadsheet, `=…` would be run. Numbers stay as they are.

    Examples
    --------
    >>> neutralized(pd.DataFrame({"name": ["=1+1", "a.jpg"], "change": [-1.0, 2.0]})).to_dict("list")
    {'name': ["'=1+1", 'a.jpg'], 'change': [-1.0, 2.0]}
    """
    return table.rename(columns=_safe).apply(_column)


def to_csv(table: pd.DataFrame) -> bytes:
    """UTF-8 CSV of a table, `neutralized`, with a mark that makes spreadsheets read it as UTF-8."""
    return neutralized(table).to_csv(index=False).encode("utf-8-sig")


def to_parquet(table: pd.DataFrame) -> bytes:
    """Parquet of a table, as it is: no program runs what is in it."""
    out = io.BytesIO()
    table.to_parquet(out, index=False)
    return out.getvalue()


def _column(values: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return values
    return values.astype("object").map(_safe)


def _safe(value: object) -> object:
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value
