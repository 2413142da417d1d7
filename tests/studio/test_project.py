"""What users opened is kept in the project's folder: after a restart the same link shows the same."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import toolkit as tk
from tests.studio.conftest import N, Open
from tests.studio.pages import counts, field, open_manifest, press, shown
from toolkit.studio import connection, source


@pytest.fixture
def restart():
    """Forgets all that a process remembers, as its end does."""
    return st.cache_resource.clear


def opened(folder: Path) -> dict:
    return json.loads((folder / "studio.json").read_text())


def upload_samples(app: AppTest, name: str, data: bytes) -> None:
    app.file_uploader[-1].upload(name, data)
    press(app, "Load")


def test_what_was_opened_is_there_after_a_restart(workspace, open_app: Open, restart):
    tk.Workspace(workspace.folder, {}, None, workspace.images).save()
    folder = str(workspace.folder)
    path = str(workspace.path("runs/adapter/results.jsonl"))
    app = open_app("--dir", folder, "--page", "runs")
    open_manifest(app, path)
    app = open_app("--dir", str(folder), "--page", "runs")
    upload_samples(app, "mine.csv", workspace.path("test.csv").read_bytes())
    field(app, "Endpoint").set_value("http://ann:secret@127.0.0.1:9")
    press(app, "Connect")
    restart()
    again = open_app("--dir", folder, "--page", "tune", run=path, label="Gambling")
    assert "not open here" not in shown(again)
    assert again.selectbox(key="run").value == path
    assert "no labelled samples" not in shown(again)
    assert source.desk().samples.name == "mine.csv"
    assert source.desk().connection.endpoint == "http://127.0.0.1:9"
    assert "secret" not in (workspace.folder / "studio.json").read_text()
    press(open_app("--dir", folder, "--page", "runs"), "Close")
    restart()
    assert path not in open_app("--dir", folder).query_params.values()


def test_a_service_is_not_lost_where_its_page_is_left_while_it_starts(workspace, open_app: Open, monkeypatch):
    class Left(BaseException):
        """As Streamlit ends a script, at the next thing that it draws."""

    @contextmanager
    def spinner(_: str) -> Iterator[None]:
        yield
        raise Left

    open_app("--dir", str(workspace.folder))
    monkeypatch.setattr(connection.st, "spinner", spinner)
    with pytest.raises(Left):
        connection.start(workspace)
    desk = source.desk()
    try:
        assert desk.connection.endpoint == desk.served == desk.service.endpoint_url
        assert connection.listens(desk.service.endpoint_url)
    finally:
        desk.service.stop()


def test_a_project_that_was_handed_on_connects_to_no_stranger(workspace, open_app: Open, restart):
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    field(app, "Endpoint").set_value("http://127.0.0.1:9")
    press(app, "Connect")
    path = workspace.folder / "studio.json"
    assert "127.0.0.1:9" in path.read_text()
    path.write_text(path.read_text().replace("127.0.0.1:9", "collector.invalid"))
    restart()
    open_app("--dir", str(workspace.folder), "--page", "runs")
    assert source.desk().connection == source.Connection()
    assert not source.desk().chosen


def test_a_project_that_was_moved_still_finds_what_lies_in_it(workspace, open_app: Open, restart, tmp_path):
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    upload_samples(app, "mine.csv", workspace.path("test.csv").read_bytes())
    workspace.folder.rename(tmp_path / "elsewhere")
    restart()
    app = open_app("--dir", str(tmp_path / "elsewhere"), "--page", "runs")
    assert not app.error
    assert f"mine.csv: {N} images, 2 labels judged" in [text.value for text in app.text]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is damaged"),
        ("[]", "it is damaged"),
        ('{"version": 2}', "it is of version 2, and this toolkit reads version 1"),
        ('{"version": 1, "opened": [{"name": 3}]}', "it is damaged"),
    ],
)
def test_a_file_that_is_not_understood_is_set_aside_and_said(workspace, open_app: Open, text: str, why: str):
    (workspace.folder / "studio.json").write_text(text)
    (workspace.folder / "studio-1.json").write_text("of an earlier time")
    app = open_app("--dir", str(workspace.folder))
    assert not app.exception
    assert why in shown(app)
    assert "studio-2.json" in shown(app)
    assert (workspace.folder / "studio-2.json").read_text() == text
    assert (workspace.folder / "studio-1.json").read_text() == "of an earlier time"
    assert counts(app)["Images analyzed"] == str(N)
    press(app, "I have read it")
    assert why not in shown(app)


def test_what_another_studio_opens_in_the_project_is_seen_here(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    open_manifest(app, str(workspace.path("runs/base/results.jsonl")))
    document = opened(workspace.folder)
    document["opened"].append(document["opened"][0] | {"name": "by a colleague"})
    (workspace.folder / "studio.json").write_text(json.dumps(document))
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    assert "by a colleague" in source.desk().sources
    press(app, "Close")
    assert [run["name"] for run in opened(workspace.folder)["opened"]] == ["by a colleague"]


def test_runs_of_the_local_service_are_found_at_its_next_address(workspace, open_app: Open, restart):
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    app.default_timeout = 90
    press(app, "Start the local service")
    here = source.desk()
    first = here.connection
    here.sources["job"] = source.Source("job", "s3://nowhere/results.jsonl", connection=first, s3=True)
    app.run()
    here.service.stop()
    restart()
    app = open_app("--dir", str(workspace.folder), "--page", "runs")
    assert "The local service has ended" in shown(app)
    app = open_app("--dir", str(workspace.folder), run="job")
    app.default_timeout = 90
    assert "local service, which does not run" in shown(app)
    press(app, "Start the local service")
    try:
        desk = source.desk()
        assert connection.listens(desk.connection.endpoint)
        assert desk.sources["job"].connection == desk.connection != first
        assert "there is no such" in shown(app)
    finally:
        source.desk().service.stop()


def test_runs_of_the_demos_service_are_found_where_the_demo_says_it_is_now(workspace, open_app: Open, restart):
    (workspace.folder / "service.sqlite").touch()
    before, now = "http://127.0.0.1:9", "http://127.0.0.1:8"
    app = open_app("--dir", str(workspace.folder), "--endpoint", before)
    results = str(workspace.path("runs/base/results.jsonl"))
    source.desk().sources["job"] = source.Source("job", results, connection=source.Connection(before))
    app.run()
    assert opened(workspace.folder)["connection"]["endpoint"] is None
    restart()
    open_app("--dir", str(workspace.folder), "--endpoint", now)
    assert source.desk().sources["job"].connection == source.desk().connection == source.Connection(now)


@pytest.mark.parametrize("page", ["explore", "label", "tune", "compare", "report", "runs"])
def test_every_page_can_start_a_project(tmp_path, open_app: Open, page: str):
    folder = tmp_path / "new"
    app = open_app("--dir", str(folder), "--page", page)
    assert not app.exception
    assert not app.error
    assert not folder.exists()
    assert any(str(folder) in text.value for text in app.text)
    press(app, "Start a project here")
    assert not app.error
    assert tk.Workspace.load(folder).runs == {}
    assert not any(button.label == "Start a project here" for button in app.button)
    assert app.get("page_link") or page == "runs"


def test_what_was_done_without_a_project_goes_into_it(workspace, open_app: Open, restart, tmp_path):
    folder, path = tmp_path / "new", str(workspace.path("runs/adapter/results.jsonl"))
    app = open_app("--dir", str(folder), "--page", "runs")
    open_manifest(app, path)
    app = open_app("--dir", str(folder), "--page", "runs")
    upload_samples(app, "mine.csv", workspace.path("test.csv").read_bytes())
    app = open_app("--dir", str(folder), "--page", "label", run=path, label="Gambling")
    assert "Labels are kept in a project" in shown(app)
    press(app, "Start a project here")
    field(app, "Your name").set_value("ann").run()
    press(app, "Present (P)")
    restart()
    again = open_app("--dir", str(folder), "--page", "tune", run=path, label="Gambling")
    assert not again.error
    assert again.selectbox(key="run").value == path
    assert source.desk().samples.name == "mine.csv"
    assert Path(source.desk().samples.location).is_relative_to(folder)
    assert len(tk.LabelLog(folder / "labels.jsonl").judgements("Gambling")) == 1


def test_the_policy_of_a_session_without_a_project_goes_into_it(tmp_path, open_app: Open):
    app = open_app("--dir", str(tmp_path), "--page", "runs")
    app.session_state["policy of this session"] = tk.Policy({"Gambling": tk.Rule(block=80.0)})
    press(app, "Start a project here")
    assert tk.Policy.load(tmp_path / "policy.json").rules["Gambling"].block == 80
