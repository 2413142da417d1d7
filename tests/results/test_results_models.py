import warnings

import pandas as pd
import pytest
from helpers import ref, result_line

import toolkit as tk
from toolkit import manifests, taxonomy
from toolkit.errors import InvalidArgument


def test_runs_of_two_models_on_the_same_images_are_not_one_collection(make) -> None:
    base = make.write([result_line(0, {"Gambling": 90})], "base.jsonl")
    adapter = make.write([result_line(0, {"Gambling": 95}, project_version="arn:x")], "adapter.jsonl")
    other = make.write([result_line(1, {"Gambling": 95}, project_version="arn:x")], "other.jsonl")
    with pytest.raises(InvalidArgument, match=r"different models on the same images; read them one by one: .*base"):
        tk.read_results([base, adapter])
    assert tk.read_results([base, other]).n_images == 2


def six(number: int, *labels: tuple[str, float, str]) -> str:
    """A results line of model 6.1: label, confidence, parent."""
    found = [manifests.Label(name, value, parent, 2 if parent else 1) for name, value, parent in labels]
    return manifests.to_line(manifests.result_record(ref(number), found, model_version="6.1"))


def test_model_6_is_translated_and_says_what_had_no_counterpart(make) -> None:
    path = make.write(
        [
            six(0, ("Female Swimwear Or Underwear", 90, "Suggestive"), ("Suggestive", 90, "")),
            six(1, ("Suggestive", 70, "")),
            six(2, ("Drug Use", 60, "Drugs"), ("Drugs", 60, ""), ("Tobacco", 80, ""), ("New Thing", 55, "")),
            six(3, ("Illustrated Explicit Nudity", 65, "Explicit Nudity"), ("Explicit Nudity", 65, "")),
            six(4),
            result_line(5, {"Explicit Nudity": 99}),
        ]
    )
    results = tk.read_results(path)
    with pytest.warns(
        UserWarning, match=r"no counterpart in model 7.0, kept .*: New Thing \(1 .*Suggestive \(1 images"
    ):
        lifted = results.to_taxonomy("7.0")
    found = {
        image: {row.name: (row.parent, row.level, row.confidence) for row in rows.itertuples(index=False)}
        for image, rows in lifted.labels.groupby("image")
    }
    drugs, use = "Drugs & Tobacco", "Drugs & Tobacco Paraphernalia & Use"
    assert found == {
        0: {
            "Female Swimwear or Underwear": ("Swimwear or Underwear", 2, 90),
            "Swimwear or Underwear": ("", 1, 90),
        },
        1: {"Suggestive": ("", 1, 70)},
        2: {drugs: ("", 1, 80), use: (drugs, 2, 60), "New Thing": ("", 1, 55)},
        3: {"Explicit Nudity": ("Explicit", 2, 65), "Explicit": ("", 1, 65)},
        5: {"Explicit Nudity": ("Explicit", 2, 99)},
    }
    assert lifted.images["content_type"].tolist()[3] == "Illustrated"
    assert lifted.images["model_version"].tolist() == ["6.1"] * 5 + ["7.0"]
    assert lifted.n_images == 6
    assert lifted.overview().set_index("label").loc[use, "images"] == 1
    with pytest.raises(InvalidArgument, match="can be translated to"):
        results.to_taxonomy("8")


def nude(number: int) -> str:
    """What model 6.1 calls Explicit Nudity is Explicit in 7.0, which calls something below it Explicit Nudity."""
    return six(number, ("Nudity", 90 - number, "Explicit Nudity"), ("Explicit Nudity", 90 - number, ""))


@pytest.mark.parametrize(
    "ask",
    [
        lambda run, _: run.overview(),
        lambda run, truth: tk.threshold_curve(run, truth, "Explicit Nudity"),
        lambda run, truth: tk.compare(run, run, truth, "Explicit Nudity", 60),
        lambda run, _: tk.drift(run, run),
        lambda run, _: tk.Policy({"Explicit": tk.Rule(block=60)}).forecast(run),
        lambda run, _: tk.sample_for_labeling(run, 4, "Explicit Nudity"),
    ],
)
@pytest.mark.parametrize("mixed", [False, True])
def test_what_model_6_said_is_never_taken_for_labels_of_model_7_in_silence(make, ask, mixed: bool) -> None:
    newest = result_line(3, {"Explicit": 95, "Explicit Nudity": 95}) if mixed else nude(3)
    run = tk.read_results(make.write([*map(nude, range(3)), newest]), min_confidence=50)
    truth = make.truth("Explicit Nudity", [True, False, True, False])
    answered = "6.1 and 7.0" if mixed else "6.1"
    with pytest.warns(
        UserWarning, match=f"answered by model {answered}; labels of 6.1 are not .*--taxonomy 7.0"
    ) as said:
        ask(run, truth)
    assert "results.jsonl" in str(said[0].message)
    assert len(said) == 1
    for quiet in (run.to_taxonomy("7.0"), make.results({"Explicit Nudity": 90}, {}, {}, {}, min_confidence=50)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ask(quiet, truth)
    assert set(tk.Policy({"Explicit": tk.Rule(block=60)}).decide(run.to_taxonomy("7.0"))["decision"]) == {"block"}


def test_a_model_whose_labels_nobody_can_translate_is_said(make) -> None:
    with pytest.warns(UserWarning, match="answered by model 8.0.*look at the results of each model by themselves"):
        make.results({"Gambling": 90}, model_version="8.0").scores("Gambling")
    both = tk.read_results(make.write([nude(0), result_line(1, {"Gambling": 90}, model_version="8.0")]))
    for ask in (
        lambda: both.to_taxonomy("7.0").overview(),
        lambda: tk.summarize(make.folder / "results.jsonl", taxonomy="7.0"),
    ):
        with pytest.warns(UserWarning, match="labels of 8.0 are not"):
            ask()


def test_what_was_translated_stays_as_it_is(make) -> None:
    run = tk.read_results(
        make.write([nude(0), six(1, ("Suggestive", 70, "")), result_line(2, {"Explicit Nudity": 99})])
    )
    with pytest.warns(UserWarning, match="no counterpart"):
        once = run.to_taxonomy("7.0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twice = once.where(once.images["image"].to_numpy() < 9).to_taxonomy("7.0")
    pd.testing.assert_frame_equal(twice.labels, once.labels)
    assert twice.scores("Explicit").tolist()[0] == once.scores("Explicit Nudity").tolist()[0] == 90
    assert twice.images["model_version"].tolist() == ["6.1", "6.1", "7.0"]
    assert twice.translated


def test_every_label_of_model_6_has_a_place_in_the_tree_of_model_7() -> None:
    assert set(taxonomy.FROM_6_1.values()) <= set(taxonomy.PARENTS)
