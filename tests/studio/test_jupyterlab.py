"""The widgets in a real JupyterLab: drawn, dragged, and heard by the kernel."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

from tests.studio.conftest import ARTIFACTS, free_port, serving
from tests.studio.test_explorer import apart, flagged

ROOT = Path(__file__).parents[2]
CELLS = (
    """
import toolkit as tk
workspace = tk.Workspace.load("modkit-demo")
results, truth = workspace.results("adapter"), workspace.samples()
curve = tk.threshold_curve(results, truth, "Gambling")
explorer = tk.widgets.threshold_explorer(curve, results)
explorer
""",
    'print(f"the line is at {explorer.threshold:g}")',
    "tk.widgets.distribution(results, truth)",
    "tk.choose_threshold(curve, 'precision>=0.9')",
)


@pytest.fixture(scope="module")
def jupyterlab(demo) -> Iterator[str]:
    """Address of the notebook, in a JupyterLab that knows nothing of its user's."""
    folder, port, token = demo.folder.parent, free_port(), token_hex(16)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [new_code_cell(cell.strip()) for cell in CELLS]
    nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / "widgets.ipynb")
    home = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    options = [
        "--no-browser", "--allow-root", f"--port={port}", f"--IdentityProvider.token={token}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None",
    ]  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", *options]
    with serving(command, f"http://127.0.0.1:{port}/", cwd=folder, env=os.environ | home | {"PYTHONPATH": str(ROOT)}):
        yield f"http://127.0.0.1:{port}/lab/tree/widgets.ipynb?token={token}"


@pytest.mark.slow
def test_the_widgets_are_drawn_and_dragged_in_jupyterlab(browser, jupyterlab):
    page = browser.new_page(viewport={"width": 1440, "height": 2600})
    page.set_default_timeout(120_000)  # a kernel that begins while other tests run
    page.goto(jupyterlab)
    page.locator(".jp-CodeCell").nth(len(CELLS) - 1).wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator(".lm-Menu-item").filter(has_text="Run All Cells").first.click()
    chart = page.locator(".mk-chart")
    chart.locator(".main-svg").first.wait_for()
    expect(page.get_by_text("the line is at 75")).to_be_visible()
    expect(page.get_by_text("Gambling: confidence of 40 images")).to_be_visible()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 150, steps=8)
    page.mouse.up()
    at = float(page.get_by_label("Threshold (%)", exact=True).input_value())
    assert 80 < at < 95
    assert apart(page) < 2
    right, wrong = flagged(at)
    counts = page.locator(".mk-cell")
    expect(counts.filter(has_text="Flagged, rightly").locator(".mk-count")).to_have_text(str(right))
    expect(counts.filter(has_text="Flagged, wrongly").locator(".mk-count")).to_have_text(str(wrong))
    page.locator(".jp-CodeCell .jp-Editor").nth(1).click()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text(f"the line is at {at:g}", exact=True)).to_be_visible()
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / "jupyterlab.png")
    page.close()
