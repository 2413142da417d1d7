"""Jobs from the command line: manifest, start, jobs, fetch."""

import json
import signal
import subprocess
import sys

from cli_process import modkit, one_sentence
from helpers import picture, started

import toolkit as tk
from toolkit import manifests, storage


def test_the_whole_way_from_a_folder_to_a_workspace(endpoint: str, bucket: str, tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(picture(number))
    at = ("--endpoint", endpoint, "--json")
    made = json.loads(modkit("manifest", tmp_path / "photos", f"s3://{bucket}/in/m.jsonl", *at).stdout)
    assert made == {"manifests": [f"s3://{bucket}/in/m.jsonl"]}
    settings = ("--min-confidence", 0, "--job-name", "mine", "--save", tmp_path / "work")
    job = json.loads(modkit("start", *made["manifests"], f"s3://{bucket}/out/", *settings, *at).stdout)
    assert (job["status"], job["min_confidence"], job["name"]) == ("SUCCEEDED", 0, "mine")
    results = tk.Workspace.load(tmp_path / "work").results("run")
    assert (results.n_images, results.min_confidence) == (3, 0)
    listed = json.loads(modkit("jobs", "--limit", 1, *at).stdout)["jobs"]
    assert [one["job_id"] for one in listed] == [job["job_id"]]
    assert job["job_id"] in modkit("jobs", "--endpoint", endpoint).stdout
    assert modkit("fetch", job["job_id"], tmp_path / "again", "--endpoint", endpoint).returncode == 0
    assert tk.Workspace.load(tmp_path / "again").runs == tk.Workspace.load(tmp_path / "work").runs


def test_a_wrong_bucket_and_a_missing_manifest_are_said_in_one_sentence(endpoint: str, bucket: str) -> None:
    at = ("--endpoint", endpoint)
    nowhere = one_sentence(modkit("start", f"s3://{bucket}/none.jsonl", f"s3://{bucket}/out/", *at))
    assert "write the manifest first" in nowhere
    assert "check the name" in one_sentence(modkit("manifest", f"s3://no-such-{bucket}/", f"s3://{bucket}/m", *at))
    assert "check the name" in one_sentence(modkit("summary", f"s3://no-such-{bucket}/results.jsonl", *at))


def test_lines_that_were_not_analyzed_are_said_when_all_else_is_saved(endpoint: str, bucket: str, tmp_path) -> None:
    session = tk.connect(endpoint)
    storage.write(f"s3://{bucket}/there.jpg", picture(1), session=session)
    refs = [f"s3://{bucket}/there.jpg", f"s3://{bucket}/gone.jpg"]
    lines = [manifests.to_line({"source-ref": uri}) for uri in refs]
    storage.write(f"s3://{bucket}/m.jsonl", "".join([*lines, "nonsense\n"]).encode(), session=session)
    at = ("--endpoint", endpoint, "--json")
    done = modkit("start", f"s3://{bucket}/m.jsonl", f"s3://{bucket}/out/", "--save", tmp_path / "work", *at)
    job = json.loads(done.stdout)
    file = tmp_path / "work" / "run" / "results.jsonl"
    assert (job["status"], job["images"], job["errors"], job["file"]) == ("SUCCEEDED", 1, 2, str(file))
    results = tk.Workspace.load(tmp_path / "work").results("run")
    assert results.n_images == 1
    assert results.errors[["line", "source_ref"]].to_numpy().tolist()[0] == [2, refs[1]]
    again = modkit("fetch", job["job_id"], tmp_path / "work", *at)
    for one in (done, again):
        last = one.stderr.splitlines()[-1]
        assert last.startswith(
            f"job {job['job_id']}: 2 of 3 lines were not analyzed, first line 2 (INVALID_S3_OBJECT: "
        )
        assert last.endswith(f"what was is in {tmp_path / 'work'}, `modkit summary {file}` names the rest.")
        assert one.returncode == 2
    assert json.loads(again.stdout) == job


def test_the_id_of_a_job_is_said_at_once_and_not_lost_when_its_results_cannot_be_saved(
    endpoint: str, bucket: str, tmp_path
) -> None:
    session = tk.connect(endpoint)
    storage.write(f"s3://{bucket}/1.jpg", picture(1), session=session)
    tk.write_manifest([f"s3://{bucket}/1.jpg"], f"s3://{bucket}/m.jsonl", session=session)
    (tmp_path / "file").touch()
    at = ("--endpoint", endpoint)
    done = modkit(
        "start", f"s3://{bucket}/m.jsonl", f"s3://{bucket}/out/", "--save", tmp_path / "file" / "x", *at, "--json"
    )
    job_id = json.loads(done.stdout)["job_id"]
    said = done.stderr.splitlines()
    later = f"`modkit fetch {job_id} {tmp_path / 'file' / 'x'} --endpoint {endpoint}`"
    assert said[0] == f"job {job_id} has started; {later} gets its results later."
    assert "check the path" in said[-1]
    assert done.returncode == 2
    fetched = modkit("fetch", job_id, tmp_path / "elsewhere", *at)
    assert fetched.returncode == 0
    assert str(tmp_path / "elsewhere" / "run" / "results.jsonl") in fetched.stdout


def test_the_id_of_a_job_is_not_lost_when_waiting_is_interrupted(endpoint: str, bucket: str, tmp_path) -> None:
    session = tk.connect(endpoint)
    storage.write(f"s3://{bucket}/1.jpg", picture(1), session=session)
    tk.write_manifest([f"s3://{bucket}/1.jpg"] * 500, f"s3://{bucket}/m.jsonl", session=session)
    words = ("start", f"s3://{bucket}/m.jsonl", f"s3://{bucket}/out/", "--save", str(tmp_path / "work"), "--json")
    command = [sys.executable, "-m", "toolkit", *words, "--endpoint", endpoint]
    with started(command, stderr=subprocess.PIPE) as process:
        said = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        answer, more = process.communicate(timeout=60)
    assert json.loads(answer)["job_id"] == said.split()[1]
    assert process.returncode == 130
    assert "Traceback" not in more
    tk.MediaAnalysis(session).job(said.split()[1]).wait(timeout=60, progress=False)
