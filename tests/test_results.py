import gzip
import io
import json
import multiprocessing
import os
import re
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import boto3
import numpy as np
import pandas as pd
import pytest
from botocore.exceptions import ClientError
from helpers import ref, result_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit import manifests, storage, taxonomy
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


@pytest.mark.parametrize("value", ["NaN", "-1", "100.5", "null", '"x"', '"97.5"', "true", "1e400", "[90]", "{}"])
def test_a_confidence_that_is_none_never_becomes_a_score(make, value: str) -> None:
    bad = result_line(1, {"Gambling": 50}).replace("50.0", value)
    results = tk.read_results(make.write([result_line(0, {"Gambling": 90}), bad, result_line(2, {})]))
    assert results.n_images == 2
    assert results.errors["line"].tolist() == [2]


LINE = result_line(1, {"Gambling": 50.0})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (LINE[:40] + "\n", "cut off"),
        ("nonsense\n", "not a JSON object"),
        ("[]\n", "a JSON list"),
        (LINE.replace(f'"{ref(1)}"', "7"), 'no "source-ref"'),
        (LINE.replace(f'"{ref(1)}"', '["a"]'), 'no "source-ref"'),
        (LINE.replace(f'"{ref(1)}"', '""'), 'no "source-ref"'),
        (LINE.replace('"source-ref"', '"source"'), 'no "source-ref"'),
        (LINE.replace('"Gambling"', "12"), 'without a "Name"'),
        (LINE.replace('"Gambling"', '""'), 'without a "Name"'),
        (LINE.replace('"TaxonomyLevel": 1', '"TaxonomyLevel": 1.5'), "small whole number"),
        (LINE.replace('"TaxonomyLevel": 1', '"TaxonomyLevel": 77'), "small whole number"),
        (LINE.replace("[{", "{").replace("}]", "}", 1), "not a list|cut off"),
        (LINE.replace("detect-moderation-labels", "moderation"), 'no "detect-moderation-labels"'),
        ('{"source-ref": "s3://b/1.jpg", "detect-moderation-labels": []}\n', 'no "detect-moderation-labels"'),
        (LINE.replace("Gambling", "Gam\udcffbling"), "not UTF-8"),
        (LINE.replace("Gambling", "G" * 50 * 1024 * 1024), "longer than 16 MB"),
    ],
    ids=lambda value: value[:20],
)
def test_whatever_is_wrong_with_a_line_is_said_and_the_others_are_read(make, line: str, why: str) -> None:
    path = make.folder / "results.jsonl"
    lines = [result_line(0, {"Gambling": 90}), line, result_line(2, {"Gambling": 80})]
    path.write_bytes("".join(lines).encode("utf-8", "surrogateescape"))
    results = tk.read_results(path)
    assert results.images["source_ref"].tolist() == [ref(0), ref(2)]
    assert results.errors[["file", "line", "code"]].to_numpy().tolist() == [[str(path), 2, "UNREADABLE_LINE"]]
    assert re.search(why, results.errors["message"][0])


CONTENT = result_line(1, {"Gambling": 50.0}, content_types={"Illustrated": 60.0}, project_version="arn:x")
BLANK = " " * 17 * 1024 * 1024
READ = {
    "a comma before a bracket": CONTENT.replace("}]", "},]"),
    "a comma at the end": CONTENT.replace("}}\n", "},}\n"),
    "nan where nobody looks": CONTENT.replace("{", '{"x": [nan, -inf],', 1),
    "a key twice where nobody looks": CONTENT.replace("{", '{"x": 1, "x": 2,', 1),
    "a hair above 100": CONTENT.replace("50.0", "100.000001"),
    "a hair below 0": CONTENT.replace("60.0", "-1e-60"),
    "a level in quotes": CONTENT.replace('"TaxonomyLevel": 1', '"TaxonomyLevel": "1"'),
    "a version without quotes": CONTENT.replace('"7.0"', "7.0"),
    "an empty version": CONTENT.replace('"7.0"', '""'),
    "a vertical tab": "\v" + CONTENT,
    "a name that is a number in quotes": CONTENT.replace('"Gambling"', '"12"'),
    "a version that no model has": CONTENT.replace('"7.0"', '"1e22"'),
    "a content type twice": CONTENT.replace(
        '"Name": "Illustrated"}', '"Name": "A"}, {"Confidence": 60, "Name": "B"}, {"Confidence": 50, "Name": "A"}'
    ),
}
REFUSED = {
    "a confidence in quotes": CONTENT.replace("50.0", '"50.0"'),
    "more than a hair above 100": CONTENT.replace("50.0", "100.00001"),
    "a parent that is a list": CONTENT.replace('"ParentName": ""', '"ParentName": ["a"]'),
    "a parent that is an object": CONTENT.replace('"ParentName": ""', '"ParentName": {"a": 1}'),
    "a parent that is a number": CONTENT.replace('"ParentName": ""', '"ParentName": 3'),
    "an adapter that is a list": CONTENT.replace('"arn:x"', '["arn:x"]'),
    "an adapter that is an object": CONTENT.replace('"arn:x"', '{"a": 1}'),
    "a version that is a list": CONTENT.replace('"7.0"', "[7.0]"),
    "a content type without a name": CONTENT.replace(', "Name": "Illustrated"', ""),
    "a content type whose name is a number": CONTENT.replace('"Illustrated"', "3"),
    "a name that is a number": CONTENT.replace('"Gambling"', "3e100"),
    "a name that is no number": CONTENT.replace('"Gambling"', "NaN"),
    "an image that is a number": CONTENT.replace(f'"{ref(1)}"', "1e300"),
    "a key twice": CONTENT.replace('"Confidence": 50.0', '"Confidence": 50.0, "Confidence": 51.0'),
    "blanks for ever": BLANK + "\n",
    "a record after blanks": BLANK + CONTENT,
}


def verdict(make, line: str, *others: str) -> tuple[list[list[object]], list[list[object]], int]:
    """What is read of a line among others, and the number of errors in the file."""
    path = make.write([result_line(0, {}), line, result_line(2, {}), result_line(3, {}), *others])
    results = tk.read_results(path)
    images = results.images[~results.images["source_ref"].isin([ref(0), ref(2), ref(3)])]
    rows = [table.astype(object).fillna("").to_numpy().tolist() for table in (images, results.labels)]
    return rows[0], rows[1], len(results.errors)


@pytest.mark.parametrize(("line", "read"), [(x, True) for x in READ.values()] + [(x, False) for x in REFUSED.values()],
                         ids=[*READ, *REFUSED])  # fmt: skip
def test_a_line_fares_the_same_whatever_is_wrong_with_another(make, line: str, read: bool) -> None:
    images, labels, errors = verdict(make, line)
    assert (len(images), errors) == (read, not read)
    assert verdict(make, line, LINE[:40]) == (images, labels, errors + 1)


TOKENS = [match.span() for match in re.finditer(r'"[^"]*"|[0-9.]+|[][{}:,]', CONTENT)]
OTHERS = ["null", "true", "7", '"7"', '""', "[]", '{"a": 1}', "NaN", "-inf", "101", ",", "\v", '"Name": "x",', "]", "}"]


@given(st.sampled_from(TOKENS), st.sampled_from(OTHERS), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_a_line_with_anything_in_it_fares_the_same_whatever_is_wrong_with_another(make, span, other, instead) -> None:
    start, end = span
    line = CONTENT[:start] + other + CONTENT[end if instead else start :]
    images, labels, errors = verdict(make, line)
    assert len(images) + errors == 1
    assert verdict(make, line, LINE[:40]) == (images, labels, errors + 1)


LATE = {
    "true": CONTENT.replace("60.0", "true"),
    "text": CONTENT.replace("60.0", '"60.0"'),
    "text without a blank": CONTENT.replace('"Confidence": 50.0', '"Confidence":"50.0"'),
    "text after blanks": CONTENT.replace('"Confidence": 50.0', '"Confidence"\t : "50.0"'),
    "text after two blanks": CONTENT.replace('"Confidence": 50.0', '"Confidence":  "50.0"'),
    "text under a key in escapes": CONTENT.replace('"Confidence": 50.0', '"\\u0043onfidence": "50.0"'),
}


@pytest.mark.parametrize("line", LATE.values(), ids=LATE)
def test_a_confidence_that_is_no_number_is_found_however_late_it_stands(make, line: str) -> None:
    before = [result_line(number, {"Violence": 90}) for number in range(50_000)]
    assert sum(map(len, before)) > 8 * 1024**2
    results = tk.read_results(make.write([*before, line]))
    assert (results.n_images, results.errors["line"].tolist()) == (50_000, [50_001])


@given(st.integers(-40, 40), st.sampled_from(list(LATE.values())))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_a_confidence_that_is_text_is_found_where_blocks_meet(make, shift: int, line: str) -> None:
    offset = line.index("50.0")
    size = 1024 * 1024 - offset + shift
    blank = json.loads(result_line(0, {}))
    blank["source-ref"] += "x" * (size - len(json.dumps(blank)) - 1)
    results = tk.read_results(make.write([json.dumps(blank) + "\n", line]))
    assert results.errors["line"].tolist() == [2]


def test_a_line_as_long_as_may_be_is_read_whatever_is_wrong_with_another(make) -> None:
    labels = ",".join(['{"Name":"a","Confidence":50}'] * 570_000)
    line = f'{{"source-ref":"s3://b/1.jpg","detect-moderation-labels":{{"ModerationLabels":[{labels}]}}}}\n'
    path = make.write([line, result_line(0, {}), result_line(2, {}), "broken"])
    assert (len(tk.read_results(path).labels), tk.read_results(path).n_images) == (570_000, 3)


@given(st.lists(st.sampled_from([LINE, LINE.replace("50.0", "true"), LINE[:-5], "{}\n", "\n"]), min_size=1, max_size=9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_a_line_is_either_read_or_an_error(make, lines) -> None:
    written = [line for line in "".join(lines).split("\n") if line]
    sound = sum(line == LINE.rstrip() for line in written)
    path = make.write(lines)
    if sound < len(written) / 2:
        with pytest.raises(UnreadableManifest):
            tk.read_results(path)
    else:
        results = tk.read_results(path)
        assert (results.n_images, len(results.errors)) == (sound, len(written) - sound)


def test_responses_saved_one_a_line_are_a_run(make) -> None:
    answers = [json.loads(result_line(number, {"Violence": 90 - number})) for number in range(3)]
    named = [manifests.to_line({"source-ref": one["source-ref"]} | one["detect-moderation-labels"]) for one in answers]
    bare = [manifests.to_line(one["detect-moderation-labels"] | {"ResponseMetadata": {"a": 1}}) for one in answers]
    assert tk.read_results(make.write(named)).images["source_ref"].tolist() == [ref(0), ref(1), ref(2)]
    path = make.write(bare)
    results = tk.read_results(path)
    assert results.images["source_ref"].tolist() == [f"{path}#{number}" for number in (1, 2, 3)]
    assert results.scores("Violence").tolist() == [90, 89, 88]


RESPONSES = [
    manifests.to_line(json.loads(result_line(0, {"Violence": confidence}))["detect-moderation-labels"])
    for confidence in (51, 52, 53, 54, 55)
]


def test_a_response_is_called_after_its_line_whatever_is_wrong_with_another(make) -> None:
    path = make.write([RESPONSES[0], RESPONSES[1][:-9] + "\n", *RESPONSES[2:]])
    results = tk.read_results(path)
    assert results.images["source_ref"].tolist() == [f"{path}#{line}" for line in (1, 3, 4, 5)]
    assert results.scores("Violence").tolist() == [51, 53, 54, 55]
    assert results.errors["line"].tolist() == [2]


def test_a_response_is_called_after_its_line_where_another_is_empty(make) -> None:
    path = make.write([RESPONSES[0], "\n", RESPONSES[1]])
    assert tk.read_results(path).images["source_ref"].tolist() == [f"{path}#1", f"{path}#3"]


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
    packed = make.folder / "results.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
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


def test_runs_of_two_models_on_the_same_images_are_not_one_collection(make) -> None:
    base = make.write([result_line(0, {"Gambling": 90})], "base.jsonl")
    adapter = make.write([result_line(0, {"Gambling": 95}, project_version="arn:x")], "adapter.jsonl")
    other = make.write([result_line(1, {"Gambling": 95}, project_version="arn:x")], "other.jsonl")
    with pytest.raises(InvalidArgument, match=r"different models on the same images; read them one by one: .*base"):
        tk.read_results([base, adapter])
    assert tk.read_results([base, other]).n_images == 2


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


def six(number: int, *labels: tuple[str, float, str]) -> str:
    """A results line of model 6.1: label, confidence, parent."""
    found = [manifests.Label(name, value, parent, 2 if parent else 1) for name, value, parent in labels]
    return manifests.to_line(manifests.result_record(ref(number), found, model_version="6.1"))


def test_model_6_is_translated_and_says_what_had_no_counterpart(make) -> None:
    path = make.write(
        [
            six(0, ("Female Swimwear Or Underwear", 90, "Suggestive"), ("Suggestive", 90, "")),
            six(1, ("Suggestive", 70, "")),
            six(2, ("Drug Use", 60, "Drugs"), ("Drugs", 60, ""), ("Tobacco", 80, ""), ("New Thing", 55, "")),
            six(3, ("Illustrated Explicit Nudity", 65, "Explicit Nudity"), ("Explicit Nudity", 65, "")),
            six(4),
            result_line(5, {"Explicit Nudity": 99}),
        ]
    )
    results = tk.read_results(path)
    with pytest.warns(
        UserWarning, match=r"no counterpart in model 7.0, kept .*: New Thing \(1 .*Suggestive \(1 images"
    ):
        lifted = results.to_taxonomy("7.0")
    found = {
        image: {row.name: (row.parent, row.level, row.confidence) for row in rows.itertuples(index=False)}
        for image, rows in lifted.labels.groupby("image")
    }
    drugs, use = "Drugs & Tobacco", "Drugs & Tobacco Paraphernalia & Use"
    assert found == {
        0: {
            "Female Swimwear or Underwear": ("Swimwear or Underwear", 2, 90),
            "Swimwear or Underwear": ("", 1, 90),
        },
        1: {"Suggestive": ("", 1, 70)},
        2: {drugs: ("", 1, 80), use: (drugs, 2, 60), "New Thing": ("", 1, 55)},
        3: {"Explicit Nudity": ("Explicit", 2, 65), "Explicit": ("", 1, 65)},
        5: {"Explicit Nudity": ("Explicit", 2, 99)},
    }
    assert lifted.images["content_type"].tolist()[3] == "Illustrated"
    assert lifted.images["model_version"].tolist() == ["6.1"] * 5 + ["7.0"]
    assert lifted.n_images == 6
    assert lifted.overview().set_index("label").loc[use, "images"] == 1
    with pytest.raises(InvalidArgument, match="can be translated to"):
        results.to_taxonomy("8")


def nude(number: int) -> str:
    """What model 6.1 calls Explicit Nudity is Explicit in 7.0, which calls something below it Explicit Nudity."""
    return six(number, ("Nudity", 90 - number, "Explicit Nudity"), ("Explicit Nudity", 90 - number, ""))


@pytest.mark.parametrize(
    "ask",
    [
        lambda run, _: run.overview(),
        lambda run, truth: tk.threshold_curve(run, truth, "Explicit Nudity"),
        lambda run, truth: tk.compare(run, run, truth, "Explicit Nudity", 60),
        lambda run, _: tk.drift(run, run),
        lambda run, _: tk.Policy({"Explicit": tk.Rule(block=60)}).forecast(run),
        lambda run, _: tk.sample_for_labeling(run, 4, "Explicit Nudity"),
    ],
)
@pytest.mark.parametrize("mixed", [False, True])
def test_what_model_6_said_is_never_taken_for_labels_of_model_7_in_silence(make, ask, mixed: bool) -> None:
    newest = result_line(3, {"Explicit": 95, "Explicit Nudity": 95}) if mixed else nude(3)
    run = tk.read_results(make.write([*map(nude, range(3)), newest]), min_confidence=50)
    truth = make.truth("Explicit Nudity", [True, False, True, False])
    answered = "6.1 and 7.0" if mixed else "6.1"
    with pytest.warns(
        UserWarning, match=f"answered by model {answered}; labels of 6.1 are not .*--taxonomy 7.0"
    ) as said:
        ask(run, truth)
    assert "results.jsonl" in str(said[0].message)
    assert len(said) == 1
    for quiet in (run.to_taxonomy("7.0"), make.results({"Explicit Nudity": 90}, {}, {}, {}, min_confidence=50)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ask(quiet, truth)
    assert set(tk.Policy({"Explicit": tk.Rule(block=60)}).decide(run.to_taxonomy("7.0"))["decision"]) == {"block"}


def test_a_model_whose_labels_nobody_can_translate_is_said(make) -> None:
    with pytest.warns(UserWarning, match="answered by model 8.0.*look at the results of each model by themselves"):
        make.results({"Gambling": 90}, model_version="8.0").scores("Gambling")
    both = tk.read_results(make.write([nude(0), result_line(1, {"Gambling": 90}, model_version="8.0")]))
    for ask in (
        lambda: both.to_taxonomy("7.0").overview(),
        lambda: tk.summarize(make.folder / "results.jsonl", taxonomy="7.0"),
    ):
        with pytest.warns(UserWarning, match="labels of 8.0 are not"):
            ask()


def test_what_was_translated_stays_as_it_is(make) -> None:
    run = tk.read_results(
        make.write([nude(0), six(1, ("Suggestive", 70, "")), result_line(2, {"Explicit Nudity": 99})])
    )
    with pytest.warns(UserWarning, match="no counterpart"):
        once = run.to_taxonomy("7.0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twice = once.where(once.images["image"].to_numpy() < 9).to_taxonomy("7.0")
    pd.testing.assert_frame_equal(twice.labels, once.labels)
    assert twice.scores("Explicit").tolist()[0] == once.scores("Explicit Nudity").tolist()[0] == 90
    assert twice.images["model_version"].tolist() == ["6.1", "6.1", "7.0"]
    assert twice.translated


def written(make, name: str, confidences, label: str = "Gambling"):
    return make.write([result_line(n, {label: c}) for n, c in enumerate(confidences)], name)


@pytest.mark.parametrize("read", [tk.read_results, tk.summarize])
def test_floors_that_seem_to_differ_are_not_guessed_as_one_in_silence(make, read) -> None:
    low, high = (
        written(make, "low.jsonl", np.linspace(5.15, 99, 40)),
        written(make, "high.jsonl", np.linspace(50, 99, 40)),
    )
    expected = (
        r"low\.jsonl reports nothing below 5\.15, and .*high\.jsonl nothing below 50: .*read them apart, .*say it "
        r"\(min_confidence, --min-confidence\)\.$"
    )
    for manifests_of in ([low, high], [high, low]):
        with pytest.warns(UserWarning, match=expected):
            assert read(manifests_of).min_confidence == np.float32(5.15)
    assert read([low, high], min_confidence=5).min_confidence == 5
    assert read(low).min_confidence == np.float32(5.15)


@pytest.mark.parametrize("read", [tk.read_results, tk.summarize])
def test_floors_that_differ_no_more_than_chance_does_are_guessed_as_one(make, read) -> None:
    random = np.random.default_rng(0)
    some = [written(make, f"{n}.jsonl", random.uniform(50, 100, random.integers(0, 30))) for n in range(100)]
    some += [written(make, "one.jsonl", [99]), make.write([result_line(7, {})], "none.jsonl")]
    assert read(some).min_confidence == tk.read_results(some, min_confidence=0).labels["confidence"].min()
    # Three labels of one image are one piece of evidence.
    deep = make.write(
        [result_line(n, dict.fromkeys(["Smoking", *taxonomy.ancestors("Smoking")], 95)) for n in range(8)]
    )
    assert read([deep, written(make, "eight.jsonl", [60] * 8)]).min_confidence == 60


def test_every_label_of_model_6_has_a_place_in_the_tree_of_model_7() -> None:
    assert set(taxonomy.FROM_6_1.values()) <= set(taxonomy.PARENTS)


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


def test_an_absurd_number_costs_only_its_line(make) -> None:
    make.summary(3)
    make.results({"Gambling": 90}, {}, {"Gambling": 80})
    path = make.folder / "results.jsonl"
    path.write_text(path.read_text().replace("80", "9" * 400, 1))
    found = tk.read_results(path)
    assert found.n_images == 2
    assert found.errors["code"].tolist() == ["UNREADABLE_LINE"]
    summary = make.folder / "manifest-summary.json"
    summary.write_text('{"statistics": {"total-json-lines": 1}, "errors": [{"line-number": 99999999999999999999999}]}')
    with pytest.raises(UnreadableManifest, match="not the summary"):
        tk.read_results(path)


def test_a_last_line_that_ends_in_blanks_is_not_lost(make) -> None:
    make.results({"Gambling": 90}, {}, {})
    path = make.folder / "results.jsonl"
    lines = path.read_text().rstrip("\n")
    path.write_text(lines + " " * (16 * 1024**2 - len(lines)))  # as long as the buffer of the scan
    assert tk.read_results(path).n_images == 3


@pytest.mark.parametrize("byte", ["x", "{", "1", "\0"])
def test_a_file_of_one_byte_is_no_empty_run(make, byte: str) -> None:
    with pytest.raises(UnreadableManifest, match="1 of 1 lines cannot be read"):
        tk.read_results(make.write([byte], "one.jsonl"))


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
