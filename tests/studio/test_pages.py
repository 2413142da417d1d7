"""The pages, in Streamlit's own harness."""

import json
import os
import re
from dataclasses import replace
from typing import Any

import boto3
import numpy as np
import pandas as pd
import pytest
from moto import mock_aws
from streamlit.testing.v1 import AppTest

import toolkit as tk
from tests.studio.conftest import APP, HOSTILE, PREFIX, N, Open, make_workspace, picture
from toolkit import storage
from toolkit.confidence import written
from toolkit.studio import kept, mistakes, pictures, source


def counts(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def explorer(app: AppTest) -> dict[str, Any]:
    """What the threshold explorer in the browser is given."""
    return next(json.loads(each.proto.json) for each in app.get("bidi_component") if "threshold" in each.proto.json)


def figure(app: AppTest) -> str:
    return json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]["title"]["text"]


def shown(app: AppTest) -> str:
    """What the boxes on the page say, as a reader sees it."""
    boxes = [*app.error, *app.warning, *app.info, *app.success]
    return re.sub(r"\\(.)", r"\1", " ".join(str(box.value) for box in boxes))


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()


def open_manifest(app: AppTest, location: str) -> None:
    next(box for box in app.text_input if box.label == "Path or S3 URI").set_value(location)
    press(app, "Open")


def field(app: AppTest, label: str) -> Any:
    return next(box for box in app.text_input if box.label == label)


def load_samples(app: AppTest, location: str) -> None:
    [box for box in app.text_input if box.label == "Path or S3 URI"][1].set_value(location)
    press(app, "Load")


@pytest.fixture
def curve(workspace: tk.Workspace) -> tk.ThresholdCurve:
    samples = workspace.samples()
    assert samples is not None
    return tk.threshold_curve(workspace.results("adapter"), samples, "Gambling")


def test_the_demo_folder_is_found_by_itself(workspace, open_app: Open, monkeypatch):
    monkeypatch.chdir(workspace.folder.parent)
    app = open_app()
    assert not app.exception
    assert counts(app)["Images analyzed"] == str(N)
    assert counts(app)["With a label"] == str(N)
    assert counts(app)["Failed"] == "2"
    assert counts(app)["Floor"] == "50\xa0%"


def test_the_workspace_that_changed_last_is_found_where_there_is_no_demo(tmp_path, open_app: Open, monkeypatch):
    for age, name in enumerate(("new", "old")):
        made = make_workspace(tmp_path / name)
        os.utime(made.folder / "workspace.json", (1_000_000 - age, 1_000_000 - age))
    monkeypatch.chdir(tmp_path)
    assert "new" in open_app("--page", "runs").text[0].value


def test_without_a_workspace_every_page_says_what_to_do(tmp_path, open_app: Open, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for page in ("explore", "tune", "runs"):
        app = open_app("--page", page)
        assert not app.exception
        assert "modkit demo" in shown(app)


def test_another_label_is_another_distribution(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder))
    assert figure(app).startswith("Gambling")
    app.selectbox(key="label").set_value("Violence").run()
    assert figure(app).startswith("Violence")
    assert app.query_params["label"] == "Violence"


def test_errors_stand_in_a_table_as_they_are(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder))
    table = app.dataframe[1].value
    assert list(table["message"]) == ["The image is too large.", HOSTILE]
    assert list(table["line"]) == [3, 9]


def test_without_a_summary_explore_says_that_failures_are_unknown(workspace, open_app: Open):
    workspace.path("runs/adapter/manifest-summary.json").unlink()
    app = open_app("--dir", str(workspace.folder))
    assert counts(app)["Failed"] == "unknown"
    captions = " ".join(caption.value for caption in app.caption)
    assert "Which images failed is unknown: there is no manifest-summary.json beside the results." in captions
    assert "Every line" not in captions


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


def test_an_address_opens_what_it_names(workspace, open_app: Open):
    address = {"run": "adapter", "label": "Violence", "threshold": "77.7"}
    app = open_app("--dir", str(workspace.folder), "--page", "tune", **address)
    assert app.selectbox(key="label").value == "Violence"
    assert explorer(app)["value"]["block"] == 77.7
    assert {name: app.query_params[name] for name in address} == address


@pytest.mark.parametrize("threshold", ["nan", "-3", "soon", "1e9", ""])
def test_an_address_that_makes_no_sense_is_put_right(workspace, open_app: Open, threshold):
    address = {"run": "/etc/passwd", "label": "<b>", "threshold": threshold}
    app = open_app("--dir", str(workspace.folder), "--page", "tune", **address)
    assert not app.exception
    assert app.selectbox(key="run").value == "adapter"
    assert 50 <= explorer(app)["value"]["block"] <= 100


def test_a_path_that_leads_nowhere_is_one_sentence(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    open_manifest(app, "nowhere/results.jsonl")
    assert not app.exception
    assert len(app.error) == 1
    assert "reading nowhere/results.jsonl: no such file" in shown(app)
    assert any(button.label == "Load" for button in app.button)


def test_a_manifest_is_opened_chosen_and_found_again(workspace, open_app: Open):
    path = str(workspace.path("runs/base/results.jsonl"))
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    open_manifest(app, path)
    assert not app.error
    assert app.title[0].value == "Explore"
    assert app.selectbox(key="run").value == path
    again = open_app("--dir", str(workspace.folder), run=path)
    assert again.selectbox(key="run").value == path
    # Nobody gave its MinConfidence, so the floor is a guess, and said to be one.
    assert counts(again)["Floor"] == "61\xa0%"
    assert "nobody said what MinConfidence was" in " ".join(caption.value for caption in again.caption)


def test_results_and_pictures_come_from_s3(workspace, open_app: Open, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.chdir(tmp_path / "modkit-demo" / "images")
    results = "s3://demo-images/job/results.jsonl"
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="demo-images")
        storage.write(results, workspace.path("runs/adapter/results.jsonl").read_bytes())
        storage.write("s3://demo-images/test.csv", workspace.path("test.csv").read_bytes())
        storage.write("s3://demo-images/image-07.jpg", picture(7))
        app = open_app("--page", "runs")
        load_samples(app, "s3://demo-images/test.csv")
        open_manifest(app, results)
        app = open_app("--page", "tune", run=results, label="Gambling", threshold="60")
    assert not app.error
    captions = " ".join(caption.value for caption in app.caption)
    assert captions.count("there is no such object") == 5
    assert len(app.get("image")) == 6


def test_an_adapter_that_did_not_answer_is_loud(workspace, open_app: Open):
    asked = replace(workspace.runs["adapter"], project_version="arn:aws:rekognition:1")
    tk.Workspace(workspace.folder, {"adapter": asked}, workspace.truth, workspace.images).save()
    app = open_app("--dir", str(workspace.folder))
    assert "asked for the adapter arn:aws:rekognition:1, but was answered by the base model" in shown(app)


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


def links(app: AppTest) -> set[str]:
    return {each.proto.page for each in app.get("page_link")}


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


def test_uploaded_samples_are_used_and_named_as_the_user_does(workspace, open_app: Open):
    tk.Workspace(workspace.folder, workspace.runs, None, workspace.images).save()
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    app.file_uploader[-1].upload(
        "../../mine.csv", b"source_ref,label,present\ns3://demo-images/image-00.jpg,Gambling,2\n"
    )
    press(app, "Load")
    assert "mine.csv: row 1: present is '2'" in shown(app)
    app.file_uploader[-1].upload("mine.csv", (workspace.folder / "test.csv").read_bytes())
    press(app, "Load")
    assert not app.error
    assert f"mine.csv: {N} images, 2 labels judged" in [text.value for text in app.text]


def test_what_goes_wrong_unexpectedly_is_one_sentence_too(workspace, open_app: Open, monkeypatch, caplog):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(kept, "overview", broken)
    app = open_app("--dir", str(workspace.folder))
    assert not app.exception
    assert "Something went wrong here" in shown(app)
    assert "secret detail" not in shown(app)
    assert "secret detail" in caplog.text


def test_a_broken_workspace_still_lets_another_manifest_be_opened(tmp_path, open_app: Open):
    (tmp_path / "workspace.json").write_text("{")
    app = open_app("--dir", str(tmp_path), "--page", "runs")
    assert "not a workspace" in shown(app)
    assert app.text_input


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


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "a\0b.jpg", "x" * 5000, "missing.jpg"])
def test_a_picture_outside_the_workspace_is_never_opened(workspace, open_app: Open, name):
    (workspace.folder.parent / "secret.jpg").write_bytes((workspace.folder / "images" / "image-00.jpg").read_bytes())
    results = workspace.results("adapter")
    here = source.Source("adapter", "results.jsonl")
    view = source.View(here, results, None, None, None, workspace, (here,))
    for reference in (f"s3://demo-images/{name}", name):
        (answer,) = pictures.tiles(view, [reference], blur=True)
        assert isinstance(answer, str)


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


def test_a_label_that_the_run_never_reported_is_said_so_instead_of_an_empty_chart(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), run="base", label="Gambling")
    assert "reported Gambling on none of its images" in shown(app)
    assert not app.exception


def test_what_people_found_and_the_run_reported_comes_first(workspace, open_app: Open):
    assert open_app("--dir", str(workspace.folder)).selectbox(key="label").value == "Gambling"
    assert open_app("--dir", str(workspace.folder), run="base").selectbox(key="label").value == "Explicit"


def test_a_run_is_named_by_what_tells_it_from_others(workspace, open_app: Open):
    arn = "arn:aws:rekognition:us-east-1:000000000000:project/cards/version/two/1700000000000"
    run = replace(workspace.runs["adapter"], project_version=arn, job_id="0123456789abcdef" * 4)
    tk.Workspace(workspace.folder, {"adapter": run}, workspace.truth, workspace.images).save()
    open_manifest(
        open_app("--dir", str(workspace.folder), "--page", "runs"), str(workspace.path("runs/base/results.jsonl"))
    )
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    assert app.selectbox(key="run").options == ["adapter", "…/runs/base"]
    said = [re.sub(r"\\(.)", r"\1", caption.value) for caption in app.caption]
    assert "MinConfidence 50 %, adapter cards/two, job 01234567" in said
    assert "MinConfidence unknown, base model" in said
    app.button(key="explore adapter").click().run()
    assert app.title[0].value == "Explore"
    assert app.query_params["run"] == "adapter"


def test_an_opened_run_can_be_closed_again(workspace, open_app: Open):
    path = str(workspace.path("runs/base/results.jsonl"))
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    open_manifest(app, path)
    assert app.selectbox(key="run").value == path
    app = open_app("--dir", str(workspace.folder), "--page", "runs", run=path)
    press(app, "Close")
    assert not app.exception
    assert app.selectbox(key="run").options == ["adapter", "base"]
    assert app.query_params["run"] == "adapter"
    assert "Opened here" not in [heading.value for heading in app.subheader]


def test_the_forms_reach_s3_where_the_app_was_told_to(workspace, open_app: Open, endpoint: str, bucket: str):
    session = tk.connect(endpoint)
    results = f"s3://{bucket}/job/results.jsonl"
    storage.write(results, workspace.path("runs/adapter/results.jsonl").read_bytes(), session=session)
    storage.write(f"s3://{bucket}/labels.csv", workspace.path("test.csv").read_bytes(), session=session)
    app = open_app("--dir", str(workspace.folder), "--page", "runs", "--endpoint", endpoint)
    assert field(app, "Endpoint").value == endpoint
    load_samples(app, f"s3://{bucket}/labels.csv")
    open_manifest(app, results)
    assert not app.error
    assert app.selectbox(key="run").value == results
    app = open_app("--dir", str(workspace.folder), "--page", "runs", "--endpoint", endpoint, run=results)
    assert f"s3://{bucket}/labels.csv: {N} images, 2 labels judged" in [text.value for text in app.text]
    field(app, "Endpoint").set_value("http://127.0.0.1:9")
    press(app, "Connect")
    load_samples(app, f"s3://{bucket}/labels.csv")
    assert "does not answer" in shown(app)


@pytest.mark.parametrize(("name", "data"), [("e.csv", b"source_ref,label,present\n"), ("e.jsonl", b"")])
def test_samples_that_say_nothing_do_not_replace_good_ones(workspace, open_app: Open, name: str, data: bytes):
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    app.file_uploader[-1].upload(name, data)
    press(app, "Load")
    assert f"{name}: " in shown(app)
    assert f"test.csv: {N} images, 2 labels judged" in [text.value for text in app.text]


def test_a_folder_is_answered_with_the_results_in_it(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    open_manifest(app, str(workspace.folder))
    for name in ("adapter", "base"):
        assert str(workspace.folder / "runs" / name / "results.jsonl") in shown(app)
    open_manifest(app, str(workspace.folder / "images"))
    assert "a folder without a results.jsonl in it" in shown(app)


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


def test_an_address_of_what_is_not_here_says_so_until_another_is_chosen(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "tune", run="x1+e236614f", label="Smoking and more")
    assert "Run x1+e236614f is not open here" in shown(app)
    assert "Shown instead: adapter." in shown(app)
    assert "Label Smoking and more is neither in this run nor in the labelled samples" in shown(app)
    app.selectbox(key="run").select("base").run()
    assert "Shown instead" not in shown(app)
    assert "Shown instead" not in shown(open_app("--dir", str(workspace.folder), run="base"))


def test_beside_an_unreadable_run_another_can_be_chosen(workspace, open_app: Open):
    workspace.path("runs/adapter/results.jsonl").unlink()
    app = open_app("--dir", str(workspace.folder), run="adapter")
    assert "no such file" in shown(app)
    assert "Choose another run at the left" in shown(app)
    assert "Nothing is open yet" not in shown(app)
    app.selectbox(key="run").select("base").run()
    assert not app.error
    assert counts(app)["Images analyzed"] == str(N)


def test_answers_of_an_older_model_are_shown_in_the_tree_of_this_one(tmp_path, open_app: Open):
    label = tk.manifests.Label("Illustrated Explicit Nudity", 90.0, "Explicit Nudity", 2)
    for version, said in (("6.1", "shown as those of 7"), ("8.0", "look at it by itself")):
        line = tk.manifests.result_record("s3://b/1.jpg", [label], model_version=version)
        path = tmp_path / f"{version}.jsonl"
        path.write_text(tk.manifests.to_line(line))
        app = open_app("--dir", str(tmp_path), "--page", "runs")
        open_manifest(app, str(path))
        assert not app.error
        told = " ".join(each.value for each in [*app.sidebar.caption, *app.warning])
        assert said in told
        assert app.selectbox(key="label").value == ("Explicit" if version == "6.1" else "Illustrated Explicit Nudity")


@pytest.mark.parametrize("page", ["explore", "tune", "report"])
def test_a_damaged_policy_is_said_once_on_every_page_that_uses_it(workspace, open_app: Open, page):
    workspace.path("policy.json").write_text("no policy")
    app = open_app("--dir", str(workspace.folder), "--page", page, run="adapter", label="Gambling", below="Policy")
    said = [shown(app), *(each.value for each in [*app.caption, *app.text, *app.markdown])]
    assert re.sub(r"\\(.)", r"\1", " ".join(said)).count("not a policy file") == 1
    assert len(app.error) == 1
    assert "not a policy file; " in shown(app)
    assert ". Until that is done, " in shown(app)
    assert not app.exception


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


def test_a_run_in_a_service_that_has_ended_is_one_box_that_starts_it(workspace, open_app: Open):
    gone = source.Connection("http://127.0.0.1:9")
    open_app("--dir", str(workspace.folder))
    source.desk().served = gone.endpoint
    source.desk().sources["there"] = source.Source("there", "s3://studio/results.jsonl", connection=gone)
    app = open_app_again("--dir", str(workspace.folder), run="there")
    assert "in the project's local service, which does not run" in shown(app)
    assert not app.error
    assert any(button.label == "Start the local service" for button in app.button)


def open_app_again(*arguments: str, **address: str) -> AppTest:
    """Another tab of the same studio: what was opened is still there."""
    app = AppTest.from_file(str(APP), default_timeout=30)
    app.query_params.update(address)
    return app.run()
