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
from toolkit.errors import UnreadableManifest

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


def test_an_adapter_output_manifest_is_two_runs_and_their_truth(make) -> None:
    def answer(confidence: float, **settings: str) -> manifests.Answer:
        return manifests.Answer((manifests.Label("Gambling", confidence),), **settings)

    lines = [
        manifests.to_line(
            manifests.adapter_output_record(
                ref(n), ["Gambling"] if n else [], adapter=answer(90 + n, project_version="arn:x"), base=answer(10 + n)
            )
        )
        for n in range(3)
    ]
    path = make.write(lines, "output.jsonl")
    base, adapter = tk.read_adapter_output(path)
    assert base.scores("Gambling").tolist() == [10, 11, 12]
    assert adapter.scores("Gambling").tolist() == [90, 91, 92]
    assert (base.project_versions, adapter.project_versions, adapter.min_confidence) == ([], ["arn:x"], 5)
    comparison = tk.compare(base, adapter, tk.read_truth(path), "Gambling", 50)
    assert (comparison.fixed, comparison.broken) == (2, 1)
    assert tk.read_results(path).scores("Gambling").tolist() == [90, 91, 92]
    assert tk.read_adapter_output(make.write([*lines, "x\n"], "o.jsonl"))[0].errors["line"].tolist() == [4]
    with pytest.raises(UnreadableManifest, match="not an adapter's output on its test images"):
        tk.read_adapter_output(make.write([result_line(0, {})]))


def test_an_adapter_that_did_not_answer_is_said_aloud(make) -> None:
    def line(number: int, **settings: str) -> str:
        adapter = manifests.Answer(**settings)
        return manifests.to_line(
            manifests.adapter_output_record(ref(number), [], adapter=adapter, base=manifests.Answer())
        )

    path = make.write([line(0), line(1)])
    with pytest.warns(UserWarning, match=r"2 of 2 images were not answered by the adapter .*has it expired"):
        tk.read_adapter_output(path)
    path = make.write([line(0), line(1, project_version="arn:x")])
    with pytest.warns(UserWarning, match=r"1 of 2 images were not answered by the adapter .*arn:x"):
        tk.read_adapter_output(path)


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


def test_several_labels_have_the_confidence_of_the_likeliest(make) -> None:
    results = make.results({"Gambling": 60, "Violence": 70}, {"Violence": 80}, {}, {"Gambling": 90})
    expected = np.array([70, 80, np.nan, 90], dtype=np.float32)
    np.testing.assert_array_equal(results.scores(["Gambling", "Violence"]), expected)


@given(st.lists(label_scores, max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
def test_histograms_and_pairs_are_counts_of_images(make, scores) -> None:
    results = make.results(*scores)
    together = results.cooccurrence()
    for one in results.label_names():
        histogram = results.histogram(one)
        values = sorted(float(np.float32(labels[one])) for labels in scores if one in labels)
        assert np.repeat(histogram.index, histogram).tolist() == values
        for other in results.label_names():
            assert together.loc[one, other] == sum(one in labels and other in labels for labels in scores)
