"""What a person may name as a collection, and how its images get into S3."""

import hashlib
import os

import pandas as pd
import pytest
from helpers import picture
from PIL import Image

import toolkit as tk
from toolkit import image_limits, manifests, storage
from toolkit.collection import upload_collection
from toolkit.errors import InvalidArgument, NotFound


@pytest.fixture
def folder(tmp_path):
    """Two pictures, one that is too narrow, one that is none, and a note."""
    photos = tmp_path / "photos"
    (photos / "b").mkdir(parents=True)
    (photos / "a.jpg").write_bytes(picture(1))
    (photos / "b" / "b.JPG").write_bytes(picture(2))
    (photos / "bad.png").write_bytes(b"nonsense")
    Image.new("RGB", (79, 200)).save(photos / "narrow.png")
    (photos / "notes.txt").write_text("not an image")
    return photos


def test_a_list_a_column_and_a_generator_are_the_same_collection() -> None:
    refs = ["s3://b/1.jpg", "s3://b/1.jpg", "s3://b/2.jpg"]
    found = tk.collect(refs)
    assert found.usable == refs
    assert found == tk.collect(pd.DataFrame({"image": refs})["image"]) == tk.collect(ref for ref in refs)


def test_a_column_with_a_missing_value_says_which() -> None:
    with pytest.raises(InvalidArgument, match="image 2 is nan, not text; drop the rows"):
        tk.collect(pd.Series(["s3://b/1.jpg", float("nan")], dtype=object))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (5, "images is 5; give S3 URIs"),
        (None, "images is None; give S3 URIs"),
        (pd.DataFrame({"image": ["s3://b/1.jpg"]}), r"a whole table; give its column that names them, such as table\["),
        (["s3://b/\ud800.jpg"], r"'s3://b/\\ud800.jpg' is no text in UTF-8"),
    ],
)
def test_what_names_no_images_is_said_in_one_sentence(images, said) -> None:
    for act in (tk.collect, lambda given: tk.MediaAnalysis(endpoint_url="http://127.0.0.1:9").analyze(given, "s3://b")):
        with pytest.raises(InvalidArgument, match=said) as raised:
            act(images)
        str(raised.value).encode()


def test_a_file_whose_name_is_no_text_is_said_in_one_sentence(tmp_path) -> None:
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(picture(1))
    with pytest.raises(InvalidArgument, match="is no text in UTF-8; correct it, or rename the file"):
        tk.collect(tmp_path)


def test_a_set_has_an_order() -> None:
    refs = [f"s3://b/{number}.jpg" for number in range(9)]
    assert tk.collect(set(refs)).usable == refs


def test_a_folder_is_its_images_and_says_what_the_limits_forbid(folder) -> None:
    found = tk.collect(folder)
    assert [ref.rpartition("/")[2] for ref in found.usable] == ["a.jpg", "b.JPG", "bad.png"]
    assert [problem.code for problem in found.problems.values()] == ["IMAGE_TOO_SMALL"]
    assert "1 of 4 images is left out: " in found.complaint
    assert "narrow.png (IMAGE_TOO_SMALL: 79 × 200 pixels" in found.complaint


def test_a_prefix_is_listed_over_pages_without_what_is_too_large(endpoint, bucket, tmp_path) -> None:
    session = tk.connect(endpoint)
    for number in range(1003):
        (tmp_path / f"{number:04}.jpg").write_bytes(b"x")
    (tmp_path / "large.png").write_bytes(bytes(image_limits.MAX_BYTES + 1))
    (tmp_path / "notes.txt").write_bytes(b"x")
    storage.upload(tmp_path, f"s3://{bucket}/photos/", session=session)
    found = tk.collect(f"s3://{bucket}/photos/", session=session)
    assert len(found.usable) == 1003
    assert found.problems[1004].source_ref == f"s3://{bucket}/photos/large.png"
    (part,) = tk.write_manifest(f"s3://{bucket}/photos/", tmp_path / "m.jsonl", session=session)
    assert tk.collect(part).usable == found.usable


def test_a_manifest_is_its_lines_and_keeps_the_broken_ones_apart(tmp_path) -> None:
    (tmp_path / "m.jsonl").write_text('{"source-ref": "s3://b/1.jpg"}\nnonsense\n{"source-ref": "s3://b/2.jpg"}\n')
    found = tk.collect(tmp_path / "m.jsonl")
    assert found.usable == ["s3://b/1.jpg", "s3://b/2.jpg"]
    assert found.problems[2].code == "INVALID_JSON_LINE"


def test_images_are_copied_under_their_hash_and_only_once(endpoint, bucket, folder) -> None:
    session = tk.connect(endpoint)
    copied: list[int] = []
    uris = upload_collection(
        tk.collect(folder), f"s3://{bucket}/x/", session=session, on_done=lambda n, _: copied.append(n)
    )
    assert uris[1] == f"s3://{bucket}/x/{hashlib.sha256(picture(2)).hexdigest()}/b/b.JPG"
    assert copied == [1, 2, 3]
    (folder / "a.jpg").write_bytes(picture(3))
    again = upload_collection(
        tk.collect(folder), f"s3://{bucket}/x/", session=session, on_done=lambda n, _: copied.append(n)
    )
    assert copied == [1, 2, 3, 1]
    assert again[1:] == uris[1:]
    assert storage.read(uris[0], session=session) == picture(1)


def test_a_collection_of_which_nothing_can_be_analyzed_has_no_manifest(tmp_path) -> None:
    (tmp_path / "m.jsonl").write_text("nonsense\n")
    with pytest.raises(NotFound, match=r"no image can be analyzed; 1 of 1 images is left out: line 1"):
        tk.write_manifest(tmp_path / "m.jsonl", tmp_path / "out.jsonl")


def test_parts_respect_the_size_limit_too() -> None:
    line = manifests.to_line({"source-ref": f"s3://b/{'k' * 900}.jpg"})
    parts = manifests.split_lines([line] * 9_999 + ["x" * (manifests.MAX_BYTES - 100)])
    assert [len(part) <= manifests.MAX_BYTES for part in parts] == [True, True]
