"""The Runs page against a real local service: connect, check, start, watch, open."""

import os
import signal
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import toolkit as tk
from tests.studio.conftest import APP, Open, picture
from tests.studio.pages import field, load_samples, press, shown
from toolkit import storage
from toolkit.studio import connection, source, tasks

RESULTS = {"Bucket": "b", "Name": "results.jsonl"}


def wait_for_start(app: AppTest) -> None:
    for _ in range(120):
        app.run()
        if "started:" in shown(app) or app.error:
            return
        time.sleep(0.5)
    pytest.fail("no job was started within a minute")


def statuses(app: AppTest) -> list[str]:
    tables = [each.value for each in app.dataframe if "Status" in each.value.columns]
    return tables[0]["Status"].tolist() if tables else []


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(picture(number))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    return folder


def test_a_folder_is_checked_started_watched_and_opened(workspace, open_app: Open, endpoint, bucket, images):
    app = open_app("--dir", str(workspace.folder), "--page", "runs", "--endpoint", endpoint)
    field(app, "Images").set_value(str(images))
    field(app, "Results go to").set_value(f"s3://{bucket}/results/")
    field(app, "Job name").set_value("from-the-page")
    press(app, "Check first")
    assert not app.error
    assert any("images on this machine cost nothing" in caption.value for caption in app.caption)
    press(app, "Start")
    wait_for_start(app)
    assert "1 job started" in shown(app)
    client = tk.MediaAnalysis(endpoint_url=endpoint)
    (job,) = client.jobs(name="from-the-page")
    job.wait(timeout=60, progress=False)
    named = next(option for option in app.run().selectbox(key="ended").options if option.startswith("from-the-page"))
    app.selectbox(key="ended").select(named).run()
    assert statuses(app)[0] == "SUCCEEDED"
    press(app, "Open its results")
    assert not app.error
    name = f"from-the-page {job.id[:8]}"
    assert app.selectbox(key="run").value == name
    kept = tk.Workspace.load(workspace.folder)
    assert (list(kept.runs), kept.runs[name].job_id) == (["adapter", "base", name], job.id)
    assert kept.results(name).n_images == 3
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    press(app, "Close")
    assert not any(button.label == "Close" for button in app.button)
    assert list(tk.Workspace.load(workspace.folder).runs) == ["adapter", "base"]
    assert (workspace.folder / name / "results.jsonl").exists()


def test_what_cannot_be_analyzed_is_said_before_anything_is_started(
    workspace, open_app: Open, endpoint, bucket, tmp_path
):
    app = open_app("--dir", str(workspace.folder), "--page", "runs", "--endpoint", endpoint)
    press(app, "Check first")
    assert "Name the images" in shown(app)
    field(app, "Images").set_value(str(tmp_path / "nowhere"))
    press(app, "Check first")
    assert "nowhere" in shown(app)
    field(app, "Job name").set_value("with spaces")
    press(app, "Check first")
    assert "leave out spaces" in shown(app)
    assert not any(button.label == "Start" for button in app.button)


def test_uploaded_images_are_kept_in_the_workspace_and_analyzed(workspace, open_app: Open, endpoint, bucket):
    app = open_app("--dir", str(workspace.folder), "--page", "runs", "--endpoint", endpoint)
    app.file_uploader[0].upload("../../evil.jpg", picture(1)).upload("two.png", picture(2))
    field(app, "Results go to").set_value(f"s3://{bucket}/results/")
    press(app, "Check first")
    kept = sorted(path for path in (workspace.folder / "uploads").rglob("*") if path.is_file())
    assert sorted(path.read_bytes() for path in kept) == sorted([picture(1), picture(2)])
    press(app, "Start")
    wait_for_start(app)
    assert "1 job started" in shown(app)


def test_a_new_job_starts_at_the_next_min_confidence_of_the_policy(workspace, open_app: Open):
    def floor() -> float:
        app = open_app("--dir", str(workspace.folder), "--page", "runs")
        box = next(box for box in app.number_input if box.label == "MinConfidence (%)")
        assert ("as the policy" in " ".join(caption.value for caption in app.caption)) == (box.value != 50)
        return box.value

    assert floor() == 50
    tk.Policy({"Gambling": tk.Rule(block=98.0, review=73.458)}).save(workspace.path("policy.json"))
    assert floor() == 73.45
    workspace.path("policy.json").write_text("no policy")
    assert floor() == 50


def test_what_is_being_started_is_shown_after_a_reload_and_cancelled_from_there(workspace, open_app: Open, images):
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tasks.start("photos", ["analyze", f"--endpoint={address}", "--yes", "--json", "--", str(images), "s3://b/o/"])
        assert "starting photos" in shown(app.run())
        reloaded = AppTest.from_file(str(APP), default_timeout=30).run()
        assert "starting photos" in shown(reloaded)
        field(reloaded, "Images")  # something else can be analyzed meanwhile
        press(reloaded, "Cancel")
    assert "photos" not in shown(reloaded) + shown(app.run())


def test_a_line_that_was_not_analyzed_is_counted_in_the_list_of_jobs(workspace, open_app: Open, endpoint, bucket):
    session = tk.connect(endpoint)
    storage.write(f"s3://{bucket}/broken.jpg", b"\xff\xd8nothing", session=session)
    (manifest,) = tk.write_manifest([f"s3://{bucket}/broken.jpg"], f"s3://{bucket}/in.jsonl", session=session)
    job = tk.MediaAnalysis(session).start(manifest, f"s3://{bucket}/out/")
    job.wait(timeout=60, progress=False)
    app = open_app("--dir", str(workspace.folder), "--page", "runs", "--endpoint", endpoint)
    press(app, "Show the jobs of this account")
    rows = next(each.value for each in app.dataframe if "Status" in each.value.columns).set_index("Job")
    assert rows.loc[job.id, ["Status", "Images", "Not analyzed"]].tolist() == ["SUCCEEDED", "0 of 1", 1]
    reloaded = AppTest.from_file(str(APP), default_timeout=30).run()
    assert "SUCCEEDED" in statuses(reloaded)


def test_a_job_that_failed_says_why_and_what_to_do(workspace, open_app: Open, endpoint, monkeypatch):
    description = {
        "JobId": "0123456789abcdef",
        "JobName": "will-fail",
        "Status": "FAILED",
        "CreationTimestamp": datetime(2026, 11, 1, tzinfo=UTC),
        "FailureDetails": {"Code": "INVALID_KMS_KEY", "Message": "The key is disabled."},
    }
    monkeypatch.setattr(tk.MediaAnalysis, "jobs", lambda client: iter([tk.Job(client.session, description)]))
    app = open_app("--dir", str(workspace.folder), "--page", "runs", "--endpoint", endpoint)
    press(app, "Show the jobs of this account")
    assert app.selectbox(key="ended").value == "will-fail 01234567, FAILED"
    assert "INVALID_KMS_KEY: The key is disabled; name a KMS key that is enabled" in shown(app)


def test_an_endpoint_that_is_none_is_refused_in_one_sentence(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    field(app, "Endpoint").set_value("not a url")
    press(app, "Connect")
    assert "not a url" in shown(app)
    assert not source.desk().chosen


def test_without_a_region_the_page_says_which_field_to_fill(workspace, open_app: Open, monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    press(app, "Show the jobs of this account")
    assert "write one, such as eu-west-1, under Connection" in shown(app)
    assert "--region" not in shown(app)


def test_aws_is_chosen_by_a_click_and_stays_so_beside_an_endpoint_of_the_command_line(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    assert not source.desk().chosen
    press(app, "Connect")
    assert source.desk().chosen
    app = open_app("--dir", str(workspace.folder), "--page", "runs", "--endpoint", "http://127.0.0.1:1")
    field(app, "Endpoint").set_value("")
    press(app, "Connect")
    assert source.desk().connection == source.Connection()


def test_the_local_service_is_started_and_stopped_with_one_click(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    app.default_timeout = 90
    press(app, "Start the local service")
    try:
        assert not app.error
        url = source.desk().connection.endpoint
        assert any(url in text.value for text in app.text)
        assert list(tk.MediaAnalysis(endpoint_url=url).jobs()) == []
        press(app, "Show the jobs of this account")
        assert any("no jobs in this region yet" in caption.value for caption in app.caption)
    finally:
        press(app, "Stop it")
    assert source.desk().connection == source.Connection()


def test_a_service_that_was_killed_is_said_to_have_ended_and_can_be_started_again(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    app.default_timeout = 90
    press(app, "Start the local service")
    try:
        first = source.desk().service
        assert first is not None
        assert first.pid
        source.desk().sources["here"] = source.Source("here", "x", connection=source.desk().connection)
        os.kill(first.pid, signal.SIGKILL)
        while connection.answers(first):
            time.sleep(0.05)
        app.run()
        assert "The local service has ended" in shown(app)
        assert not any("The local service runs at" in text.value for text in app.text)
        press(app, "Start it again")
        second = source.desk().service
        assert second is not None
        assert connection.answers(second)
        assert source.desk().connection.endpoint == second.endpoint_url
        assert source.desk().sources["here"].connection == source.desk().connection
        del source.desk().sources["here"]
    finally:
        press(app.run(), "Stop it")


def test_the_demos_own_service_is_started_where_its_adapters_are(workspace, open_app: Open):
    assert connection.service_folder(workspace) == workspace.folder / "local-service"
    with tk.service.ServiceProcess(workspace.folder) as left:
        tk.connect(left.endpoint_url).client("rekognition").create_project(
            ProjectName="of-the-demo", Feature="CONTENT_MODERATION"
        )
        app = open_app("--dir", str(workspace.folder), "--page", "runs")
        app.default_timeout = 90
        press(app, "Start the local service")
        assert "another service uses this folder" in shown(app)
    press(app, "Start the local service")
    try:
        client = tk.connect(source.desk().connection.endpoint).client("rekognition")
        found = [
            project["ProjectArn"]
            for project in client.describe_projects(Features=["CONTENT_MODERATION"])["ProjectDescriptions"]
        ]
        assert len(found) == 1
        assert "of-the-demo" in found[0]
    finally:
        press(app, "Stop it")


def test_the_job_to_open_is_the_one_that_has_just_ended_until_one_is_chosen(workspace, open_app: Open, monkeypatch):
    def job(number: int) -> tk.Job:
        description = {"JobId": f"{number:016}", "JobName": f"job-{number}", "Status": "SUCCEEDED"}
        description |= {"CreationTimestamp": datetime(2026, 11, number, tzinfo=UTC)}
        return tk.Job(tk.connect("http://127.0.0.1:1"), description | {"Results": {"S3Object": RESULTS}})

    listed: list[tk.Job] = [job(1)]
    monkeypatch.setattr(tk.MediaAnalysis, "jobs", lambda _: iter(listed))
    monkeypatch.setattr("toolkit.studio.jobs._analyzed", lambda *_: None)
    app = open_app("--dir", str(workspace.folder), "--page", "runs", "--endpoint", "http://127.0.0.1:1")
    press(app, "Show the jobs of this account")
    assert app.selectbox(key="ended").value.startswith("job-1 ")
    listed.insert(0, job(2))
    assert app.run().selectbox(key="ended").value.startswith("job-2 ")
    app.selectbox(key="ended").select_index(1).run()
    listed.insert(0, job(3))
    assert app.run().selectbox(key="ended").value.startswith("job-1 ")


def test_samples_of_other_images_are_warned_of_when_they_are_loaded(workspace, open_app: Open):
    mine = workspace.folder / "mine.csv"
    mine.write_bytes(workspace.path("test.csv").read_bytes().replace(b"demo-images", b"elsewhere"))
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    load_samples(app, str(mine))
    example = "judged: s3://elsewhere/image-00.jpg, in adapter: s3://demo-images/image-00.jpg"
    assert f"None of the judged images is in an open run ({example})" in shown(app)
    source.desk().sources["theirs"] = source.Source("theirs", str(workspace.path("runs/base/results.jsonl")))
    assert "None of the judged images" not in shown(app.run())
    press(app, "Back to the workspace's samples")
    load_samples(app, str(workspace.path("test.csv")))
    assert "None of the judged images" not in shown(app)


def test_samples_are_closed_where_the_workspace_has_none(workspace, open_app: Open):
    given = str(workspace.path("test.csv"))
    tk.Workspace(workspace.folder, workspace.runs, None, workspace.images).save()
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    load_samples(app, given)
    assert not any(button.label.startswith("Back to") for button in app.button)
    press(app, "Close these samples")
    assert source.desk().samples is None
