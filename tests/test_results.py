import gzip
import io

import boto3
import numpy as np
import pytest
from botocore.exceptions import ClientError
from helpers import ref, result_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit import manifests
from toolkit.errors import BelowFloor, InvalidArgument, NotFound, UnreadableManifest

label_scores = st.dictionaries(st.sampled_from(["Gambling", "Violence", "Weapons", "Brand New"]), st.floats(1, 100))


@given(st.lists(label_scores, min_size=1, max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_every_confidence_arrives_as_the_float32_it_was(make, scores) -> None:
    results = make.results(*scores)
    assert results.n_images == len(scores)
    for label in ("Gambling", "Violence", "Weapons", "Brand New"):
        expected = np.array([labels.get(label, np.nan) for labels in scores], dtype=np.float32)
        np.testing.assert_array_equal(results.scores(label), expected)


def test_an_image_with_no_label_is_a_result(make) -> None:
    results = make.results({}, {"Gambling": 90}, {})
    assert results.n_images == 3
    assert results.labels["image"].tolist() == [1]


def test_an_image_that_failed_is_an_error_and_not_a_result(make) -> None:
    make.summary(3, manifests.LineError(2, "INVALID_IMAGE_FORMAT", "not a JPEG", ref(9)))
    results = make.results({}, {"Gambling": 90})
    assert results.n_images == 2
    assert results.errors[["line", "source_ref", "code"]].to_numpy().tolist() == [[2, ref(9), "INVALID_IMAGE_FORMAT"]]


def test_without_a_summary_it_is_unknown_what_failed(make) -> None:
    results = make.results({"Gambling": 90})
    assert not results.errors_known
    assert "failures unknown: no manifest-summary.json beside the results" in repr(results)
    make.summary(1)
    results = tk.read_results(make.folder / "results.jsonl")
    assert results.errors_known
    assert "0 failed" in repr(results)


def test_one_missing_summary_of_several_leaves_failures_unknown(make, tmp_path) -> None:
    make.summary(2, manifests.LineError(2, "INVALID_IMAGE_FORMAT", "not a JPEG", ref(9)))
    one = make.write([result_line(0, {})])
    (tmp_path / "other").mkdir()
    two = make.write([result_line(1, {})], "other/results.jsonl")
    results = tk.read_results([one, two])
    assert (len(results.errors), results.errors_known) == (1, False)
    assert "at least 1 failed, other failures unknown" in repr(results)


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchKey"])
def test_a_summary_that_may_not_be_read_is_unknown_too(make, monkeypatch, code: str) -> None:
    line = result_line(0, {"Gambling": 90}).encode()

    class S3:
        def get_object(self, Bucket: str, Key: str) -> dict[str, object]:  # noqa: N803
            if Key.endswith("results.jsonl"):
                return {"Body": io.BytesIO(line)}
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")

    session = boto3.Session()
    monkeypatch.setattr(session, "client", lambda name: S3())
    results = tk.read_results("s3://bucket/job/results.jsonl", session=session)
    assert (results.n_images, results.errors_known) == (1, False)


def test_a_broken_line_is_an_error_and_the_others_are_read(make) -> None:
    path = make.write([result_line(0, {"Gambling": 90}), '{"source-ref": "s3://b/1.jpg", "det\n', result_line(2, {})])
    results = tk.read_results(path)
    assert results.images["source_ref"].tolist() == [ref(0), ref(2)]
    assert results.errors[["line", "code"]].to_numpy().tolist() == [[2, "UNREADABLE_LINE"]]
    assert results.scores("Gambling")[0] == 90


@pytest.mark.parametrize("value", ["NaN", "-1", "100.5", "null", '"x"'])
def test_a_confidence_that_is_none_never_becomes_a_score(make, value: str) -> None:
    bad = result_line(1, {"Gambling": 50}).replace("50.0", value)
    results = tk.read_results(make.write([result_line(0, {"Gambling": 90}), bad, result_line(2, {})]))
    assert results.n_images == 2
    assert results.errors["line"].tolist() == [2]


def test_a_file_that_is_mostly_broken_is_refused_with_its_first_lines(make) -> None:
    with pytest.raises(UnreadableManifest, match=r"2 of 3 lines .*line 1: .*line 3: "):
        tk.read_results(make.write(["nonsense\n", result_line(1, {}), "[]\n"]))


def test_the_floor_comes_from_the_caller_or_from_what_was_seen(make) -> None:
    path = make.write([result_line(0, {"Gambling": 61.5}), result_line(1, {"Gambling": 99})])
    assert tk.read_results(path, min_confidence=50).floor_source == "caller"
    bare = tk.read_results(path)
    assert (bare.min_confidence, bare.floor_source) == (61.5, "smallest confidence seen")
    assert "smallest confidence seen" in repr(bare)


@pytest.mark.parametrize("given", [500, -5, float("nan"), "50"])
def test_a_floor_that_no_job_can_have_is_refused(make, given) -> None:
    path = make.write([result_line(0, {"Gambling": 90})])
    with pytest.raises(InvalidArgument, match=r"min_confidence is .*; give a number from 0 to 100"):
        tk.read_results(path, min_confidence=given)


def test_a_floor_above_what_the_file_holds_is_refused(make) -> None:
    path = make.write([result_line(0, {"Gambling": 6.8}), result_line(1, {"Gambling": 90})])
    with pytest.raises(InvalidArgument, match=r"min_confidence is 50, but confidences down to 6\.8 were reported"):
        tk.read_results(path, min_confidence=50)
    assert tk.read_results(path, min_confidence=6.8).min_confidence == 6.8


def test_a_threshold_below_the_floor_is_refused_with_the_rerun_to_make(make) -> None:
    with pytest.raises(BelowFloor, match="nothing below 50; rerun the job with MinConfidence 30 or lower"):
        make.results({"Gambling": 60}, min_confidence=50).require(30, "Gambling")


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


def test_a_missing_file_is_said_in_one_sentence(tmp_path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        tk.read_results(tmp_path / "results.jsonl")


def test_a_folder_instead_of_results_names_those_in_it(make, tmp_path) -> None:
    with pytest.raises(NotFound, match="a folder without any results"):
        tk.read_results(tmp_path)
    for name in ("run", "base"):
        (tmp_path / name).mkdir()
        make.write([], f"{name}/results.jsonl")
    with pytest.raises(NotFound, match=r"name the results in it: .*/base/results\.jsonl or .*/run/results\.jsonl\.$"):
        tk.read_results(tmp_path)


def test_an_empty_manifest_is_an_empty_collection(make) -> None:
    results = tk.read_results(make.write([]))
    assert (results.n_images, len(results.labels), results.label_names()) == (0, 0, [])
    assert results.overview().empty


def test_adapter_and_content_type_are_columns(make) -> None:
    results = make.results(
        {"Gambling": 60}, project_version="arn:x", content_types={"Animated": 40.0, "Illustrated": 80.0}
    )
    assert results.images["content_type"].tolist() == ["Illustrated"]
    assert results.project_versions == ["arn:x"]


def test_levels_are_filled_in_where_an_old_response_leaves_them_out(make) -> None:
    line = result_line(1, {"LABEL": 90}).replace(', "TaxonomyLevel": 1', "")
    results = tk.read_results(
        make.write([line.replace("LABEL", name) for name in ("Weapons", "Drug & Tobacco Paraphernalia & Use")])
    )
    assert results.labels["level"].tolist() == [2, 2]
    assert results.labels["name"].tolist() == ["Weapons", "Drugs & Tobacco Paraphernalia & Use"]


def test_the_overview_counts_images(make) -> None:
    overview = make.results({"Gambling": 90}, {"Gambling": 70, "Violence": 60}, {}, {}).overview().set_index("label")
    assert overview.loc["Gambling", ["images", "share", "median_confidence"]].tolist() == [2, 0.5, 80]
