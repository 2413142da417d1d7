from contextlib import suppress

import pandas as pd
import pytest
from helpers import ref
from hypothesis import given
from hypothesis import strategies as st
from truth_rows import rows

import toolkit as tk
from toolkit.errors import NotLabelled, UnreadableManifest


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
