"""The Report page: one file that opens by itself, and tables that no spreadsheet runs."""

import io
import re

import pandas as pd
import pytest
from playwright.sync_api import expect

import toolkit as tk
from tests.studio.conftest import HOSTILE, N, Open, written
from tests.studio.pages import press, shown


def test_a_report_needs_a_run_and_a_label(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter")
    app.multiselect[0].set_value([])
    press(app, "Make the report")
    assert "Choose at least one run" in shown(app)


def test_a_report_begins_with_labels_that_somebody_reported_or_judged(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter")
    labels = next(box for box in app.multiselect if box.label == "Labels")
    assert set(labels.value) == {"Gambling", "Violence"}


def test_an_objective_that_cannot_be_read_is_one_sentence(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter")
    next(box for box in app.text_input if box.label.startswith("What the thresholds")).set_value("nonsense")
    press(app, "Make the report")
    assert "'nonsense' is not an objective" in shown(app)


def compared(workspace, open_app: Open):
    return open_app("--dir", str(workspace.folder), "--page", "compare", label="Gambling")


def test_title_and_objective_stand_in_the_address(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "report", title="June", goal="recall>=0.8")
    assert [app.text_input(key=f"report {name}").value for name in ("title", "goal")] == ["June", "recall>=0.8"]
    app.text_input(key="report title").set_value("July")
    press(app, "Make the report")
    assert (written(app)["title"], written(app)["goal"]) == ("July", "recall>=0.8")
    usual = open_app("--dir", str(workspace.folder), "--page", "report", objective="f1")
    assert not {"title", "goal"} & set(written(usual))


def test_every_table_can_be_made(workspace, open_app: Open):
    flips = re.search(r"flags: (\d+)", " ".join(heading.value for heading in compared(workspace, open_app).subheader))
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter", label="Gambling")
    rows = {"overview": 2, "images": N, "errors": 2, "judged": N, "policy": 2, "flips": int(flips[1])}
    for name, count in rows.items():
        app.selectbox(key="which").set_value(name).run()
        press(app, "Make the files")
        assert not app.error
        assert any(caption.value.startswith(f"{count:,} rows") for caption in app.caption)


def test_the_report_and_a_table_are_downloaded_and_open(open_page, browser, tmp_path):
    seen = open_page("/report?run=adapter&label=Gambling", viewport={"width": 1440, "height": 1200})
    page = seen.page
    page.get_by_role("button", name="Make the report").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("Download the report")).click()
    opened = browser.new_page()
    download.value.save_as(tmp_path / "report.html")
    opened.goto(f"file://{tmp_path}/report.html")
    opened.locator(".js-plotly-plot .main-svg").first.wait_for()
    expect(opened.get_by_role("heading", level=1)).to_have_text("Moderation report")
    opened.close()
    page.get_by_role("combobox", name="Table", exact=True).fill("errors")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Make the files").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = pd.read_csv(io.BytesIO(download.value.path().read_bytes()))
    assert rows["message"].tolist() == ["The image is too large.", HOSTILE]
    seen.settle()


def test_the_policy_table_has_every_label_and_what_its_rule_does(workspace, open_app: Open):
    tk.Policy({"Gambling": tk.Rule(block=73.0), "Alcohol": tk.Rule(block=60.0)}).save(workspace.path("policy.json"))
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter", label="Gambling")
    app.selectbox(key="which").set_value("policy").run()
    press(app, "Make the files")
    rows = app.dataframe[0].value.set_index("label")
    samples = workspace.samples()
    assert samples is not None
    point = tk.threshold_curve(workspace.results("adapter"), samples, "Gambling").at(73)
    assert set(rows.index) == {"Gambling", "Violence", "Alcohol"}
    assert rows.loc["Gambling", ["tp", "fp", "fn", "tn"]].tolist() == [point.tp, point.fp, point.fn, point.tn]
    assert rows.loc["Gambling", "precision_low"] == pytest.approx(point.precision_low)
    assert rows["block"].isna().to_dict() == {"Gambling": False, "Violence": True, "Alcohol": False}


def test_slices_are_a_table_where_the_run_names_content_types(workspace, open_app: Open, monkeypatch):
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter", label="Gambling", threshold="73")
    assert not any(each.startswith("slices") for each in app.selectbox(key="which").options)
    monkeypatch.setattr("toolkit.studio.kept.types", lambda _: ["Illustrated"])
    app.run()
    app.selectbox(key="which").set_value("slices").run()
    press(app, "Make the files")
    assert not app.error
    assert "1 rows" in " ".join(caption.value for caption in app.caption)


def test_the_report_has_the_policy_and_the_comparison_on_screen(workspace, open_app: Open, monkeypatch):
    given = {}
    monkeypatch.setattr(
        "toolkit.studio.report.write_report",
        lambda path, *_, **settings: given.update(settings) or path.write_text("made"),
    )
    path = workspace.path("policy.json")
    tk.Policy({"Gambling": tk.Rule(block=73.0)}).save(path)
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter", label="Gambling")
    press(app, "Make the report")
    assert given["policy"].rules == {"Gambling": tk.Rule(block=73.0)}
    assert list(given["comparisons"]) == [("adapter", "base")]
    assert app.get("download_button")
    tk.Policy({"Gambling": tk.Rule(block=74.0)}).save(path)
    assert not app.run().get("download_button")
    app.checkbox[0].uncheck()
    press(app, "Make the report")
    assert given["comparisons"] == {}


def test_a_report_of_another_run_is_not_offered(workspace, open_app: Open, monkeypatch):
    monkeypatch.setattr("toolkit.studio.report.write_report", lambda path, *_, **__: path.write_text("made"))
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter")
    press(app, "Make the report")
    assert [each.label for each in app.get("download_button")] == ["Download the report (0.0 MB)"]
    app.selectbox(key="run").set_value("base").run()
    assert not app.get("download_button")
    app.selectbox(key="run").set_value("adapter").run()
    assert not app.get("download_button")


def test_all_of_the_form_stands_in_the_address_once_it_was_sent(workspace, open_app: Open, monkeypatch):
    monkeypatch.setattr("toolkit.studio.report.write_report", lambda path, *_, **__: path.write_text("made"))
    here = ("--dir", str(workspace.folder), "--page", "report")
    app = open_app(*here, run="adapter", label="Gambling")
    assert not {"runs", "about", "comparison"} & set(written(app))
    app.multiselect(key="report runs").set_value(["adapter", "base"])
    app.multiselect(key="report labels").set_value(["Violence"])
    app.checkbox(key="report comparison").uncheck()
    press(app, "Make the report")
    again = open_app(*here, **written(app))
    assert again.multiselect(key="report runs").value == ["adapter", "base"]
    assert again.multiselect(key="report labels").value == ["Violence"]
    assert not again.checkbox(key="report comparison").value


def test_a_report_is_offered_as_long_as_the_form_describes_it(workspace, open_app: Open, monkeypatch):
    monkeypatch.setattr("toolkit.studio.report.write_report", lambda path, *_, **__: path.write_text("made"))
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter", label="Gambling")
    press(app, "Make the report")
    assert app.run().get("download_button")
    app.multiselect(key="report runs").set_value([])
    press(app, "Make the report")
    assert "Choose at least one run" in shown(app)
    assert not app.run().get("download_button")


def test_what_the_form_cannot_have_is_said_and_without_a_choice_it_goes_with_the_run(workspace, open_app: Open):
    here = ("--dir", str(workspace.folder), "--page", "report")
    app = open_app(*here, run="adapter", runs='["june", "base"]', about='["Nothing"]', which="flips of flips")
    assert "Runs of the address that are not open here, and can be opened again on the Runs page: june." in shown(app)
    assert "Labels of the address that are neither in this run nor in the labelled samples: Nothing." in shown(app)
    assert "Table flips of flips cannot be made of this run and label" in shown(app)
    assert app.multiselect(key="report runs").value == ["base"]
    assert set(app.multiselect(key="report labels").value) == {"Gambling", "Violence"}
    usual = open_app(*here, run="adapter", runs="base")
    assert usual.multiselect(key="report runs").value == ["adapter"]
    usual.selectbox(key="run").set_value("base").run()
    assert usual.multiselect(key="report runs").value == ["base"]


def test_the_table_stands_in_the_address(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter", label="Gambling")
    app.selectbox(key="which").set_value("errors").run()
    again = open_app("--dir", str(workspace.folder), "--page", "report", **written(app))
    assert again.selectbox(key="which").value == "errors"


def test_what_is_compared_stands_in_the_address_and_in_the_form(workspace, open_app: Open, monkeypatch):
    given = {}
    monkeypatch.setattr(
        "toolkit.studio.report.write_report",
        lambda path, *_, **settings: given.update(settings) or path.write_text("made"),
    )
    app = compared(workspace, open_app)
    app.selectbox(key="base").set_value("base").run()
    app.selectbox(key="candidate").set_value("adapter").run()
    app.number_input(key="candidate at").set_value(77.0).run()
    chosen = {name: written(app)[name] for name in ("base", "candidate", "base_at", "candidate_at")}
    assert chosen["candidate_at"] == "77"
    here = ("--dir", str(workspace.folder), "--page", "report")
    first = open_app(*here, run="adapter", label="Gambling", **chosen)
    again = open_app(*here, **written(first))
    for each in (first, again):
        assert chosen.items() <= written(each).items()
        assert each.checkbox(key="report comparison").label.startswith("With adapter at 77 against base at 50")
        press(each, "Make the report")
        assert given["comparisons"]["base", "adapter"].thresholds == (50, 77)
    other = open_app(*here, run="adapter", label="Gambling", candidate="june", base_at="x")
    assert "Candidate june is not open here" in shown(other)
    assert "asks for x as the threshold of " in shown(other)


def test_the_report_has_the_samples_by_the_name_that_the_user_gave(workspace, open_app: Open, monkeypatch):
    given = []
    monkeypatch.setattr(
        "toolkit.studio.report.write_report",
        lambda path, runs, truth, **_: given.append(truth.source) or path.write_text("made"),
    )
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter", label="Gambling")
    press(app, "Make the report")
    assert given == ["test.csv"]


@pytest.mark.parametrize("text", ["nope", "5", "{}"])
def test_a_choice_of_several_that_cannot_be_read_is_said(workspace, open_app: Open, text: str):
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter", runs=text)
    assert f"Runs of the address cannot be read ({text})" in shown(app)
    assert app.multiselect(key="report runs").value == ["adapter"]
