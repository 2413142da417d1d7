"""How fast are curves and their bootstrap, against scikit-learn?

    python benchmarks/sweep.py [--images 1000000] [--labels 50] [--rounds 3] [--json]

1. Curves: precision, recall, false-positive rate, average precision and ROC AUC of every label at every threshold, from
   the sparse labels of a run; scikit-learn gets the same scores as one dense column a label (precision_recall_curve,
   roc_curve, average_precision_score, roc_auc_score). The two areas must agree.
2. Bootstrap: average precision and ROC AUC of one label's curve, made again from 1,000 samples drawn with replacement.
   scikit-learn draws the images and computes both (for `--loops` of them; its time is scaled up).

Both sides take turns in one process; what is printed are medians and their ratio.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

import toolkit as tk

REPLICATES = 1000


def run(images: int, labels: int, random: np.random.Generator) -> tuple[tk.Results, dict[str, NDArray[np.bool_]]]:
    """A run that reports each label on 0.2 to 5 % of the images, and the truth: mostly right, and some missed."""
    parts, truth = [], {}
    for number in range(labels):
        share = random.uniform(0.002, 0.05)
        image = np.flatnonzero(random.random(images) < share)
        confidence = random.uniform(50, 100, len(image)).astype(np.float32)
        there = random.random(images) < share / 10
        there[image] = random.random(len(image)) < ((confidence - 40) / 70)
        name = f"Label {number}"
        truth[name] = there
        parts.append(pd.DataFrame({"image": image, "name": name, "parent": "", "level": 1, "confidence": confidence}))
    table = pd.concat(parts, ignore_index=True).astype({"name": "category", "parent": "category", "level": "int8"})
    refs = pd.DataFrame(
        {"image": np.arange(images), "source_ref": "s3://b/" + pd.Series(np.arange(images)).astype("str")}
    )
    refs = refs.assign(**dict.fromkeys(("model_version", "project_version", "content_type"), pd.NA))
    return tk.Results(refs, table, pd.DataFrame(), 50.0, "job", errors_known=True), truth


def by_toolkit(results: tk.Results, truth: dict[str, NDArray[np.bool_]]) -> dict[str, tuple[float, float]]:
    """Areas of every label; the curves hold every threshold's counts and rates."""
    areas = {}
    for label, there in truth.items():
        curve = tk.curve_of_scores(label, results.scores(label), there, min_confidence=results.min_confidence)
        _ = curve.rates  # made when it is asked for
        areas[label] = (curve.average_precision, curve.roc_auc)
    return areas


def by_scikit_learn(results: tk.Results, truth: dict[str, NDArray[np.bool_]]) -> dict[str, tuple[float, float]]:
    """The same, one dense column at a time; what was not reported ranks last."""
    areas = {}
    for label, there in truth.items():
        scores = np.nan_to_num(results.scores(label), nan=-1)
        precision_recall_curve(there, scores)
        roc_curve(there, scores)
        areas[label] = (average_precision_score(there, scores), roc_auc_score(there, scores))
    return areas


def bootstrap_by_scikit_learn(scores: NDArray[np.float32], there: NDArray[np.bool_], loops: int) -> float:
    """Seconds for REPLICATES samples, from a few of them."""
    random, start = np.random.default_rng(0), time.perf_counter()
    for _ in range(loops):
        rows = random.integers(0, len(scores), len(scores))
        average_precision_score(there[rows], scores[rows])
        roc_auc_score(there[rows], scores[rows])
    return (time.perf_counter() - start) * REPLICATES / loops


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long it takes, and what comes out."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def main() -> None:
    """Measures both and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--labels", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loops", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    results, truth = run(given.images, given.labels, np.random.default_rng(0))
    rows = [curves(results, truth, given.rounds), bootstrap(results, truth, given.rounds, given.loops)]
    if given.json:
        print(json.dumps({"images": given.images, "labels": given.labels, "rows": rows}, indent=2))
    else:
        print(f"{given.images:,} images, {given.labels} labels, {len(results.labels):,} of them reported\n")
        print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.2f}"))


def curves(results: tk.Results, truth: dict[str, NDArray[np.bool_]], rounds: int) -> dict[str, Any]:
    """All labels, both ways."""
    own, other = [], []
    for _ in range(rounds):
        mine, theirs = seconds(lambda: by_toolkit(results, truth)), seconds(lambda: by_scikit_learn(results, truth))
        own.append(mine[0])
        other.append(theirs[0])
        for label in truth:
            np.testing.assert_allclose(mine[1][label], theirs[1][label], rtol=1e-6)
    return row(f"curves of {len(truth)} labels", own, other)


def bootstrap(results: tk.Results, truth: dict[str, NDArray[np.bool_]], rounds: int, loops: int) -> dict[str, Any]:
    """One label, both ways."""
    label, there = next(iter(truth.items()))
    scores = results.scores(label)
    curve = tk.curve_of_scores(label, scores, there, min_confidence=results.min_confidence)
    dense = np.nan_to_num(scores, nan=-1)
    own = [seconds(lambda: tk.ranking_intervals(curve, replicates=REPLICATES))[0] for _ in range(rounds)]
    other = [bootstrap_by_scikit_learn(dense, there, loops) for _ in range(rounds)]
    return row(f"{REPLICATES:,} bootstrap replicates of one curve", own, other)


def row(name: str, own: list[float], other: list[float]) -> dict[str, Any]:
    """Medians, and the median of the ratios of each round."""
    ratios = [theirs / mine for mine, theirs in zip(own, other, strict=True)]
    return {
        "work": name,
        "toolkit (s)": statistics.median(own),
        "scikit-learn (s)": statistics.median(other),
        "toolkit is faster by": statistics.median(ratios),
    }


if __name__ == "__main__":
    main()
