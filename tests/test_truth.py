import gzip
from contextlib import suppress

import pandas as pd
import pytest
from helpers import ref
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit import manifests
from toolkit.errors import InvalidArgument, NotLabelled, UnreadableManifest


def rows(*judgements: tuple[int, str, object]) -> pd.DataFrame:
    return pd.DataFrame([(ref(n), label, p) for n, label, p in judgements], columns=["source_ref", "label", "present"])


def test_present_implies_ancestors_and_absent_implies_descendants() -> None:
    truth = tk.make_truth(rows((1, "Weapons", 1), (2, "Violence", 0)))
    assert truth.of("Violence").to_dict() == {ref(1): True, ref(2): False}
    assert truth.of("Weapons").to_dict() == {ref(1): True, ref(2): False}


def test_a_present_level_1_says_nothing_about_what_is_under_it() -> None:
    truth = tk.make_truth(rows((1, "Violence", 1), (2, "Weapons", 0)))
    assert truth.of("Weapons").to_dict() == {ref(2): False}
    assert truth.of("Violence").to_dict() == {ref(1): True}


def test_judgements_that_contradict_each_other_through_the_tree_are_unknown() -> None:
    truth = tk.make_truth(rows((1, "Self-Harm", 1), (1, "Violence", 0), (2, "Violence", 0)))
    assert truth.of("Graphic Violence").to_dict() == {ref(2): False}


def test_unlabelled_is_not_negative() -> None:
    truth = tk.make_truth(rows((1, "Gambling", 1), (2, "Gambling", ""), (3, "Gambling", None), (4, "Gambling", "no")))
    assert truth.of("Gambling").to_dict() == {ref(1): True, ref(4): False}


def test_a_label_nobody_judged_names_those_that_were() -> None:
    with pytest.raises(NotLabelled, match="Gambling; did you mean Gambling"):
        tk.make_truth(rows((1, "Gambling", 1))).of("Gamblin")


def test_samples_of_another_collection_are_refused() -> None:
    with pytest.raises(NotLabelled, match="none of the 1 labelled images"):
        tk.make_truth(rows((1, "Gambling", 1))).matched("Gambling", pd.Series(["other.jpg"]))


def test_two_answers_for_one_image_are_refused() -> None:
    with pytest.raises(UnreadableManifest, match="both present and absent"):
        tk.make_truth(rows((1, "Gambling", 1), (1, "Gambling", 0)))
    assert tk.make_truth(rows((1, "Gambling", 1), (1, "Gambling", "yes"))).n_images == 1


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("t.csv", "a,b\n1,2\n", "no column source_ref"),
        ("t.csv", "source_ref,label,present\nx,Gambling,maybe\n", "row 1: present is 'maybe'"),
        ("t.csv", "", "not a CSV"),
        ("t.parquet", "nonsense", "not a Parquet file .*; save it as UTF-8 CSV"),
        ("t.jsonl", "nonsense\n", "line 1"),
    ],
)
def test_what_is_not_a_sample_is_said_in_one_sentence(tmp_path, name: str, text: str, why: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UnreadableManifest, match=why) as raised:
        tk.read_truth(tmp_path / name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_table_in_another_encoding_is_told_to_be_saved_as_utf_8(tmp_path, encoding: str) -> None:
    (tmp_path / "t.csv").write_text("source_ref,label,present\ns3://b/ü.jpg,Gambling,1\n", encoding=encoding)
    with pytest.raises(UnreadableManifest, match="save it as UTF-8 CSV with the columns source_ref, label and present"):
        tk.read_truth(tmp_path / "t.csv")


def test_a_damaged_parquet_file_is_said_in_one_sentence(tmp_path) -> None:
    rows(*[(number, "Gambling", number % 2) for number in range(50)]).to_parquet(tmp_path / "t.parquet", index=False)
    whole = (tmp_path / "t.parquet").read_bytes()
    for position in range(0, len(whole), 17):
        (tmp_path / "t.parquet").write_bytes(whole[:position] + b"\xff" + whole[position + 1 :])
        with suppress(UnreadableManifest):  # some bytes are of no consequence; any other error is an accident
            tk.read_truth(tmp_path / "t.parquet")


def test_samples_that_nobody_judged_are_said_to_be(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("source_ref,label,present\n")
    (tmp_path / "t.jsonl").write_text("")
    for name in ("t.csv", "t.jsonl"):
        with pytest.raises(NotLabelled, match="no judgement at all; write 1 or 0"):
            tk.read_truth(tmp_path / name).tunable_labels()
    with pytest.raises(NotLabelled, match=r"present on any of the 1 judged images \(judged: Gambling\)"):
        tk.make_truth(rows((1, "Gambling", 0))).tunable_labels()
    assert tk.make_truth(rows((1, "Gambling", 1), (1, "Violence", 0))).tunable_labels() == ["Gambling"]


def test_csv_parquet_and_ground_truth_say_the_same(tmp_path) -> None:
    table = rows((1, "Gambling", True), (1, "Violence", False), (2, "Gambling", False), (2, "Violence", False))
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    lines = [manifests.ground_truth_record(ref(1), ["Gambling"]), manifests.ground_truth_record(ref(2), [])]
    (tmp_path / "t.jsonl").write_text("".join(map(manifests.to_line, lines)))
    for name in ("t.csv", "t.parquet", "t.jsonl"):
        truth = tk.read_truth(tmp_path / name)
        assert truth.of("Gambling").to_dict() == {ref(1): True, ref(2): False}
        assert truth.of("Violence").to_dict() == {ref(1): False, ref(2): False}
        assert truth.present_labels == ["Gambling"]


wide = st.dictionaries(
    st.integers(0, 9),
    st.fixed_dictionaries(
        {"Gambling": st.sampled_from([True, False, None]), "Alcohol": st.sampled_from([True, False])}
    ),
    min_size=1,
)


@given(wide, st.booleans(), st.sampled_from(["csv", "parquet"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_samples_come_back_as_they_were_saved(tmp_path, judged, weighted, suffix) -> None:
    table = rows(*((n, label, p) for n, labels in judged.items() for label, p in labels.items()))
    if weighted:
        table["weight"] = table["source_ref"].map({ref(n): 1.1 + n for n in judged})
    truth = tk.make_truth(table)
    truth.save(tmp_path / f"t.{suffix}")
    again = tk.read_truth(tmp_path / f"t.{suffix}")
    pd.testing.assert_frame_equal(again.table, truth.table)
    assert (again.weights is None) == (truth.weights is None)
    if truth.weights is not None:
        pd.testing.assert_series_equal(again.weights, truth.weights)


def weighted(*judgements: tuple[int, str, object, float]) -> pd.DataFrame:
    return rows(*(each[:3] for each in judgements)).assign(weight=[each[3] for each in judgements])


@pytest.mark.parametrize(
    "table",
    [
        weighted((1, "Gambling", 1, 2.0), (2, "Gambling", 0, 2.0), (3, "Gambling", None, 7.5)),
        weighted((1, "Gambling", 1, 2.0), (2, "Gambling", 0, 2.0), (3, "Alcohol", "unsure", 7.5)),
        pd.DataFrame({"source_ref": [ref(1), ref(2), ref(3)], "Gambling": [1, 0, None], "weight": [2, 2, 7.5]}),
        pd.concat([weighted((1, "Gambling", 1, 2.0)), weighted((2, "Gambling", 0, 2.0), (3, "Gambling", "", 7.5))]),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_equal_weights_of_the_judged_images_do_not_hide_that_the_chances_differed(tmp_path, table, name) -> None:
    truth = tk.make_truth(table)
    assert truth.weights.to_dict() == {ref(1): 2.0, ref(2): 2.0}
    assert tk.make_truth(table.assign(weight=2.0)).weights is None  # a uniform sample
    truth.on([ref(1)]).save(tmp_path / name)
    assert tk.read_truth(tmp_path / name).weights.to_dict() == {ref(1): 2.0}


def test_what_is_judged_of_images_of_unequal_chances_comes_back_from_a_table_of_one_column_a_label(tmp_path) -> None:
    wide = pd.DataFrame({"source_ref": [ref(1)], "Gambling": [1], "weight": [2.0], "chances": ["unequal"]})
    truth = tk.make_truth(wide)
    assert truth.labels == ["Gambling"]
    assert truth.weights.to_dict() == {ref(1): 2.0}


def test_an_image_that_nobody_judged_has_a_weight_too() -> None:
    with pytest.raises(UnreadableManifest, match=r"weight of s3://bucket/2.jpg is 'nan'; write a positive number"):
        tk.make_truth(weighted((1, "Gambling", 1, 2.0), (2, "Gambling", None, float("nan"))))
    no_image = pd.DataFrame({"source_ref": [None], "label": [None], "present": [None], "weight": [None]})
    assert tk.make_truth(pd.concat([weighted((1, "Gambling", 1, 2.0)), no_image])).n_images == 1


def test_spaces_around_a_name_are_no_part_of_it(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("source_ref,label,present\n s3://b/1.jpg, Gambling ,1\ns3://b/2.jpg ,Gambling, 0\n")
    assert tk.read_truth(tmp_path / "t.csv").of("Gambling").to_dict() == {"s3://b/1.jpg": True, "s3://b/2.jpg": False}


@pytest.mark.parametrize("name", ["T.CSV", "T.Parquet"])
def test_endings_may_be_in_capitals(tmp_path, name: str) -> None:
    truth = tk.make_truth(rows((1, "Gambling", 1), (2, "Gambling", 0)))
    truth.save(tmp_path / name)
    (tmp_path / f"{name}.GZ").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    for each in (name, f"{name}.GZ"):
        pd.testing.assert_frame_equal(tk.read_truth(tmp_path / each).table, truth.table)


def test_further_columns_beside_label_and_present_do_not_count(tmp_path) -> None:
    rows((1, "Gambling", 1)).assign(annotator="ann").to_csv(tmp_path / "t.csv", index=False)
    assert tk.read_truth(tmp_path / "t.csv").labels == ["Gambling"]


def test_a_column_that_is_no_label_is_told_to_be_dropped(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("source_ref,Gambling,annotator\na,1,ann\nb,0,bob\n")
    with pytest.raises(UnreadableManifest, match=r"row 1: present is 'ann' for annotator.*drop the column annotator"):
        tk.read_truth(tmp_path / "t.csv")


def test_samples_are_saved_as_what_can_be_read(tmp_path) -> None:
    with pytest.raises(InvalidArgument, match=r"saved as \.csv or \.parquet"):
        tk.make_truth(rows((1, "Gambling", 1))).save(tmp_path / "t.xlsx")


@given(wide)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_one_column_a_label_says_the_same_as_one_row_a_judgement(tmp_path, judged) -> None:
    columns = ["Gambling", "Alcohol"]
    lines = [[ref(n), *("" if each[c] is None else str(int(each[c])) for c in columns)] for n, each in judged.items()]
    (tmp_path / "wide.csv").write_text("\n".join(map(",".join, [["source_ref", *columns], *lines])))
    expected = tk.make_truth(rows(*((n, label, p) for n, labels in judged.items() for label, p in labels.items())))
    found = tk.read_truth(tmp_path / "wide.csv")
    for label in expected.labels:
        pd.testing.assert_series_equal(found.of(label), expected.of(label))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("source_ref,Gambling\na,1\nb,maybe\n", "row 2: present is 'maybe' for Gambling"),
        ("source_ref,weight\na,1\n", "no column label, present"),
        ("image,Gambling\na,1\n", "no column source_ref"),
        ("source_ref,Gambling\na,1\na,0\n", "both present and absent on a"),
    ],
)
def test_a_wide_table_that_cannot_be_read_is_said_in_one_sentence(tmp_path, text: str, why: str) -> None:
    (tmp_path / "wide.csv").write_text(text)
    with pytest.raises(UnreadableManifest, match=why):
        tk.read_truth(tmp_path / "wide.csv")


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
