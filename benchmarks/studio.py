"""How quickly the studio answers on a large run, in a real browser.

    python benchmarks/make_run.py big && python benchmarks/studio.py big [--rounds 40] [--json]

Times are milliseconds as a person would take them: from the click until the new pictures are on the screen. "cold" is
a new process, "cached" another tab of the same browser, "cached, in the app" a click that leads back to a page. Memory
is the most that the server process held. Nothing else should run meanwhile: browser and server share the machine.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.browser import ADVICE, ARGUMENTS, find_chromium
from toolkit.studio import command

LABEL = "Violence"
CHART = ".js-plotly-plot .main-svg"
GOALS = {
    "cold": 5000,
    "cached": 1000,
    "cached, in the app": 1000,
    "drag p95": 50,
    "release p95": 500,
    "gallery p95": 1000,
    "memory MB": 2500,
}

# One move of the pointer, until the frame that shows it has been painted.
MOVE = """async (x) => {
  const chart = document.querySelector('.mk-chart'), box = chart.getBoundingClientRect();
  const place = {clientX: box.left + x * box.width, clientY: box.top + 150, bubbles: true};
  const begin = performance.now();
  chart.dispatchEvent(new PointerEvent('pointermove', place));
  await new Promise((painted) => requestAnimationFrame(() => {
    const after = new MessageChannel();  // runs once the frame has been painted
    after.port1.onmessage = painted;
    after.port2.postMessage(0);
  }));
  return performance.now() - begin;
}"""
# From an action until other pictures stand there, all of them loaded, and the counts in the headings are those of them.
CHANGED = """async ([before, deadline]) => {
  const state = () => [...document.querySelectorAll('[data-testid=stImage] img')];
  const key = () => document.body.innerText.match(/False positives: [\\d,]+|\\d[\\d,]*–[\\d,]+ of/)?.[0];
  const begin = performance.now();
  while (performance.now() - begin < deadline) {
    const images = state();
    if (key() !== before && images.length && images.every((image) => image.complete && image.naturalWidth)) {
      return performance.now();
    }
    await new Promise(requestAnimationFrame);
  }
  return null;
}"""
KEY = "() => document.body.innerText.match(/False positives: [\\d,]+|\\d[\\d,]*–[\\d,]+ of/)?.[0]"


def measure(folder: Path, rounds: int) -> dict[str, float]:
    """All of it, in one process of the studio."""
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit(ADVICE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with (
        subprocess.Popen(
            command(folder, port=port), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as server,
        sync_playwright() as playwright,
    ):
        next(line for line in server.stdout or () if "URL:" in line)
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = browser.new_context()  # its cache of Streamlit's own files lives as long as it
        address = f"http://127.0.0.1:{port}"
        found: dict[str, float] = {
            "cold": opened(context.new_page(), address),
            "cached": opened(context.new_page(), address),
            "cached, in the app": reopened(context.new_page(), address),
        }
        page = browser.new_page(viewport={"width": 1440, "height": 1800})
        found |= dragged(page, f"{address}/tune?run=large&label={LABEL}", rounds)
        found |= paged(page, f"{address}/explore?run=large&label={LABEL}", rounds)
        status = Path(f"/proc/{server.pid}/status").read_text()
        found["memory MB"] = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        browser.close()
        server.terminate()
    return found


def opened(page: Page, address: str) -> float:
    """From asking for the page to its first chart."""
    begin = time.perf_counter()
    page.goto(f"{address}/explore?run=large&label={LABEL}")
    page.locator(CHART).first.wait_for(timeout=120_000)
    elapsed = 1000 * (time.perf_counter() - begin)
    page.close()
    return elapsed


def reopened(page: Page, address: str) -> float:
    """From a click in the studio to the first chart of a page that the tab has shown before."""
    page.goto(f"{address}/explore?run=large&label={LABEL}")
    page.locator(CHART).first.wait_for(timeout=120_000)
    page.get_by_role("link", name="Runs", exact=True).first.click()
    page.locator(CHART).first.wait_for(state="detached")
    page.wait_for_timeout(2000)
    begin = time.perf_counter()
    page.get_by_role("link", name="Explore", exact=True).first.click()
    page.locator(CHART).first.wait_for(timeout=120_000)
    elapsed = 1000 * (time.perf_counter() - begin)
    page.close()
    return elapsed


def dragged(page: Page, address: str, rounds: int) -> dict[str, float]:
    """The line moved, and let go."""
    page.goto(address)
    page.locator(".mk-chart .main-svg").first.wait_for()
    page.wait_for_selector("[data-test-script-state=notRunning]")
    page.wait_for_timeout(2000)
    box: Any = page.locator(".mk-chart").bounding_box()
    random, moves, releases = np.random.default_rng(0), [], []
    for _ in range(rounds):
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 150)
        page.mouse.down()
        moves += [page.evaluate(MOVE, float(x)) for x in random.uniform(0.15, 0.9, 5)]
        page.mouse.move(box["x"] + box["width"] * random.uniform(0.2, 0.9), box["y"] + 150, steps=3)
        before = page.evaluate(KEY)
        begin = page.evaluate("performance.now()")
        page.mouse.up()
        done = page.evaluate(CHANGED, [before, 10_000])
        if done is not None:  # else the line stands where it stood
            releases.append(done - begin)
    return {
        "drag p95": percentile(moves),
        "release p50": statistics.median(releases),
        "release p95": percentile(releases),
    }


def paged(page: Page, address: str, rounds: int) -> dict[str, float]:
    """The gallery's next page, of images that people judged."""
    page.goto(address)
    page.locator(CHART).first.wait_for()
    page.get_by_role("combobox", name="People say").fill("present")
    page.keyboard.press("Enter")
    page.wait_for_timeout(3000)
    times = []
    for _ in range(min(rounds, 20)):
        before = page.evaluate(KEY)
        begin = page.evaluate("performance.now()")
        page.get_by_role("button", name="Next").click()
        done = page.evaluate(CHANGED, [before, 10_000])
        if done is not None:
            times.append(done - begin)
    return {"gallery p50": statistics.median(times), "gallery p95": percentile(times)}


def percentile(times: list[float]) -> float:
    """The 95th."""
    return float(np.percentile(times, 95))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    measured = measure(given.folder, given.rounds)
    if given.json:
        print(json.dumps(measured))
    else:
        for name, value in measured.items():
            goal = f"goal {GOALS[name]:,}" if name in GOALS else ""
            print(f"{name:12} {value:10,.1f} {goal}")
