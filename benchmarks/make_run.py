"""Makes a workspace with a large run in it, for benchmarks of the studio.

    python benchmarks/make_run.py FOLDER [--images 1000000] [--judged 2000]

Half of the images have labels; of those that are judged for Violence, more show it the higher its confidence is.
Pictures lie there for the judged ones only.
"""

import argparse
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
from load import write
from PIL import Image

import toolkit as tk
from toolkit import manifests

PREFIX = "s3://collection/"
LABEL = "Violence"
PICTURES = 50


def make(folder: Path, images: int, judged: int, seed: int = 0) -> tk.Workspace:
    """Writes the run, the samples and the pictures."""
    run = folder / "runs" / "large"
    run.mkdir(parents=True, exist_ok=True)
    write(run / "results.jsonl", images, seed)
    (run / "manifest-summary.json").write_bytes(manifests.Summary(images, ()).to_json())
    results = tk.read_results(run / "results.jsonl", min_confidence=50)
    random = np.random.default_rng(seed)
    scores = results.scores(LABEL)
    # Half of the sample among those with the label: rare as it is, a sample without it says nothing.
    reported, other = np.flatnonzero(~np.isnan(scores)), np.flatnonzero(np.isnan(scores))
    rows = np.concatenate([random.choice(reported, judged // 2, False), random.choice(other, judged // 2, False)])
    chance = np.where(np.isnan(scores[rows]), 0.02, (scores[rows] - 40) / 60)
    refs = results.images["source_ref"].to_numpy()[rows]
    table = pd.DataFrame({"source_ref": refs, "label": LABEL, "present": random.random(len(rows)) < chance})
    tk.make_truth(table).save(folder / "samples.csv")
    _pictures(folder / "images", refs, random)
    workspace = tk.Workspace(
        folder, {"large": tk.Run("runs/large/results.jsonl", 50.0)}, "samples.csv", {PREFIX: "images"}
    )
    workspace.save()
    return workspace


def _pictures(folder: Path, refs: np.ndarray, random: np.random.Generator) -> None:
    """A few pictures under many names."""
    made = []
    for number in range(PICTURES):
        path = folder / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        out = io.BytesIO()
        pixels = random.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((640, 480)).save(out, "JPEG", quality=85)
        path.write_bytes(out.getvalue())
        made.append(path)
    for number, ref in enumerate(refs):
        path = folder / str(ref).removeprefix(PREFIX)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.link(made[number % PICTURES], path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--judged", type=int, default=2_000)
    given = parser.parse_args()
    print(make(given.folder, given.images, given.judged).folder)
