"""The whole way in one browser, and every page for everybody: keyboard, screen reader, dark and narrow."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.studio.conftest import picture

PAGES = ("explore", "label", "tune", "compare", "report", "runs")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_an_accessibility_scan_finds_nothing_serious(open_page, name, theme):
    seen = open_page(
        f"/{name}?run=adapter&label=Gambling", viewport={"width": 1440, "height": 1600}, color_scheme=theme
    )
    if name == "tune":
        seen.page.locator(".mk-chart .main-svg").first.wait_for()
    seen.settle()
    seen.stand_still()
    found = Axe().run(seen.page).response["violations"]
    ours = [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]
    assert ours == []


def test_from_a_local_service_to_a_report(open_page, demo, tmp_path):
    seen = open_page("/runs", viewport={"width": 1440, "height": 1800})
    page = seen.page
    page.get_by_role("button", name="Start the local service").click()
    expect(page.get_by_text(re.compile("^Connection: http"))).to_be_visible(timeout=60_000)
    files = [{"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": picture(number)} for number in range(12)]
    page.locator("input[type=file]").first.set_input_files(files)
    expect(page.get_by_text("11.jpg").or_(page.get_by_text("0.jpg")).first).to_be_visible()
    page.get_by_role("textbox", name="Job name").fill("journey")
    page.get_by_role("button", name="Check first").click()
    page.get_by_role("button", name="Start", exact=True).click(timeout=60_000)
    expect(page.get_by_text("1 job started")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Open its results")).to_be_enabled(timeout=60_000)
    page.get_by_role("button", name="Open its results").click()
    expect(page.get_by_role("combobox", name="Run")).to_have_value(re.compile("^journey"), timeout=60_000)
    page.get_by_role("link", name="Explore").click()
    expect(seen.metric("Images analyzed")).to_have_text("12")
    page.get_by_role("link", name="Report").click()
    page.get_by_role("button", name="Make the files").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Parquet").click()
    download.value.save_as(tmp_path / "overview.parquet")
    page.get_by_role("link", name="Runs").click()
    page.get_by_role("button", name="Close").first.click()
    seen.settle()  # what opens while the page is drawn anew closes with it
    page.get_by_text(re.compile("^Connection")).click()
    page.get_by_role("button", name="Stop it").click()
    expect(page.get_by_role("button", name="Start the local service")).to_be_visible()
    assert len(list((demo.folder / "uploads").rglob("*.jpg"))) == 12
    seen.settle()
