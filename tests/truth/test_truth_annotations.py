import json

import pandas as pd
import pytest
from helpers import ref
from hypothesis import HealthCheck, given, settings
from truth_rows import rows, weighted, wide

import toolkit as tk
from toolkit import manifests
from toolkit.errors import NotLabelled, UnreadableManifest

MULTI = {"type": "groundtruth/image-classification-multilabel"}


def annotated(number: int, value: object, **metadata: object) -> str:
    return manifests.to_line({"source-ref": ref(number), "kind": value, "kind-metadata": metadata})


def test_a_class_that_was_not_chosen_is_absent_and_a_failed_annotation_unknown(tmp_path) -> None:
    single = {"type": "groundtruth/image-classification", "confidence": 0.9}
    lines = [
        annotated(0, 0, **single, **{"class-name": "Gambling"}),
        annotated(1, 1, **single, **{"class-name": "Weapons"}),
        annotated(2, 2, **single, **{"class-name": "Violence"}),
        annotated(3, None, **single, **{"failure-reason": "ClientError: no such image"}),
    ]
    (tmp_path / "t.manifest").write_text("".join(lines))
    truth = tk.read_truth(tmp_path / "t.manifest")
    assert truth.of("Gambling").to_dict() == {ref(0): True, ref(1): False, ref(2): False}
    # Weapons lie under Violence: who had to choose one of the two did not deny the other.
    assert truth.of("Violence").to_dict() == {ref(0): False, ref(1): True, ref(2): True}
    assert truth.of("Weapons").to_dict() == {ref(0): False, ref(1): True}


def test_several_classes_are_read_from_their_map(tmp_path) -> None:
    lines = [
        annotated(0, [0, 3], **MULTI, **{"class-map": {"0": "Gambling", "3": "Alcohol"}}),
        annotated(1, [3], **MULTI, **{"class-map": {"3": "Alcohol"}}),
        annotated(2, [], **MULTI, **{"class-map": {}}),
        annotated(3, [], **MULTI, **{"failure-reason": "expired"}),
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    truth = tk.read_truth(tmp_path / "t.jsonl")
    assert truth.of("Gambling").to_dict() == {ref(0): True, ref(1): False, ref(2): False}
    assert truth.of("Alcohol").to_dict() == {ref(0): True, ref(1): True, ref(2): False}


def test_what_else_a_line_says_of_an_image_is_passed_over(tmp_path) -> None:
    record = json.loads(annotated(0, [0], **MULTI, **{"class-map": {"0": "Gambling"}}))
    record["source-ref"] = f"s3://{manifests.TRUTH_KEY}/1.jpg"
    record |= {"boxes": [], "boxes-metadata": {"type": "groundtruth/object-detection"}, "camera-metadata": {"iso": 100}}
    (tmp_path / "t.jsonl").write_text(manifests.to_line(record))
    assert tk.read_truth(tmp_path / "t.jsonl").of("Gambling").to_dict() == {record["source-ref"]: True}
    verified = record | {"sure": 0, "sure-metadata": {"type": "groundtruth/label-verification", "class-name": "bad"}}
    (tmp_path / "t.jsonl").write_text(manifests.to_line(verified))
    with pytest.raises(UnreadableManifest, match="label-verification', not an image classification"):
        tk.read_truth(tmp_path / "t.jsonl")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (annotated(0, 0, type="groundtruth/object-detection"), "not an image classification"),
        (annotated(0, 0, type="groundtruth/image-classification"), 'no "class-name"'),
        (annotated(0, [1], **{"type": "groundtruth/image-classification-multilabel", "class-map": {}}), "class-map"),
        (
            annotated(0, 1, **{"type": "groundtruth/image-classification-multilabel", "class-map": {}}),
            "list of numbers",
        ),
        (manifests.to_line({"source-ref": ref(0)}), 'no "…-metadata"'),
    ],
)
def test_an_annotation_of_another_kind_is_refused_with_its_line(tmp_path, line: str, why: str) -> None:
    (tmp_path / "t.jsonl").write_text(line)
    with pytest.raises(UnreadableManifest, match=f"line 1: .*{why}"):
        tk.read_truth(tmp_path / "t.jsonl")


@given(wide)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_a_manifest_of_several_labels_says_what_is_known_of_all_of_them_and_nothing_else(tmp_path, judged) -> None:
    truth = tk.make_truth(rows(*((n, label, p) for n, labels in judged.items() for label, p in labels.items())))
    whole = {ref(n): labels for n, labels in judged.items() if None not in labels.values()}
    if not whole and "Gambling" in truth.labels:
        with pytest.raises(NotLabelled, match="known of all of Alcohol, Gambling"):
            tk.annotations(truth)
        return
    for labels in (truth.labels, ["Alcohol"]):
        made = tk.annotations(truth, labels)
        made.write(tmp_path / "t.manifest")
        again = tk.read_truth(tmp_path / "t.manifest")
        assert again.labels == labels
        for label in labels:
            expected = truth.of(label)
            kept = expected[expected.index.isin(list(whole))] if "Gambling" in labels else expected
            pd.testing.assert_series_equal(again.of(label), kept)
        assert made.left_out == len(judged) - again.n_images


def test_a_manifest_of_annotations_may_be_of_one_label_and_not_of_none() -> None:
    truth = tk.make_truth(rows((1, "Gambling", 1), (2, "Alcohol", 0)))
    for one in ("Gambling", ["Gambling"], pd.Index(["Gambling"])):
        assert tk.annotations(truth, one).labels == ("Gambling",)
    with pytest.raises(NotLabelled, match="no label named"):
        tk.annotations(truth, [])


def test_a_line_of_a_manifest_of_several_labels_has_all_that_the_format_asks_for() -> None:
    (line,) = tk.annotations(tk.make_truth(rows((1, "Gambling", 1), (1, "Alcohol", 0)))).to_lines()
    record = json.loads(line)
    said = record["moderation-labels-metadata"]
    assert (record["source-ref"], record["moderation-labels"]) == (ref(1), [1])
    assert said.pop("creation-date")[:2] == "20"
    assert said == {
        "class-map": {"0": "Alcohol", "1": "Gambling"},
        "confidence-map": {"1": 1.0},
        "human-annotated": "yes",
        "job-name": "labeling-job/moderation-labels",
        "type": "groundtruth/image-classification-multilabel",
    }


@pytest.mark.parametrize("weights", [(2.0, 8.0), (3.0, 3.0)])
def test_a_manifest_of_several_labels_keeps_the_weights(tmp_path, weights) -> None:
    picked = weighted(*((n, "Gambling", 2 - n, weight) for n, weight in enumerate(weights, start=1)))
    truth = tk.make_truth(pd.concat([picked, weighted((3, "Gambling", None, 99.0))]))
    made = tk.annotations(truth)
    assert "with their weights" in made.in_words
    made.write(tmp_path / "t.manifest")
    again = tk.read_truth(tmp_path / "t.manifest")
    pd.testing.assert_series_equal(again.weights, truth.weights, check_names=False)


def test_a_manifest_of_several_labels_has_a_weight_in_every_line_or_in_none(tmp_path) -> None:
    lines = tk.annotations(tk.make_truth(weighted((1, "Gambling", 1, 2.0), (2, "Gambling", 0, 8.0)))).to_lines()
    for broken in ('"sampling-weight": 0', '"sampling-weight": "much"', '"weight": 8.0'):
        (tmp_path / "t.manifest").write_text(lines[0] + lines[1].replace('"sampling-weight": 8.0', broken))
        with pytest.raises(UnreadableManifest, match=r"the weight of .* write a positive number"):
            tk.read_truth(tmp_path / "t.manifest")
