"""Custom moderation: projects, training, and what an adapter changes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from service_client import SQLITE_FULL, Client, picture, raising, shape, take_no_failure, until
from sklearn.metrics import f1_score, multilabel_confusion_matrix

import toolkit as tk
from toolkit.errors import NotFound, RequestRefused
from toolkit.manifests import (
    AdapterOutput,
    Confusion,
    Label,
    parse_adapter_output_line,
    parse_evaluation,
    parse_ground_truth_line,
)
from toolkit.service import LocalService
from toolkit.service.adapter import Adapter
from toolkit.service.engine import Seen
from toolkit.service.lifecycle import AdapterStatus, mark_adapter
from toolkit.service.moderation import confidences, reported
from toolkit.service.training import Example, split
from toolkit.storage import split_s3


def _labels(answer: dict[str, Any]) -> dict[str, float]:
    return {label["Name"]: label["Confidence"] for label in answer["ModerationLabels"]}


def _failure(client: Client, shapes: dict[str, Any], training: Any, testing: Any = None) -> str:
    project = client.project()
    version = client.version(project, client.train(project, shapes["bucket"], training, testing or shapes["testing"]))
    assert version["Status"] == "TRAINING_FAILED"
    assert "EvaluationResult" not in version
    return str(version["StatusMessage"])


def test_a_training_says_what_it_did(client: Client, shapes: dict[str, Any]) -> None:
    version = shapes["version"]
    assert version["Status"] == "TRAINING_COMPLETED"
    assert version["EvaluationResult"]["F1Score"] == 1.0
    assert version["FeatureConfig"] == {"ContentModeration": {"ConfidenceThreshold": 50.0}}
    assert version["BaseModelVersion"] == "7.0"
    assert version["Feature"] == "CONTENT_MODERATION"
    assert version["BillableTrainingTimeInSeconds"] >= 1
    assert version["TrainingEndTimestamp"] >= version["CreationTimestamp"]
    assert version["TrainingDataResult"]["Input"] == shapes["training"]
    assert version["TestingDataResult"]["Input"] == shapes["testing"]
    assert client.summary(version)["statistics"]["valid-json-lines"] == 36
    described = client.rekognition.describe_project_versions(ProjectArn=shapes["project"], VersionNames=["v1"])
    assert described["ResponseMetadata"]["HTTPHeaders"]["x-modkit-progress"] == "36/36"


def _output(client: Client, version: dict[str, Any], part: str) -> list[AdapterOutput]:
    place = version[part]["Output"]["Assets"][0]["GroundTruthManifest"]["S3Object"]
    return [parse_adapter_output_line(line) for line in client.get(place).splitlines()]


def test_the_output_manifests_repeat_the_truth_and_tell_what_both_models_said(
    client: Client, shapes: dict[str, Any]
) -> None:
    version = shapes["version"]
    given = {part: client.get(shapes[part]["Assets"][0]["GroundTruthManifest"]["S3Object"]).splitlines()
             for part in ("training", "testing")}  # fmt: skip
    training, testing = _output(client, version, "TrainingDataResult"), _output(client, version, "TestingDataResult")
    for part, lines in (("training", training), ("testing", testing)):
        assert [(line.source_ref, line.truth) for line in lines] == list(map(parse_ground_truth_line, given[part]))
    assert all(line.adapter is None and line.base is None for line in training)
    for line in testing:
        assert line.adapter
        assert line.base
        assert line.adapter.project_version == shapes["arn"]
        assert line.base.project_version is None
        assert {label.name for label in line.base.labels} <= {"Explicit"}
        assert all(label.confidence >= 5 for label in [*line.adapter.labels, *line.base.labels])
        bucket, key = split_s3(line.source_ref)
        detected = client.rekognition.detect_moderation_labels(
            Image={"S3Object": {"Bucket": bucket, "Name": key}}, ProjectVersion=shapes["arn"], MinConfidence=5
        )
        assert {label.name: pytest.approx(label.confidence, abs=1e-3) for label in line.adapter.labels} == _labels(
            detected
        )


def test_the_evaluation_counts_what_the_output_manifest_says(
    client: Client, shapes: dict[str, Any], tmp_path: Path
) -> None:
    bucket = shapes["bucket"]

    def labels(number: int) -> list[str]:  # nothing that could be learned without mistakes
        return ["Gambling"] * (number % 4 < 2) + ["Alcohol"] * (number % 3 == 0)

    labelled = [(client.put(bucket, f"blurred/{n}.jpg", shape(n, n % 2 == 0)), labels(n)) for n in range(24)]
    testing = client.truth(bucket, "blurred.jsonl", labelled)
    project = client.project()
    more = {"FeatureConfig": {"ContentModeration": {"ConfidenceThreshold": 62.5}}}
    arn = client.train(project, bucket, client.truth(bucket, "blurred-training", labelled), testing, **more)
    version = client.version(project, arn)
    found = parse_evaluation(client.get(version["EvaluationResult"]["Summary"]["S3Object"]))
    assert (found.project_version, found.labels) == (arn, ("Alcohol", "Gambling"))
    assert (found.training_images, found.testing_images) == (24, 24)
    assert version["TrainingEndTimestamp"] >= found.ended >= version["CreationTimestamp"]

    output = _output(client, version, "TestingDataResult")
    truth = [[label in line.truth for label in found.labels] for line in output]

    def flagged(model: str, threshold: float) -> list[list[bool]]:
        answers = [{label.name: label.confidence for label in getattr(line, model).labels} for line in output]
        return [[answer.get(label, -1) >= threshold for label in found.labels] for answer in answers]

    assert [one.threshold for one in found.thresholds] == list(range(5, 101, 5))
    assert found.at_input.threshold == 62.5
    for one in (found.at_input, *found.thresholds):
        for number, model in enumerate(("base", "adapter")):
            expected = multilabel_confusion_matrix(truth, flagged(model, one.threshold))
            for label, ((tn, fp), (fn, tp)) in zip(found.labels, expected, strict=True):
                assert one.labels[label][number] == Confusion(tp=tp, tn=tn, fp=fp, fn=fn)
            (tn, fp), (fn, tp) = expected.sum(axis=0)
            assert getattr(one, model) == Confusion(tp=tp, tn=tn, fp=fp, fn=fn)
    expected_f1 = f1_score(truth, flagged("adapter", 62.5), average="micro")
    assert 0 < found.f1 < 1
    assert found.f1 == pytest.approx(expected_f1)
    assert version["EvaluationResult"]["F1Score"] == pytest.approx(expected_f1)

    written = version["TestingDataResult"]["Output"]["Assets"][0]["GroundTruthManifest"]["S3Object"]
    (tmp_path / "output.jsonl").write_bytes(client.get(written))
    base, adapter = tk.read_adapter_output(tmp_path / "output.jsonl")
    truth = tk.read_truth(tmp_path / "output.jsonl")
    for row in found.table().itertuples():
        rates = tk.compare(base, adapter, truth, row.label, row.threshold).rates.set_index("measure")
        assert (rates.loc["fp", "base"], rates.loc["fp", "candidate"]) == (row.base_fp, row.adapter_fp)
        assert (rates.loc["fn", "base"], rates.loc["fn", "candidate"]) == (row.base_fn, row.adapter_fn)


def test_an_adapter_separates_images_it_has_not_seen(client: Client, shapes: dict[str, Any]) -> None:
    found = []
    for number in range(500, 512):
        answer = client.rekognition.detect_moderation_labels(
            Image={"Bytes": shape(number, number % 2 == 0)}, ProjectVersion=shapes["arn"], MinConfidence=0
        )
        assert answer["ProjectVersion"] == shapes["arn"]
        labels = _labels(answer)
        assert set(labels) == {"Gambling", "Explicit"}
        found.append(labels["Gambling"])
    assert min(found[::2]) > max(found[1::2])
    assert min(found[::2]) >= 50 > max(found[1::2])
    assert len(set(found)) == len(found)


def test_a_job_with_an_adapter_names_it_in_every_result(client: Client, shapes: dict[str, Any]) -> None:
    bucket = shapes["bucket"]
    refs = [client.put(bucket, f"held-out/{number}.jpg", shape(number, number % 2 == 0)) for number in range(600, 610)]
    place = client.manifest(bucket, refs)
    results = client.results(client.job(client.start(place, ProjectVersion=shapes["arn"])))
    base = client.results(client.job(client.start(place, MinConfidence=0)))
    gambling = {"Name": "Gambling", "ParentName": "", "TaxonomyLevel": 1}
    for number, (result, without) in enumerate(zip(results, base, strict=True)):
        answer = result["detect-moderation-labels"]
        assert answer["ProjectVersion"] == shapes["arn"]
        named = [{name: label[name] for name in gambling} for label in answer["ModerationLabels"]]
        assert named == ([gambling] if number % 2 == 0 else [])
        assert "ProjectVersion" not in without["detect-moderation-labels"]
        assert set(_labels(without["detect-moderation-labels"])) == {"Explicit"}


def modkit(*arguments: str) -> Any:
    command = [sys.executable, "-m", "toolkit", *arguments, "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_an_expired_adapter_is_ignored_and_a_deprecated_one_is_not(
    client: Client, service: LocalService, shapes: dict[str, Any]
) -> None:
    def mark(status: str) -> None:
        folder = str(service.directory)
        assert modkit("adapters", "mark", shapes["arn"], status, "--dir", folder) == {
            "arn": shapes["arn"],
            "status": status,
        }
        listed = modkit("adapters", "list", "--endpoint", service.endpoint_url)["adapters"]
        assert {"status": status, "arn": shapes["arn"], "project_arn": shapes["project"], "f1": 1.0} in listed

    def detected() -> Any:
        return client.rekognition.detect_moderation_labels(
            Image={"Bytes": shape(700, True)}, ProjectVersion=shapes["arn"], MinConfidence=0
        )

    def result() -> Any:
        place = client.manifest(shapes["bucket"], [client.put(shapes["bucket"], "700.jpg", shape(700, True))], "old")
        job = client.start(place, ProjectVersion=shapes["arn"], MinConfidence=0)
        return client.results(client.job(job))[0]["detect-moderation-labels"]

    try:
        mark("EXPIRED")
        for answer in (detected(), result()):
            assert "ProjectVersion" not in answer
            assert set(_labels(answer)) == {"Explicit"}
        mark("DEPRECATED")
        for answer in (detected(), result()):
            assert answer["ProjectVersion"] == shapes["arn"]
            assert set(_labels(answer)) == {"Explicit", "Gambling"}
    finally:
        mark("TRAINING_COMPLETED")


def test_what_cannot_be_marked_says_why(
    client: Client, service: LocalService, shapes: dict[str, Any], tmp_path: Path
) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(NotFound, match="no service keeps its data there"):
            mark_adapter(folder, shapes["arn"], AdapterStatus.EXPIRED)
    (tmp_path / "service.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(NotFound, match="not the data of a service"):
        mark_adapter(tmp_path, shapes["arn"], AdapterStatus.EXPIRED)
    with pytest.raises(NotFound, match="no such adapter; these are there: .*" + shapes["arn"]):
        mark_adapter(service.directory, shapes["arn"][:-1], AdapterStatus.EXPIRED)
    project = client.project()
    failed = client.train(project, shapes["bucket"], client.truth(shapes["bucket"], "none", []), shapes["testing"])
    client.version(project, failed)
    with pytest.raises(RequestRefused, match="TRAINING_FAILED; only a trained adapter"):
        mark_adapter(service.directory, failed, AdapterStatus.DEPRECATED)


def test_auto_create_holds_out_a_part_of_the_training_data(client: Client, shapes: dict[str, Any]) -> None:
    project = client.project()
    kms = client.kms.create_key()["KeyMetadata"]
    more = {
        "KmsKeyId": kms["KeyId"],
        "VersionDescription": "held out",
        "FeatureConfig": {"ContentModeration": {"ConfidenceThreshold": 40}},
    }
    arn = client.train(project, shapes["bucket"], shapes["training"], {"AutoCreate": True}, **more)
    version = client.version(project, arn)
    assert version["StatusMessage"] == "Trained on 20 images and tested on 4."
    assert version["EvaluationResult"]["F1Score"] == 1.0
    assert {name: version[name] for name in more} == more
    outputs = [version["ManifestSummary"], version["EvaluationResult"]["Summary"]]
    for part, count in (("TrainingDataResult", 20), ("TestingDataResult", 4)):
        outputs.append(version[part]["Output"]["Assets"][0]["GroundTruthManifest"])
        assert len(_output(client, version, part)) == count
    for place in (output["S3Object"] for output in outputs):
        assert client.s3.head_object(Bucket=place["Bucket"], Key=place["Name"])["SSEKMSKeyId"] == kms["Arn"]


def test_a_split_is_always_the_same_and_keeps_the_proportions() -> None:
    examples = [Example(line, f"s3://b/{line}", ("Gambling",) if line % 4 == 0 else ()) for line in range(1, 101)]
    training, testing = split(examples)
    assert (training, testing) == split(examples)
    assert len(testing) == 20
    assert sum(bool(example.labels) for example in testing) == 5
    assert sorted([*training, *testing], key=lambda example: example.line) == examples


def test_images_that_cannot_be_read_are_skipped_and_counted(client: Client, shapes: dict[str, Any]) -> None:
    bucket = client.bucket()
    labelled = [
        (client.put(bucket, f"{number}.jpg", shape(number, number % 2 == 0)), ["Gambling"] * (number % 2 == 0))
        for number in range(10)
    ]
    broken = client.put(bucket, "broken.jpg", picture(1)[:500])
    training = client.truth(bucket, "training", [*labelled, (broken, []), (f"s3://{bucket}/gone", [])])
    project = client.project()
    version = client.version(project, client.train(project, bucket, training, shapes["testing"]))
    assert version["Status"] == "TRAINING_COMPLETED"
    assert version["StatusMessage"].startswith("Trained on 10 images and tested on 12; 2 could not be read")
    errors = client.summary(version)["errors"]
    assert [(error["line-number"], error["code"]) for error in errors] == [
        (11, "INVALID_IMAGE_FORMAT"),
        (12, "INVALID_S3_OBJECT"),
    ]


def test_a_training_that_cannot_be_done_says_why(client: Client, shapes: dict[str, Any]) -> None:
    bucket = client.bucket()
    refs = [client.put(bucket, f"{number}.jpg", picture(number)) for number in range(12)]

    def failure(labelled: list[tuple[str, list[str]]]) -> str:
        return _failure(client, shapes, client.truth(bucket, "truth", labelled))

    some = [(ref, ["Gambling"] * (position < 6)) for position, ref in enumerate(refs)]
    assert "Line 2" in failure([some[0], (refs[1], ["Smoking"])])
    assert "not a level-1" in failure([(refs[1], ["Poker"])])
    assert "not s3://" in failure([("file.jpg", [])])
    assert "is there twice" in failure([*some, some[3]])
    assert "another bucket" in failure([*some, ("s3://other/1.jpg", [])])
    assert "Gambling: 4 training images" in failure([(ref, labels * (n < 4)) for n, (ref, labels) in enumerate(some)])
    assert "8 training images with it and 4 without" in failure(
        [(r, ["Gambling"] * (n < 8)) for n, r in enumerate(refs)]
    )
    assert "nothing to learn" in failure([(ref, []) for ref in refs])
    assert "no such object" in failure([(f"s3://{bucket}/gone", [])])
    assert "empty" in failure([])
    client.put(bucket, "lines", b'{"source-ref": "s3://b/1.jpg"}\n')
    place = {"Bucket": bucket, "Name": "lines"}
    unreadable = {"Assets": [{"GroundTruthManifest": {"S3Object": place}}]}
    assert f"Line 1 of the training manifest s3://{bucket}/lines" in _failure(client, shapes, unreadable)
    place["Name"] = "gone"
    assert "testing manifest cannot be read" in _failure(client, shapes, shapes["training"], unreadable)
    few = client.truth(bucket, "few", some[:4])
    assert "Too few images" in _failure(client, shapes, few, {"AutoCreate": True})


def test_labels_that_only_the_test_images_have_are_said(client: Client, shapes: dict[str, Any]) -> None:
    bucket = shapes["bucket"]
    refs = [f"s3://{bucket}/testing/{number}.jpg" for number in range(100, 104)]
    other = client.truth(bucket, "other", [(ref, ["Alcohol"]) for ref in refs])
    message = _failure(client, shapes, shapes["training"], other)
    assert "No training image has a label of the test images (Alcohol)" in message
    mixed = client.truth(bucket, "mixed", [(refs[0], ["Gambling"]), (refs[1], ["Alcohol", "Violence"])])
    project = client.project()
    version = client.version(project, client.train(project, bucket, shapes["training"], mixed))
    assert version["Status"] == "TRAINING_COMPLETED"
    assert "Not learned, as no training image has them: Alcohol, Violence" in version["StatusMessage"]


def test_a_training_that_failed_is_not_ready(client: Client, shapes: dict[str, Any]) -> None:
    project = client.project()
    arn = client.train(project, shapes["bucket"], client.truth(shapes["bucket"], "none", []), shapes["testing"])
    client.version(project, arn)
    with pytest.raises(client.rekognition.exceptions.ResourceNotReadyException, match="TRAINING_FAILED"):
        client.rekognition.detect_moderation_labels(Image={"Bytes": picture(1)}, ProjectVersion=arn)


def test_a_training_in_progress_is_not_ready_and_not_deleted(
    client: Client, service: LocalService, shapes: dict[str, Any]
) -> None:
    service.backend.state.set_version_status(shapes["arn"], "TRAINING_IN_PROGRESS")
    try:
        with pytest.raises(client.rekognition.exceptions.ResourceNotReadyException):
            client.start(client.manifest(shapes["bucket"], ["s3://b/1"]), ProjectVersion=shapes["arn"])
        with pytest.raises(client.rekognition.exceptions.ResourceInUseException):
            client.rekognition.delete_project_version(ProjectVersionArn=shapes["arn"])
    finally:
        service.backend.state.set_version_status(shapes["arn"], "TRAINING_COMPLETED")


def test_projects_and_versions_are_described_and_deleted(
    client: Client, service: LocalService, shapes: dict[str, Any]
) -> None:
    rekognition, refused = client.rekognition, client.rekognition.exceptions
    names = [f"listed{number}" for number in range(3)]
    arns = [
        rekognition.create_project(ProjectName=name, Feature="CONTENT_MODERATION", AutoUpdate="ENABLED")["ProjectArn"]
        for name in names
    ]
    ours = ["CONTENT_MODERATION"]
    first = rekognition.describe_projects(MaxResults=2, ProjectNames=names, Features=ours)
    rest = rekognition.describe_projects(MaxResults=2, ProjectNames=names, Features=ours, NextToken=first["NextToken"])
    found = first["ProjectDescriptions"] + rest["ProjectDescriptions"]
    assert [project["ProjectArn"] for project in found] == arns[::-1]
    assert {(one["Status"], one["Feature"], one["AutoUpdate"]) for one in found} == {
        ("CREATED", "CONTENT_MODERATION", "ENABLED")
    }
    for others in ({}, {"Features": ["CUSTOM_LABELS"]}):  # as on AWS, where one is the default for the other
        assert rekognition.describe_projects(**others)["ProjectDescriptions"] == []
    with pytest.raises(refused.InvalidPaginationTokenException):
        rekognition.describe_projects(NextToken="nonsense")
    with pytest.raises(refused.ResourceInUseException, match="listed0"):
        rekognition.create_project(ProjectName="listed0", Feature="CONTENT_MODERATION")

    versions = [
        client.train(arns[0], shapes["bucket"], shapes["training"], shapes["testing"], name) for name in ("a", "b")
    ]
    with pytest.raises(refused.ResourceInUseException, match="version a"):
        client.train(arns[0], shapes["bucket"], shapes["training"], shapes["testing"], "a")
    described = rekognition.describe_project_versions(ProjectArn=arns[0])["ProjectVersionDescriptions"]
    assert [version["ProjectVersionArn"] for version in described] == versions[::-1]
    for version in versions:
        client.version(arns[0], version)
    with pytest.raises(refused.ResourceInUseException, match="versions"):
        rekognition.delete_project(ProjectArn=arns[0])
    kept = service.backend.state.version(versions[0])
    assert kept
    for version in versions:
        assert rekognition.delete_project_version(ProjectVersionArn=version)["Status"] == "DELETING"
    assert not list(service._directory.glob(f"**/{kept.adapter_id}*"))
    assert rekognition.delete_project(ProjectArn=arns[0])["Status"] == "DELETING"
    for operation, arguments in (
        (rekognition.delete_project, {"ProjectArn": arns[0]}),
        (rekognition.describe_project_versions, {"ProjectArn": arns[0]}),
        (rekognition.delete_project_version, {"ProjectVersionArn": versions[0]}),
        (rekognition.detect_moderation_labels, {"Image": {"Bytes": picture(1)}, "ProjectVersion": versions[0]}),
    ):
        with pytest.raises(refused.ResourceNotFoundException):
            operation(**arguments)


def test_what_is_not_offered_is_refused(client: Client, shapes: dict[str, Any]) -> None:
    refused = client.rekognition.exceptions.InvalidParameterException
    for feature in ({}, {"Feature": "CUSTOM_LABELS"}):
        with pytest.raises(refused, match="CONTENT_MODERATION"):
            client.rekognition.create_project(ProjectName="labels", **feature)
    project = client.project()
    for training, testing, why in (
        ({}, {"AutoCreate": True}, "TrainingData"),
        (shapes["training"], {}, "TestingData"),
        (shapes["training"], shapes["testing"] | {"AutoCreate": True}, "TestingData"),
        ({"Assets": [{}]}, {"AutoCreate": True}, r"Assets\[0\]"),
    ):
        with pytest.raises(refused, match=why):
            client.train(project, shapes["bucket"], training, testing)
    with pytest.raises(refused, match="no such bucket"):
        client.train(project, "no-bucket-here", shapes["training"], shapes["testing"])
    with pytest.raises(refused, match=r"OutputConfig\.S3Bucket"):
        client.rekognition.create_project_version(ProjectArn=project, VersionName="v", OutputConfig={})


def test_an_unusable_key_or_output_fails_the_training(client: Client, shapes: dict[str, Any]) -> None:
    project = client.project()
    arn = client.train(project, shapes["bucket"], shapes["training"], shapes["testing"], KmsKeyId="unknown")
    assert "KMS key unknown" in client.version(project, arn)["StatusMessage"]


def test_a_full_disk_fails_the_training_even_where_that_cannot_be_written(
    client: Client, shapes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.service.state.State.set_version_progress", raising(SQLITE_FULL))
    take_no_failure(monkeypatch)
    assert "database or disk is full" in _failure(client, shapes, shapes["training"])


def test_an_adapter_on_disk_is_numbers_and_nothing_that_runs(tmp_path: Path) -> None:
    chance = np.random.default_rng(5)
    features = chance.normal(size=(40, 1024)).astype(np.float32)
    truth = np.stack([features[:, 0] > 0, features[:, 1] > 0.2], axis=1)
    adapter = Adapter.train(features, truth, ["Gambling", "Alcohol"])
    adapter.save(tmp_path / "a.npz")
    again = Adapter.load(tmp_path / "a.npz")
    assert again.labels == ("Gambling", "Alcohol")
    assert np.array_equal(again.predict(features), adapter.predict(features))
    np.savez(tmp_path / "bad.npz", labels=np.array([{"a": 1}], dtype=object), weights=truth, bias=truth)
    with pytest.raises(ValueError, match="allow_pickle"):
        Adapter.load(tmp_path / "bad.npz")


def test_a_label_brings_its_ancestors_and_an_adapter_wins_over_the_base_model() -> None:
    seen = Seen(np.float32(0.9), np.zeros(1024, dtype=np.float32))
    labels = ("Explicit", "Smoking", "Pills", "Weapons")
    logits = np.array([-5.0, 1.0, 2.0, 0.0])
    adapter = Adapter(labels, np.zeros((4, 1024)), logits)
    assert confidences([seen], None) == [{"Explicit": pytest.approx(90)}]
    [scores] = confidences([seen], adapter)
    assert [float(score) for score in scores.values()] == pytest.approx(100 / (1 + np.exp(-logits)), rel=1e-5)
    products, paraphernalia = "Products", "Drugs & Tobacco Paraphernalia & Use"
    pills, smoking = float(scores["Pills"]), float(scores["Smoking"])
    assert reported(scores, 60) == [
        Label("Pills", pills, products, 3),
        Label(products, pills, "Drugs & Tobacco", 2),
        Label("Drugs & Tobacco", pills, "", 1),
        Label("Smoking", smoking, paraphernalia, 3),
        Label(paraphernalia, smoking, "Drugs & Tobacco", 2),
    ]
    assert reported({"Violence": np.float32(99), "Weapons": np.float32(50)}, 50)[0].confidence == 99
    assert reported({}, 0) == []


def test_folding_the_scaler_in_changes_nothing() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chance = np.random.default_rng(6)
    features = chance.normal(3, 2, size=(60, 1024)).astype(np.float32)
    truth = features[:, :1] > 3
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000))
    reference.fit(features, truth[:, 0])
    ours = Adapter.train(features, truth, ["Alcohol"]).predict(features)[:, 0]
    assert ours == pytest.approx(reference.predict_proba(features)[:, 1], abs=1e-5)


def test_the_summary_of_a_training_is_json_that_counts(client: Client, shapes: dict[str, Any]) -> None:
    place = shapes["version"]["ManifestSummary"]["S3Object"]
    assert json.loads(client.get(place))["errors"] == []
    assert until(lambda: place["Name"].startswith("training/"))
