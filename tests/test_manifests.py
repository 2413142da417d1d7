import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from toolkit import manifests
from toolkit.errors import NotFound, UnreadableManifest

texts = st.text(min_size=1, max_size=20)
percents = st.floats(0, 100, width=32)
labels = st.builds(manifests.Label, texts, percents, st.text(max_size=10), st.integers(1, 3))


@given(texts, st.lists(labels, max_size=4), st.dictionaries(texts, percents, max_size=2), st.none() | texts)
def test_a_result_comes_back_as_it_was_written(source_ref, found, content_types, project_version) -> None:
    line = manifests.to_line(
        manifests.result_record(source_ref, found, content_types=content_types, project_version=project_version)
    )
    assert line.count("\n") == 1
    read = manifests.parse_result_line(line.encode())
    assert read.source_ref == source_ref
    assert list(read.answer.labels) == found
    assert dict(read.answer.content_types) == content_types
    assert read.answer.project_version == project_version


errors = st.builds(manifests.LineError, st.integers(1, 10_000), texts, st.text(max_size=20), st.none() | texts)


@given(st.lists(errors, max_size=5), st.integers(0, 100))
def test_a_summary_comes_back_as_it_was_written(bad, good) -> None:
    summary = manifests.Summary(good + len(bad), tuple(bad))
    assert manifests.parse_summary(summary.to_json()) == summary
    assert json.loads(summary.to_json())["statistics"]["valid-json-lines"] == good


def test_both_spellings_of_the_line_number_are_read() -> None:
    document = {"version": "1.0", "statistics": {"total-json-lines": 3}, "errors": [{"line-numer": 2, "code": "X"}]}
    assert manifests.parse_summary(json.dumps(document)).errors[0].line == 2


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"statistics": 3}', '{"statistics": {"total-json-lines": "x"}}'])
def test_what_is_no_summary_is_said_in_one_sentence(document: str) -> None:
    with pytest.raises(UnreadableManifest, match=r"not the summary .* or damaged; fetch"):
        manifests.parse_summary(document)


@given(texts, st.lists(texts, max_size=3, unique=True))
def test_ground_truth_comes_back_as_it_was_written(source_ref, names) -> None:
    line = manifests.to_line(manifests.ground_truth_record(source_ref, names))
    assert manifests.parse_ground_truth_line(line) == (source_ref, tuple(names))


def labelled(label: bytes) -> bytes:
    return b'{"source-ref": "s", "detect-moderation-labels": {"ModerationLabels": [' + label + b"]}}"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "not a JSON object"),
        (b'{"source-ref": "s3://b/k", "detect-mod', "cut off"),
        (b"[1]", "list"),
        (b'{"source-ref": "\xff"}', "UTF-8"),
        (b'{"detect-moderation-labels": {"ModerationLabels": []}}', "source-ref"),
        (b'{"source-ref": "s3://b/k"}', "detect-moderation-labels"),
        (labelled(b'{"Name": "X"}'), "Confidence"),
        (
            labelled(b'{"Name": "X", "Confidence": NaN}'),
            "between",
        ),
        (
            labelled(b'{"Name": "X", "Confidence": 101}'),
            "between",
        ),
        (
            labelled(b'{"Name": "X", "Confidence": "9"}'),
            "number",
        ),
        (b'{"a":' * 100_000, "JSON"),
    ],
)
def test_a_broken_result_line_says_what_is_wrong(line: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        manifests.parse_result_line(line)


@pytest.mark.parametrize(
    ("label", "read"),
    [
        (b'{"Name": "X", "Confidence": 100.000001}', manifests.Label("X", 100.0)),
        (b'{"Name": "X", "Confidence": 0.1, "TaxonomyLevel": "2"}', manifests.Label("X", 0.10000000149011612, "", 2)),
        (b'{"Name": "X,]", "Confidence": 9, "a": nan, "b": [1,], "b": 2,}', manifests.Label("X,]", 9.0)),
        (b'{"Name": "inf", "Confidence": 9, "a": -inf}', manifests.Label("inf", 9.0)),
    ],
)
def test_what_does_not_matter_in_a_result_is_overlooked(label: bytes, read: manifests.Label) -> None:
    assert manifests.parse_result_line(labelled(label)).answer.labels == (read,)


@pytest.mark.parametrize("line", [b'{"source-ref": "s3://b/k",}', b'{"source-ref": "s3://b/k", "a": 1, "a": 2}'])
def test_nothing_is_overlooked_in_what_a_job_is_to_analyze(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a JSON object|stands twice"):
        manifests.parse_input_line(line)


@given(st.integers(1, 45_000))
def test_an_input_manifest_is_split_at_the_limit_of_a_job(lines: int) -> None:
    parts = manifests.split_lines("x\n" for _ in range(lines))
    assert sum(part.count(b"\n") for part in parts) == lines
    assert all(part.count(b"\n") <= manifests.MAX_LINES for part in parts)
    assert len(parts) == -(-lines // manifests.MAX_LINES)


def test_an_input_manifest_is_split_at_the_limit_of_size() -> None:
    line = "x" * (manifests.MAX_BYTES // 3) + "\n"
    assert [part.count(b"\n") for part in manifests.split_lines([line] * 5)] == [2, 2, 1]


def test_parts_are_named_and_every_image_is_written_duplicates_too(tmp_path) -> None:
    refs = ["s3://b/1.jpg"] * 3 + [f"s3://b/{number}.jpg" for number in range(10_000)]
    parts = tk.write_manifest(refs, tmp_path / "input.jsonl")
    assert [part.rpartition("/")[2] for part in parts] == ["input-1.jsonl", "input-2.jsonl"]
    lines = [line for part in parts for line in Path(part).read_bytes().splitlines()]
    assert [manifests.parse_input_line(line) for line in lines] == refs


@pytest.mark.parametrize("images", [[], ["photo.jpg"], ["s3://bucket"], "nowhere"])
def test_a_manifest_without_images_in_s3_is_refused(images, tmp_path) -> None:
    with pytest.raises(NotFound, match=";"):
        tk.write_manifest(images, tmp_path / "input.jsonl")


answers = st.builds(manifests.Answer, st.lists(labels, max_size=3).map(tuple), st.just("7.0"), st.none() | texts)


@given(texts, st.lists(texts, max_size=3, unique=True), st.none() | answers, st.none() | answers)
def test_an_adapter_output_comes_back_as_it_was_written(source_ref, truth, adapter, base) -> None:
    line = manifests.to_line(manifests.adapter_output_record(source_ref, truth, adapter=adapter, base=base))
    assert manifests.parse_adapter_output_line(line) == manifests.AdapterOutput(source_ref, tuple(truth), adapter, base)


counts = st.builds(manifests.Confusion, *[st.integers(0, 10_000)] * 4)
at_thresholds = st.builds(
    manifests.ThresholdEvaluation, percents, st.dictionaries(texts, st.tuples(counts, counts), max_size=3)
)


many_thresholds = st.lists(at_thresholds, max_size=3, unique_by=lambda one: one.threshold)


@given(st.floats(0, 1), st.lists(texts, max_size=3).map(tuple), at_thresholds, many_thresholds)
def test_an_evaluation_comes_back_as_it_was_written(f1, names, at_input, thresholds) -> None:
    ended = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    written = manifests.Evaluation(f1, ended, names, 20, 80, "arn", at_input, tuple(thresholds))
    assert manifests.parse_evaluation(written.to_json()) == written


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"EvaluationDetails": 1, "ContentModeration": []}'])
def test_what_is_no_evaluation_is_refused_in_a_sentence(document: bytes) -> None:
    with pytest.raises(UnreadableManifest, match=r"s3://b/e.json: not the evaluation of an adapter"):
        manifests.parse_evaluation(document, "s3://b/e.json")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"TruePositive": 5', '"TruePositive": -5'),
        ('"TruePositive": 5', '"TruePositive": 5.5'),
        ('"TruePositive": 5', '"TruePositive": true'),
        ('"ConfidenceThreshold": 40', '"ConfidenceThreshold": 400'),
        ('"ConfidenceThreshold": 40', '"ConfidenceThreshold": 35'),  # it is there already
        ('"F1Score": 0.5', '"F1Score": 7'),
        ('"F1Score": 0.5', '"F1Score": NaN'),
    ],
)
def test_an_evaluation_of_impossible_numbers_is_refused(before: str, after: str) -> None:
    counts = {"Gambling": (manifests.Confusion(5, 2, 3, 10), manifests.Confusion(6, 1, 3, 10))}
    rows = tuple(manifests.ThresholdEvaluation(threshold, counts) for threshold in (35.0, 40.0))
    whole = manifests.Evaluation(0.5, datetime(2026, 1, 2, tzinfo=UTC), ("Gambling",), 20, 80, "arn", rows[0], rows)
    text = whole.to_json().decode()
    assert before in text
    assert manifests.parse_evaluation(text) == whole
    with pytest.raises(UnreadableManifest, match="or damaged"):
        manifests.parse_evaluation(text.replace(before, after))


@pytest.mark.parametrize("destination", ["local.jsonl", "s3://bucket", "s3://bucket/"])
def test_where_the_manifest_of_a_folder_cannot_go_is_said_before_anything_is_copied(tmp_path, destination: str) -> None:
    (tmp_path / "1.jpg").write_bytes(b"")
    with pytest.raises(NotFound, match=r"write it as s3://bucket/manifest\.jsonl\.$"):
        tk.write_manifest(tmp_path, destination)


def test_a_text_that_does_not_end_is_refused_at_once() -> None:
    # Each of its quotes might begin a text that goes on to the end: 300,000 of them would take an hour.
    with pytest.raises(ValueError, match="not a JSON object"):
        manifests.parse_result_line(b'{"source-ref": "s3://b/1.jpg", "note": "' + b'\\"' * 300_000)
