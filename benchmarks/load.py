"""How fast is a results manifest in tables, against the ways people read one today?

    python benchmarks/load.py [--images 500000] [--rounds 5] [--json]

Every reader runs in a process of its own, `rounds` times, one after the other in turn; what is printed are medians and
the toolkit's ratios to them, because machines differ and times on one are noisy. pandas, pyarrow and the orjson loop
end with one flat table of labels; the bare DuckDB scan ends with nested Arrow and checks nothing; the toolkit ends with
its two tables, checked. Memory is the peak of the process; "added" is without what it took before it began to read.
"""

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.json

import toolkit as tk
from toolkit import manifests, taxonomy

LABELS = [name for name in taxonomy.PARENTS if taxonomy.PARENTS[name] is not None]
ANSWER = "detect-moderation-labels"


def write(path: Path, images: int, seed: int = 0) -> None:
    """A manifest like those of a job: half of the images with labels, each with its ancestors."""
    random = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(images):
            labels = []
            for name in random.choice(LABELS, size=random.choice([0, 1, 2], p=[0.5, 0.4, 0.1]), replace=False):
                confidence = float(np.float32(random.uniform(50, 100)))
                labels += [
                    manifests.Label(one, confidence, taxonomy.parent(one) or "", taxonomy.level(one) or 1)
                    for one in (str(name), *taxonomy.ancestors(str(name)))
                ]
            kinds = {"Illustrated": float(np.float32(random.uniform(50, 100)))} if random.random() < 0.2 else {}
            ref = f"s3://collection/2026/11/23/image-{number:08d}.jpg"
            file.write(manifests.to_line(manifests.result_record(ref, labels, content_types=kinds)))


def by_toolkit(path: Path) -> int:
    """Images and labels, checked."""
    return len(tk.read_results(path).labels)


def by_duckdb(path: Path) -> int:
    """The same scan and nothing else: nested Arrow."""
    from toolkit.results.scan import RESULTS

    columns = {"source-ref": "VARCHAR"} | dict(RESULTS.columns)
    with duckdb.connect() as connection:
        query = f"SELECT * FROM read_json('{path}', format='newline_delimited', columns={columns})"  # noqa: S608
        return len(connection.sql(query).to_arrow_table())


def by_pandas(path: Path) -> int:
    """read_json, explode, json_normalize."""
    table = pd.read_json(path, lines=True)
    table["labels"] = table[ANSWER].map(lambda answer: answer["ModerationLabels"])
    flat = table[["source-ref", "labels"]].explode("labels").dropna()
    return len(pd.DataFrame(flat["labels"].tolist()))


def by_orjson(path: Path) -> int:
    """A loop over the lines."""
    import orjson

    rows = []
    with path.open("rb") as file:
        for image, line in enumerate(file):
            record = orjson.loads(line)
            rows += [(image, one["Name"], one["Confidence"]) for one in record[ANSWER]["ModerationLabels"]]
    return len(pd.DataFrame(rows, columns=["image", "name", "confidence"]))


def by_pyarrow(path: Path) -> int:
    """pyarrow.json, then flattened."""
    table = pa.json.read_json(path, read_options=pa.json.ReadOptions(block_size=8 * 1024 * 1024))
    labels = pa.compute.struct_field(table.column(ANSWER), "ModerationLabels")
    return len(pa.Table.from_batches(_batches(pa.compute.list_flatten(labels))).to_pandas())


def _batches(flat: pa.ChunkedArray) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_struct_array(chunk) for chunk in flat.chunks]


READERS: dict[str, Callable[[Path], int]] = {
    "toolkit": by_toolkit,
    "bare DuckDB scan": by_duckdb,
    "pyarrow.json": by_pyarrow,
    "orjson loop": by_orjson,
    "pandas.read_json": by_pandas,
}


def measure(name: str, path: Path) -> dict[str, float]:
    """Seconds and megabytes of one reader in a process of its own."""
    command = [sys.executable, __file__, "--only", name, "--file", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def only(name: str, path: Path) -> None:
    """Runs one reader here."""
    warm = path.with_name("warm.jsonl")
    READERS[name](warm)  # imports and threads are there before the clock starts
    before, start = _peak(), time.perf_counter()
    rows = READERS[name](path)
    print(json.dumps({"seconds": time.perf_counter() - start, "peak": _peak(), "before": before, "rows": rows}))


def main() -> None:
    """Measures all readers and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        only(given.only, given.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "results.jsonl")
        write(path, given.images)
        write(path.with_name("warm.jsonl"), 100)
        size = path.stat().st_size / 1024**2
        readers = [name for name in READERS if name != "orjson loop" or importlib.util.find_spec("orjson")]
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in readers}
        for _ in range(given.rounds):
            for name in readers:
                runs[name].append(measure(name, path))
    show(runs, size, given.images, as_json=given.json)


def show(runs: dict[str, list[dict[str, float]]], size: float, images: int, *, as_json: bool) -> None:
    """Medians; the ratio is that of the same round, so that a slow moment of the machine hits both."""
    rows: list[dict[str, Any]] = []
    for name, found in runs.items():
        ratios = [one["seconds"] / own["seconds"] for one, own in zip(found, runs["toolkit"], strict=True)]
        rows.append(
            {
                "reader": name,
                "seconds": statistics.median(one["seconds"] for one in found),
                "toolkit is faster by": statistics.median(ratios),
                "peak memory / file": statistics.median(one["peak"] for one in found) / size,
                "added / file": statistics.median(one["peak"] - one["before"] for one in found) / size,
            }
        )
    if as_json:
        print(json.dumps({"images": images, "megabytes": size, "readers": rows}, indent=2))
        return
    print(f"{images:,} images, {size:.0f} MB, {runs['toolkit'][0]['rows']:,.0f} labels\n")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.2f}"))


if __name__ == "__main__":
    main()
