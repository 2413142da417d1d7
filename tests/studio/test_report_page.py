"""The Report page: one file that opens by itself, and tables that no spreadsheet runs."""

import io
import re

import pandas as pd
from playwright.sync_api import expect

from tests.studio.conftest import HOSTILE, N, Open
from tests.studio.test_pages import press, shown


def test_a_report_needs_a_run_and_a_label(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter")
    app.multiselect[0].set_value([])
    press(app, "Make the report")
    assert "Choose at least one run" in shown(app)


def test_an_objective_that_cannot_be_read_is_one_sentence(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter")
    next(box for box in app.text_input if box.label.startswith("What the thresholds")).set_value("nonsense")
    press(app, "Make the report")
    assert "'nonsense' is not an objective" in shown(app)


def test_every_table_can_be_made(workspace, open_app: Open):
    app = open_app("--dir", str(workspace.folder), "--page", "report", run="adapter", label="Gambling")
    rows = {"overview": 2, "images": N, "errors": 2, "judged": N}
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
