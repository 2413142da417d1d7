"""A thousand manifests: how much faster on two processes, and how much memory does it take?

    python benchmarks/summarize.py [--manifests 1000] [--lines 10000] [--workers 2] [--json]

The same numbers three times, each in a process of its own: every row read into memory (`read_results`), reduced to
counts in one process (`summarize`), and reduced on a Dask LocalCluster (`executor=…`; its start is not counted).
Memory is the peak of the process that asks; of the cluster's, the largest worker's is given too. Twenty different
manifests stand under many names each; the three answers must be the same.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

import toolkit as tk

sys.path.insert(0, str(Path(__file__).parent))
DIFFERENT = 20
WAYS = ("read_results", "summarize", "summarize on Dask")


def peak() -> float:
    """Megabytes that this process took at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def truth_of(lines: int) -> tk.Truth:
    """Judgements on some of the images."""
    refs = [f"s3://collection/2026/11/23/image-{number:08d}.jpg" for number in range(0, lines, 20)]
    rows = [(ref, label, number % 3 == 0) for number, ref in enumerate(refs) for label in ("Explicit", "Violence")]
    return tk.make_truth(pd.DataFrame(rows, columns=["source_ref", "label", "present"]))


def only(way: str, folder: Path, workers: int, lines: int) -> None:
    """Does the work one way and prints what it took."""
    source, policy = folder / "*.jsonl", tk.Policy({"Violence": tk.Rule(block=90, review=70)})
    truth, extra = truth_of(lines), {}
    start = time.perf_counter()
    if way == "read_results":
        results = tk.read_results(source, min_confidence=50)
        curve, forecast = tk.threshold_curve(results, truth, "Violence"), policy.forecast(results)
    elif way == "summarize":
        summary = tk.summarize(source, truth, policy, min_confidence=50)
        curve, forecast = summary.curve("Violence"), summary.forecast()
    else:
        from distributed import Client, LocalCluster

        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            client.run(lambda: __import__("toolkit"))
            start = time.perf_counter()
            summary = tk.summarize(source, truth, policy, min_confidence=50, executor=client.get_executor())
            extra["largest worker"] = max(client.run(peak).values())
            curve, forecast = summary.curve("Violence"), summary.forecast()
    taken = time.perf_counter() - start
    images = int(forecast["images"].sum())
    answer = [images, *forecast["images"].tolist(), len(curve.thresholds), curve.average_precision]
    print(json.dumps({"way": way, "seconds": taken, "peak": peak(), "answer": answer} | extra))


def main() -> None:
    """Measures all ways and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifests", type=int, default=1000)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        only(given.only, given.folder, given.workers, given.lines)
        return
    with tempfile.TemporaryDirectory() as name:
        from load import write

        paths = [Path(name, f"{number:04d}.jsonl") for number in range(given.manifests)]
        for seed, path in enumerate(paths[:DIFFERENT]):
            write(path, given.lines, seed)
        for number, path in enumerate(paths[DIFFERENT:]):
            os.link(paths[number % DIFFERENT], path)
        rows = [measure(way, name, given) for way in WAYS]
    if any(row["answer"] != rows[0]["answer"] for row in rows):
        raise SystemExit(f"the ways do not agree: {rows}")
    show(rows, given)


def measure(way: str, folder: str, given: argparse.Namespace) -> dict[str, Any]:
    """One way in a process of its own."""
    options = ["--only", way, "--folder", folder, "--workers", str(given.workers), "--lines", str(given.lines)]
    done = subprocess.run([sys.executable, __file__, *options], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def show(rows: list[dict[str, Any]], given: argparse.Namespace) -> None:
    """Seconds, ratios to one process, megabytes."""
    alone = next(row["seconds"] for row in rows if row["way"] == "summarize")
    table = pd.DataFrame(
        {
            "way": row["way"],
            "seconds": row["seconds"],
            "speed-up": alone / row["seconds"],
            "peak MB": row["peak"],
            "largest worker MB": row.get("largest worker", float("nan")),
        }
        for row in rows
    )
    if given.json:
        print(json.dumps({"manifests": given.manifests, "lines": given.lines, "rows": table.to_dict("records")}))
        return
    print(f"{given.manifests:,} manifests of {given.lines:,} images\n")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.2f}"))


if __name__ == "__main__":
    main()
