"""How far do confidences move when large JPEGs are decoded at a fraction of their size?

    python benchmarks/reduced_decoding.py FOLDER … [--seed 0]

Takes every JPEG of at least 1,024 pixels a side below the folders, whole and as three random squares of it (others with
another seed), each as the service would get it. Compares the confidence of Explicit after decoding in full with the one
after a glance (`toolkit.service.model.glance`). For several bounds it says how many images are sure enough for the
glance to be taken, and the largest move of their confidences in this sample: another image may move further. With
`--adapter adapters/ID.npz` it also says how far an adapter's labels moved.
"""

import argparse
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from toolkit.service.adapter import Adapter
from toolkit.service.model import GLANCE_SIDE, BadImage, Network, glance, prepare

BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.5)
"""The service takes a glance at 0.005 (`toolkit.service.engine.SURE`)."""
Image.MAX_IMAGE_PIXELS = None


def photos(folders: list[Path], seed: int) -> Iterator[bytes]:
    """The files, and squares cut out of them."""
    chance = random.Random(seed)  # noqa: S311  (which squares; nothing secret)
    for path in sorted(path for folder in folders for path in folder.rglob("*.jp*g")):
        try:
            with Image.open(path) as opened:
                if min(opened.size) < 2 * GLANCE_SIDE:
                    continue
                image = opened.convert("RGB")
        except OSError:
            continue
        yield path.read_bytes()
        for _ in range(3):
            side = chance.randint(2 * GLANCE_SIDE, min(image.size))
            left, top = chance.randint(0, image.width - side), chance.randint(0, image.height - side)
            with io.BytesIO() as file:
                image.crop((left, top, left + side, top + side)).save(file, "JPEG", quality=chance.choice([75, 85, 95]))
                yield file.getvalue()


def main() -> None:
    """Measures and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="which squares are cut out")
    given = parser.parse_args()
    network, adapter = Network(), Adapter.load(given.adapter) if given.adapter else None
    moves: list[float] = []
    reduced: list[float] = []
    adapter_moves: list[float] = []
    for data in photos(given.folders, given.seed):
        try:
            (pixels, exact), whole = glance(data), prepare(data)
        except BadImage:
            continue
        if exact:
            continue
        probabilities, features = network.run(np.stack([pixels, whole]))
        reduced.append(float(probabilities[0]))
        moves.append(100 * abs(float(probabilities[0]) - float(probabilities[1])))
        if adapter:
            adapter_moves.append(100 * float(np.abs(np.diff(adapter.predict(features), axis=0)).max()))
    document: dict[str, Any] = {"images": len(moves), "bounds": {}}
    for bound in BOUNDS:
        sure = [move for move, at in zip(moves, reduced, strict=True) if not bound < at < 1 - bound]
        document["bounds"][bound] = {"sure": len(sure) / len(moves), "largest move": max(sure, default=0.0)}
    if adapter:
        document["largest move of the adapter's labels"] = max(adapter_moves)
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
