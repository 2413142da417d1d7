"""`modkit summary`, and the floors that the commands know of."""

import json

from cli_process import modkit, one_sentence
from helpers import result_line

import toolkit as tk


def test_summary_counts_and_names_what_failed(run) -> None:
    answer = json.loads(modkit("summary", run / "results.jsonl", "--json").stdout)
    assert (answer["images"], answer["flagged"], answer["floor_source"]) == (6, 4, "smallest confidence seen")
    assert answer["errors"][0]["code"] == "INVALID_IMAGE_FORMAT"
    shown = modkit("summary", run / "results.jsonl").stdout
    assert "Gambling" in shown
    assert "INVALID_IMAGE_FORMAT" in shown


def test_the_floor_of_a_saved_run_is_known_to_its_workspace(run, make) -> None:
    saved = make.folder / "saved"
    (saved / "run").mkdir(parents=True)
    make.write([result_line(0, {"Gambling": 90})], "saved/run/results.jsonl")
    tk.Workspace(saved, {"run": tk.Run("run/results.jsonl", 5.0, "a-job")}).save()
    answer = json.loads(modkit("summary", saved / "run/results.jsonl", "--json").stdout)
    assert (answer["min_confidence"], answer["floor_source"]) == (5, "job")
    (saved / "workspace.json").write_text("{}")
    answer = json.loads(modkit("summary", saved / "run/results.jsonl", "--json").stdout)
    assert (answer["min_confidence"], answer["floor_source"]) == (90, "smallest confidence seen")


def test_the_floor_of_several_runs_is_what_all_of_them_tell(make, tmp_path) -> None:
    runs = {part: tmp_path / "runs" / part for part in ("one", "two")}
    for number, folder in enumerate(runs.values()):
        folder.mkdir(parents=True)
        lines = [
            result_line(n, {"Gambling": 70 + 25 * number + n / 1000}) for n in range(number * 500, number * 500 + 500)
        ]
        make.write(lines, "x.jsonl").rename(folder / "results.jsonl")
        (folder / "detect.json").write_text('{"version": 1, "min_confidence": 20.0}')
    done = modkit("summary", tmp_path / "runs", "--json")
    summary = json.loads(done.stdout)
    assert (summary["min_confidence"], summary["floor_source"]) == (20, "job")
    assert "different MinConfidence" not in done.stderr  # though the second seems to have another floor
    contradicted = modkit("summary", tmp_path / "runs", "--min-confidence", 30)
    assert "its MinConfidence was 20, as its workspace or detect.json tells, and not 30" in one_sentence(contradicted)
    (runs["two"] / "detect.json").write_text('{"version": 1, "min_confidence": 80.0}')
    assert "one says nothing below 80 and another goes down to 20" in one_sentence(modkit("summary", tmp_path / "runs"))
    (runs["one"] / "detect.json").unlink()
    apart = modkit("summary", tmp_path / "runs")
    assert apart.returncode == 2
    assert "nothing below 80 and another goes down to 70" in apart.stderr
    (runs["two"] / "detect.json").write_text('{"version": 1, "min_confidence": -5}')
    summary = json.loads(modkit("summary", tmp_path / "runs", "--json").stdout)
    assert (summary["min_confidence"], summary["floor_source"]) == (70, "smallest confidence seen")


def test_a_floor_that_was_told_of_another_run_silences_no_warning(make, tmp_path) -> None:
    for name, low in (("one", 50), ("two", 20)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        lines = [result_line(n + low, {"Gambling": low + n / 20}) for n in range(800)]
        make.write(lines, "x.jsonl").rename(tmp_path / "runs" / name / "results.jsonl")
        (tmp_path / "runs" / name / "detect.json").write_text('{"version": 1, "min_confidence": 50}')
    done = modkit("summary", tmp_path / "runs", "--json")
    assert json.loads(done.stdout)["floor_source"] == "smallest confidence seen"
    assert "if their jobs had different MinConfidence, read them apart" in done.stderr
    runs = (tmp_path / "runs", tmp_path / "runs")
    assert json.loads(modkit("drift", *runs, "--min-confidence", 15, "--json").stdout)["min_confidence"] == 15


def test_a_floor_counts_as_the_float32_that_confidences_are(make) -> None:
    make.write([result_line(0, {"Gambling": 55.3})])
    (make.folder / "detect.json").write_text('{"version": 1, "min_confidence": 55.3}')
    summary = json.loads(modkit("summary", make.folder / "results.jsonl", "--json").stdout)
    assert (summary["min_confidence"], summary["floor_source"]) == (55.3, "job")


def test_of_two_runs_the_floor_that_is_given_counts_for_the_one_that_nobody_knows(make) -> None:
    for name, lines in (("known", [result_line(0, {"Gambling": 20})]), ("silent", [result_line(0, {})])):
        (make.folder / name).mkdir()
        make.write(lines, f"{name}/results.jsonl")
    (make.folder / "known" / "detect.json").write_text('{"version": 1, "min_confidence": 5}')
    runs = (make.folder / "known", make.folder / "silent")
    assert "nobody said what its MinConfidence was" in one_sentence(modkit("drift", *runs))
    answer = json.loads(modkit("drift", *runs, "--min-confidence", 50, "--json").stdout)
    assert answer["min_confidence"] == 50
    (make.folder / "silent" / "detect.json").write_text('{"version": 1, "min_confidence": 10}')
    both = one_sentence(modkit("drift", *runs, "--min-confidence", 50))
    assert "the MinConfidence of both runs is known (5 and 10), and it is not 50" in both


def test_a_saved_run_has_one_floor_however_it_is_named(run) -> None:
    tk.Workspace(run, {"base": tk.Run("results.jsonl", 20.0)}, "truth.csv").save()
    for name in (run / "results.jsonl", run, f"{run}/*.jsonl"):
        assert json.loads(modkit("summary", name, "--json").stdout)["min_confidence"] == 20


def test_summary_says_that_failures_are_unknown_where_no_summary_is(run) -> None:
    assert json.loads(modkit("summary", run / "results.jsonl", "--json").stdout)["errors_known"] is True
    (run / "manifest-summary.json").unlink()
    assert json.loads(modkit("summary", run / "results.jsonl", "--json").stdout)["errors_known"] is False
    assert "failures unknown: no manifest-summary.json" in " ".join(
        modkit("summary", run / "results.jsonl").stdout.split()
    )
