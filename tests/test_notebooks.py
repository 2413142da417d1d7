"""The notebooks run from top to bottom, and what they say is what the library says."""

import base64
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import toolkit as tk
from tests.studio.conftest import make_workspace

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
TUNING = FOLDER / "tune_min_confidence.ipynb"


def executed(path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch, kind: str = "text/plain") -> str:
    """Everything that the cells put out, as text or as HTML."""
    monkeypatch.setenv("MODKIT_WORKSPACE", str(workspace))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text") or output.get("data", {}).get(kind, "") for output in outputs)


def test_the_tuning_notebook_finds_the_librarys_threshold(tmp_path, monkeypatch):
    workspace = make_workspace(tmp_path / "modkit-demo")
    truth = workspace.samples()
    assert truth is not None
    curve = tk.threshold_curve(workspace.results("adapter"), truth, "Gambling")
    choice = tk.choose_threshold(curve, "precision>=0.9")
    said = executed(TUNING, workspace.folder, monkeypatch)
    assert f"Gambling at {choice.threshold}: {choice.reason}" in said
    assert f"precision {choice.point.precision:.3f}" in said
    assert "Results(40 images" in said
    assert "IMAGE_TOO_LARGE" in said
    assert "the model reported Gambling on none" in said


def test_the_notebook_shows_the_mistakes_blurred(tmp_path, monkeypatch):
    workspace = make_workspace(tmp_path / "modkit-demo")
    choice = tk.choose_threshold(
        tk.threshold_curve(workspace.results("adapter"), workspace.samples(), "Gambling"), "precision>=0.9"
    )
    pages = " ".join(executed(TUNING, workspace.folder, monkeypatch, "text/html").splitlines())
    assert f"<h4>False positives: {choice.point.fp}</h4>" in pages
    assert f"<h4>False negatives: {choice.point.fn}</h4>" in pages
    shown = set(re.findall(r"data:image/jpeg;base64,([^\"]+)", pages))
    pictures = [path.read_bytes() for path in (workspace.folder / "images").iterdir()]
    assert shown
    assert shown <= {base64.b64encode(tk.thumbnail(data, 120, blur=True)).decode() for data in pictures}


def test_without_a_workspace_the_notebook_says_what_to_run(tmp_path, monkeypatch):
    with pytest.raises(CellExecutionError, match="run `modkit demo` in a terminal first"):
        executed(TUNING, tmp_path / "nowhere", monkeypatch)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
