"""All pages, in Streamlit's own harness: their addresses, and a word where something is missing or wrong."""

import re
from dataclasses import replace

import pytest

import toolkit as tk
from tests.studio.conftest import HOSTILE, Open
from tests.studio.pages import counts, explorer, figure, shown
from toolkit.studio import kept


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


def test_an_adapter_that_did_not_answer_is_loud(workspace, open_app: Open):
    asked = replace(workspace.runs["adapter"], project_version="arn:aws:rekognition:1")
    tk.Workspace(workspace.folder, {"adapter": asked}, workspace.truth, workspace.images).save()
    app = open_app("--dir", str(workspace.folder))
    assert "asked for the adapter arn:aws:rekognition:1, but was answered by the base model" in shown(app)


def test_what_goes_wrong_unexpectedly_is_one_sentence_too(workspace, open_app: Open, monkeypatch, caplog):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(kept, "overview", broken)
    app = open_app("--dir", str(workspace.folder))
    assert not app.exception
    assert "Something went wrong here" in shown(app)
    assert "secret detail" not in shown(app)
    assert "secret detail" in caplog.text


def test_a_label_that_the_run_never_reported_is_said_so_instead_of_an_empty_chart(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), run="base", label="Gambling")
    assert "reported Gambling on none of its images" in shown(app)
    assert not app.exception


def test_what_people_found_and_the_run_reported_comes_first(workspace, open_app: Open):
    assert open_app("--dir", str(workspace.folder)).selectbox(key="label").value == "Gambling"
    assert open_app("--dir", str(workspace.folder), run="base").selectbox(key="label").value == "Explicit"


def test_an_address_of_what_is_not_here_says_so_until_another_is_chosen(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "tune", run="x1+e236614f", label="Smoking and more")
    assert "Run x1+e236614f is not open here" in shown(app)
    assert "Shown instead: adapter." in shown(app)
    assert "Label Smoking and more is neither in this run nor in the labelled samples" in shown(app)
    app.selectbox(key="run").select("base").run()
    assert "Shown instead" not in shown(app)
    assert "Shown instead" not in shown(open_app("--dir", str(workspace.folder), run="base"))


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
