"""Jobs and adapters through the public API, over HTTP, against the local service."""

from types import SimpleNamespace

import pytest
from helpers import picture

import toolkit as tk
from toolkit import constraints, manifests, storage
from toolkit.errors import InvalidArgument, JobFailed, NotFound, RequestRefused, TimedOut, Unreachable


@pytest.fixture
def client(endpoint: str) -> tk.MediaAnalysis:
    return tk.MediaAnalysis(endpoint_url=endpoint)


@pytest.fixture
def folder(tmp_path):
    """Six pictures, and one that is none."""
    (tmp_path / "photos").mkdir()
    for number in range(6):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(picture(number))
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"nonsense")
    (tmp_path / "photos" / "notes.txt").write_text("not an image")
    return tmp_path / "photos"


def test_a_folder_becomes_a_manifest_a_job_and_results(client, bucket: str, folder) -> None:
    (manifest,) = tk.write_manifest(folder, f"s3://{bucket}/in/manifest.jsonl", session=client.session)
    job = client.start(manifest, f"s3://{bucket}/out/", min_confidence=0, job_name="whole")
    assert job.wait(timeout=60, progress=False).status == "SUCCEEDED"
    assert job.progress == (7, 7)
    results = job.results()
    names = [ref.rpartition("/")[2] for ref in results.images["source_ref"]]
    assert names == [f"{n}.jpg" for n in range(6)]
    assert results.errors["source_ref"].str.endswith("/bad.jpg").tolist() == [True]
    assert (results.min_confidence, results.floor_source) == (0, "job")
    assert (job.summary().total, job.summary().valid) == (7, 6)
    assert (job.name, job.min_confidence, job.project_version, job.failure) == ("whole", 0, None, None)
    assert tk.read_results(job).n_images == 6
    assert repr(job) == "Job(whole: SUCCEEDED, 7 of 7 images; MinConfidence 0, base model)"


def test_results_say_that_the_job_told_the_floor(client, bucket: str, folder) -> None:
    group = client.analyze(_upload(client, bucket, folder), f"s3://{bucket}/out/", min_confidence=12)
    assert group.wait(timeout=60, progress=False).results().min_confidence == 12
    assert group.jobs[0].results().floor_source == "job"


def test_a_job_without_min_confidence_has_rekognitions_50(client, bucket: str, folder) -> None:
    (job,) = client.analyze(_upload(client, bucket, folder), f"s3://{bucket}/out/").jobs
    assert job.min_confidence == 50


def test_jobs_are_listed_newest_first_over_pages(client, bucket: str, folder) -> None:
    uris = _upload(client, bucket, folder)[:1]
    started = [client.analyze(uris, f"s3://{bucket}/o/", job_name=f"n{n}").jobs[0] for n in range(3)]
    listed = list(client.jobs())
    assert [job.id for job in listed[:3]] == [job.id for job in reversed(started)]
    for job in started:
        job.wait(timeout=60, progress=False)


def test_fetch_copies_results_and_summary(client, bucket: str, folder, tmp_path) -> None:
    (job,) = client.analyze(_upload(client, bucket, folder), f"s3://{bucket}/out/", min_confidence=0).wait().jobs
    paths = job.fetch(str(tmp_path / "copy"))
    assert [path.rpartition("/")[2] for path in paths] == [manifests.RESULTS_NAME, manifests.SUMMARY_NAME]
    assert tk.read_results(paths[0]).n_images == 6


@pytest.mark.parametrize(
    ("manifest", "output", "settings", "kind", "said"),
    [
        ("s3://{bucket}/none.jsonl", "s3://{bucket}/out/", {}, RequestRefused, "InvalidS3ObjectException"),
        ("s3://no-such-bucket/m.jsonl", "s3://{bucket}/out/", {}, RequestRefused, "InvalidS3ObjectException"),
        ("s3://{bucket}/m.jsonl", "s3://no-such-bucket/out/", {}, RequestRefused, "no such bucket"),
        ("s3://{bucket}/m.jsonl", "s3://{bucket}/o/", {"min_confidence": 101}, RequestRefused, "MinConfidence"),
        ("s3://{bucket}/m.jsonl", "s3://{bucket}/o/", {"job_name": "a b"}, RequestRefused, "JobName"),
        ("m.jsonl", "s3://{bucket}/out/", {}, NotFound, "s3://bucket/key"),
        ("s3://{bucket}/m.jsonl", "s3://a/o/", {}, RequestRefused, "name of the output's bucket has 1 of at least 3"),
        ("s3://{bucket}", "s3://{bucket}/o/", {}, RequestRefused, "the object's key is empty; write it"),
        ("s3://{bucket}/m.jsonl", "s3://{bucket}/o/", {"job_name": ""}, RequestRefused, "the job's name is empty"),
        ("s3://{bucket}/m.jsonl", "s3://{bucket}/o/", {"min_confidence": -1}, RequestRefused, "MinConfidence is -1"),
        ("s3://{bucket}/m.jsonl", "s3://{bucket}/o/", {"client_request_token": ""}, RequestRefused, "token is empty"),
        ("s3://{bucket}/m.jsonl", "s3://{bucket}/o/", {"manifest_version": ""}, RequestRefused, "version is empty"),
    ],
)
def test_a_request_that_cannot_be_is_said_in_one_sentence(
    client, bucket, manifest, output, settings, kind, said
) -> None:
    storage.write(f"s3://{bucket}/m.jsonl", b'{"source-ref": "s3://b/k.jpg"}\n', session=client.session)
    with pytest.raises(kind, match=said) as raised:
        client.start(manifest.format(bucket=bucket), output.format(bucket=bucket), **settings)
    assert "\n" not in str(raised.value)


def test_a_job_that_fails_says_its_code_and_what_to_do(client, bucket: str, folder) -> None:
    uris = _upload(client, bucket, folder)
    (job,) = client.analyze(uris, f"s3://{bucket}/out/", kms_key_id="11111111-2222-3333-4444-555555555555").jobs
    with pytest.raises(JobFailed, match=r"INVALID_KMS_KEY: .*; name a KMS key that is enabled") as raised:
        job.wait(timeout=60, progress=False)
    assert raised.value.code == "INVALID_KMS_KEY"
    with pytest.raises(JobFailed):
        job.results()


def test_a_group_without_jobs_has_no_results() -> None:
    with pytest.raises(NotFound, match="start at least one job"):
        tk.JobGroup([]).results()


def test_jobs_of_several_floors_are_one_collection_with_the_highest(client, bucket: str, folder) -> None:
    uris = _upload(client, bucket, folder)
    low, high = (
        client.analyze(uris, f"s3://{bucket}/out/", min_confidence=floor).wait(progress=False).jobs[0]
        for floor in (0, 99)
    )
    assert tk.JobGroup([low, high]).results().min_confidence == 99


def test_waiting_may_end_before_the_job_does(client, bucket: str, folder) -> None:
    uris = _upload(client, bucket, folder) * 20
    (job,) = client.analyze(uris, f"s3://{bucket}/out/").jobs
    with pytest.raises(TimedOut, match="it runs on"):
        job.wait(timeout=0, progress=False)
    for timeout in (-1, float("nan"), "soon"):
        with pytest.raises(InvalidArgument, match=r"timeout is .*; give a number from 0"):
            job.wait(timeout=timeout, progress=False)
    assert job.wait(timeout=60, progress=False).status == "SUCCEEDED"


@pytest.mark.parametrize("place", [5, None, b"s3://bucket/m.jsonl"])
def test_what_is_no_text_is_no_place(place) -> None:
    nowhere = tk.MediaAnalysis(endpoint_url="http://127.0.0.1:9")
    for places in ((place, "s3://bucket/out/"), ("s3://bucket/m.jsonl", place)):
        with pytest.raises(InvalidArgument, match=r"is not text; write an S3 URI, such as s3://bucket/key\.$"):
            nowhere.start(*places)


@pytest.mark.parametrize("name", [None, "n" * 64])
def test_the_bar_has_room_in_80_columns_whatever_the_job_is_called(name: str | None, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    description = {"JobId": "bc0e" * 16, "Status": "SUCCEEDED"} | ({"JobName": name} if name else {})
    tk.Job(tk.connect("http://127.0.0.1:9"), description, (9_999, 10_000)).wait()
    (line,) = capsys.readouterr().err.splitlines()
    assert "━━━━━" in line
    assert " 9999/10000 SUCCEEDED 0:00:0" in line
    assert ("job bc0ebc0e…" in line) != bool(name)


def test_a_job_without_an_id_is_said_in_one_sentence(client) -> None:
    with pytest.raises(NotFound, match="no job id given; name one that `modkit jobs`"):
        client.job("")


def test_an_unknown_job_and_a_dead_endpoint_are_said_in_one_sentence(client) -> None:
    with pytest.raises(RequestRefused, match="ResourceNotFoundException"):
        client.job("0" * 64)
    with pytest.raises(Unreachable, match="does not answer"):
        next(tk.MediaAnalysis(endpoint_url="http://127.0.0.1:9").jobs())


def test_an_adapter_is_trained_used_and_named_in_the_results(client, bucket: str) -> None:
    shapes = {f"{shape}-{n}.jpg": (n, shape) for n in range(16) for shape in ("ellipse", "rectangle")}
    for name, (number, shape) in shapes.items():
        storage.write(f"s3://{bucket}/{name}", picture(number, shape), session=client.session)
    lines = [
        manifests.ground_truth_record(f"s3://{bucket}/{name}", ["Gambling"] if shape == "ellipse" else [])
        for name, (_, shape) in shapes.items()
    ]
    for part, chosen in (("train", lines[:20]), ("test", lines[20:])):
        data = "".join(map(manifests.to_line, chosen)).encode()
        storage.write(f"s3://{bucket}/{part}.jsonl", data, session=client.session)
    adapter = tk.train_adapter(
        f"a-{bucket}", f"s3://{bucket}/train.jsonl", f"s3://{bucket}/t/",
        testing=f"s3://{bucket}/test.jsonl", session=client.session,
    ).wait(timeout=120, progress=False)  # fmt: skip
    assert adapter.status == "TRAINING_COMPLETED"
    assert adapter.f1 == 1.0
    assert "TRAINING_COMPLETED, F1 1.000" in repr(adapter)
    uris = [line["source-ref"] for line in lines[20:]]
    group = client.analyze(uris, f"s3://{bucket}/o/", min_confidence=0, project_version=adapter.arn)
    results = group.wait(progress=False).results()
    assert results.project_versions == [adapter.arn]
    scores = results.scores("Gambling")
    discs = ["ellipse" in uri for uri in uris]
    assert min(s for s, disc in zip(scores, discs, strict=True) if disc) > 50
    assert max(s for s, disc in zip(scores, discs, strict=True) if not disc) < 50


def test_a_run_that_was_not_answered_by_its_adapter_is_loud(client, bucket: str) -> None:
    lines = [
        manifests.result_record(f"s3://{bucket}/{n}.jpg", [], project_version=v) for n, v in enumerate(("arn:a", None))
    ]
    data = "".join(map(manifests.to_line, lines)).encode()
    storage.write(f"s3://{bucket}/out/results.jsonl", data, session=client.session)
    description = {
        "JobId": "x",
        "Status": "SUCCEEDED",
        "OperationsConfig": {"DetectModerationLabels": {"ProjectVersion": "arn:a"}},
        "Results": {"S3Object": {"Bucket": bucket, "Name": "out/results.jsonl"}},
    }
    with pytest.warns(UserWarning, match=r"1 of 2 images were not answered by the adapter .*arn:a"):
        assert tk.Job(client.session, description).results().n_images == 2


def test_a_training_that_fails_says_why(client, bucket: str) -> None:
    storage.write(f"s3://{bucket}/t.jsonl", b"nonsense\n", session=client.session)
    adapter = tk.train_adapter(f"b-{bucket}", f"s3://{bucket}/t.jsonl", f"s3://{bucket}/t/", session=client.session)
    with pytest.raises(JobFailed, match="TRAINING_FAILED"):
        adapter.wait(timeout=60, progress=False)
    with pytest.raises(RequestRefused, match="ResourceInUseException"):
        tk.train_adapter(f"b-{bucket}", f"s3://{bucket}/t.jsonl", f"s3://{bucket}/t/", session=client.session)


def _upload(client: tk.MediaAnalysis, bucket: str, folder) -> list[str]:
    names = [f"{number}.jpg" for number in range(6)]
    return storage.upload(folder, f"s3://{bucket}/in/", names=names, session=client.session)


def test_ctrl_c_while_waiting_leaves_the_job_and_says_how_to_come_back(
    client, bucket: str, folder, monkeypatch, capsys
):
    group = client.analyze(_upload(client, bucket, folder) * 30, f"s3://{bucket}/out/", progress=False)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            "toolkit.jobs.waiting.threading", SimpleNamespace(Event=lambda: SimpleNamespace(wait=interrupted))
        )
        with pytest.raises(KeyboardInterrupt):
            group.jobs[0].wait(progress=False)
        with pytest.raises(KeyboardInterrupt):
            group.wait(progress=False)
    first, second = capsys.readouterr().err.splitlines()
    assert f"`modkit fetch {group.jobs[0].id} FOLDER` comes back" in first
    assert f"`modkit resume {group.uri}` comes back" in second
    assert group.wait(timeout=60, progress=False).results().n_images == 180
    assert repr(group) == f"JobGroup({group.id}: 1 SUCCEEDED)"


@pytest.mark.parametrize("code", constraints.rekognition().shape_for("MediaAnalysisJobFailureCode").metadata["enum"])
def test_every_code_of_a_failed_job_comes_with_what_to_do(code: str) -> None:
    description = {"JobId": "1", "Status": "FAILED", "FailureDetails": {"Code": code, "Message": "It failed."}}
    with pytest.raises(JobFailed, match=rf"job 1 failed: {code}: It failed; \w+") as raised:
        tk.Job(tk.connect("http://127.0.0.1:9"), description).raise_if_failed()
    assert "look the code up" not in str(raised.value)


def test_every_parameter_of_the_operation_can_be_given(client, bucket: str, folder) -> None:
    uris = _upload(client, bucket, folder)
    manifest = f"s3://{bucket}/m.jsonl"
    tk.write_manifest(uris, manifest, session=client.session)
    version = storage.write(manifest, storage.read(manifest, session=client.session), session=client.session)
    key = client.session.client("kms").create_key()["KeyMetadata"]["KeyId"]
    settings = {
        "min_confidence": 7, "job_name": "all", "kms_key_id": key, "manifest_version": version,
        "client_request_token": f"token-{bucket}"[:64],
    }  # fmt: skip
    job = client.start(manifest, f"s3://{bucket}/out/", **settings)
    assert client.start(manifest, f"s3://{bucket}/out/", **settings).id == job.id
    known = job.wait(progress=False).description
    assert (known["JobName"], known["KmsKeyId"], known["Input"]["S3Object"]["Version"]) == ("all", key, version)
    with pytest.raises(RequestRefused, match=r"IdempotentParameterMismatchException.*; use another token"):
        client.start(manifest, f"s3://{bucket}/out/", **settings | {"min_confidence": 8})
