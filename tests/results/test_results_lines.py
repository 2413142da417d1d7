import json
import re

import pytest
from helpers import ref, result_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit import manifests
from toolkit.errors import UnreadableManifest


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


def test_a_file_that_is_mostly_broken_is_refused_with_its_first_lines(make) -> None:
    with pytest.raises(UnreadableManifest, match=r"2 of 3 lines .*line 1: .*line 3: "):
        tk.read_results(make.write(["nonsense\n", result_line(1, {}), "[]\n"]))


def test_an_empty_manifest_is_an_empty_collection(make) -> None:
    results = tk.read_results(make.write([]))
    assert (results.n_images, len(results.labels), results.label_names()) == (0, 0, [])
    assert results.overview().empty


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
