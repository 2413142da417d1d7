import numpy as np
import pytest
from helpers import result_line

import toolkit as tk
from toolkit import taxonomy
from toolkit.errors import BelowFloor, InvalidArgument


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
