"""What the studio opens: workspaces, manifests, labelled samples and pictures, here and in S3."""

import os
import re
from dataclasses import replace

import boto3
import pytest
from moto import mock_aws

import toolkit as tk
from tests.studio.conftest import N, Open, make_workspace, picture
from tests.studio.pages import counts, field, load_samples, open_app_again, open_manifest, press, shown
from toolkit import storage
from toolkit.studio import pictures, source


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


def test_a_broken_workspace_still_lets_another_manifest_be_opened(tmp_path, open_app: Open):
    (tmp_path / "workspace.json").write_text("{")
    app = open_app("--dir", str(tmp_path), "--page", "runs")
    assert "not a workspace" in shown(app)
    assert app.text_input


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "a\0b.jpg", "x" * 5000, "missing.jpg"])
def test_a_picture_outside_the_workspace_is_never_opened(workspace, open_app: Open, name):
    (workspace.folder.parent / "secret.jpg").write_bytes((workspace.folder / "images" / "image-00.jpg").read_bytes())
    results = workspace.results("adapter")
    here = source.Source("adapter", "results.jsonl")
    view = source.View(here, results, None, None, None, workspace, (here,))
    for reference in (f"s3://demo-images/{name}", name):
        (answer,) = pictures.tiles(view, [reference], blur=True)
        assert isinstance(answer, str)


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


def test_a_run_in_a_service_that_has_ended_is_one_box_that_starts_it(workspace, open_app: Open):
    gone = source.Connection("http://127.0.0.1:9")
    open_app("--dir", str(workspace.folder))
    source.desk().served = gone.endpoint
    source.desk().sources["there"] = source.Source("there", "s3://studio/results.jsonl", connection=gone)
    app = open_app_again("--dir", str(workspace.folder), run="there")
    assert "in the project's local service, which does not run" in shown(app)
    assert not app.error
    assert any(button.label == "Start the local service" for button in app.button)
