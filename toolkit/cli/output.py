"""What commands print: sentences and tables for people on stderr, one JSON object for programs on stdout."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from toolkit.curves import ThresholdCurve
from toolkit.jobs import Job
from toolkit.tuning import Choice

Judged = list[tuple[ThresholdCurve, Choice]]
"""What one run offers: for each label its curve, and the threshold chosen on it."""

screen = Console(highlight=False)
"""Standard output, for commands whose answer is meant for people."""
people = Console(stderr=True, highlight=False)
"""Where everything for people goes when stdout belongs to a program."""


def print_json(document: dict[str, Any]) -> None:
    """One JSON object on stdout. A number that is not one (NaN) is null, as JSON knows no other word for it."""
    sys.stdout.write(json.dumps(_plain(document), ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    if isinstance(value, float) and value != value:
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as JSON-ready rows; what is missing is null."""
    return [
        {str(key): None if pd.isna(value) else value for key, value in row.items()} for row in table.to_dict("records")
    ]


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[str] = ()
) -> Table:
    """A table for people. Cells are plain text: nothing in them is markup."""
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        drawn.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))
    return drawn


def interval(value: float, low: float, high: float) -> str:
    """A rate with its interval.

    >>> interval(0.9, 0.555, 0.997)
    '0.900 [0.555, 0.997]'
    """
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def job_record(job: Job) -> dict[str, Any]:
    """A job as `--json` shows it."""
    return {
        "job_id": job.id,
        "name": job.name,
        "status": job.status,
        "failure": job.failure,
        "created": job.created.isoformat(),
        "min_confidence": job.min_confidence,
        "project_version": job.project_version,
        "results": job.results_uri,
        "summary": job.summary_uri,
    }


def show_choices(console: Console, runs: Mapping[str, Judged]) -> None:
    """Thresholds with their rates, runs side by side label by label; then, plainly, why there are none."""
    labels = list(dict.fromkeys(curve.label for judged in runs.values() for curve, _ in judged))
    objective = next((choice.objective for judged in runs.values() for _, choice in judged), "")
    rows, missing = [], []
    for label in labels:
        for run, judged in runs.items():
            for curve, choice in judged:
                if curve.label == label:
                    rows.append([label, run, *_choice_cells(curve, choice)])
                    if choice.threshold is None:
                        missing.append(f"{label}{f' ({run})' if run else ''}: no threshold: {choice.reason}")
    columns = ["label", "model", "with", "without", "avg. precision", "MinConfidence", "precision", "recall"]
    console.print(table(f"MinConfidence for {objective} (95 % intervals)", columns, rows, numbers=columns[2:6]))
    for line in missing:
        console.print(Text(line), soft_wrap=True)


def _choice_cells(curve: ThresholdCurve, choice: Choice) -> list[object]:
    counts: list[object] = [curve.positives, curve.negatives, f"{curve.average_precision:.3f}"]
    if choice.threshold is None or choice.point is None:
        return [*counts, "none", "", ""]
    point = choice.point
    return [
        *counts,
        f"{choice.threshold:.2f}",
        interval(point.precision, point.precision_low, point.precision_high),
        interval(point.recall, point.recall_low, point.recall_high),
    ]
