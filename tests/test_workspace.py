from contextlib import suppress

import pytest
from helpers import result_line

import toolkit as tk
from toolkit.errors import NotFound, UnreadableManifest


@pytest.fixture
def workspace(tmp_path) -> tk.Workspace:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "results.jsonl").write_text(result_line(0, {"Gambling": 90}))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "0.jpg").write_bytes(b"picture")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "truth.csv").write_text("source_ref,label,present\ns3://bucket/0.jpg,Gambling,1\n")
    runs = {"base": tk.Run("base/results.jsonl", 5.0)}
    made = tk.Workspace(tmp_path, runs, "truth.csv", {"s3://bucket/": "images"})
    made.save()
    return made


def test_a_workspace_is_found_again_wherever_its_folder_went(workspace, tmp_path) -> None:
    moved = tmp_path.rename(tmp_path.with_name("elsewhere"))
    found = tk.Workspace.load(moved)
    assert (found.runs, found.truth, found.images) == (workspace.runs, workspace.truth, workspace.images)
    results = found.results("base")
    assert (results.n_images, results.min_confidence) == (1, 5.0)
    assert found.samples().labels == ["Gambling"]
    assert found.image("s3://bucket/0.jpg") == b"picture"


def test_nothing_outside_the_images_is_opened(workspace) -> None:
    for source_ref in ("s3://bucket/../secret.txt", "s3://bucket/../../x"):
        with pytest.raises(NotFound, match="out"):
            workspace.image(source_ref)
    assert workspace.image("s3://bucket/none.jpg") is None
    assert workspace.image("s3://other/0.jpg") is None
    assert workspace.image("/etc/hostname") is None
    assert workspace.image("s3://bucket//etc/hostname") is None


@pytest.mark.parametrize("name", ["a\0b.jpg", "x" * 5000 + ".jpg", "a/" * 3000 + "b.jpg"])
def test_a_reference_that_can_be_no_file_is_refused_or_not_there(workspace, name: str) -> None:
    with suppress(NotFound):  # a sentence; anything else would be an accident
        assert workspace.image(f"s3://bucket/{name}") is None


def test_a_run_that_leads_out_of_the_folder_is_refused(tmp_path) -> None:
    tk.Workspace(tmp_path, {"x": tk.Run("../results.jsonl", 5.0)}).save()
    with pytest.raises(NotFound, match="outside the workspace"):
        tk.Workspace.load(tmp_path).results("x")
    with pytest.raises(NotFound, match="there are: x"):
        tk.Workspace.load(tmp_path).results("y")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 2}',
        '{"version": 1, "runs": {"a": {"b": 1}}}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_what_is_no_workspace_is_said_in_one_sentence(tmp_path, text: str) -> None:
    (tmp_path / "workspace.json").write_text(text)
    with pytest.raises(UnreadableManifest):
        tk.Workspace.load(tmp_path)
    with pytest.raises(NotFound):
        tk.Workspace.load(tmp_path / "none")


def test_a_run_that_was_not_answered_by_its_adapter_is_loud(make) -> None:
    make.write([result_line(0, {}, project_version="arn:a"), result_line(1, {})], "results.jsonl")
    workspace = tk.Workspace(make.folder, {"run": tk.Run("results.jsonl", 0, "job", "arn:a")})
    with pytest.warns(UserWarning, match=r"1 of 2 images were not answered by the adapter .*arn:a.*has it expired"):
        workspace.results("run")
