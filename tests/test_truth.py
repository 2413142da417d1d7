from contextlib import suppress

import pandas as pd
import pytest
from helpers import ref

import toolkit as tk
from toolkit import manifests
from toolkit.errors import NotLabelled, UnreadableManifest


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
