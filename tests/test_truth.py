import gzip
import json
from contextlib import nullcontext, suppress
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from helpers import ref
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit import manifests
from toolkit.errors import InvalidArgument, InvalidObjective, NotLabelled, UnreadableManifest


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


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("wide", [False, True])
def test_probabilities_count_as_the_weights_that_they_are_the_inverse_of(tmp_path, name: str, wide: bool) -> None:
    table = weighted((1, "Gambling", 1, 2.0), (2, "Gambling", 0, 8.0))
    if wide:
        table = table[["source_ref", "weight"]].assign(Gambling=table["present"])
    chances = table.assign(probability=1 / table["weight"])
    for each in (chances, chances.drop(columns="weight"), table.assign(probability=[7, 0])):  # where both are, weight
        each.to_csv(tmp_path / name, index=False) if name == "t.csv" else each.to_parquet(tmp_path / name)
        alone = "weight" not in each.columns
        with pytest.warns(UserWarning, match="the column probability is taken") if alone else nullcontext():
            truth = tk.read_truth(tmp_path / name)
        assert truth.labels == ["Gambling"]
        assert truth.weights.to_dict() == {ref(1): 2.0, ref(2): 8.0}
    assert tk.make_truth(table.drop(columns="weight").assign(probability=0.25)).weights is None  # a uniform sample


@pytest.mark.parametrize("wrong", [0, -0.5, 1.5, 50, None, "often", float("inf"), 1e-310])
def test_a_probability_that_is_none_is_refused(wrong: object) -> None:
    table = rows((1, "Gambling", 1), (2, "Gambling", 0)).assign(probability=[0.5, wrong])
    with pytest.raises(
        UnreadableManifest, match=r"the probability of s3://bucket/2\.jpg is .* write a number above 0 and at most 1"
    ):
        tk.make_truth(table)
    with pytest.raises(UnreadableManifest, match=r"1\.jpg has two probabilities"):
        tk.make_truth(rows((1, "Gambling", 1), (1, "Alcohol", 1)).assign(probability=[0.5, 0.25]))


def test_a_sample_without_its_weights_keeps_its_probabilities_and_is_promised_nothing(make) -> None:
    results = make.results(*({"Gambling": 50 + number % 50} if number % 3 else {} for number in range(400)))
    sample = tk.sample_for_labeling(results, 100, "Gambling").assign(present=lambda each: each["confidence"] > 70)
    with pytest.warns(UserWarning, match="the column probability is taken"):
        truths = tk.make_truth(sample), tk.make_truth(sample.drop(columns="weight"))
    curves = [tk.threshold_curve(results, truth, "Gambling") for truth in truths]
    pd.testing.assert_frame_equal(curves[0].table, curves[1].table)
    with pytest.raises(InvalidObjective, match="nothing can be promised on weighted samples"):
        tk.choose_threshold(curves[1], "precision>=0.5", confidence_level=0.9)


COUNTED = ["source_ref", "label", "present", "weight", "probability", "chances"]


@pytest.mark.parametrize("spelled", [str.upper, str.title, " {}".format, "{}\t".format])
@pytest.mark.parametrize("column", COUNTED)
def test_a_column_that_is_nearly_named_as_one_that_counts_is_refused(column: str, spelled) -> None:
    table = weighted((1, "Gambling", 1, 2.0), (2, "Gambling", 0, 8.0)).assign(
        probability=[0.5, 0.125], chances="unequal"
    )
    wide = table.drop(columns=["label", "present"]).assign(Gambling=[1, 0])
    for each in (table, wide):
        if column in each:
            with pytest.raises(UnreadableManifest, match=f"is not {column!r}; rename it so, or drop it"):
                tk.make_truth(each.rename(columns={column: spelled(column)}))


def test_blanks_around_the_names_of_columns_of_a_csv_are_no_part_of_them(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("source_ref , label, present , weight \na,Gambling,1,2\nb,Gambling,0,3\n")
    assert tk.read_truth(tmp_path / "t.csv").weights.to_dict() == {"a": 2.0, "b": 3.0}
    (tmp_path / "t.csv").write_text("source_ref,label,present,Weight\na,Gambling,1,2\nb,Gambling,0,3\n")
    with pytest.raises(UnreadableManifest, match=r"t\.csv: the column 'Weight' is not 'weight'"):
        tk.read_truth(tmp_path / "t.csv")


KIN = ["Alcohol", "Alcohol Use", "Drinking", "Alcoholic Beverages"]


@pytest.mark.filterwarnings("ignore:.*of which it is a kind")
@given(st.dictionaries(st.sampled_from(KIN), st.booleans(), min_size=1))
def test_nothing_follows_from_judgements_that_contradict_each_other(said: dict[str, bool]) -> None:
    truth = tk.make_truth(rows(*((1, label, present) for label, present in said.items())))

    def above(label: str) -> set[str]:
        return {"Drinking": {"Alcohol Use", "Alcohol"}, "Alcohol": set()}.get(label, {"Alcohol"})

    torn = {
        name
        for one in said
        for other in above(one) & set(said)
        if said[one] and not said[other]
        for name in (one, other)
    }
    for label in KIN:
        implied = {
            present
            for name, present in said.items()
            if name not in torn and (label in above(name) if present else name in above(label))
        }
        assert len(implied) < 2
        expected = said.get(label, next(iter(implied), None))
        found = None
        with suppress(NotLabelled):
            found = truth.of(label)[ref(1)]
        assert found == expected, label


@pytest.mark.filterwarnings("ignore:.*of which it is a kind")
def test_a_label_under_one_present_and_one_absent_is_unknown() -> None:
    truth = tk.make_truth(rows((1, "Alcohol", 0), (1, "Alcohol Use", 1), (2, "Alcohol", 0)))
    assert truth.of("Drinking").to_dict() == {ref(2): False}
    assert truth.of("Alcoholic Beverages").to_dict() == {ref(2): False}
    assert truth.of("Alcohol").to_dict() == {ref(1): False, ref(2): False}  # itself was judged


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


@pytest.mark.parametrize(
    "weight",
    [
        pd.to_datetime(["2026-01-01", "2026-01-02"]),
        pd.to_timedelta([1, 2], unit="D"),
        np.array([1 + 0j, 2 + 0j]),
        np.array([True, True]),
        pd.Series([True, 2.0], dtype=object),
    ],
)
def test_a_weight_that_is_no_number_is_refused(weight) -> None:
    table = rows((1, "Gambling", 1), (2, "Gambling", 0)).assign(weight=weight)
    with pytest.raises(UnreadableManifest, match=r"the weight of s3://bucket/1.jpg is .*; write a positive number"):
        tk.make_truth(table)


@pytest.mark.parametrize("weight", [[2, 3], ["2", "3.0"], [Decimal(2), 3], pd.array([2, 3], dtype="Int64")])
def test_a_weight_may_be_any_number(weight) -> None:
    table = rows((1, "Gambling", 1), (2, "Gambling", 0)).assign(weight=weight)
    assert tk.make_truth(table).weights.tolist() == [2.0, 3.0]


def test_a_wide_table_with_its_index_is_refused_and_a_tidy_one_read(tmp_path) -> None:
    pd.DataFrame({"source_ref": [ref(1)], "Gambling": [1]}).to_csv(tmp_path / "wide.csv")
    with pytest.raises(UnreadableManifest, match=r"a column has no name; .*index=False"):
        tk.read_truth(tmp_path / "wide.csv")
    rows((1, "Gambling", 1)).to_csv(tmp_path / "tidy.csv")
    assert tk.read_truth(tmp_path / "tidy.csv").labels == ["Gambling"]


@pytest.mark.parametrize("header", ["source_ref;label;present", "\ufeff\nsource_ref;label;present"])
def test_a_spreadsheet_may_write_semicolons_and_decimals(tmp_path, header: str) -> None:
    text = f"{header}\ns3://b/a, or b.jpg;Gambling;1,00\ns3://b/2.jpg;Gambling;0.00\ns3://b/3.jpg;Gambling;\n"
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    assert tk.read_truth(tmp_path / "t.csv").of("Gambling").to_dict() == {
        "s3://b/2.jpg": False,
        "s3://b/a, or b.jpg": True,
    }


@pytest.mark.parametrize(("column", "values"), [("weight", ("2,0", "8,5")), ("probability", ("0,5", "0,117647058"))])
@pytest.mark.filterwarnings("ignore:.*probability is taken")
def test_a_spreadsheet_may_write_weights_with_commas(tmp_path, column: str, values: tuple[str, str]) -> None:
    lines = [f"s3://b/{n}.jpg;Gambling;{n};{value}" for n, value in enumerate(values)]
    (tmp_path / "t.csv").write_text("\n".join([f"source_ref;label;present;{column}", *lines]))
    weights = tk.read_truth(tmp_path / "t.csv").weights
    assert weights is not None
    assert weights.tolist() == pytest.approx([2.0, 8.5])


def test_a_decimal_that_is_neither_1_nor_0_is_no_answer() -> None:
    with pytest.raises(UnreadableManifest, match=r"present is '1\.01'"):
        tk.make_truth(rows((1, "Gambling", "1.01")))
