from contextlib import nullcontext
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from helpers import ref
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from truth_rows import rows, weighted, wide

import toolkit as tk
from toolkit.errors import InvalidObjective, UnreadableManifest


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
