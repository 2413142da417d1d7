import re
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapie.risk_control import BinaryClassificationController, control_fwer
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value
from scipy.stats import binom, binomtest

import toolkit as tk
from toolkit.errors import InvalidArgument, InvalidObjective
from toolkit.tuning import OBJECTIVES
from toolkit.tuning.guarantee import fewest, guaranteed
from toolkit.tuning.objective import Bound


def curve_of(make, pairs):
    results = make.results(*({} if score is None else {"Gambling": score} for score, _ in pairs), min_confidence=5)
    return tk.threshold_curve(results, make.truth("Gambling", [present for _, present in pairs]), "Gambling")


SAMPLE = [(95.0, 1), (90.0, 1), (85.0, 0), (80.0, 1), (40.0, 0), (30.0, 1), (20.0, 0), (None, 0), (None, 1)]


@pytest.mark.parametrize(
    ("objective", "threshold"),
    [
        ("precision>=1", 90), ("precision>=0.75", 80), ("recall>=0.8", 30), ("recall>=0.5", 80),
        ("fpr<=0.25", 80), ("flagged<=0.3", 90), ("f1", 30), ("cost fp=1 fn=10", 30), ("cost fp=5 fn=1", 90),
        (" Precision >= 0.75 ", 80),
    ],
)  # fmt: skip
def test_each_objective_picks_what_a_person_would(make, objective: str, threshold: float) -> None:
    choice = tk.choose_threshold(curve_of(make, SAMPLE), objective)
    assert choice.threshold == threshold
    assert choice.point is not None
    assert choice.reason


@given(st.lists(st.tuples(st.none() | st.integers(5, 100).map(float), st.integers(0, 1)), min_size=2, max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_no_other_threshold_serves_the_objective_better(make, pairs) -> None:
    curve = curve_of(make, pairs)
    choice = tk.choose_threshold(curve, "precision>=0.7")
    good = [curve.at(t) for t in curve.table["threshold"]]
    good = [point for point in good if point.precision >= 0.7 and point.tp]
    if choice.point is None:
        assert not good or not curve.positives or not curve.negatives
    else:
        assert choice.point.precision >= 0.7
        assert choice.point.recall == max(point.recall for point in good)


def test_where_no_threshold_will_do_the_reason_says_so_and_no_threshold_is_named(make) -> None:
    choice = tk.choose_threshold(curve_of(make, [(90.0, 0), (80.0, 1), (20.0, 0)]), "precision>=0.9")
    assert choice.threshold is None
    assert choice.point is None
    assert "no threshold reaches precision>=0.9 on the 3 judged images; the nearest is precision 0.500" in choice.reason


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ([(90.0, 0), (80.0, 0)], "on none of the 2 judged images"),
        ([(90.0, 1), (80.0, 1)], "on all of the 2 judged images"),
        ([(90.0, 0), (None, 1)], "reported Gambling on none of the 1 judged images that show it"),
    ],
)
def test_a_sample_that_cannot_answer_says_what_is_missing(make, pairs, why: str) -> None:
    choice = tk.choose_threshold(curve_of(make, pairs), "f1")
    assert choice.threshold is None
    assert why in choice.reason


def test_flagging_nothing_may_be_the_cheapest(make) -> None:
    choice = tk.choose_threshold(curve_of(make, [(90.0, 0), (80.0, 1)]), "cost fp=100 fn=1")
    assert choice.threshold is None
    assert "flagging nothing" in choice.reason


@pytest.mark.parametrize(
    "objective",
    [
        "",
        "precision",
        "precision<=0.9",
        "recall>=90",
        "f3",
        "cost fp=-1 fn=1",
        "precision>=x",
        "recall>=nan",
        "cost fp=inf fn=1",
        "cost fp=1 fn=1e400",
        "cost fp=nan fn=1",
        "cost fp=1 fn=nan",
    ],
)
def test_an_unreadable_objective_lists_the_readable_ones(make, objective: str) -> None:
    with pytest.raises(InvalidObjective, match="cost fp=1 fn=10"):
        tk.choose_threshold(curve_of(make, SAMPLE), objective)


@pytest.mark.parametrize("objective", [None, 3, b"f1", ["f1"]])
def test_an_objective_is_text(make, objective: object) -> None:
    with pytest.raises(InvalidObjective, match="is not an objective"):
        tk.choose_threshold(curve_of(make, SAMPLE), objective)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": "a"}, {"seed": None}, {"replicates": 1.5}])
def test_the_areas_under_a_curve_are_drawn_again_with_whole_numbers_only(make, wrong: dict) -> None:
    with pytest.raises(InvalidArgument, match="give a whole number"):
        tk.ranking_intervals(curve_of(make, SAMPLE), **wrong)


def test_a_curve_of_no_image_is_not_drawn_again() -> None:
    with pytest.raises(InvalidArgument, match="Gambling: no image on this curve is judged"):
        tk.ranking_intervals(tk.curve_of_scores("Gambling", [], []))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_documented_objective_can_be_read(make, objective: str) -> None:
    tk.choose_threshold(curve_of(make, SAMPLE), objective)


def labelled_at_random(random: np.random.Generator, n: int = 400) -> tuple[tk.ThresholdCurve, np.ndarray]:
    """A curve of n images of a world in which a score of s is right with probability s (percent)."""
    scores = random.uniform(5, 100, n)
    return tk.curve_of_scores("label", scores, random.random(n) < scores / 100, min_confidence=5), scores


def true_precision(threshold: float) -> float:
    """In that world: the mean of a uniform score from the threshold to 100."""
    return (threshold + 100) / 200


def true_recall(threshold: float) -> float:
    return (100**2 - threshold**2) / (100**2 - 5**2)


@pytest.mark.parametrize(
    ("objective", "kept"),
    [
        ("precision>=0.8", lambda t: true_precision(t) >= 0.8),
        ("recall>=0.7", lambda t: true_recall(t) >= 0.7),
        ("flagged<=0.5", lambda t: (100 - t) / 95 <= 0.5),
    ],
)
def test_a_promise_is_kept_on_new_images_and_the_naive_choice_is_not(objective: str, kept) -> None:
    random = np.random.default_rng(0)
    level, sets = 0.9, 300
    broken = {True: 0, False: 0}
    offered = 0
    for _ in range(sets):
        curve, _ = labelled_at_random(random)
        for promised in broken:
            choice = tk.choose_threshold(curve, objective, confidence_level=level if promised else None)
            offered += promised and choice.threshold is not None
            broken[promised] += choice.threshold is not None and not kept(choice.threshold)
    # 1 - level is allowed; a fair simulation of it stays below this in all but one of ten thousand runs.
    assert broken[True] <= binom.ppf(0.9999, sets, 1 - level)
    assert broken[False] > sets / 4
    assert offered > sets / 2


def test_where_nothing_can_be_promised_the_reason_says_how_many_labels_are_missing(make) -> None:
    few = tk.choose_threshold(curve_of(make, SAMPLE), "precision>=0.9", confidence_level=0.95)
    assert few.threshold is None
    assert "7 judged images are flagged at most, and it takes 30 without a mistake" in few.reason
    random = np.random.default_rng(0)
    curve, _ = labelled_at_random(random, 100)
    missing = tk.choose_threshold(curve, "recall>=0.98", confidence_level=0.95)
    assert missing.threshold is None
    more = next(n for n in range(1, 300) if 0.98 ** (curve.positives + n) <= 0.05)
    assert f"about {more} more images with label would be enough, if recall stays at 1.000" in missing.reason
    hopeless = tk.choose_threshold(curve, "precision>=0.999", confidence_level=0.95)
    assert hopeless.threshold is None


def test_the_images_that_are_said_to_be_missing_are_enough() -> None:
    scores, there = [80.0] * 45 + [10.0] * 50, [True] * 43 + [False] * 52
    missing = tk.choose_threshold(tk.curve_of_scores("A", scores, there), "precision>=0.9", confidence_level=0.95)
    said = re.search(
        r"about (\d+) more that reach (\S+) \(about (\d+) of them with A\) would be enough", missing.reason
    )
    more, reach, rightly = int(said[1]), float(said[2]), int(said[3])
    scores += [reach] * more
    there += [True] * rightly + [False] * (more - rightly)
    enough = tk.choose_threshold(tk.curve_of_scores("A", scores, there), "precision>=0.9", confidence_level=0.95)
    assert enough.threshold is not None


def test_a_model_whose_surest_answers_are_wrong_is_still_promised_what_it_keeps() -> None:
    random = np.random.default_rng(0)
    scores = np.concatenate([random.uniform(98, 100, 40), random.uniform(40, 98, 400), random.uniform(0, 40, 500)])
    there = np.concatenate([np.zeros(40), np.ones(400), np.zeros(500)]).astype(bool)
    curve = tk.curve_of_scores("label", np.where(scores >= 35, scores, np.nan), there, min_confidence=35)
    choice = tk.choose_threshold(curve, "precision>=0.7", confidence_level=0.9)
    assert choice.point is not None
    assert choice.point.recall == 1.0


@given(st.floats(0.5, 0.99), st.floats(0.5, 0.99))
def test_the_fewest_flags_are_those_at_which_a_spotless_test_first_passes(limit: float, level: float) -> None:
    n = fewest(Bound("precision", limit), level)
    allowed = 0.9 * (1 - level)  # the walk down from the highest scores has nine tenths of the level
    assert binomtest(n, n, limit, alternative="greater").pvalue <= allowed + 1e-12
    assert n == 1 or binomtest(n - 1, n - 1, limit, alternative="greater").pvalue > allowed - 1e-12


@given(st.lists(st.tuples(st.integers(5, 100).map(float), st.integers(0, 1)), min_size=2, max_size=60), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_every_promised_threshold_passes_its_exact_test(pairs, data) -> None:
    curve = tk.curve_of_scores("label", [score for score, _ in pairs], [there for _, there in pairs])
    rate = data.draw(st.sampled_from(["precision", "recall"]))
    choice = tk.choose_threshold(curve, f"{rate}>=0.6", confidence_level=0.8)
    if choice.point is not None:
        point = choice.point
        total = point.tp + (point.fp if rate == "precision" else point.fn)
        assert binomtest(point.tp, total, 0.6, alternative="greater").pvalue <= 0.2 + 1e-12


answers = st.lists(
    st.tuples(st.integers(5, 100).map(float) | st.sampled_from([50.0, 60.0]), st.integers(0, 1)),
    min_size=5,
    max_size=80,
).filter(lambda pairs: len({there for _, there in pairs}) == 2)


@given(answers, st.sampled_from(["recall", "fpr"]), st.sampled_from([0.3, 0.6, 0.8]), st.sampled_from([0.7, 0.9]))
@settings(max_examples=60, deadline=None)
def test_the_promise_is_that_of_mapie_where_a_rate_only_moves_one_way(pairs, rate, limit, level) -> None:
    scores, there = (np.array(values) for values in zip(*pairs, strict=True))
    curve = tk.curve_of_scores("label", scores, there)
    mapie = BinaryClassificationController(
        lambda scores: np.stack([1 - scores / 100, scores / 100], axis=1),
        risk=rate,
        target_level=limit,
        confidence_level=level,
        list_predict_params=curve.thresholds.astype(float) / 100,
        fwer_method="fixed_sequence",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where it can promise nothing
        mapie.calibrate(scores, there)
    expected = curve.thresholds[np.isin(curve.thresholds.astype(float) / 100, mapie.valid_predict_params)]
    found = curve.thresholds[guaranteed(curve, Bound(rate, limit), level)]
    assert set(expected) <= set(found)
    for threshold in set(found) - set(expected):  # mapie takes 7 * (1 - 6 / 7) for two mistakes, by floating point
        point = curve.at(threshold)
        count, total = (point.tp, point.tp + point.fn) if rate == "recall" else (point.fp, point.fp + point.tn)
        exact = binomtest(count, total, limit, alternative="greater" if rate == "recall" else "less")
        assert exact.pvalue <= (1 - level) * (1 + 1e-9)


def test_a_precision_is_promised_where_the_defaults_of_mapie_offer_nothing() -> None:
    # FACTS: 600 labelled images, "precision >= 0.7 with confidence 0.9", 41 thresholds; judged on what is true.
    random = np.random.default_rng(0)
    grid = np.linspace(0, 99, 41).astype(np.float32)
    world = random.random(100_000) < 0.15
    world_scores = np.where(world, 100 * random.beta(4, 2, 100_000), 100 * random.beta(1.5, 4, 100_000))
    offered, broken = {"toolkit": 0, "bonferroni_holm": 0, "fixed_sequence": 0}, 0
    for _ in range(60):
        rows = random.integers(0, 100_000, 600)
        curve = tk.curve_of_scores("label", world_scores[rows], world[rows])
        choice = tk.choose_threshold(curve, "precision>=0.7", confidence_level=0.9)
        if choice.threshold is not None:
            offered["toolkit"] += 1
            broken += world[world_scores >= choice.threshold].mean() < 0.7
        points = [curve.at(threshold) for threshold in grid]
        flagged = np.array([point.tp + point.fp for point in points])
        usable = flagged > 0
        risk = np.array([point.fp for point in points])[usable] / flagged[usable]
        p_values = compute_hoeffding_bentkus_p_value(risk, flagged[usable], 0.3, binary=True)[:, 0]
        for method in ("bonferroni_holm", "fixed_sequence"):
            offered[method] += len(control_fwer(p_values[::-1], 0.1, fwer_method=method)) > 0
    assert broken <= binom.ppf(0.999, 60, 0.1)
    assert offered["toolkit"] > 1.2 * max(offered["bonferroni_holm"], offered["fixed_sequence"])


@pytest.mark.parametrize(
    ("objective", "level"), [("f1", 0.95), ("cost fp=1 fn=2", 0.9), ("recall>=0.9", 1.0), ("recall>=0.9", 0)]
)
def test_what_cannot_be_promised_is_refused(make, objective: str, level: float) -> None:
    with pytest.raises((InvalidObjective, InvalidArgument)):
        tk.choose_threshold(curve_of(make, SAMPLE), objective, confidence_level=level)


def test_scores_and_costs_count_images_by_what_they_stand_for() -> None:
    scores, present = [90, 80, 70, 60], [True, False, True, False]
    alone = tk.curve_of_scores("Gambling", scores, present)
    weighted = tk.curve_of_scores("Gambling", scores, present, weights=[1, 50, 1, 1])
    for objective in ("f1", "cost fp=1 fn=3"):
        assert tk.choose_threshold(alone, objective).threshold == 70
        assert tk.choose_threshold(weighted, objective).threshold == 90
    assert weighted.rates["f1"].max() == tk.choose_threshold(weighted, "f1").point.f1


@pytest.mark.parametrize(("limit", "level"), [(0.3, 0.9), (0.45, 0.775), (0.33, 0.879)])
def test_a_test_that_passes_at_its_very_level_is_not_lost_to_rounding(limit: float, level: float) -> None:
    # limit ** n is the walk's level, and a little more in floating point: the first test failed for ever.
    scores, there = np.linspace(1, 100, 10_000), np.repeat([0, 1], [9_900, 100])  # rare: the walk up ends at once
    choice = tk.choose_threshold(
        tk.curve_of_scores("label", scores, there), f"precision>={limit}", confidence_level=level
    )
    assert choice.threshold is not None


def reached(bound: Bound, rate: float) -> bool:
    return rate >= bound.limit if bound.at_least else rate <= bound.limit


@given(
    st.lists(
        st.tuples(st.none() | st.sampled_from([50.0, 60.0, 70.0, 80.0, 90.0]), st.booleans(), st.integers(1, 30)),
        min_size=2,
        max_size=8,
    ),
    st.sampled_from(["precision", "recall", "fpr", "flagged"]),
    st.sampled_from([0.05, 0.2, 1 / 3, 0.5, 0.75, 0.8]),
    st.sampled_from([0.5, 0.8, 0.95]),
)
@settings(max_examples=400, deadline=None)
def test_a_reason_says_that_labels_will_not_help_only_where_the_best_rate_surely_misses_the_bound(
    groups, rate, limit, level
) -> None:
    images = [(np.nan if score is None else score, there) for score, there, size in groups for _ in range(size)]
    curve = tk.curve_of_scores("A", *zip(*images, strict=True))
    bound = Bound(rate, limit)
    objective = f"{rate}{'>=' if bound.at_least else '<='}{limit!r}"
    choice = tk.choose_threshold(curve, objective, confidence_level=level)
    reason = choice.reason
    rates = curve.rates[rate].to_numpy()
    if "more labels will not help" in reason:
        assert bound.at_least
        best = float(re.search(rf"{rate} is (\S+) at best", reason)[1])
        assert not any(reached(bound, each) for each in rates)
        assert not reached(bound, best)
        assert best == pytest.approx(rates.max() if bound.at_least else rates.min(), abs=0.001)
        assert not any(reached(bound, end) for end in curve.table[f"{rate}_high"])
    elif "label more images to see" in reason:
        assert not any(reached(bound, each) for each in rates)
        assert reached(bound, float(re.search(r"may be (\S+) at", reason)[1]) + 0.001)
    elif "tell lower rates apart" in reason:
        assert not bound.at_least
        assert not any(reached(bound, each) for each in rates)
    elif "at best" in reason:  # it reaches the limit, and no more
        assert "too near to it" in reason
        assert any(reached(bound, each) for each in rates)
    elif "would be enough" in reason:
        stays = float(re.search(rf"if {rate} stays at (\S+)\.$", reason)[1])
        assert reached(bound, stays)
        assert stays != limit
        found = curve.rates[[reached(bound, each) for each in rates]]
        assert found["tp"].any()
    elif "find none of the" in reason:
        assert not curve.rates[[reached(bound, each) for each in rates]]["tp"].any()


def test_one_sure_answer_that_is_right_is_not_called_hopeless() -> None:
    scores, there = [95.0] + [80.0] * 20, [True] + [True] * 14 + [False] * 6
    curve = tk.curve_of_scores("A", scores, there)
    reason = tk.choose_threshold(curve, "precision>=0.8", confidence_level=0.95).reason
    assert re.search(r"about \d+ more that reach 95 .* would be enough, if precision stays at 1\.000\.$", reason)
    level = tk.choose_threshold(
        tk.curve_of_scores("A", [80.0] * 20, [True] * 16 + [False] * 4), "precision>=0.8", confidence_level=0.95
    )
    assert "precision is 0.800 at best on this sample, too near to it" in level.reason
    below = tk.curve_of_scores("A", [80.0] * 2500, [True] * 1999 + [False] * 501)
    promised = tk.choose_threshold(below, "precision>=0.8", confidence_level=0.95)
    assert "precision is 0.7996 at best on this sample, and may be 0.815 at 80; label more images" in promised.reason
    assert "the nearest is precision 0.7996 at 80" in tk.choose_threshold(below, "precision>=0.8").reason
    hopeless = tk.curve_of_scores("A", [80.0] * 2500, [True] * 1900 + [False] * 600)
    promised = tk.choose_threshold(hopeless, "precision>=0.8", confidence_level=0.95)
    assert "precision is 0.760 at best on this sample; more labels will not help." in promised.reason
    # The one surest image is wrong: nothing is known yet of what lies as high.
    scores, there = [95.0] + [80.0] * 100 + [np.nan] * 50, [False] + [True] * 60 + [False] * 40 + [False] * 50
    for level in (0.01, 0.95):
        unknown = tk.curve_of_scores("A", scores, there, confidence_level=level)
        promised = tk.choose_threshold(unknown, "precision>=0.9", confidence_level=0.95)
        assert "precision is 0.594 at best on this sample, and may be 0.975 at 95; label more" in promised.reason
