"""Rates of parts against curves of the same images alone."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.errors import BelowFloor, InvalidArgument

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
images = st.lists(
    st.tuples(
        st.none() | st.floats(20, 100, width=32),
        st.sampled_from([True, False, None]),
        st.sampled_from(["a", "b", None]),
    ),
    min_size=1,
    max_size=25,
)


@given(images.filter(lambda all_images: any(present is not None for _, present, _ in all_images)))
@quick
def test_each_part_is_what_its_images_alone_say(make, images):
    results = make.results(*({} if score is None else {"Gambling": score} for score, _, _ in images), min_confidence=20)
    truth = make.truth("Gambling", [present for _, present, _ in images])
    by = pd.Series([kind for _, _, kind in images], index=results.images["source_ref"])
    table = tk.slices(results, "Gambling", 60, by, truth).set_index("slice")
    assert set(table.index) == {kind or "(none)" for _, _, kind in images}
    assert table["images"].sum() == len(images)
    for name, row in table.iterrows():
        here = [(score, present) for score, present, kind in images if (kind or "(none)") == name]
        flagged = [score is not None and np.float32(score) >= 60 for score, _ in here]
        assert row["flagged"] == pytest.approx(np.mean(flagged))
        counts = [(flag, present) for flag, (_, present) in zip(flagged, here, strict=True) if present is not None]
        assert [row["tp"], row["fp"]] == [counts.count((True, True)), counts.count((True, False))]
        assert [row["fn"], row["tn"]] == [counts.count((False, True)), counts.count((False, False))]
        assert row["judged"] == len(counts)


def test_a_column_of_the_run_will_do_and_what_cannot_be_sliced_is_refused(make):
    results = make.results({"Gambling": 60.0}, {}, min_confidence=50)
    assert tk.slices(results, "Gambling", 55, "content_type")["slice"].tolist() == ["(none)"]
    refs = results.images["source_ref"]
    for by, why in (("colour", "no such column"), (pd.Series([1, 2], index=[refs[0], refs[0]]), "stands twice")):
        with pytest.raises(InvalidArgument, match=why):
            tk.slices(results, "Gambling", 55, by)
    with pytest.raises(BelowFloor):
        tk.slices(results, "Gambling", 10, "content_type")


def test_a_part_is_not_said_to_miss_the_judged_images_of_the_others(make) -> None:
    results, truth = make.results({"Gambling": 90}, {}, {}), make.truth("Gambling", [1, 0, 1])
    parts = pd.Series(["a", "b", "c"], index=results.images["source_ref"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tk.slices(results, "Gambling", 50, parts, truth)["judged"].tolist() == [1, 1, 1]
