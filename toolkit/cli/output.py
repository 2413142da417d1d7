"""What commands print: sentences and tables for people on stderr, one JSON object for programs on stdout."""

import io
import json
import os
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from toolkit import storage
from toolkit.compare import Comparison
from toolkit.confidence import written
from toolkit.curves import OperatingPoint, ThresholdCurve
from toolkit.drift import Drift
from toolkit.errors import NotFound, UnreadableManifest
from toolkit.jobs import Job
from toolkit.manifests import Evaluation
from toolkit.results import MISSING_LINE, UNREADABLE_LINE, Results
from toolkit.tuning import Choice

Judged = list[tuple[ThresholdCurve, Choice]]
"""What one run offers: for each label its curve, and the threshold chosen on it."""

screen = Console(highlight=False)
"""Standard output, for commands whose answer is meant for people."""
people = Console(stderr=True, highlight=False)
"""Where everything for people goes when stdout belongs to a program."""


def print_json(document: dict[str, Any]) -> None:
    """One JSON object on stdout. A number that is not one (NaN) is null, as JSON knows no other word for it."""
    if sys.stdout is None:
        raise NotFound("standard output is closed, and that is where --json writes; redirect it to a file.")
    typer.echo(json.dumps(_plain(document), ensure_ascii=False, allow_nan=False))


def fail(sentence: str) -> NoReturn:
    """Ends the command: one sentence on stderr, and exit code 2."""
    people.print(Text(sentence), style="red", soft_wrap=True)
    if sys.stdout is not None:
        # What a full disk did not take, Python would try to write once more as it ends, and complain in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(2)


def unreadable(*runs: Results) -> None:
    """Ends a command that has said everything else, where lines of a manifest cannot be read or are missing.

    Raises
    ------
    UnreadableManifest
    """
    errors = pd.concat([run.errors for run in runs])
    lines, missing = (errors[errors["code"] == code] for code in (UNREADABLE_LINE, MISSING_LINE))
    if len(missing) and not len(lines):
        raise UnreadableManifest(
            f"{missing.iloc[0]['file']}: {len(missing):,} fewer lines than the summary beside it counts, so nothing of "
            f"these images was counted; fetch the results once more."
        )
    if len(lines):
        first = lines.iloc[0]
        raise UnreadableManifest(
            f"{first['file']}: line {first['line']} {f'and {len(lines) - 1:,} more ' if len(lines) > 1 else ''}"
            f"cannot be read ({first['message']}), so nothing of it was counted; fetch the results once more."
        )


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


def save_table(table: pd.DataFrame, path: Path) -> None:
    """Writes a table as CSV or Parquet, by the path's ending.

    In a CSV, text that a spreadsheet would take for a formula (it begins with = + - or @) gets a quotation mark first.

    Raises
    ------
    NotFound
        The ending is another one, or the path cannot be written.
    """
    if path.suffix not in {".csv", ".parquet"}:
        raise NotFound(f"{path}: tables are written as .csv or .parquet; name one of these.")
    out = io.BytesIO()
    if path.suffix == ".parquet":
        table.to_parquet(out, index=False)
    else:
        safe = table.copy()
        for name in table.columns[~table.dtypes.map(pd.api.types.is_numeric_dtype)]:
            safe[name] = table[name].astype("str").map(_no_formula, na_action="ignore")
        safe.to_csv(out, index=False)
    storage.write(path, out.getvalue())


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[str] = ()
) -> Table:
    """A table for people. Cells are plain text: nothing in them is markup."""
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=SIMPLE_HEAD)
    drawn.padding, drawn.pad_edge = (0, 1, 0, 0), False
    for column in columns:
        drawn.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))
    return drawn


def interval(value: float, low: float, high: float) -> str:
    """A rate (0–1) with its interval, in percent.

    >>> interval(0.9, 0.555, 0.997)
    '90.0 [55.5–99.7]'
    """
    return f"{100 * value:.1f} [{100 * low:.1f}–{100 * high:.1f}]"


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


def choice_record(curve: ThresholdCurve, choice: Choice) -> dict[str, Any]:
    """A choice as `--json` shows it; without a threshold, every rate and count at it is null."""
    names = [field.name for field in fields(OperatingPoint)]
    point = dict.fromkeys(names) if choice.point is None else asdict(choice.point)
    return point | {
        "positives": choice.positives,
        "negatives": choice.negatives,
        "unmatched": curve.unmatched,
        "average_precision": _ranked(curve),
        "reason": choice.reason,
    }


def show_choices(console: Console, runs: Mapping[str, Judged]) -> None:
    """Thresholds with their rates, runs side by side label by label; then, plainly, why there are none."""
    pairs = [(run, curve, choice) for run, judged in runs.items() for curve, choice in judged]
    order = {label: position for position, label in enumerate(dict.fromkeys(curve.label for _, curve, _ in pairs))}
    pairs.sort(key=lambda pair: order[pair[1].label])  # stable: runs keep their order within a label
    objective = next((choice.objective for _, _, choice in pairs), "")
    rows = [[curve.label, run, *_choice_cells(curve, choice)] for run, curve, choice in pairs]
    columns = ["label", "model", "judged", "AP", "MinConf.", "precision %", "recall %"]
    console.print(table(f"MinConfidence for {objective} (95 % intervals)", columns, rows, numbers=columns[2:5]))
    for run, curve, choice in pairs:
        if choice.threshold is None:
            console.print(Text(f"{curve.label}{f' ({run})' if run else ''}: {choice.reason}"), soft_wrap=True)
    left_out: dict[tuple[str, int], list[str]] = {}
    for run, curve, _ in pairs:
        if curve.unmatched:
            left_out.setdefault((run, curve.unmatched), []).append(curve.label)
    for (run, unmatched), labels in left_out.items():
        where = f"the run {run}" if run else "the run"
        said = f"{unmatched:,} judged images have no result in {where}, and do not count ({', '.join(labels)})."
        console.print(Text(said), soft_wrap=True)


def _ranked(curve: ThresholdCurve) -> float | None:
    """Average precision; of a label that was never reported, or is nowhere, the formal one would mislead."""
    return curve.average_precision if len(curve.thresholds) and curve.positives else None


def _choice_cells(curve: ThresholdCurve, choice: Choice) -> list[object]:
    judged = f"{curve.positives}/{curve.positives + curve.negatives}"
    ap = _ranked(curve)
    ranked = "–" if ap is None else f"{ap:.3f}"
    if choice.threshold is None or choice.point is None:
        return [judged, ranked, "none", "", ""]
    point = choice.point
    return [
        judged,
        ranked,
        written(choice.threshold),
        interval(point.precision, point.precision_low, point.precision_high),
        interval(point.recall, point.recall_low, point.recall_high),
    ]


def show_comparison(console: Console, found: Comparison) -> None:
    """What a candidate changes, measure by measure, and what McNemar's test makes of it."""
    columns = ["measure", "base", "candidate", "difference", "95 % interval"]
    rows = [
        [row["measure"], *(f"{row[name]:.3f}" for name in columns[1:4]), f"[{row['low']:.3f}–{row['high']:.3f}]"]
        for row in found.rates.to_dict("records")
    ]
    console.print(table(f"{found.label}: {found.judged} judged images", columns, rows, numbers=columns[1:]))
    console.print(
        f"{found.fixed} mistakes fixed, {found.broken} made anew (McNemar's exact test: p = {found.p_value:.3g}); "
        f"{len(found.flips)} images flagged differently in all.",
        soft_wrap=True,
    )
    if found.unpaired:
        console.print(f"{found.unpaired:,} images are in one of the two runs only, and left out.", soft_wrap=True)
    if found.unmatched:
        console.print(f"{found.unmatched:,} judged images are not in both runs, and do not count.", soft_wrap=True)


def show_drift(console: Console, found: Drift) -> None:
    """Label by label, the largest shift first; then what a policy would decide differently."""
    columns = ["label", "before", "after", "stability index", "shift", "KS", "p"]
    rows = [
        [row["label"], f"{row['before']:.2%}", f"{row['after']:.2%}", f"{row['psi']:.3f}", row["shift"],
         f"{row['ks']:.3f}", f"{row['p_value']:.3g}"]
        for row in found.labels.to_dict("records")
    ]  # fmt: skip
    title = f"From one run to the next, from {written(found.min_confidence)} up"
    console.print(table(title, columns, rows, numbers=[name for name in columns[1:] if name != "shift"]))
    if found.decisions is None or found.flips is None:
        return
    names = list(found.decisions.columns)
    counts = [[before, *(f"{n:,}" for n in row)] for before, row in zip(names, found.decisions.to_numpy(), strict=True)]
    console.print(table("Images by decision, before (rows) and after", ["before", *names], counts, numbers=names))
    console.print(f"{len(found.flips):,} images would be decided differently.")


def show_evaluation(console: Console, found: Evaluation, rows: pd.DataFrame) -> None:
    """What a training says of its adapter, threshold by threshold: from the base model to the adapter."""
    columns = ["label", "threshold", "precision", "recall", "false alarms", "misses"]
    cells = [
        [
            row["label"], f"{row['threshold']:g}",
            *(f"{_share(row, 'base', other)} → {_share(row, 'adapter', other)}" for other in ("fp", "fn")),
            *(f"{row[f'base_{count}']} → {row[f'adapter_{count}']}" for count in ("fp", "fn")),
        ]
        for row in rows.sort_values(["label", "threshold"]).to_dict("records")
    ]  # fmt: skip
    console.print(Text(found.project_version), soft_wrap=True)
    title = (
        f"F1 {found.f1:.3f}; trained on {found.training_images:,} images, tested on {found.testing_images:,}. "
        f"Base model → adapter:"
    )
    console.print(table(title, columns, cells, numbers=columns[1:]))


def _share(row: Mapping[Hashable, Any], model: str, other: str) -> str:
    right = row[f"{model}_tp"]
    of = right + row[f"{model}_{other}"]
    return f"{right / of:.3f}" if of else "–"


def show(document: Mapping[str, object], as_json: bool, in_words: Callable[[], object]) -> None:
    """What a command has to say: as JSON, or in words."""
    if as_json:
        print_json(dict(document))
    else:
        in_words()
