"""From the files that people label in to `Truth`."""

import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from typing import Final, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from toolkit import manifests, storage, taxonomy
from toolkit.errors import UnreadableManifest
from toolkit.truth.table import CHANCES, UNEQUAL, Truth, contradictions

Parsed = TypeVar("Parsed")

COLUMNS: Final = ["source_ref", "label", "present"]
_BESIDE: Final = ["source_ref", "weight", "probability", CHANCES]
"""In a table of one column a label, the columns that are none."""
_SAVE_AS_CSV: Final = "save it as UTF-8 CSV with the columns source_ref, label and present."
_TRUE: Final = {"1", "true", "yes", "present"}
_FALSE: Final = {"0", "false", "no", "absent"}
_UNKNOWN: Final = {"", "nan", "none", "<na>", "unknown", "unsure"}


def read_truth(source: str | PathLike[str], *, session: storage.Session | None = None) -> Truth:
    """Loads labelled samples.

    Parameters
    ----------
    source
        Path or S3 URI of one of: CSV (with commas, or with semicolons throughout) with the columns source_ref, label,
        present (1/0, true/false, yes/no; empty is unknown) and, if images were picked with unequal probabilities,
        weight or probability (see `make_truth`); CSV with source_ref and one column a label; Parquet with the same
        columns; an adapter's ground-truth or output manifest (JSON Lines), in which every level-1 label that an image
        does not list is absent; the output manifest of a SageMaker Ground Truth labelling job (image classification,
        one or several labels), in which a class that an image was not given is absent, and a failed annotation is
        unknown, and `sampling-weight`, which `annotations` writes, is an image's weight. Each of them may be compressed
        (`.gz`).
        Beside label and present, a table may have further columns, which do not count.
    session
        For S3; None is boto3's default.

    Raises
    ------
    NotFound, Unreachable
        It cannot be had.
    UnreadableManifest
        It is none of these, a line is broken, or two rows contradict each other.
    """
    data = storage.read(source, session=session)
    name = str(source)
    if name.lower().endswith(".gz"):
        data, name = _decompressed(data, name), name[: -len(".gz")]
    if name.lower().endswith(".csv"):
        try:
            table = _read_csv(data)
        except (ValueError, csv.Error) as error:
            raise UnreadableManifest(f"{name}: not a CSV file in UTF-8 ({_line(error)}); {_SAVE_AS_CSV}") from error
    elif name.lower().endswith(".parquet"):
        try:
            table = _read_parquet(data)
        except (ValueError, OSError, pa.ArrowException) as error:
            raise UnreadableManifest(f"{name}: not a Parquet file ({_line(error)}); {_SAVE_AS_CSV}") from error
    else:
        table = _from_lines(data, name)
    return make_truth(table, name)


def _read_csv(data: bytes) -> pd.DataFrame:
    """Text in every cell; spaces around a name are no part of it. With the standard library: pandas shifts a row that
    is longer than the header.
    """
    text = data.decode("utf-8-sig")
    header_line = text.lstrip().partition("\n")[0]
    delimiter = ";" if ";" in header_line and "," not in header_line else ","  # spreadsheets of many countries
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = [row for row in lines if row]
    if not rows:
        raise ValueError("it is empty")
    header = [column.strip() for column in rows[0]]
    while header and not header[-1]:  # commas at the ends of lines, as spreadsheets leave them
        header.pop()
    twice = [column for column in header if header.count(column) > 1]
    if twice:
        raise ValueError(f"the column {twice[0]!r} is there twice")
    for number, row in enumerate(rows[1:], start=1):
        if any(cell.strip() for cell in row[len(header) :]):
            raise ValueError(f"row {number} has {len(row)} values, and there are {len(header)} columns")
    width = len(header)
    cells = [row[:width] + [""] * (width - len(row)) for row in rows[1:]]
    table = pd.DataFrame(cells, columns=header, dtype="str")
    names = [column for column in ("source_ref", "label") if column in header]
    table = table.assign(**{column: table[column].str.strip() for column in names})
    if delimiter == ",":
        return table
    # Where semicolons part cells, commas part decimals.
    numbers = [column for column in ("weight", "probability") if column in header]
    return table.assign(**{column: table[column].str.replace(",", ".") for column in numbers})


def _read_parquet(data: bytes) -> pd.DataFrame:
    columns = pq.read_table(io.BytesIO(data))
    columns.validate(full=True)  # else text that is not UTF-8 is found out much later
    table: pd.DataFrame = columns.to_pandas(ignore_metadata=True)
    return table


def _decompressed(data: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableManifest(f"{name}: cannot be decompressed ({_line(error)}); is it the whole file?") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def make_truth(table: pd.DataFrame, name: str = "table") -> Truth:
    """Labelled samples from a table.

    Parameters
    ----------
    table
        Columns source_ref, label, present; or source_ref and one column a label. What is present may be bool, 1/0 or
        words; missing is unknown. Optional: weight, a positive number, or probability, with which the image was picked
        (above 0, at most 1; its inverse is the weight), the same in every row of an image. Where both are there, weight
        counts. Keep the rows that nobody judged: weights that differ anywhere in the table say that the images were
        picked with unequal probabilities, even if those of the judged ones are all alike. These names are written as
        here, in small letters.
    name
        What to call it in an error, and where it comes from.

    Warns (UserWarning) of images that are said to show a label but not one above it.

    Raises
    ------
    UnreadableManifest
        A column or a name is missing, a column is named almost as one of those above (Weight), a value is neither true
        nor false, a weight is not positive, a probability is not above 0 and at most 1, or two rows contradict each
        other.

    Examples
    --------
    >>> make_truth(pd.DataFrame({"source_ref": ["s3://b/1.jpg"], "label": ["Gambling"], "present": [1]}))
    Truth(1 images; present/judged: Gambling 1/1)
    """
    _require_spelling(table, name)
    wide = not {"label", "present"} & set(table.columns)
    if wide:
        table = _tidy(table, name)
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise UnreadableManifest(
            f"{name}: no column {', '.join(missing)}; labelled samples need source_ref, label and present."
        )
    words = table["present"].astype("str").fillna("").str.strip().str.lower()
    # Spreadsheets write 1 as 1.00 or 1,00.
    words = words.map({word: re.sub(r"^([01])[.,]0+$", r"\1", word) for word in words.unique()}).astype("str")
    _require_answers(table, words, name, wide)
    said = words.isin(_TRUE | _FALSE)
    for column in ("source_ref", "label"):
        nameless = _nameless(table[column]) & said
        if nameless.any():
            row = int(np.flatnonzero(nameless)[0])
            raise UnreadableManifest(
                f"{name}: row {_row_number(table, row)} has no {column}; write it, or drop the row."
            )
    judged = pd.DataFrame(
        {
            "source_ref": table["source_ref"].astype("str"),
            "label": table["label"].astype("str").map(taxonomy.canonical).astype("str"),
            "present": words.isin(_TRUE),
        }
    )[said].drop_duplicates()
    twice = judged.duplicated(["source_ref", "label"])
    if twice.any():
        first = judged[twice].iloc[0]
        raise UnreadableManifest(
            f"{name}: {first['label']} is both present and absent on {first['source_ref']}; keep one of the two."
        )
    _warn_of_the_tree(judged, name)
    weights = _weights(table, name)
    if weights is not None:
        weights = weights[weights.index.isin(judged["source_ref"])]
    return Truth(judged.reset_index(drop=True), weights, name)


def _require_spelling(table: pd.DataFrame, name: str) -> None:
    """Refuses a column that differs from one that counts in capitals or blanks only: overlooked, it would not count."""
    for column in table.columns:
        plain = str(column).strip().lower()
        if plain in {*COLUMNS, *_BESIDE} and column != plain:
            raise UnreadableManifest(f"{name}: the column {column!r} is not {plain!r}; rename it so, or drop it.")


def _nameless(names: pd.Series) -> pd.Series:
    empty: pd.Series = names.isna() | (names.astype("str").str.strip() == "")
    return empty


def _require_answers(table: pd.DataFrame, words: pd.Series, name: str, wide: bool) -> None:
    """Refuses what is neither true, false nor unknown; in a wide table it may be that its column is no label."""
    unreadable = ~words.isin(_TRUE | _FALSE | _UNKNOWN)
    if not unreadable.any():
        return
    row = int(np.flatnonzero(unreadable)[0])
    label = table["label"].iloc[row]
    hint = (
        f" (where there is no column label, every column but {', '.join(_BESIDE)} is one: drop the column {label} if "
        f"it is not, or write a row a judgement, with the columns source_ref, label and present)"
    )
    raise UnreadableManifest(
        f"{name}: row {_row_number(table, row)}: present is {table['present'].iloc[row]!r} for {label}; write 1 or 0, "
        f"or leave it empty{hint if wide else ''}."
    )


def _warn_of_the_tree(judged: pd.DataFrame, name: str) -> None:
    """Warns of labels that are present where one above them is absent; nothing follows from either (`Truth.of`)."""
    torn = contradictions(judged)
    if len(torn):
        first = torn.iloc[0]
        more = f" (and {len(torn) - 1:,} more such judgements)" if len(torn) > 1 else ""
        warnings.warn(
            f"{name}: {first['source_ref']} is said to show {first['label']} but not {first['above']}, of which it is "
            f"a kind{more}; correct one of the two.",
            stacklevel=3,
        )


def _weights(table: pd.DataFrame, name: str) -> pd.Series | None:
    """Weight by source_ref, checked; None where every image had the same chance.

    Images that nobody judged count: they may be all that shows that the chances differed.
    """
    given = next((column for column in ("weight", "probability") if column in table.columns), None)
    if given is None:
        return None
    rows = table[~_nameless(table["source_ref"])]
    value = pd.to_numeric(_as_text_unless_real(rows[given]), errors="coerce")
    weight, most, what = value, np.inf, "a positive number"
    if given == "probability":
        weight, most, what = 1 / value, 1, "a number above 0 and at most 1"
    bad = ~(np.isfinite(weight) & (value > 0) & (value <= most))
    if bad.any():
        first = rows[bad].iloc[0]
        raise UnreadableManifest(
            f"{name}: the {given} of {first['source_ref']} is {str(first[given])!r}; write {what} in every row, or drop"
            f" the column if it does not say how the images were picked."
        )
    each = pd.Series(weight.to_numpy(float), index=rows["source_ref"].astype("str")).groupby(level=0)
    torn = each.max() > each.min()
    if torn.any():
        two = "two weights" if given == "weight" else "two probabilities"
        raise UnreadableManifest(f"{name}: {torn.index[torn][0]} has {two}; give an image the same in every row.")
    weights: pd.Series = each.first()
    unequal = weights.nunique() > 1 or _said_unequal(rows)
    if unequal and given == "probability":
        warnings.warn(
            f"{name}: the column probability is taken for the chance with which each image was picked, and weighs it; "
            "call the column otherwise if it says something else.",
            stacklevel=4,
        )
    return weights if unequal else None  # equal chances: nothing to make up for


def _as_text_unless_real(values: pd.Series) -> pd.Series:
    """As text, dates, spans of time, complex and truth values are no numbers; else pandas makes numbers of them."""
    kinds = pd.api.types
    real = kinds.is_integer_dtype(values) or kinds.is_float_dtype(values)
    return values if real else values.astype("str")


def _said_unequal(rows: pd.DataFrame) -> bool:
    """Whether the table itself says that the chances differed, as `Truth.save` does where all weights are alike."""
    return CHANCES in rows.columns and bool((rows[CHANCES].astype("str").str.strip() == UNEQUAL).any())


def _tidy(wide: pd.DataFrame, name: str) -> pd.DataFrame:
    """One row a judgement, from one row an image and one column a label."""
    beside = [column for column in _BESIDE if column in wide.columns]
    labels = [column for column in wide.columns if column not in beside]
    if "source_ref" not in beside or not labels:
        raise UnreadableManifest(
            f"{name}: no column {'source_ref' if labels else 'label, present'}; labelled samples need source_ref, "
            f"label and present, or source_ref and one column a label."
        )
    if any(not str(label).strip() for label in labels):
        raise UnreadableManifest(
            f"{name}: a column has no name; write the table without its index (to_csv(…, index=False)), or name it."
        )
    return wide.reset_index(drop=True).melt(beside, labels, var_name="label", value_name="present", ignore_index=False)


def _row_number(table: pd.DataFrame, position: int) -> int:
    """From 1, as it was before a wide table was made tidy."""
    return int(table.index[position]) + 1 if table.index.has_duplicates else position + 1


def _from_lines(data: bytes, name: str) -> pd.DataFrame:
    """From a manifest of adapter ground truth, or of SageMaker Ground Truth; the first line tells which."""
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
    if not lines or _is_ground_truth(lines[0][1]):
        listed = _of_ground_truth(_parsed(manifests.parse_ground_truth_line, lines, name))
        return pd.DataFrame(listed, columns=COLUMNS)
    rows = _of_annotations(_parsed(manifests.parse_annotation_line, lines, name))
    table = pd.DataFrame(rows, columns=[*COLUMNS, "weight"])
    return table.drop(columns="weight") if table["weight"].isna().all() else table.assign(**{CHANCES: UNEQUAL})


def _is_ground_truth(line: bytes) -> bool:
    try:
        return manifests.TRUTH_KEY in manifests.parse_object(line, forgiving=True)
    except ValueError:
        return manifests.TRUTH_KEY.encode() in line


def _parsed(parse: Callable[[bytes], Parsed], lines: Iterable[tuple[int, bytes]], name: str) -> list[Parsed]:
    found = []
    for number, line in lines:
        try:
            found.append(parse(line))
        except ValueError as error:
            raise UnreadableManifest(
                f"{name}: line {number}: {error}; labelled samples are CSV, Parquet or a ground-truth manifest."
            ) from error
    return found


def _of_ground_truth(lines: Iterable[tuple[str, tuple[str, ...]]]) -> Iterator[tuple[str, str, bool]]:
    for source_ref, present in lines:
        given = [taxonomy.canonical(label) for label in present]
        yield from ((source_ref, label, label in given) for label in dict.fromkeys((*taxonomy.LEVEL_1, *given)))


def _of_annotations(annotations: Sequence[manifests.Annotation]) -> Iterator[tuple[str, str, bool, object]]:
    """A class that was not given is absent. Where one class had to do, its ancestors and descendants are left open."""
    named = (name for one in annotations for name in (*(one.classes or ()), *one.offered))
    every = dict.fromkeys(map(taxonomy.canonical, named))
    for one in annotations:
        if one.classes is None:
            continue
        given = {taxonomy.canonical(name) for name in one.classes}
        kin = {label for name in given for label in (*taxonomy.ancestors(name), *taxonomy.descendants(name))}
        left_open = kin - given if one.exclusive else set()
        yield from ((one.source_ref, label, label in given, one.weight) for label in every if label not in left_open)
