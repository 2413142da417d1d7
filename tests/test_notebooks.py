"""The notebooks run from top to bottom, and what they say is what the library says."""

import base64
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import toolkit as tk
from tests.studio.conftest import make_workspace, picture
from toolkit.errors import Unreachable

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


@pytest.mark.parametrize("name", ["tune_min_confidence.ipynb", "audit_a_run.ipynb"])
def test_without_a_run_the_notebook_says_how_to_get_one(tmp_path, monkeypatch, name):
    tk.Workspace(tmp_path).save()
    with pytest.raises(CellExecutionError, match=r"open a job's results in the app, or `modkit start"):
        executed(FOLDER / name, tmp_path, monkeypatch)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.fixture(scope="module")
def demo_of_40(tmp_path_factory) -> tk.Workspace:
    return make_workspace(tmp_path_factory.mktemp("notebooks") / "modkit-demo")


def test_the_adapter_notebook_compares_as_the_library_does(demo_of_40, monkeypatch):
    said = executed(FOLDER / "demo_an_adapter.ipynb", demo_of_40.folder, monkeypatch)
    runs = [demo_of_40.results(name) for name in ("base", "adapter")]
    truth = demo_of_40.samples()
    assert truth is not None
    at = tk.choose_threshold(tk.threshold_curve(runs[1], truth, "Gambling"), "precision>=0.9").threshold
    assert at is not None
    assert repr(tk.compare(*runs, truth, "Gambling", (50.0, at))) in said
    pages = executed(FOLDER / "demo_an_adapter.ipynb", demo_of_40.folder, monkeypatch, "text/html")
    shown = set(re.findall(r"data:image/jpeg;base64,([^\"]+)", pages))
    pictures = [path.read_bytes() for path in (demo_of_40.folder / "images").iterdir()]
    assert shown
    assert shown <= {base64.b64encode(tk.thumbnail(data, 120, blur=True)).decode() for data in pictures}


def test_the_audit_notebook_begins_with_what_failed_and_slices(demo_of_40, monkeypatch):
    said = executed(FOLDER / "audit_a_run.ipynb", demo_of_40.folder, monkeypatch)
    assert said.index("2 failed") < said.index("Drift(")
    assert "INVALID_IMAGE_FORMAT" in said
    assert "a number in its name" in said


def test_own_images_are_analyzed_by_a_service_that_ends_with_the_notebook(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(picture(number))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    monkeypatch.setenv("MODKIT_IMAGES", str(folder))
    said = executed(FOLDER / "run_your_own_images.ipynb", tmp_path, monkeypatch)
    assert "4 images can be analyzed" in said
    assert "Results(3 images" in said
    assert "INVALID_IMAGE_FORMAT" in said
    endpoint = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert endpoint is not None
    with pytest.raises(Unreachable):
        list(tk.MediaAnalysis(endpoint_url=endpoint[0]).jobs())


def test_objects_are_described_in_html_and_nothing_from_outside_is_markup(make):
    hostile = "<img src=x onerror=alert(1)>"
    results = make.results({hostile: 60.0}, {hostile: 90.0}, {}, min_confidence=50)
    truth = make.truth(hostile, [True, False, True])
    curve = tk.threshold_curve(results, truth, hostile)
    objects = [results, truth, curve, tk.choose_threshold(curve, "f1"), tk.Policy({hostile: tk.Rule(block=80.0)})]
    for each in objects:
        page = each._repr_html_()
        assert "<img" not in page
        assert "&lt;img src=x" in page
    assert "<td>3</td>" in results._repr_html_()
    assert "present on 2 of 3" in truth._repr_html_()
