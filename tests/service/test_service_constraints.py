"""The server enforces what botocore's model says, member by member."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.core.utils import get_service_model

from toolkit.constraints import ConstraintBroken, check, pattern
from toolkit.service.rekognition import OPERATIONS

_MODEL: Any = get_service_model("rekognition")
_START = {
    "OperationsConfig": {"DetectModerationLabels": {"MinConfidence": 50}},
    "Input": {"S3Object": {"Bucket": "bucket", "Name": "manifest"}},
    "OutputConfig": {"S3Bucket": "bucket"},
}


def _input(operation: str) -> Any:
    return _MODEL.operation_model(operation).input_shape


def _shapes(shape: Any, seen: set[str]) -> Iterator[Any]:
    if shape.name in seen:
        return
    seen.add(shape.name)
    yield shape
    inside = list(shape.members.values()) if shape.type_name == "structure" else []
    inside += [shape.member] if shape.type_name == "list" else []
    inside += [shape.key, shape.value] if shape.type_name == "map" else []
    for one in inside:
        yield from _shapes(one, seen)


_ALL = [shape for seen in [set[str]()] for operation in OPERATIONS for shape in _shapes(_input(operation), seen)]


def _refusal(shape: Any, value: Any) -> str:
    with pytest.raises(ConstraintBroken) as refused:
        check(shape, value, "Member")
    return str(refused.value)


def test_a_good_request_passes() -> None:
    check(_input("StartMediaAnalysisJob"), _START | {"SomethingNew": 1, "JobName": None})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_required_member_is_required(operation: str) -> None:
    for name in _input(operation).required_members:
        with pytest.raises(ConstraintBroken, match=name):
            check(_input(operation), {})
        break


@pytest.mark.parametrize("shape", [one for one in _ALL if one.type_name == "string"], ids=lambda shape: shape.name)
def test_every_text_has_the_models_length_enum_and_pattern(shape: Any) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    assert "not text" in _refusal(shape, 5)
    if high is not None and not shape.metadata.get("enum"):
        assert str(high) in _refusal(shape, "a" * (high + 1))
    if low:
        assert str(low) in _refusal(shape, "a" * (low - 1))
    if shape.metadata.get("enum"):
        assert "none of" in _refusal(shape, "something else")
    if shape.metadata.get("pattern"):
        assert pattern(shape.metadata["pattern"])


@pytest.mark.parametrize(
    "shape", [one for one in _ALL if one.type_name in ("list", "map")], ids=lambda shape: shape.name
)
def test_every_collection_has_the_models_size(shape: Any) -> None:
    assert "Member" in _refusal(shape, "text")
    high = shape.metadata.get("max")
    if high is not None:
        many: Any = ["x"] * (high + 1) if shape.type_name == "list" else {str(n): "x" for n in range(high + 1)}
        assert str(high) in _refusal(shape, many)


@given(st.one_of(st.floats(), st.integers()))
def test_a_percentage_is_a_finite_number_from_0_to_100(value: float) -> None:
    shape = _MODEL.shape_for("Percent")
    if math.isfinite(value) and 0 <= value <= 100:
        check(shape, value)
    else:
        _refusal(shape, value)


@pytest.mark.parametrize("value", [True, "50", [50], {"a": 50}])
def test_a_number_is_a_number(value: Any) -> None:
    assert "Member: not" in _refusal(_MODEL.shape_for("Percent"), value)
    assert "Member: not" in _refusal(_MODEL.shape_for("ListMediaAnalysisJobsPageSize"), value)


@pytest.mark.parametrize("value", [0, 101, 1.5])
def test_a_page_has_1_to_100_records(value: float) -> None:
    _refusal(_MODEL.shape_for("ListMediaAnalysisJobsPageSize"), value)


def test_bytes_are_base64_and_bounded() -> None:
    shape = _MODEL.shape_for("ImageBlob")
    check(shape, "aGFsbG8=")
    assert "base64" in _refusal(shape, "no base64!")
    assert "base64" in _refusal(shape, 5)
    assert "5242880" in _refusal(shape, "AAAA" * (5242880 // 3 + 1))
    assert "minimum" in _refusal(shape, "")


def test_a_truth_value_is_true_or_false() -> None:
    check(_MODEL.shape_for("Boolean"), True)
    assert "true or false" in _refusal(_MODEL.shape_for("Boolean"), "true")


@pytest.mark.parametrize(
    ("tag", "good"),
    [
        ("Größe 5", True),
        ("名前", True),
        ("a_b.c:d/e=f+g-h@i", True),
        ("aws:mine", False),
        ("a\nb", False),
        ("a;b", False),
    ],
)
def test_javas_unicode_classes_mean_what_they_mean(tag: str, good: bool) -> None:
    if good:
        check(_MODEL.shape_for("TagMap"), {tag: "value"})
    else:
        _refusal(_MODEL.shape_for("TagMap"), {tag: "value"})


def test_half_a_character_is_no_text(client: Any) -> None:
    refused = client.rekognition.exceptions.InvalidParameterException
    place = {"Bucket": "bucket", "Name": "manifest"}
    with pytest.raises(refused, match=r"OutputConfig\.S3KeyPrefix: half of a surrogate pair"):
        client.start(place, prefix="a\ud800")
    data = {"Assets": [{"GroundTruthManifest": {"S3Object": {"Bucket": "bucket", "Name": "\udfff"}}}]}
    with pytest.raises(refused, match=r"TrainingData\.Assets\[0\]\.GroundTruthManifest\.S3Object\.Name: half"):
        client.train("arn:aws:rekognition:us-east-1:123456789012:project/p/1", "bucket", data, {"AutoCreate": True})
    with pytest.raises(client.rekognition.exceptions.InvalidS3ObjectException):  # a whole one is
        client.start(place | {"Name": "\U0001f600"}, output=client.bucket())


def test_the_message_says_where(client: Any) -> None:
    request = json.loads(json.dumps(_START))
    request["OperationsConfig"]["DetectModerationLabels"]["MinConfidence"] = 101
    with pytest.raises(ConstraintBroken, match=r"OperationsConfig\.DetectModerationLabels\.MinConfidence.*100"):
        check(_input("StartMediaAnalysisJob"), request)
    refused = client.rekognition.exceptions.InvalidParameterException
    with pytest.raises(refused, match="MinConfidence"):
        client.start({"Bucket": "bucket", "Name": "manifest"}, MinConfidence=101)
    with pytest.raises(refused, match="JobName"):
        client.start({"Bucket": "bucket", "Name": "manifest"}, JobName="not this!")
