import io

import numpy as np
import pytest
from helpers import picture
from PIL import Image

import toolkit as tk
from toolkit.errors import InvalidArgument, UnreadableImage


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=["JPEG"])


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "RGBA", "1", "I;16"])
def test_every_kind_of_picture_becomes_a_small_jpeg(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    small = opened(tk.thumbnail(encoded(Image.new(mode, (400, 200)), kind), 100))
    assert small.size == (100, 50)


@pytest.mark.parametrize("size", [0, -5, float("nan"), 10**9])
def test_a_size_that_no_picture_can_have_is_refused(size) -> None:
    with pytest.raises(InvalidArgument, match=r"size is .*; give a number from 1 to 10000"):
        tk.thumbnail(picture(1), size)


def test_a_small_picture_keeps_its_size_and_transparency_shows_white() -> None:
    small = opened(tk.thumbnail(encoded(Image.new("RGBA", (90, 90), (0, 0, 0, 0)), "PNG"), 240))
    assert small.size == (90, 90)
    assert small.getpixel((40, 40)) == (255, 255, 255)


def test_a_blurred_picture_has_no_edges_left() -> None:
    def sharpest(data: bytes) -> int:
        grey = np.asarray(opened(data).convert("L"), dtype=int)
        return int(max(abs(np.diff(grey, axis=0)).max(), abs(np.diff(grey, axis=1)).max()))

    assert sharpest(tk.thumbnail(picture(1), blur=True)) < sharpest(tk.thumbnail(picture(1))) / 4


def test_a_picture_taken_on_its_side_is_turned_and_its_metadata_left_behind() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    small = opened(tk.thumbnail(encoded(Image.new("RGB", (200, 100)), "JPEG", exif=exif)))
    assert small.size == (100, 200)
    assert not dict(small.getexif())


@pytest.mark.parametrize(
    "data",
    [b"", b"nonsense", picture(1)[:400], encoded(Image.new("RGB", (9, 9)), "GIF"),
     encoded(Image.new("1", (20_000, 20_000)), "PNG")],
    ids=["empty", "text", "cut off", "gif", "bomb"],
)  # fmt: skip
def test_what_cannot_be_shown_is_said_in_one_sentence(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match=r"\.$"):
        tk.thumbnail(data)
