"""Filters against a loop that asks every image."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.errors import InvalidArgument
from toolkit.selection import select_images

quick = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
images = st.lists(
    st.tuples(st.none() | st.floats(20, 100, width=32), st.sampled_from([True, False, None])), min_size=1, max_size=20
)


@given(
    images,
    st.none() | st.floats(20, 100),
    st.floats(20, 100),
    st.sampled_from([None, "present", "absent", "unknown"]),
    st.sampled_from([None, "allow", "review", "block"]),
    st.booleans(),
)
@quick
def test_every_image_is_chosen_as_a_loop_would(make, images, low, high, answer, decision, ascending):
    results = make.results(*({} if score is None else {"Gambling": score} for score, _ in images), min_confidence=20)
    judged = [present for _, present in images]
    truth = make.truth("Gambling", judged) if any(each is not None for each in judged) else None
    if truth is None and answer is not None:
        answer = None
    policy = tk.Policy({"Gambling": tk.Rule(block=80.0, review=60.0)})
    found = select_images(
        results, "Gambling", low=low, high=high, truth=truth, answer=answer, policy=policy, decision=decision,
        ascending=ascending,
    )  # fmt: skip

    def wanted(score: float | None, present: bool | None) -> bool:
        at = None if score is None else np.float32(score)
        decided = "allow" if at is None or at < 60 else "review" if at < 80 else "block"
        said = {True: "present", False: "absent", None: "unknown"}[present]
        return (
            (low is None or (at is not None and at >= np.float32(low)))
            and (at is None or at <= np.float32(high))
            and (answer is None or said == answer)
            and (decision is None or decided == decision)
        )

    assert sorted(found) == [row for row, each in enumerate(images) if wanted(*each)]
    ranks = [-1.0 if images[row][0] is None else images[row][0] for row in found]
    assert ranks == sorted(ranks, reverse=not ascending)


def test_without_a_label_the_run_keeps_its_order_and_what_needs_one_is_refused(make):
    results = make.results({"Gambling": 60.0}, {}, {"Violence": 90.0})
    assert select_images(results).tolist() == [0, 1, 2]
    for given_ in ({"low": 10.0}, {"answer": "present"}, {"decision": "block"}):
        with pytest.raises(InvalidArgument):
            select_images(results, **given_)
    with pytest.raises(InvalidArgument, match="high"):
        select_images(results, "Gambling", high=math.nan)


def test_some_images_of_a_run_are_a_run(make):
    results = make.results({"Gambling": 60.0}, {}, {"Gambling": 90.0})
    part = results.where(np.array([False, True, True]))
    assert part.n_images == 2
    assert [None if math.isnan(each) else float(each) for each in part.scores("Gambling")] == [None, 90.0]
