import warnings

import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from helpers import ref, result_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit import manifests, plots
from toolkit.errors import BelowFloor, InvalidArgument, NotFound, NotLabelled

POLICY = tk.Policy({"Gambling": tk.Rule(block=90, review=70), "Violence": tk.Rule(review=95)})
names = ["Gambling", "Violence", "Weapons", "Brand New"]
images = st.lists(
    st.dictionaries(st.sampled_from(names), st.sampled_from([50.0, 50.1, 77.7, 99.9]) | st.floats(50, 100, width=32)),
    max_size=12,
)
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)


def write(make, collection, first: int = 0) -> list:
    """One manifest for each list of images; their names go on from one to the next."""
    paths, number = [], first
    for place, scores in enumerate(collection):
        lines = [result_line(number + offset, labels) for offset, labels in enumerate(scores)]
        number += len(scores)
        paths.append(make.write(lines, f"{first}-{place}.jsonl"))
    return paths


def judged(n: int, *, weighted: bool = False) -> tk.Truth:
    """Every other of the first images, and one that is in no run."""
    rows = [(ref(i), label, (i + k) % 3 == 0) for i in [*range(0, n, 2), 9999] for k, label in enumerate(names[:2])]
    table = pd.DataFrame(rows, columns=["source_ref", "label", "present"])
    if weighted:
        table["weight"] = (
            1.1 + table["source_ref"].str.len() + table["source_ref"].str.extract(r"(\d+)\.")[0].astype(int) % 3
        )
    return tk.make_truth(table)


def same(one: tk.CollectionSummary, other: tk.CollectionSummary) -> None:
    """To the last digit."""
    for name in ("counts", "judged"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True)
    for name in ("decisions", "errors"):
        pd.testing.assert_series_equal(
            getattr(one, name), getattr(other, name), check_names=False, check_index_type=False
        )
    for name in ("n_images", "n_flagged", "errors_known", "min_confidence", "floor_source", "answered"):
        assert getattr(one, name) == getattr(other, name)
    np.testing.assert_array_equal(one.seen, other.seen)


@given(st.lists(images, min_size=1, max_size=4).filter(lambda c: any(map(len, c))), st.booleans())
@quick
def test_a_summary_says_what_the_rows_say(make, collection, weighted: bool) -> None:
    paths = write(make, collection)
    truth, rows = judged(sum(map(len, collection)), weighted=weighted), tk.read_results(paths, min_confidence=50)
    summary = tk.summarize(paths, truth, POLICY, min_confidence=50)
    assert (summary.n_images, summary.n_flagged) == (rows.n_images, rows.labels["image"].nunique())
    pd.testing.assert_frame_equal(summary.overview(), rows.overview(), check_dtype=False)
    pd.testing.assert_frame_equal(summary.forecast(), POLICY.forecast(rows))
    assert set(summary.label_names()) == set(rows.label_names())
    for label in names:
        pd.testing.assert_series_equal(summary.histogram(label), rows.histogram(label), check_index_type=False)
    for label in ("Gambling", "Violence", "Weapons"):  # the truth of the last comes through the tree
        expected = tk.threshold_curve(rows, truth, label)
        found = summary.curve(label)
        pd.testing.assert_frame_equal(found.table, expected.table)
        assert (found.positives, found.negatives, found.unmatched) == (
            expected.positives,
            expected.negatives,
            expected.unmatched,
        )


@given(st.lists(images, min_size=3, max_size=3))
@quick
def test_summaries_add_up_in_any_order(make, collection) -> None:
    one, two, three = (tk.summarize(path, judged(20), POLICY) for path in write(make, collection))
    same((one + two) + three, one + (two + three))
    same(one + two, two + one)


def test_what_failed_is_counted_by_code_and_unknown_where_a_summary_is_missing(make, tmp_path) -> None:
    make.summary(3, manifests.LineError(3, "INVALID_IMAGE_FORMAT", "not a JPEG"))
    make.results({"Gambling": 90}, {})
    known = tk.summarize(make.folder / "results.jsonl")
    assert (known.errors.to_dict(), known.errors_known, known.failures) == (
        {"INVALID_IMAGE_FORMAT": 1},
        True,
        "1 failed",
    )
    (tmp_path / "other").mkdir()
    bare = make.write([result_line(5, {}), "broken\n", result_line(6, {})], "other/results.jsonl")
    both = tk.summarize([make.folder / "results.jsonl", bare])
    assert both.errors.to_dict() == {"INVALID_IMAGE_FORMAT": 1, "UNREADABLE_LINE": 1}
    assert "at least 2 failed, other failures unknown" in repr(both)


def run(make, name: str, numbers, **settings: str):
    return make.write([result_line(number, {"Gambling": 60 + number % 30}, **settings) for number in numbers], name)


def test_runs_of_two_models_on_the_same_images_are_not_one_collection(make) -> None:
    base, adapter = run(make, "base.jsonl", range(50)), run(make, "adapter.jsonl", range(50), project_version="arn:x")
    newer = run(make, "newer.jsonl", range(20, 70), model_version="8.0")
    for source in (make.folder / "*.jsonl", [base, adapter], [base, newer], [newer, adapter]):
        for read in (tk.read_results, tk.summarize):
            with pytest.raises(InvalidArgument, match="are runs of different models"):
                read(source)
    with pytest.raises(InvalidArgument, match=r"base\.jsonl and .*adapter\.jsonl|adapter\.jsonl and .*base\.jsonl"):
        _ = tk.summarize(base) + tk.summarize(adapter)


def test_runs_of_two_models_are_one_collection_where_their_names_show_that_no_image_is_in_both(make) -> None:
    base, adapter = run(make, "0.jsonl", range(10, 50)), run(make, "1.jsonl", range(50, 99), project_version="arn:x")
    assert tk.summarize([base, adapter]).n_images == tk.read_results([base, adapter]).n_images == 89
    again = run(make, "2.jsonl", range(10, 50))  # the same model twice counts twice, as in read_results
    assert tk.summarize([base, again]).n_images == tk.read_results([base, again]).n_images == 80


def test_summaries_that_were_counted_with_different_things_do_not_add_up(make) -> None:
    path = run(make, "0.jsonl", range(20))
    for one, other in ((judged(10), judged(20)), (judged(10), None), (judged(10), judged(10, weighted=True))):
        with pytest.raises(InvalidArgument, match="different labelled samples; give both the same truth"):
            _ = tk.summarize(path, one) + tk.summarize(path, other)
    assert (tk.summarize(path, judged(10)) + tk.summarize(path, judged(10))).n_images == 40
    with pytest.raises(InvalidArgument, match="different policies"):
        _ = tk.summarize(path, policy=POLICY) + tk.summarize(path)


def test_a_summary_knows_one_label_at_a_time(make) -> None:
    summary = tk.summarize(run(make, "0.jsonl", range(20)), judged(10))
    for ask in (summary.curve, summary.histogram):
        with pytest.raises(InvalidArgument, match=r"name one label, or take the manifests from read_results"):
            ask(["Gambling", "Violence"])


def test_an_image_that_names_a_label_twice_counts_once_in_every_overview(make) -> None:
    twice = [manifests.Label("Gambling", confidence) for confidence in (60, 90)]
    path = make.write([manifests.to_line(manifests.result_record(ref(0), twice)), result_line(1, {"Gambling": 70})])
    rows = tk.read_results(path)
    assert rows.overview()[["images", "median_confidence"]].to_numpy().tolist() == [[2, 80]]
    pd.testing.assert_frame_equal(tk.summarize(path).overview(), rows.overview(), check_dtype=False)


def test_a_summary_refuses_what_it_cannot_know(make) -> None:
    make.results({"Gambling": 80}, {"Gambling": 95})
    path = make.folder / "results.jsonl"
    bare = tk.summarize(path)
    assert (bare.min_confidence, bare.floor_source) == (80, "smallest confidence seen")
    with pytest.raises(NotLabelled, match="give `truth` to summarize"):
        bare.curve("Gambling")
    with pytest.raises(InvalidArgument, match="give `policy` to summarize"):
        bare.forecast()
    with pytest.raises(
        BelowFloor, match="Gambling at 70: nobody said what this run's MinConfidence was, and nothing below 80"
    ):
        tk.summarize(path, policy=POLICY).forecast()
    with pytest.raises(NotLabelled, match="none of the 1 labelled images"):
        tk.summarize(path, judged(0)).curve("Gambling")
    with pytest.raises(InvalidArgument, match="confidences down to 80"):
        tk.summarize(path, min_confidence=90)
    with pytest.raises(NotFound, match="no such file"):
        tk.summarize(make.folder / "nothing.jsonl")


def test_a_summary_is_drawn_like_a_run(make) -> None:
    rows = make.results({"Gambling": 80}, {"Gambling": 95}, {}, min_confidence=None)
    summary = tk.summarize(make.folder / "results.jsonl")
    for draw in (plots.distribution, plots.ecdf):
        assert draw(summary, "Gambling") == draw(rows, "Gambling")
        with pytest.raises(InvalidArgument, match="leave truth out for a summary"):
            draw(summary, "Gambling", judged(4))


@pytest.mark.slow
def test_two_processes_of_dask_say_what_one_says(make) -> None:
    random = np.random.default_rng(0)

    def some_images() -> list[dict[str, float]]:
        return [{name: float(random.uniform(50, 100)) for name in names if random.random() < 0.3} for _ in range(20)]

    write(make, [some_images() for _ in range(200)])
    source, truth = make.folder / "*.jsonl", judged(4000, weighted=True)
    alone = tk.summarize(source, truth, POLICY, min_confidence=50)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        spread = tk.summarize(source, truth, POLICY, min_confidence=50, executor=client.get_executor())
    assert alone.n_images == 4000
    same(spread, alone)
    for label in ("Gambling", "Violence"):
        pd.testing.assert_frame_equal(spread.curve(label).table, alone.curve(label).table, check_exact=True)
    pd.testing.assert_frame_equal(spread.forecast(), alone.forecast(), check_exact=True)


def test_a_summary_of_model_6_says_so_and_translates_it(make) -> None:
    old = manifests.result_record(ref(0), [manifests.Label("Explicit Nudity", 90)], model_version="6.1")
    paths = [
        make.write([manifests.to_line(old)], "old.jsonl"),
        make.write([result_line(1, {"Explicit": 80})], "new.jsonl"),
    ]
    policy, truth = tk.Policy({"Explicit": tk.Rule(block=85)}), tk.make_truth(
        pd.DataFrame({"source_ref": [ref(0), ref(1)], "label": "Explicit", "present": [True, False]})
    )  # fmt: skip
    with pytest.warns(UserWarning, match=r"answered by model 6.1 and 7.0; .*summarize\(…, taxonomy=\"7.0\"\)") as said:
        tk.summarize(paths, truth, policy)
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = tk.summarize(paths, truth, policy, taxonomy="7.0")
    rows = tk.read_results(paths).to_taxonomy("7.0")
    pd.testing.assert_frame_equal(found.overview(), rows.overview(), check_dtype=False)
    pd.testing.assert_frame_equal(found.forecast(), policy.forecast(rows))
    pd.testing.assert_frame_equal(found.curve("Explicit").table, tk.threshold_curve(rows, truth, "Explicit").table)
    with pytest.raises(InvalidArgument, match="can be translated to"):
        tk.summarize(paths, taxonomy="6.1")


def test_guessed_floors_that_seem_to_differ_are_not_added_up_in_silence(make) -> None:
    low, high = (
        tk.summarize(
            make.write([result_line(first + n, {"Gambling": c}) for n, c in enumerate(scores)], f"{first}.jsonl")
        )
        for first, scores in ((0, np.linspace(5.15, 99, 40)), (100, np.linspace(50, 99, 40)))
    )
    with pytest.warns(UserWarning, match=r"0\.jsonl reports nothing below 5\.15, and .*100\.jsonl nothing below 50"):
        high + low
    assert (low + low).n_images == 80


def test_a_summary_warns_of_repeated_images_as_the_rows_do(make) -> None:
    lines = [result_line(number % 2, {"Gambling": 90.0 - 50 * (number % 2)}) for number in range(200)]
    path, truth = make.write(lines), judged(3)
    for ask in (
        lambda: tk.threshold_curve(tk.read_results(path), truth, "Gambling"),
        lambda: tk.summarize(path, truth).curve("Gambling"),
    ):
        with pytest.warns(UserWarning, match=r"99 of 100 judged .*read_results\(…\)\.distinct\(\)") as said:
            ask()
        assert said[0].filename == __file__


def test_summaries_of_different_floors_do_not_add_up(make) -> None:
    make.results({"Gambling": 90}, {"Gambling": 60})
    path = make.folder / "results.jsonl"
    low, high, guessed = (tk.summarize(path, min_confidence=floor) for floor in (5, 50, None))
    for one, other in ((low, high), (high, low), (low, guessed), (guessed, high)):
        with pytest.raises(InvalidArgument, match="nothing is known below"):
            one + other
    assert (low + low).min_confidence == 5


def test_a_misspelt_label_of_a_policy_is_warned_of_once_for_the_whole_collection(make, recwarn) -> None:
    for number, label in enumerate(("House label", "Gambling")):
        (make.folder / str(number)).mkdir()
        make.write([result_line(number, {label: 80})], f"{number}/results.jsonl")
    rules = {"House label": tk.Rule(block=60), "gambling": tk.Rule(block=60)}
    whole = tk.summarize(make.folder, policy=tk.Policy(rules), min_confidence=0)
    assert not recwarn.list
    whole.forecast()
    (said,) = recwarn.list
    assert "gambling is neither in the taxonomy nor reported" in str(said.message)
