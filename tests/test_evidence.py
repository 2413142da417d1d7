"""Odd files and repeated images: nothing crashes, nothing is counted twice, and nothing is promised that is not so."""

import gzip
import re
import subprocess
import sys

import pytest
from helpers import ROOT, Maker, ref, result_line

import toolkit as tk
from toolkit import manifests
from toolkit.errors import BelowFloor, InvalidArgument, InvalidPolicy, InvalidSample, NotFound, UnreadableManifest
from toolkit.manifests import LineError

TWICE = '{"source-ref": "s3://b/x", "source-ref": "s3://b/y", "detect-moderation-labels": {"ModerationLabels": []}}\n'
HALF = '{"source-ref": "s3://b/x", "note": "\\ud800", "detect-moderation-labels": {"ModerationLabels": []}}\n'
DEEP = "[" * 2000 + "\n"
RESPONSE = '{"ModerationLabels": []}\n'


@pytest.mark.parametrize("odd", [TWICE, HALF, DEEP, RESPONSE])
@pytest.mark.parametrize("place", [0, 3, 9])
def test_an_odd_line_is_an_error_wherever_it_stands(make: Maker, odd: str, place: int) -> None:
    lines = [result_line(number, {"Gambling": 90}) for number in range(9)]
    results = tk.read_results(make.write([*lines[:place], odd, *lines[place:]]))
    assert results.images["source_ref"].tolist() == [ref(number) for number in range(9)]
    assert results.errors["line"].tolist() == [place + 1]


def test_a_byte_order_mark_is_no_part_of_the_first_line(make: Maker) -> None:
    assert tk.read_results(make.write(["\ufeff", result_line(1, {}), result_line(2, {})])).n_images == 2


def test_a_summary_that_two_manifests_share_counts_once(make: Maker) -> None:
    paths = [make.write([result_line(number, {})], f"{number}.jsonl") for number in range(2)]
    make.summary(4, LineError(3, "X", "bad"), LineError(4, "X", "bad"))
    assert tk.read_results(paths).errors["line"].tolist() == [3, 4]
    assert tk.summarize(paths).errors.sum() == 2


def test_lines_that_a_summary_counts_and_does_not_name_are_not_lost(make: Maker) -> None:
    path = make.write([result_line(1, {})])
    text = manifests.Summary(4, (LineError(2, "X", "bad"),)).to_json().decode()
    (make.folder / manifests.SUMMARY_NAME).write_text(
        text.replace('"invalid-json-lines": 1', '"invalid-json-lines": 3')
    )
    assert tk.read_results(path).errors["code"].tolist() == ["X", "NOT_NAMED", "NOT_NAMED"]


def test_versions_of_a_model_on_the_same_images_are_refused(make: Maker) -> None:
    paths = [make.write([result_line(1, {}, model_version=v)], f"{v}.jsonl") for v in ("6.1", "7.0")]
    with pytest.raises(InvalidArgument, match="runs of different models on the same images"):
        tk.read_results(paths)


def test_an_empty_name_is_not_the_current_folder() -> None:
    with pytest.raises(NotFound, match="the name of the results is empty"):
        tk.read_results("")


def test_a_repeated_image_is_no_evidence_for_a_promise(make: Maker) -> None:
    lines = [result_line(number % 2, {"Gambling": 90.0 - 50 * (number % 2)}) for number in range(200)]
    results = tk.read_results(make.write(lines), min_confidence=0)
    truth = make.truth("Gambling", [True, False])
    with pytest.warns(UserWarning, match="198 of 200 judged lines name an image once more"):
        curve = tk.threshold_curve(results, truth, "Gambling")
    choice = tk.choose_threshold(curve, "precision>=0.9", confidence_level=0.95)
    assert choice.threshold is None
    assert "leave these out with read_results(…).distinct()" in choice.reason
    once = tk.threshold_curve(results.distinct(), truth, "Gambling")
    assert (once.positives, once.negatives, once.repeated) == (1, 1, 0)
    assert results.distinct().scores("Gambling").tolist() == [90, 40]
    assert tk.summarize(make.folder / "results.jsonl", truth=truth, min_confidence=0).curve("Gambling").repeated == 198


def test_a_run_that_reported_nothing_has_no_floor_to_speak_of(make: Maker) -> None:
    safe, other = make.results({}, {}, min_confidence=None), make.results({"Gambling": 80}, min_confidence=None)
    with pytest.raises(BelowFloor, match=r"nobody said what this run's MinConfidence was.*--min-confidence"):
        tk.Policy({"Gambling": tk.Rule(block=51)}).decide(safe)
    with pytest.raises(InvalidArgument, match="reported nothing, and nobody said what its MinConfidence was"):
        tk.drift(safe, other)
    assert tk.Policy({"Gambling": tk.Rule(block=51)}).decide(make.results({}, {}))["decision"].tolist() == ["allow"] * 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source_ref,label,present\na,Gambling,1,x", "row 1 has 4 values, and there are 3 columns"),
        ("source_ref,Gambling,Gambling\na,1,0", "the column 'Gambling' is there twice"),
        ("source_ref,label,present\n,Gambling,1", "row 1 has no source_ref; write it, or drop the row"),
        ("source_ref,label,present\na,Gambling,1\nb,,1", "row 2 has no label"),
        ('source_ref,label,present\n"a,Gambling,1', "not a CSV file"),
        ("", "it is empty"),
    ],
)
def test_a_table_that_does_not_say_what_it_seems_to_is_refused(text: str, said: str, tmp_path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UnreadableManifest, match=said):
        tk.read_truth(tmp_path / "t.csv")


def test_commas_at_the_ends_of_lines_shift_nothing_and_gz_is_read(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("source_ref,label,present,\na,Gambling,1,\n\nb,Gambling,0,\n")
    assert tk.read_truth(tmp_path / "t.csv").of("Gambling").to_dict() == {"a": True, "b": False}
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    assert tk.read_truth(tmp_path / "t.csv.gz").of("Gambling").to_dict() == {"a": True, "b": False}
    (tmp_path / "t.csv.gz").write_bytes(b"nonsense")
    with pytest.raises(UnreadableManifest, match="cannot be decompressed"):
        tk.read_truth(tmp_path / "t.csv.gz")


def test_a_label_that_is_a_kind_of_an_absent_one_is_warned_of(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("source_ref,label,present\na,Smoking,1\na,Drugs & Tobacco,0\n")
    with pytest.warns(UserWarning, match="a is said to show Smoking but not Drugs & Tobacco, of which it is a kind"):
        tk.read_truth(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ("fpr<=0", "no number of images shows that there is no mistake at all"),
        ("precision>=1", "no number of images shows that there is no mistake at all"),
        ("fpr<=0.01", r"fpr is 0\.000 at best|more images without Gambling would be enough"),
        ("precision>=0.95", r"it takes \d+ without a mistake; label at least \d+ more that reach"),
    ],
)
def test_why_nothing_can_be_promised_is_true(objective: str, said: str) -> None:
    scores = [99.0] * 10 + [60.0] * 20 + [50.0] * 30
    curve = tk.curve_of_scores("Gambling", scores, [True] * 25 + [False] * 35, min_confidence=50)
    choice = tk.choose_threshold(curve, objective, confidence_level=0.95)
    assert choice.threshold is None
    assert re.search(said, choice.reason), choice.reason


def test_what_cannot_be_meant_is_refused(make: Maker) -> None:
    run, truth = make.results({"Gambling": 80}, {}), make.truth("Gambling", [1, 0])
    with pytest.raises(InvalidArgument, match="threshold is nan"):
        tk.compare(run, run, truth, "Gambling", float("nan"))
    with pytest.raises(InvalidArgument, match="name one of the two"):
        tk.compare(run, run, truth, "Gambling", 50).improvement("recall")
    with pytest.raises(InvalidArgument, match="threshold is 'a'"):
        tk.threshold_curve(run, truth, "Gambling").at("a")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="a score is 30, below min_confidence 50"):
        tk.curve_of_scores("x", [30, 60], [True, False], min_confidence=50)
    with pytest.raises(InvalidPolicy, match="5 is not a rule"):
        tk.Policy({"Gambling": 5})  # type: ignore[dict-item]
    with pytest.raises(InvalidSample, match="Gamblign: no such label; did you mean Gambling"):
        tk.sample_for_labeling(run, 2, "Gamblign")


def _modkit(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "toolkit", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_commands_do_not_overwrite_what_they_cannot_replace(make: Maker) -> None:
    make.results({"Gambling": 80}, {}, {})
    truth = make.truth("Gambling", [1, 0, 0])
    truth.save(make.folder / "truth.csv")
    (make.folder / "policy.json").write_text("mine")
    where = [make.folder / "results.jsonl", "--min-confidence", 5, "--truth", make.folder / "truth.csv"]
    policy = make.folder / "policy.json"
    for words in (
        ["policy", "choose", where[0], policy, *where[1:], "--block", "precision>=0.9", "--confidence-level", 0.95],
        ["tune", *where, "--confidence-level", 0.95, "--save", policy],
    ):
        ended = _modkit(*words)
        assert (ended.returncode, policy.read_text()) == (2, "mine"), ended.stdout
        assert "not written, as no label has a threshold" in ended.stderr
    ended = _modkit("sample", where[0], policy, "--label", "Gambling")
    assert (ended.returncode, "is there already" in ended.stderr) == (2, True)


def test_one_adapter_output_compares_both_models_from_the_shell(make: Maker) -> None:
    def line(number: int, *, there: bool, base: float, adapter: float) -> str:
        answers = [
            manifests.Answer((manifests.Label("Gambling", confidence),) if confidence else ())
            for confidence in (adapter, base)
        ]
        labels = ["Gambling"] if there else []
        return manifests.to_line(
            manifests.adapter_output_record(ref(number), labels, adapter=answers[0], base=answers[1])
        )

    lines = [line(n, there=n < 3, base=10.0, adapter=90.0 if n < 3 else 0.0) for n in range(6)]
    path = make.write(lines, "testing-output.jsonl")
    ended = _modkit("compare", path, "--label", "Gambling", "--threshold", 50, "--json")
    assert ended.returncode == 0, ended.stderr
    assert '"fixed": 3' in ended.stdout
