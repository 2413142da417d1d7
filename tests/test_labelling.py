"""The label log: nothing is lost, undo takes back the right one, disagreement is unknown."""

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

import toolkit as tk
from toolkit import labelling
from toolkit.curves import binomial_interval
from toolkit.errors import InvalidArgument, NotFound, NotLabelled, UnreadableManifest
from toolkit.labelling import ANSWERS

quick = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
steps = st.lists(
    st.tuples(st.sampled_from(["ann", "bob"]), st.integers(0, 4), st.sampled_from([*ANSWERS, "undo"])), max_size=30
)


def fresh(tmp_path) -> tk.LabelLog:
    path = tmp_path / "labels.jsonl"
    path.unlink(missing_ok=True)
    return tk.LabelLog(path)


def ref(number: int) -> str:
    return f"s3://b/{number}.jpg"


@given(steps)
@quick
def test_what_stands_is_the_last_answer_that_was_not_taken_back(tmp_path, steps):
    log, stacks = fresh(tmp_path), {"ann": [], "bob": []}
    for who, number, answer in steps:
        if answer == "undo":
            expected = stacks[who].pop() if stacks[who] else None
            taken = log.undo(who)
            assert (taken and (taken.source_ref, taken.answer)) == expected
        else:
            log.add(who, ref(number), "Gambling", answer)
            stacks[who].append((ref(number), answer))
    stands = {(row.who, row.source_ref): row.answer for row in log.judgements("Gambling").itertuples()}
    assert stands == {(who, name): answer for who, stack in stacks.items() for name, answer in stack}


@given(steps.map(lambda all_steps: [step for step in all_steps if step[2] != "undo"]).filter(bool))
@quick
def test_truth_is_what_all_agree_on(tmp_path, steps):
    log, last = fresh(tmp_path), {}
    for who, number, answer in steps:
        log.add(who, ref(number), "Gambling", answer)
        last[who, number] = answer
    said = {number: {answer for (_, n), answer in last.items() if n == number} for _, number in last}
    expected = {ref(n): answers == {"present"} for n, answers in said.items() if answers in ({"present"}, {"absent"})}
    truth = log.truth("Gambling")
    assert dict(zip(truth.table["source_ref"], truth.table["present"], strict=True)) == expected


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
@quick
def test_kappa_is_that_of_scikit_learn(tmp_path, answers):
    log = fresh(tmp_path)
    for number, both in enumerate(answers):
        for who, present in zip(("ann", "bob"), both, strict=True):
            log.add(who, ref(number), "Gambling", "present" if present else "absent")
    (row,) = log.agreement("Gambling").itertuples()
    assert (row.first, row.second, row.images) == ("ann", "bob", len(answers))
    assert row.agreed == pytest.approx(np.mean([one == other for one, other in answers]))
    one, other = zip(*answers, strict=True)
    if len({*one, *other}) > 1:
        assert row.kappa == pytest.approx(cohen_kappa_score(one, other), nan_ok=True)
    else:
        assert np.isnan(row.kappa)


def test_a_line_that_a_crash_cut_off_harms_nothing_and_a_broken_one_is_named(tmp_path):
    log = fresh(tmp_path)
    log.add("ann", ref(1), "Gambling", "present")
    with log.path.open("ab") as file:
        file.write(b'{"when": "2026-11-01", "who": "an')
    log.add("ann", ref(2), "Gambling", "absent")
    assert log.truth("Gambling").n_images == 2
    log.path.write_bytes(log.path.read_bytes() + b'{"who": "ann"}\n')
    with pytest.raises(UnreadableManifest, match="line 4 is not a judgement"):
        log.judgements()
    log.path.write_bytes(b'{"a":' * 100_000 + b"}\n")
    with pytest.raises(UnreadableManifest, match="line 1 is not a judgement"):
        log.judgements()


def test_an_undo_concerns_one_label_and_sample_where_they_are_named(tmp_path):
    log = fresh(tmp_path)
    log.add("ann", ref(1), "Gambling", "present", sample="one")
    log.add("ann", ref(2), "Gambling", "present", sample="two")
    log.add("ann", ref(3), "Violence", "present", sample="one")
    assert log.undo("ann", label="Smoking") is None
    assert log.undo("ann", label="Gambling", sample="one").source_ref == ref(1)
    assert log.undo("ann", label="Gambling", sample="one") is None
    assert log.judgements()["source_ref"].tolist() == [ref(2), ref(3)]
    assert log.undo("ann", label="Gambling").source_ref == ref(2)
    assert log.undo("ann").source_ref == ref(3)
    assert log.judgements().empty


def test_many_are_written_at_once_and_all_or_none(tmp_path, monkeypatch):
    log, synced = fresh(tmp_path), []
    monkeypatch.setattr(labelling.os, "fsync", synced.append)
    log.add_many("file: a", [(ref(n), "Gambling", "present", 2.0) for n in range(20_000)], sample="file: a")
    assert len(synced) == 1
    assert log.truth("Gambling", sample="file: a").n_images == 20_000
    before = log.path.read_bytes()
    with pytest.raises(InvalidArgument):
        log.add_many("ann", [(ref(1), "Gambling", "present", None), (ref(2), "Gambling", "maybe", None)])
    assert log.path.read_bytes() == before
    write, written = labelling.os.write, []

    def full(descriptor: int, data: bytes) -> int:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(write(descriptor, bytes(data[:100])))
        return written[0]

    monkeypatch.setattr(labelling.os, "write", full)
    with pytest.raises(NotFound, match="No space left"):
        log.add_many("ann", [(ref(n), "Gambling", "present", None) for n in range(10)])
    assert log.path.read_bytes() == before


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path):
    log = fresh(tmp_path)
    script = (
        "import sys; from toolkit.labelling import LabelLog\n"
        "for n in range(100): LabelLog(sys.argv[1]).add(sys.argv[2], f's3://b/{n}.jpg', 'Gambling', 'present')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(log.path), who], cwd=ROOT) for who in ("ann", "bob")]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert log.judgements().groupby("who").size().to_dict() == {"ann": 100, "bob": 100}


def test_weights_of_a_sample_make_the_rates_those_of_the_collection(make, tmp_path):
    results = make.results(*({"Gambling": 20.0 + number % 80} for number in range(400)), min_confidence=20)
    sample = tk.sample_for_labeling(results, 60, "Gambling", strategy="threshold", threshold=60)
    log = fresh(tmp_path)
    for row in sample.itertuples():
        answer = "present" if row.confidence > 70 else "absent"
        log.add("ann", row.source_ref, "Gambling", answer, weight=row.weight, sample="one")
    truth = log.truth("Gambling", sample="one")
    assert truth.weights is not None
    assert truth.weights.sum() == pytest.approx(sample["weight"].sum())
    for row in sample[sample["confidence"] > 70].itertuples():  # all of one weight
        log.add("bob", row.source_ref, "Gambling", "present", weight=row.weight, sample="one")
    alike = log.truth("Gambling", who="bob", sample="one")
    assert alike.weights is not None
    assert alike.weights.nunique() == 1
    log.add("ann", sample["source_ref"][0], "Gambling", "present", weight=1.0, sample="two")
    with pytest.raises(InvalidArgument, match="one label and one sample at a time"):
        log.truth("Gambling")
    assert log.truth("Gambling", sample="one").n_images == 60


@pytest.mark.parametrize(("who", "answer"), [("  ", "present"), ("ann", "maybe")])
def test_nobody_and_no_answer_are_refused(tmp_path, who, answer):
    with pytest.raises(InvalidArgument):
        fresh(tmp_path).add(who, ref(1), "Gambling", answer)


def test_without_judgements_there_is_no_truth(tmp_path):
    with pytest.raises(NotLabelled, match="label some images first"):
        fresh(tmp_path).truth("Gambling")


@given(st.floats(0.03, 0.3), st.floats(0, 1))
@quick
def test_that_many_positives_are_enough_and_one_less_is_not(half_width, recall):
    needed = tk.positives_needed(half_width, recall=recall)
    widths = [np.subtract(*reversed(binomial_interval(round(recall * n), n))) / 2 for n in (needed - 1, needed)]
    assert widths[1] <= half_width
    assert needed == 1 or widths[0] > half_width


@given(steps)
@quick
def test_what_is_disputed_is_what_a_truth_does_not_know_though_nobody_is_unsure_of_it(tmp_path, steps):
    log = fresh(tmp_path)
    for who, number, answer in steps:
        if answer == "undo":
            log.undo(who)
        else:
            log.add(who, ref(number), "Gambling", answer)
    said = log.judgements("Gambling").groupby("source_ref")["answer"].agg(set).to_dict()
    disputed = log.disputes("Gambling")
    assert set(disputed["source_ref"]) == {image for image, answers in said.items() if len(answers) > 1}
    if said:
        known = set(log.truth("Gambling").table["source_ref"])
        assert known == {image for image, answers in said.items() if answers in ({"present"}, {"absent"})}
    runs = (disputed["source_ref"] != disputed["source_ref"].shift()).sum()
    assert runs == disputed["source_ref"].nunique()


def test_the_file_is_read_once_for_as_long_as_it_stays_as_it_is(tmp_path, monkeypatch) -> None:
    path, reads = tmp_path / "labels.jsonl", []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: reads.append(self) or read(self))
    log = tk.LabelLog(path)
    log.add("ann", "1.jpg", "Gambling", "present")
    for _ in range(2):
        assert (len(log.judgements("Gambling")), log.truth("Gambling").n_images) == (1, 1)
        assert log.disputes("Gambling").empty
    assert len(reads) == 1
    for number in range(3):
        log.add("cat", f"{number}.jpg", "Drugs", ("present", "absent", "unsure")[number])
        assert len(log.judgements("Drugs")) == number + 1
    assert log.undo("cat").source_ref == "2.jpg"
    assert log.judgements("Drugs")["source_ref"].tolist() == ["0.jpg", "1.jpg"]
    assert len(reads) == 1
    assert log.judgements().equals(tk.LabelLog(path).judgements())
    tk.LabelLog(path).add("bob", "1.jpg", "Gambling", "absent")  # by another
    assert log.disputes("Gambling")["who"].tolist() == ["ann", "bob"]
    assert log.undo("bob").source_ref == "1.jpg"
    assert log.disputes("Gambling").empty
    path.unlink()
    assert log.judgements().empty
