"""Pictures for people to look at: decoded within bounds, made small, blurred until asked."""

import io
from typing import Final

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from toolkit import checks
from toolkit.errors import UnreadableImage

MAX_PIXELS: Final = 100_000_000
"""Rekognition takes at most 10,000 x 10,000; a file that claims more is not opened."""


def thumbnail(data: bytes, size: int = 240, *, blur: bool = False) -> bytes:
    """A small JPEG of an image.

    Parameters
    ----------
    data
        A JPEG or PNG file.
    size
        Longest side of the answer in pixels, 1 to 10,000; a smaller image keeps its size.
    blur
        Makes it unrecognisable but for its colours, for content that nobody should have to see unasked. Nothing sharp
        leaves this function then.

    Returns
    -------
    bytes
        A JPEG file, without the original's metadata.

    Raises
    ------
    UnreadableImage
        Not a JPEG or PNG, cut off, or larger than `MAX_PIXELS`.
    InvalidArgument
        `size` is out of its range.
    """
    checks.within("size", size, 1, 10_000)
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableImage(f"{image.width} x {image.height} pixels is more than this opens.")
            image.draft("RGB", (size, size))  # a JPEG decodes at a fraction of its size, many times faster
            small = ImageOps.exif_transpose(_eight_bit(image))
            small.thumbnail((size, size))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableImage("not a JPEG or PNG that can be opened.") from error
    picture = _on_white(small)
    if blur:
        picture = picture.filter(ImageFilter.GaussianBlur(max(picture.size) / 12))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit greys scaled down; Pillow itself can neither resize nor colour them."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    layered = image.convert("RGBA")
    ground = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(ground, layered).convert("RGB")
