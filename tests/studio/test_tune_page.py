"""The page of thresholds, in Streamlit's own harness: what it shows is what the library says."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from tests.studio.conftest import PREFIX, N, Open, make_workspace
from tests.studio.pages import explorer, links, open_app_again, press, shown
from toolkit.confidence import written
from toolkit.studio import kept, mistakes, pictures, source


@pytest.fixture
def curve(workspace: tk.Workspace) -> tk.ThresholdCurve:
    samples = workspace.samples()
    assert samples is not None
    return tk.threshold_curve(workspace.results("adapter"), samples, "Gambling")


@pytest.mark.parametrize("threshold", [50.0, 71.3, 75.0, 90.0, 100.0])
def test_the_page_shows_exactly_what_the_library_says(workspace, open_app: Open, curve, threshold):
    address = {"run": "adapter", "label": "Gambling", "threshold": f"{threshold:g}"}
    app = open_app("--dir", str(workspace.folder), "--page", "tune", **address)
    point, given = curve.at(threshold), explorer(app)
    assert not app.exception
    assert not app.error
    row = given["threshold"].index(threshold)
    assert [given[name][row] for name in ("tp", "fp", "fn", "tn")] == [point.tp, point.fp, point.fn, point.tn]
    assert given["recall"][row] == pytest.approx(point.recall)
    assert [heading.value for heading in app.subheader][:2] == [
        f"False positives: {point.fp}",
        f"False negatives: {point.fn}",
    ]


def test_the_suggestion_is_the_librarys_and_one_click_takes_it(workspace, open_app: Open, curve):
    address = {"run": "adapter", "label": "Gambling", "threshold": "51"}
    app = open_app("--dir", str(workspace.folder), "--page", "tune", **address)
    app.button(key="use").click().run()
    choice = tk.choose_threshold(curve, "precision>=0.9")
    assert choice.point is not None
    there = curve.at(explorer(app)["value"]["block"])
    assert (there.tp, there.fp) == (choice.point.tp, choice.point.fp)
    assert app.subheader[0].value == f"False positives: {choice.point.fp}"


@pytest.mark.parametrize("objective", ["recall>=0.99", "f2"])
def test_any_objective_of_the_library_can_be_asked_for(workspace, open_app: Open, curve, objective):
    app = open_app("--dir", str(workspace.folder), "--page", "tune", objective=objective)
    assert tk.choose_threshold(curve, objective).reason in shown(app)


def test_a_promise_is_made_or_refused_as_the_library_does(workspace, open_app: Open, curve):
    app = open_app("--dir", str(workspace.folder), "--page", "tune", objective="precision>=0.9", sure="promised, 95 %")
    promised = tk.choose_threshold(curve, "precision>=0.9", confidence_level=0.95)
    assert promised.reason in shown(app)
    app.selectbox(key="sure").select("on this sample").run()
    assert tk.choose_threshold(curve, "precision>=0.9").reason in shown(app)
    app.selectbox(key="objective").select("f1").run()
    app.selectbox(key="sure").select("promised, 99 %").run()
    assert "'f1' cannot be promised; promise a bound, such as precision>=0.9, or choose “on this sample”" in shown(app)
    assert tk.choose_threshold(curve, "f1").reason in shown(app)
    assert explorer(app)
    assert not app.exception


def test_an_objective_that_cannot_be_read_is_one_sentence(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "tune", objective="as good as possible")
    assert "'as good as possible' is not an objective" in shown(app)
    assert not app.exception


def test_why_there_is_no_suggestion_is_said(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "tune", run="base", label="Gambling")
    assert "the model reported Gambling on none of the" in shown(app)
    assert explorer(app)["fn"][0] == sum(number % 3 == 0 for number in range(N))


def test_judged_images_without_a_result_are_counted_out_loud(workspace, open_app: Open):
    path = workspace.path("runs/adapter/results.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-3]))
    app = open_app("--dir", str(workspace.folder), "--page", "tune")
    assert "3 judged images have no result in this run and do not count." in [text.value for text in app.caption]


def test_without_samples_the_page_asks_for_some(workspace, open_app: Open):
    tk.Workspace(workspace.folder, workspace.runs, None, workspace.images).save()
    app = open_app("--dir", str(workspace.folder), "--page", "tune")
    assert "no labelled samples yet" in shown(app)
    assert not app.slider


def test_without_samples_tune_leads_to_labelling_and_to_loading(workspace, open_app: Open):
    tk.Workspace(workspace.folder, workspace.runs, None, workspace.images).save()
    app = open_app("--dir", str(workspace.folder), "--page", "tune")
    assert "Label some images" in shown(app)
    assert links(app) == {"label", "runs"}


def test_a_label_that_nobody_judged_leads_to_labelling_it_and_the_policy_stays(workspace, open_app: Open):
    tk.Policy({"Gambling": tk.Rule(block=80.0)}).save(workspace.folder / "policy.json")
    app = open_app("--dir", str(workspace.folder), "--page", "tune", run="base", label="Explicit")
    assert not app.error
    assert "Nobody has judged Explicit on images of base" in shown(app)
    assert links(app) == {"label"}
    assert [table.value["label"].tolist() for table in app.dataframe] == [["Gambling", "Violence"]]


def test_the_policy_stays_where_the_objective_cannot_be_read(workspace, open_app: Open):
    tk.Policy({"Gambling": tk.Rule(block=80.0)}).save(workspace.folder / "policy.json")
    app = open_app("--dir", str(workspace.folder), "--page", "tune", objective="as good as possible")
    assert "is not an objective" in shown(app)
    (table,) = [each.value for each in app.dataframe]
    assert table["block"].iloc[0] == 80
    assert table["suggested"].isna().all()


def metadata(*columns: str) -> bytes:
    """A column `land` and one `country`, which is one of two."""
    given = [{"source_ref": f"{PREFIX}image-{n:02}.jpg", "land": n, "country": ("de", "fr")[n % 2]} for n in range(N)]
    return pd.DataFrame(given)[["source_ref", *columns]].to_csv(index=False).encode()


def test_every_column_of_the_slices_says_what_it_is(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "tune", run="adapter", label="Gambling", slices="on")
    app.file_uploader(key="metadata").upload("mine.csv", metadata("country")).run()
    (table,) = [each for each in app.dataframe if "slice" in each.value]
    headings = [column["label"] for column in json.loads(table.proto.columns).values() if "label" in column]
    assert {f"{rate} {end}" for rate in ("Precision", "Recall") for end in ("from", "to")} <= set(headings)
    assert len(headings) == len(set(headings))


def test_the_metadata_and_what_is_sliced_by_stay_until_removed(workspace, open_app: Open):
    given = ("--dir", str(workspace.folder), "--page", "tune")
    app = open_app(*given, run="adapter", label="Gambling")
    app.toggle(key="slices").set_value(True).run()
    app.file_uploader(key="metadata").upload("mine.csv", metadata("land", "country")).run()
    app.selectbox(key="slice by").select("country").run()
    assert not app.error
    link = {"run": "adapter", "label": "Gambling", "slices": "on", "by": "country"}
    assert {name: app.query_params[name] for name in link} in (link, {name: [link[name]] for name in link})
    again = open_app(*given, **link)
    assert again.selectbox(key="slice by").value == "country"
    (table,) = [each.value for each in again.dataframe if "slice" in each.value]
    assert set(table["slice"]) == {"de", "fr"}
    again.file_uploader(key="metadata").upload("bad.csv", b"a,b\n1,2\n").run()
    assert "bad.csv: no table with a column source_ref" in shown(again)
    again = open_app(*given, **link)
    again.file_uploader(key="metadata").upload("new.csv", metadata("country")).run()
    assert again.selectbox(key="slice by").options == ["country"]
    press(again, "Remove it")
    assert "slice by" not in {box.key for box in again.selectbox}
    assert not list(workspace.folder.rglob("metadata*"))


def test_pictures_are_blurred_until_asked(workspace, open_app: Open, monkeypatch):
    asked: list[bool] = []

    def spied(data: bytes, size: int, *, blur: bool) -> bytes:
        asked.append(blur)
        return tk.thumbnail(data, size, blur=blur)

    monkeypatch.setattr(pictures, "thumbnail", spied)
    address = {"run": "adapter", "label": "Gambling", "threshold": "50"}
    app = open_app("--dir", str(workspace.folder), "--page", "tune", **address)
    assert asked
    assert not any(asked)  # the browser blurs them
    app.button_group(key="images shown").set_value("Blurred").run()
    assert asked[-1]


def test_a_gallery_shows_a_few_and_more_when_asked(workspace, open_app: Open, curve):
    address = {"run": "adapter", "label": "Gambling", "threshold": "50"}
    app = open_app("--dir", str(workspace.folder), "--page", "tune", **address)
    assert curve.at(50).fp > 18
    assert len(app.get("image")) == 6
    app.button(key="wrong more").click().run()
    assert len(app.get("image")) == 18


def test_one_threshold_has_one_form_on_the_whole_page(workspace, open_app: Open, curve):
    suggested = tk.choose_threshold(curve, "recall>=0.9").threshold
    assert suggested is not None
    block, form = float(np.float32(73.23456)), "73.23456"
    tk.Policy({"Gambling": tk.Rule(block=block)}).save(workspace.path("policy.json"))
    address = {"run": "adapter", "label": "Gambling", "objective": "recall>=0.9", "threshold": form, "below": "Policy"}
    app = open_app("--dir", str(workspace.folder), "--page", "tune", **address)
    assert app.button(key="use").label == f"Use {written(suggested)}"
    put_in = next(button for button in app.button if button.label == f"Put into the policy: block from {form}")
    assert put_in.disabled
    assert any(f"block from {form}. With all its rules" in each.value.replace("\\", "") for each in app.caption)
    row = app.dataframe[0].value.iloc[0]
    assert (row["block"], row["suggested"]) == (float(form), float(written(suggested)))
    assert app.query_params["below"] in ("Policy", ["Policy"])
    assert not [heading.value for heading in app.subheader if heading.value.startswith("False positives")]


def test_mistakes_are_the_curves_and_the_worst_stand_first(workspace, open_app: Open, curve):
    here = source.sources(workspace, None)["adapter"]
    samples = source.samples_of(workspace)
    assert samples is not None
    for block in (50, 60.5, 80, 100):
        wrong, missed = mistakes.mistakes(kept.judged(here, samples, "Gambling"), block)
        assert (len(wrong), len(missed)) == (curve.at(block).fp, curve.at(block).fn)
        assert wrong["confidence"].is_monotonic_decreasing
        assert missed["confidence"].is_monotonic_increasing


def test_runs_of_another_collection_are_named_in_one_caption(workspace, open_app: Open):
    other = workspace.folder / "runs" / "other"
    other.mkdir()
    (other / "results.jsonl").write_text(
        workspace.path("runs/base/results.jsonl").read_text().replace(PREFIX, "s3://elsewhere/")
    )
    runs = workspace.runs | {name: tk.Run("runs/other/results.jsonl", 50.0) for name in ("may", "june")}
    tk.Workspace(workspace.folder, runs, workspace.truth, workspace.images).save()
    app = open_app("--dir", str(workspace.folder), "--page", "tune")
    assert not app.error
    captions = [re.sub(r"\\(.)", r"\1", caption.value) for caption in app.caption]
    assert "Not compared, as none of the images judged here is in them: may, june." in captions


def test_a_damaged_policy_is_named_by_its_whole_path(tmp_path, open_app: Open):
    workspace = make_workspace(tmp_path / "a;b")
    workspace.path("policy.json").write_text("no policy")
    app = open_app("--dir", str(workspace.folder), "--page", "tune", run="adapter", label="Gambling")
    assert f"{workspace.path('policy.json')}: " in shown(app)


def test_a_volume_beyond_measure_is_none(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "tune", run="adapter", label="Gambling", volume="1e308")
    assert explorer(app)["value"]["volume"] == 1e12


def test_a_rule_that_flags_nothing_is_said_where_the_policy_is(workspace, open_app: Open):
    tk.Policy({"Gambling": tk.Rule(block=80.0), "Gamblign": tk.Rule(block=70.0)}).save(workspace.path("policy.json"))
    app = open_app("--dir", str(workspace.folder), "--page", "tune", run="adapter", label="Gambling", below="Policy")
    assert "Gamblign is neither in the taxonomy nor reported in this run" in shown(app)
    assert "did you mean Gambling?" in shown(app)
    assert not app.error


@pytest.mark.parametrize("about", [{}, {"label": "Gambling"}, {"run": "adapter"}, {"run": "june", "label": "Gambling"}])
def test_a_threshold_is_that_of_the_run_and_label_that_are_shown_with_it(workspace, open_app: Open, about):
    app = open_app("--dir", str(workspace.folder), "--page", "tune", threshold="60", **about)
    assert explorer(app)["value"]["block"] == 60
    assert "asks for" not in shown(app)
    app.selectbox(key="label").set_value("Violence").run()
    assert explorer(app)["value"]["block"] != 60


@pytest.mark.parametrize("asked", ["200", "-1", "nan", "3", "soon"])
def test_a_threshold_that_cannot_be_had_is_said(workspace, open_app: Open, curve, asked):
    app = open_app("--dir", str(workspace.folder), "--page", "tune", label="Gambling", threshold=asked)
    choice = tk.choose_threshold(curve, "precision>=0.9")
    assert choice.threshold is not None
    assert explorer(app)["value"]["block"] == choice.threshold
    said = f"asks for {asked} as the threshold; it can be a number from 50 to 100. Shown instead: "
    assert said + written(choice.threshold) in shown(app)


def test_a_review_band_above_the_threshold_is_said(workspace, open_app: Open):
    address = {"label": "Gambling", "threshold": "60", "review": "90"}
    app = open_app("--dir", str(workspace.folder), "--page", "tune", **address)
    assert explorer(app)["value"]["review"] is None
    assert (
        "asks for 90 as the start of the review band; it can be a number from 50 to 60. Shown instead: no review band."
        in shown(app)
    )


def test_weighted_rates_are_called_so(workspace, open_app: Open):
    samples = workspace.samples()
    assert samples is not None

    def said(app) -> bool:
        return any("are weighted" in caption.value for caption in app.caption) and explorer(app)["weighted"]

    assert not said(open_app("--dir", str(workspace.folder), "--page", "tune", label="Gambling"))
    table = samples.table.assign(weight=[1.0 + number % 2 for number in range(len(samples.table) // 2)] * 2)
    table.astype({"present": int}).to_csv(workspace.folder / "test.csv", index=False)
    assert said(open_app("--dir", str(workspace.folder), "--page", "tune", label="Gambling"))


def test_samples_in_place_of_the_workspaces_are_named_with_a_way_back(workspace, open_app: Open):
    here = ("--dir", str(workspace.folder), "--page", "tune")
    assert not any("Back to" in button.label for button in open_app(*here).button)
    mine = workspace.folder / "mine.csv"
    mine.write_bytes((workspace.folder / "test.csv").read_bytes())
    source.desk().samples = source.Samples("mine.csv", str(mine))
    app = open_app_again(*here)
    captions = [re.sub(r"\\(.)", r"\1", caption.value) for caption in app.caption]
    assert "Samples, for every label: mine.csv, in place of the workspace's test.csv." in captions
    press(app, "Back to the workspace's")
    assert source.samples_of(workspace).name == "test.csv"
    assert not any(button.label.startswith("Back to") for button in app.button)


def test_a_damaged_policy_is_put_aside_with_one_click_and_nothing_is_deleted(workspace, open_app: Open):
    path = workspace.path("policy.json")
    path.write_text("no policy")
    app = open_app("--dir", str(workspace.folder), "--page", "tune", run="adapter", label="Gambling", below="Policy")
    assert "Policy.save" not in shown(app)
    press(app, "Put it aside and begin anew")
    assert not app.error
    assert workspace.path("policy-1.json").read_text() == "no policy"
    assert not path.exists()
    assert "policy-1.json" in app.toast[0].value.replace("\\", "")
    assert not any(button.label == "Put it aside and begin anew" for button in app.button)


@pytest.mark.parametrize("page", ["tune", "compare"])
def test_samples_of_other_images_are_told_from_a_label_that_nobody_judged(workspace, open_app: Open, page: str):
    path = workspace.path("test.csv")
    path.write_bytes(path.read_bytes().replace(b"demo-images", b"elsewhere"))
    app = open_app("--dir", str(workspace.folder), "--page", page, run="adapter", label="Gambling")
    assert "adapter: Gambling: none of the 40 labelled images is among the 40 analyzed ones (labelled: " in shown(app)
    assert "labelled: s3://elsewhere/image-00.jpg, analyzed: s3://demo-images/image-00.jpg)" in shown(app)
    assert "Nobody has judged" not in shown(app)
    assert {"runs", "label"} <= links(app)


def test_a_policy_of_another_model_is_said_to_be(workspace, open_app: Open):
    policy = tk.Policy({"Gambling": tk.Rule(block=80.0)}, {"results": {"models": ["6.1"]}})
    policy.save(workspace.path("policy.json"))
    app = open_app("--dir", str(workspace.folder), "--page", "tune", run="adapter", label="Gambling", below="Policy")
    assert "This policy was chosen on answers of model 6.1, and these are of model" in shown(app)
