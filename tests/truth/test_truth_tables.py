import gzip
from contextlib import suppress

import pandas as pd
import pytest
from helpers import ref
from hypothesis import HealthCheck, given, settings
from truth_rows import rows, weighted, wide

import toolkit as tk
from toolkit import manifests
from toolkit.errors import InvalidArgument, NotLabelled, UnreadableManifest


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
