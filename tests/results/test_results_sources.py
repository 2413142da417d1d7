import gzip
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from helpers import ref, result_line

import toolkit as tk
from toolkit import manifests, storage
from toolkit.errors import InvalidArgument, NotFound, UnreadableManifest


def test_several_manifests_are_one_collection(make) -> None:
    one = make.write([result_line(0, {"Gambling": 90})], "one.jsonl")
    two = make.write([result_line(1, {}), result_line(2, {"Violence": 80})], "two.jsonl")
    results = tk.read_results([one, two])
    assert results.images["image"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(results.scores("Violence"), np.array([np.nan, np.nan, 80], dtype=np.float32))


def test_a_compressed_manifest_is_read_and_a_torn_one_refused(make) -> None:
    lines = "".join(result_line(number, {"Gambling": 90 - number}) for number in range(50)).encode()
    whole = make.folder / "results.jsonl.gz"
    whole.write_bytes(gzip.compress(lines))
    assert tk.read_results(whole).n_images == 50
    whole.write_bytes(gzip.compress(lines)[:-20])
    with pytest.raises(UnreadableManifest, match="whole file"):
        tk.read_results(whole)


@pytest.mark.parametrize("name", ["results.jsonl.gz", "results.jsonl.GZ", "results.jsonl", "results.gzip", "r.zst"])
def test_a_compressed_manifest_fares_the_same_whatever_it_is_called(make, name: str) -> None:
    lines = [result_line(number, {"Gambling": 90}) for number in range(3)]
    lines[1] = lines[1].replace("90.0", '"90.0"')
    (make.folder / name).write_bytes(gzip.compress("".join(lines).encode()))
    results = tk.read_results(make.folder / name)
    assert (results.n_images, results.errors["line"].tolist()) == (2, [2])


@pytest.mark.parametrize("name", ["results.jsonl.gz", "results.jsonl.zst", "results.jsonl.bz2"])
def test_a_manifest_that_is_not_compressed_is_read_whatever_it_is_called(make, name: str) -> None:
    assert tk.read_results(make.write([result_line(0, {"Gambling": 90})], name)).n_images == 1


@pytest.mark.parametrize("folder", ["source-ref=march", "ModerationModelVersion=6.1", "projectversion=v2"])
def test_a_folder_says_nothing_of_what_is_in_it(make, folder: str) -> None:
    (make.folder / folder).mkdir()
    lines = [result_line(number, {"Gambling": 90}) for number in range(2)]
    plain, below = (tk.read_results(make.write(lines, name)) for name in ("r.jsonl", f"{folder}/r.jsonl"))
    assert below.images.equals(plain.images)
    answers = [json.dumps(json.loads(line)["detect-moderation-labels"]) + "\n" for line in lines]
    plain, below = (tk.read_results(make.write(answers, name)) for name in ("a.jsonl", f"{folder}/a.jsonl"))
    columns = ["model_version", "project_version", "content_type"]
    assert below.images[columns].equals(plain.images[columns])


def test_a_folder_may_be_called_like_a_persons_own(make, monkeypatch) -> None:
    monkeypatch.chdir(make.folder)
    monkeypatch.setenv("HOME", str(make.folder / "home"))
    for folder, images in (("~", 1), ("home", 2)):
        (make.folder / folder).mkdir()
        make.write([result_line(number, {}) for number in range(images)], f"{folder}/results.jsonl")
    assert tk.read_results("~/results.jsonl").n_images == 1


def test_a_manifest_that_is_compressed_in_another_way_is_refused(make) -> None:
    lines = "".join(result_line(number, {"Gambling": 90}) for number in range(3)).replace("90.0", '"90.0"')
    (make.folder / "r.zst").write_bytes(pa.compress(lines.encode(), codec="zstd", asbytes=True))
    with pytest.raises(UnreadableManifest, match="lines cannot be read"):
        tk.read_results(make.folder / "r.zst")


def test_a_missing_file_is_said_in_one_sentence(tmp_path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        tk.read_results(tmp_path / "results.jsonl")


def test_a_folder_or_a_glob_means_every_manifest_in_it(make, tmp_path) -> None:
    with pytest.raises(NotFound, match=r"no results\.jsonl there"):
        tk.read_results(tmp_path)
    for number, name in enumerate(["jobs/b/results.jsonl", "jobs/a/deep/results.jsonl", "jobs/a/other.jsonl"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        make.write([result_line(number, {"Gambling": 90})], name)
    assert tk.read_results(tmp_path / "jobs").images["source_ref"].tolist() == [ref(1), ref(0)]
    assert tk.read_results(tmp_path / "jobs/*/*.jsonl").images["source_ref"].tolist() == [ref(2), ref(0)]
    assert tk.read_results(str(tmp_path / "jobs/**/results.jsonl")).n_images == 2
    assert tk.read_results(tmp_path / "jobs/*").n_images == 2
    with pytest.raises(NotFound, match="no such file"):
        tk.read_results(tmp_path / "jobs/*.csv")


def test_a_manifest_that_is_named_twice_is_read_once(make, monkeypatch) -> None:
    path = make.write([result_line(0, {"Gambling": 90})])
    monkeypatch.chdir(make.folder)
    assert tk.read_results([path, "results.jsonl", make.folder / "*.jsonl", make.folder]).n_images == 1


def test_a_manifest_that_is_spelled_twice_is_read_once_and_so_is_its_summary(make) -> None:
    (make.folder / "x").mkdir()
    one = make.write([result_line(0, {"Gambling": 90})], "x/results.jsonl")
    two = make.write([result_line(1, {"Gambling": 80})], "x/other.jsonl")
    make.folder = make.folder / "x"
    make.summary(3, manifests.LineError(3, "INVALID_IMAGE_FORMAT", "not a JPEG"))
    detour = f"{make.folder}/../x"
    assert tk.read_results([one, f"{detour}/results.jsonl"]).n_images == 1
    assert len(tk.read_results([one, f"{detour}/{two.name}"]).errors) == 1
    assert tk.summarize([one, f"{detour}/{two.name}"]).errors.sum() == 1


def test_a_folder_that_holds_a_manifest_compressed_and_not_is_refused(make) -> None:
    path = make.write([result_line(0, {"Gambling": 90})])
    shouted, packed = make.folder / "results.jsonl.GZ", make.folder / "results.jsonl.gz"
    shouted.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InvalidArgument, match=r"results\.jsonl\.GZ is there, and so is the same without \.gz"):
        tk.read_results(make.folder / "*")
    shouted.rename(packed)
    for source in (make.folder, make.folder / "*", [make.folder]):
        with pytest.raises(InvalidArgument, match=r"results\.jsonl\.gz is there, and so is the same without \.gz"):
            tk.read_results(source)
    assert tk.read_results(packed).n_images == 1
    assert tk.read_results([path, packed]).n_images == 2  # who names both means both


def test_a_prefix_or_a_glob_in_s3_means_every_manifest_below_it(make, endpoint, bucket) -> None:
    session = tk.connect(endpoint)
    lines = gzip.compress(result_line(2, {"Gambling": 70}).encode())
    for number, key in enumerate(["out/a/results.jsonl", "out/b[1]/results.jsonl", "elsewhere/results.jsonl"]):
        storage.write(f"s3://{bucket}/{key}", result_line(number, {"Gambling": 90}).encode(), session=session)
    storage.write(f"s3://{bucket}/out/c/results.jsonl.gz", lines, session=session)
    for source, n in [("out/", 3), ("out/*/results.jsonl", 2), ("*.jsonl", 3), ("out/b[*.jsonl", 1)]:
        assert tk.read_results(f"s3://{bucket}/{source}", session=session).n_images == n
    with pytest.raises(NotFound, match=r"no results\.jsonl there"):
        tk.read_results(f"s3://{bucket}/nothing/", session=session)


def test_many_manifests_are_read_in_their_order(make) -> None:
    for number in range(70):  # more than are handed out at once
        make.write([result_line(number, {"Gambling": 30 + number})], f"{number:03d}.jsonl")
    results = tk.read_results(make.folder / "*.jsonl")
    assert results.images["source_ref"].tolist() == [ref(number) for number in range(70)]
    assert results.scores("Gambling").tolist() == [30 + number for number in range(70)]


def test_manifests_in_s3_are_read_by_other_processes(make, endpoint, bucket) -> None:
    session = tk.connect(endpoint)
    for number in range(20):
        uri = f"s3://{bucket}/out/{number:03d}/results.jsonl"
        storage.write(uri, result_line(number, {f"Label {number}": 90}).encode(), session=session)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        results = tk.read_results(f"s3://{bucket}/out/", session=partial(tk.connect, endpoint), executor=executor)
    assert results.images["source_ref"].tolist() == [ref(number) for number in range(20)]
    assert np.flatnonzero(results.scores("Label 7") == 90).tolist() == [7]


def test_a_manifest_that_was_cut_off_between_two_lines_does_not_look_whole(make) -> None:
    make.summary(4, manifests.LineError(4, "INVALID_IMAGE_FORMAT", "not a JPEG", ref(9)))
    make.results({"Gambling": 90}, {}, {})
    path = make.folder / "results.jsonl"
    assert len(tk.read_results(path).errors) == 1
    path.write_text(path.read_text().partition("\n")[0] + "\n")
    found = tk.read_results(path)
    assert found.n_images == 1
    assert found.errors["code"].tolist() == ["INVALID_IMAGE_FORMAT", "MISSING_LINE", "MISSING_LINE"]
    assert tk.summarize(path).errors.to_dict() == {"INVALID_IMAGE_FORMAT": 1, "MISSING_LINE": 2}


def test_what_is_no_file_is_said(make) -> None:
    os.mkfifo(make.folder / "pipe")
    with pytest.raises(InvalidArgument, match="a pipe or a device; save what it gives in a file"):
        tk.read_results(make.folder / "pipe")
    for several in ([object()], [1.5]):
        with pytest.raises(InvalidArgument, match="no path or URI; name manifests, or read a job alone"):
            tk.read_results(several)
    with pytest.raises(InvalidArgument, match="no path or URI"):
        tk.summarize(object())


def test_a_damaged_summary_can_be_done_without(make) -> None:
    make.write([result_line(0, {"Gambling": 70})])
    (make.folder / manifests.SUMMARY_NAME).write_text("{}")
    with pytest.raises(UnreadableManifest, match=r"or damaged; fetch the job's manifest-summary\.json again"):
        tk.read_results(make.folder / "results.jsonl", min_confidence=50)


@pytest.mark.parametrize(("name", "other"), [("run[1]", "run1"), ("what?", "whats"), ("st*r", "stxr"), ("[!a]", "b")])
def test_a_name_with_the_signs_of_a_pattern_stands_for_itself(make, name: str, other: str) -> None:
    for folder, score in ((name, 60), (other, 70)):
        (make.folder / folder).mkdir()
        make.write([result_line(0, {"Gambling": score})], f"{folder}/results.jsonl")
    results = tk.read_results(make.folder / name / "results.jsonl", min_confidence=50)
    assert results.labels["confidence"].tolist() == [60]
    assert tk.read_results(make.folder, min_confidence=50).n_images == 2
