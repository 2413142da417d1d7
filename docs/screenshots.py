"""Makes the screenshots of the README anew: docs/<page>.png.

    modkit demo --no-app && python docs/screenshots.py modkit-demo

Needs the test extra, and a Chromium or Chrome.
"""

import argparse
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.browser import ADVICE, ARGUMENTS, find_chromium
from toolkit.studio import command

WIDTH, COLOURS, PORT = 1440, 128, 8599
expect.set_options(timeout=30_000)
LABEL = "Gambling"


def explore(page: Page) -> None:
    """The distribution and the gallery."""
    page.locator(".js-plotly-plot .main-svg").first.wait_for()


def label(page: Page) -> None:
    """One image to judge."""
    page.get_by_label("Your name").fill("ann")
    page.get_by_label("Your name").press("Enter")
    expect(page.get_by_role("heading", name=f"Does it show {LABEL}?")).to_be_visible()
    page.get_by_role("radio", name="Sharp").click()


def tune(page: Page) -> None:
    """The explorer with its line, and a rule in the policy."""
    page.locator(".mk-chart .main-svg").first.wait_for()
    page.get_by_role("radio", name="Sharp").click()


def compare(page: Page) -> None:
    """Base against adapter."""
    page.locator(".js-plotly-plot .main-svg").first.wait_for()


def report(page: Page) -> None:
    """What can be taken along."""
    page.get_by_role("button", name="Make the files").click()
    expect(page.get_by_role("button", name="Parquet")).to_be_visible()


def runs(page: Page) -> None:
    """A service started from here, and its jobs."""
    page.get_by_role("button", name="Start the local service").click()
    expect(page.get_by_text(re.compile("^Connection: http"))).to_be_visible(timeout=60_000)
    samples = sorted((Path(__file__).parents[1] / "sample_data" / "images").iterdir())[:60]
    page.locator("input[type=file]").first.set_input_files(samples)
    expect(page.get_by_text(samples[0].name[:6]).first).to_be_visible()
    page.get_by_role("textbox", name="Job name").fill("november")
    page.wait_for_timeout(2000)  # while files are on their way, the form waits for them
    page.get_by_role("button", name="Check first").click()
    page.get_by_role("button", name="Start", exact=True).click(timeout=60_000)
    expect(page.get_by_role("button", name="Open its results")).to_be_enabled(timeout=60_000)
    page.get_by_role("heading", level=1).scroll_into_view_if_needed()


PAGES: dict[str, tuple[Callable[[Page], None], int]] = {
    "explore": (explore, 1250), "label": (label, 1000), "tune": (tune, 1150), "compare": (compare, 1250),
    "report": (report, 900), "runs": (runs, 1250),
}  # fmt: skip


def main() -> None:
    """Visits every page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent)
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    parser.add_argument("--pages", nargs="*", choices=list(PAGES), default=list(PAGES))
    given = parser.parse_args()
    if (chromium := find_chromium()) is None:
        raise SystemExit(ADVICE)
    studio = subprocess.Popen(command(given.workspace, port=PORT), stdout=subprocess.PIPE, text=True)
    try:
        next(line for line in studio.stdout or () if "URL:" in line)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            for name in given.pages:
                shoot(browser, name, given.theme, given.to / f"{name}.png")
            browser.close()
    finally:
        studio.terminate()
        studio.communicate()


def shoot(browser: Browser, name: str, theme: Literal["light", "dark"], file: Path) -> None:
    """One page, as it is when everything on it has come."""
    prepare, height = PAGES[name]
    page = browser.new_page(viewport={"width": WIDTH, "height": height}, color_scheme=theme)
    page.goto(f"http://127.0.0.1:{PORT}/{name}?run=adapter&label={LABEL}")
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_selector("[data-test-script-state=notRunning]")
    prepare(page)
    page.wait_for_timeout(3000)  # pictures and animations
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        few = shot.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(file, optimize=True)
    page.close()


if __name__ == "__main__":
    main()
