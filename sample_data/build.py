"""Makes the sample images and their labels from the public-domain collection openclipart.

    python sample_data/build.py --source FOLDER     # FOLDER: png/ of the unpacked openclipart-png
    python sample_data/build.py                     # on Debian: fetches and unpacks it by itself

`selection.csv` is the list of record: which pictures, the labels that people gave them by looking,
the group (pictures that look alike) and the split that the whole group belongs to. Everything else
in this folder but the README is made from it, byte for byte the same each time for one version of
Pillow.
"""

import argparse
import csv
import io
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops

HERE = Path(__file__).parent
BUCKET = "modkit-demo"
LABELS = ("Gambling", "Violence", "Alcohol")
SPLITS = ("train", "test")
LONGEST_SIDE = 320
SHORTEST_SIDE = 96  # moderation needs 80; a thin drawing gets white margins
MARGIN = 0.04  # of the longer side, around what is drawn: many drawings sit small on an empty page
PACKAGE = "openclipart-png"


@dataclass(frozen=True)
class Picture:
    """One line of selection.csv, with the name its JPEG gets."""

    source: str
    labels: tuple[str, ...]
    group: str
    split: str
    name: str

    @property
    def source_ref(self) -> str:
        """Where `modkit demo` uploads it."""
        return f"s3://{BUCKET}/images/{self.name}"


def main() -> None:
    """Reads the command line and builds."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", type=Path, help="the unpacked collection's folder png/")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        build(given.source or fetch(Path(folder)))


def fetch(folder: Path) -> Path:
    """Unpacks Debian's package into a folder; the collection's own folder comes back."""
    try:
        subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, check=True)
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package.name, "."], cwd=folder, check=True)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"{PACKAGE} cannot be fetched ({error}): unpack it, name its folder as --source.")
    return folder / "usr" / "share" / "openclipart" / "png"


def build(source: Path) -> None:
    """Writes images/, bad/, the ground-truth manifests and the label tables."""
    pictures = read_selection()
    write_images(source, pictures)
    write_bad(pictures)
    for split in SPLITS:
        chosen = [picture for picture in pictures if picture.split == split]
        write_ground_truth(HERE / f"{split}.jsonl", chosen)
        write_labels(HERE / f"{split}.csv", chosen)
    size = sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file())
    print(f"{len(pictures)} images, {size / 1e6:.1f} MB")


def read_selection() -> list[Picture]:
    """The list of record, checked: known labels, and no group on both sides of the split."""
    with (HERE / "selection.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names: dict[str, int] = {}
    pictures = []
    for row in sorted(rows, key=lambda row: row["source"]):
        stem = re.sub(r"[^a-z0-9]+", "-", Path(row["source"]).stem.lower()).strip("-")
        names[stem] = names.get(stem, 0) + 1
        name = f"{stem}-{names[stem]}.jpg" if names[stem] > 1 else f"{stem}.jpg"
        labels = tuple(filter(None, row["labels"].split(";")))
        if not set(labels) <= set(LABELS) or row["split"] not in SPLITS:
            sys.exit(f"selection.csv: {row}")
        pictures.append(Picture(row["source"], labels, row["group"], row["split"], name))
    train, test = ({p.group for p in pictures if p.split == split} for split in SPLITS)
    if train & test:
        sys.exit(f"selection.csv: groups on both sides of the split: {sorted(train & test)}")
    return pictures


def write_images(source: Path, pictures: list[Picture]) -> None:
    """Every picture as a JPEG on white."""
    files = {}
    for picture in pictures:
        try:
            with Image.open(source / picture.source) as image:
                files[picture.name] = jpeg(on_white(image))
        except OSError as error:
            why = error.strerror or "not an image"
            print(
                f"{source / picture.source}: {why}; name png/ of the unpacked {PACKAGE} as --source.", file=sys.stderr
            )
            sys.exit(2)
    write_folder(HERE / "images", files)


def write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """These files and no others: what an earlier selection left behind is removed."""
    folder.mkdir(exist_ok=True)
    for stale in {path.name for path in folder.iterdir()} - files.keys():
        (folder / stale).unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)


def on_white(image: Image.Image) -> Image.Image:
    """What is drawn, within 320 pixels, with margins where it is too thin; never enlarged."""
    drawn = trimmed(image.convert("RGBA"))
    drawn.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    size = (max(drawn.width, SHORTEST_SIDE), max(drawn.height, SHORTEST_SIDE))
    ground = Image.new("RGB", size, "white")
    ground.paste(drawn, ((size[0] - drawn.width) // 2, (size[1] - drawn.height) // 2))
    return ground


def trimmed(image: Image.Image) -> Image.Image:
    """On white, without the empty page around the drawing."""
    page = Image.new("RGBA", image.size, "white")
    page.alpha_composite(image)
    flat = page.convert("RGB")
    box = ImageChops.difference(flat, Image.new("RGB", flat.size, "white")).getbbox()
    left, top, right, bottom = box or (0, 0, *flat.size)
    margin = round(MARGIN * max(right - left, bottom - top))
    return flat.crop(
        (
            max(left - margin, 0),
            max(top - margin, 0),
            min(right + margin, flat.width),
            min(bottom + margin, flat.height),
        )
    )


def jpeg(image: Image.Image, kind: str = "JPEG") -> bytes:
    """An image as a file, a JPEG or another kind."""
    out = io.BytesIO()
    image.save(out, kind, quality=85, optimize=True)  # only JPEG heeds the quality
    return out.getvalue()


def write_bad(pictures: list[Picture]) -> None:
    """Files as they turn up in real collections and cannot be analyzed."""
    whole = (HERE / "images" / pictures[0].name).read_bytes()
    with Image.open(io.BytesIO(whole)) as image:
        image.load()
    files = {
        "truncated.jpg": whole[: len(whole) // 2],
        "too-small.jpg": jpeg(image.resize((64, 48))),
        "gif-named-jpg.jpg": jpeg(image.convert("P"), "GIF"),
        "web-page.jpg": b"<!doctype html>\n<title>404</title>\n<p>This image is not here.</p>\n",
        "too-wide.png": jpeg(Image.new("1", (10_400, 120), 1), "PNG"),
        "empty.jpg": b"",
    }
    write_folder(HERE / "bad", files)


def write_ground_truth(path: Path, pictures: list[Picture]) -> None:
    """The format that custom moderation adapters are trained and tested with."""
    lines = []
    for picture in pictures:
        truth = {"ModerationLabels": [{"Name": label} for label in picture.labels]}
        lines.append({"source-ref": picture.source_ref, "content-moderation-groundtruth": truth})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def write_labels(path: Path, pictures: list[Picture]) -> None:
    """The same labels as a table: one row an image and label."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["source_ref", "label", "present"])
        for picture in pictures:
            for label in LABELS:
                table.writerow([picture.source_ref, label, int(label in picture.labels)])


if __name__ == "__main__":
    main()
