"""Collections of any size: split, started as the account allows, found again, gone on with; and what they cost."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import boto3
import pandas as pd
import pytest
from botocore.stub import Stubber
from helpers import ROOT, picture, started
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import toolkit as tk
from toolkit import storage
from toolkit.errors import InvalidArgument, JobFailed, NotFound, RequestRefused, Unreachable, UnreadableManifest
from toolkit.prices import Prices, Tier
from toolkit.service import LocalService
from toolkit.service.limits import Limits
from toolkit.storage import objects


@pytest.fixture
def client(endpoint: str) -> tk.MediaAnalysis:
    return tk.MediaAnalysis(endpoint_url=endpoint)


@pytest.fixture
def small_parts(monkeypatch) -> None:
    """Jobs of three images: a collection of ten takes four."""
    monkeypatch.setattr("toolkit.manifests.images.MAX_LINES", 3)


@pytest.fixture
def refs(client, bucket) -> list[str]:
    uris = [f"s3://{bucket}/in/{number}.jpg" for number in range(9)]
    for number, uri in enumerate(uris):
        storage.write(uri, picture(number), session=client.session)
    return [*uris, f"s3://{bucket}/in/none.jpg"]


def test_a_column_is_split_run_and_loaded_as_one(client, bucket, refs, small_parts, tmp_path) -> None:
    column = pd.DataFrame({"image": refs})["image"]
    group = client.analyze(column, f"s3://{bucket}/out/", min_confidence=0, progress=False).wait(progress=False)
    assert [part.images for part in group.plan.parts] == [3, 3, 3, 1]
    results = group.results()
    assert results.images["source_ref"].tolist() == refs[:9]
    assert results.errors["code"].tolist() == ["INVALID_S3_OBJECT"]
    assert (group.summary().total, group.summary().errors[0].line) == (10, 10)
    assert all(job.results_uri.startswith(group.plan.folder) for job in group.jobs)
    paths = group.fetch(str(tmp_path / "copy"))
    assert tk.read_results(paths[0], min_confidence=0).images["source_ref"].tolist() == refs[:9]


def test_the_same_again_starts_nothing_twice_and_another_name_does(client, bucket, refs, small_parts) -> None:
    first = client.analyze(refs, f"s3://{bucket}/out/", progress=False)
    again = client.analyze(refs, f"s3://{bucket}/out", progress=False)
    other = client.analyze(refs, f"s3://{bucket}/out/", job_name="again", progress=False)
    assert [job.id for job in first.jobs] == [job.id for job in again.jobs]
    assert not {job.id for job in first.jobs} & {job.id for job in other.jobs}
    # Not even when the file was lost that says which jobs there are.
    client.session.client("s3").delete_object(Bucket=bucket, Key=storage.split_s3(first.uri)[1])
    found = client.analyze(refs, f"s3://{bucket}/out/", progress=False)
    assert [job.id for job in found.jobs] == [job.id for job in first.jobs]


def test_parts_are_started_as_the_account_allows_and_ctrl_c_loses_nothing(tmp_path) -> None:
    with LocalService(tmp_path / "service", limits=Limits(max_concurrent_jobs=1)) as service:
        session = tk.connect(service.endpoint_url)
        storage.make_bucket("bucket", session=session)
        storage.write("s3://bucket/1.jpg", picture(1), session=session)
        (tmp_path / "m.jsonl").write_text('{"source-ref": "s3://bucket/1.jpg"}\n' * 900)
        patch = "import toolkit.manifests.images as i; i.MAX_LINES = 300; from toolkit.cli import main; main()"
        command = [sys.executable, "-c", patch, "analyze", str(tmp_path / "m.jsonl"), "s3://bucket/out/"]
        command += ["--endpoint", service.endpoint_url]
        with started(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
            while not list(tk.MediaAnalysis(session).jobs()):
                time.sleep(0.05)
            process.send_signal(2)
            _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "Traceback" not in said
        uri = said.partition("`modkit resume ")[2].partition("`")[0]
        client = tk.MediaAnalysis(session)
        before = client.group(uri)
        assert len(before.jobs) < 3  # the first may have started, and not be written down yet: its token finds it
        with pytest.raises(JobFailed, match=r"of 3 parts were not started; `modkit resume"):
            before.results()
        group = client.resume(uri, progress=False).wait(progress=False)
        assert len(group.jobs) == 3 == len(list(client.jobs()))
        assert [job.id for job in group.jobs][: len(before.jobs)] == [job.id for job in before.jobs]
        assert group.results().n_images == 900


def test_a_set_and_a_default_that_is_said_are_the_same_group_in_every_process(endpoint, client, bucket) -> None:
    code = (
        "import toolkit as tk, sys; from toolkit.jobs.group import group_id; from toolkit.jobs.request import "
        "JobSettings; from toolkit.collection import name_parts; refs = tk.collect({f's3://b/{n}.jpg' for n in "
        "range(20)}).refs; print(*(group_id(name_parts('', refs)[1], 's3://b/o', JobSettings(floor)) "
        "for floor in (None, 50, 50.0)))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True,
            text=True, check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]  # fmt: skip
    assert len({name for names in said for name in names}) == 1


def test_a_part_that_failed_is_started_once_more(client, bucket, refs) -> None:
    kms = client.session.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    group = client.analyze(refs, f"s3://{bucket}/out/", kms_key_id=key, progress=False)
    for get in (lambda: group.wait(progress=False), group.results, group.summary):
        with pytest.raises(JobFailed, match=rf"INVALID_KMS_KEY.*; `modkit resume {group.uri}` starts the jobs that"):
            get()
    kms.enable_key(KeyId=key)
    again = client.resume(group.plan.folder, progress=False).wait(progress=False)
    assert again.jobs[0].id != group.jobs[0].id
    assert again.results().n_images == 9


def test_a_folder_is_copied_and_what_is_left_out_is_in_the_errors(client, bucket, tmp_path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(picture(1))
    Image.new("RGB", (20, 200)).save(folder / "2.png")
    (folder / "3.jpg").write_bytes(b"nonsense")
    group = client.analyze(folder, f"s3://{bucket}/out/", progress=False).wait(progress=False)
    assert [error.code for error in group.skipped] == ["IMAGE_TOO_SMALL"]
    results = group.results()
    assert results.n_images == 1
    assert sorted(results.errors["code"]) == ["IMAGE_TOO_SMALL", "INVALID_IMAGE_FORMAT"]
    group.fetch(str(tmp_path / "run"))
    saved = tk.read_results(tmp_path / "run" / "results.jsonl")
    assert sorted(saved.errors["code"]) == ["IMAGE_TOO_SMALL", "INVALID_IMAGE_FORMAT"]
    assert saved.errors["line"].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"job_name": "not this!"}, r"JobName: 'not this!' does not match"),
        ({"job_name": "n" * 65}, r"JobName: length 65 is above the maximum of 64"),
        ({"min_confidence": 100.5}, r"MinConfidence: value 100.5 is above the maximum of 100"),
        ({"project_version": "arn:of:something:else"}, r"ProjectVersion: .* does not match"),
        ({"kms_key_id": "?"}, r"KmsKeyId: '\?' does not match"),
        ({"min_confidence": float("nan")}, r"MinConfidence: not a finite number"),
    ],
)
def test_a_mistake_costs_no_round_trip(settings, said) -> None:
    nowhere = tk.MediaAnalysis(endpoint_url="http://127.0.0.1:9")
    with pytest.raises(RequestRefused, match=said) as raised:
        nowhere.start("s3://bucket/m.jsonl", "s3://bucket/o/", **settings)
    assert "\n" not in str(raised.value)
    with pytest.raises(RequestRefused, match=said):
        nowhere.analyze(["s3://bucket/1.jpg"], "s3://bucket/o/", **settings)


@pytest.mark.parametrize("floor", [True, "5"])
def test_a_floor_that_is_no_number_is_said_in_one_sentence(floor) -> None:
    nowhere = tk.MediaAnalysis(endpoint_url="http://127.0.0.1:9")
    for act in (
        lambda: nowhere.start("s3://bucket/m.jsonl", "s3://bucket/o/", min_confidence=floor),
        lambda: nowhere.analyze(["s3://bucket/1.jpg"], "s3://bucket/o/", min_confidence=floor),
    ):
        with pytest.raises(InvalidArgument, match=rf"MinConfidence is {floor!r}; give a number from 0 to 100\.$"):
            act()


def test_a_group_that_is_none_is_said_in_one_sentence(client, bucket) -> None:
    with pytest.raises(NotFound, match=r"group\.json"):
        client.group(f"s3://{bucket}/nothing/")
    storage.write(f"s3://{bucket}/x/group.json", b"{}", session=client.session)
    with pytest.raises(UnreadableManifest, match="not a group of jobs"):
        client.resume(f"s3://{bucket}/x/")


def test_jobs_are_found_by_status_name_and_time(client, bucket, refs) -> None:
    name = f"tuesday-{bucket[-8:]}"
    job = client.analyze(refs, f"s3://{bucket}/o/", job_name=name).wait(progress=False).jobs[0]
    bad = client.analyze(
        refs, f"s3://{bucket}/o/", job_name=f"{name}-bad", kms_key_id="11111111-2222-3333-4444-5"
    ).jobs[0]
    with pytest.raises(JobFailed):
        bad.wait(progress=False)
    found = [one.id for one in client.jobs(name=f"{name}*")]
    assert found == [bad.id, job.id]
    assert [one.id for one in client.jobs(name=f"{name}*", status="failed")] == [bad.id]
    assert [one.id for one in client.jobs(name=f"{name}*", until=job.created)] == [job.id]
    with pytest.raises(InvalidArgument, match="status 'done': a job is one of CREATED, QUEUED"):
        next(client.jobs(status="done"))
    assert not list(client.jobs(since=datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)))
    assert job.cost() == 0  # here; on AWS, what the table says
    assert bad.cost() is None


def test_an_output_that_is_not_in_s3_is_said_as_it_was_given(client, refs) -> None:
    with pytest.raises(NotFound, match=r"^\./here: not an S3 URI; write it as s3://"):
        client.analyze(refs, "./here")


# -- what it costs ----------------------------------------------------------------------------------------------------


@given(st.integers(0, 60_000_000), st.integers(0, 60_000_000))
def test_a_collection_costs_the_same_however_it_is_split(first: int, second: int) -> None:
    prices = Prices.load()
    whole = prices.cost(first + second)
    assert prices.cost(first) + prices.cost(second, already=first) == pytest.approx(whole)
    assert prices.cost(first) >= prices.cost(first, already=second) - 1e-6


def test_a_job_costs_the_images_that_were_analyzed(client, bucket, refs, monkeypatch) -> None:
    job = client.analyze(refs, f"s3://{bucket}/o/").wait(progress=False).jobs[0]
    monkeypatch.setattr(storage, "is_local", lambda _: False)
    assert job.cost(Prices("today", "EUR", (Tier(None, 2.0),))) == 18


@pytest.mark.parametrize(
    "text", ["", "{}", '{"as_of": 1, "currency": "EUR", "tiers": []}', '{"tiers": [{"up_to": 1}]}']
)
def test_a_price_table_that_is_none_says_what_to_do(text: str, tmp_path) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(UnreadableManifest, match=r"not a price table .* copy .*prices\.json"):
        Prices.load(tmp_path / "p.json")


def test_money_is_not_spent_without_a_yes(tmp_path, monkeypatch) -> None:
    from toolkit.cli import costs

    table = {"as_of": "2026-01-01", "currency": "EUR", "tiers": [{"up_to": None, "price": 0.5}]}
    (tmp_path / "p.json").write_text(json.dumps(table))
    session = tk.connect("http://example.invalid", region_name="eu-west-1")
    said = r"1,000 images cost about 500\.00 EUR \(prices of 2026-01-01\): add --yes"
    with pytest.raises(InvalidArgument, match=said):
        costs.confirm(1000, session, tmp_path / "p.json", yes=False)
    costs.confirm(1000, session, tmp_path / "p.json", yes=True)
    monkeypatch.setenv("MODKIT_PRICES", str(tmp_path / "p.json"))
    assert Prices.load().cost(4) == 2
    costs.confirm(1000, tk.connect("http://127.0.0.1:9"), None, yes=False)  # nothing to pay


# -- before it is spent -----------------------------------------------------------------------------------------------


def _found(checks: tk.Preflight) -> dict[str, bool]:
    return dict(zip(checks.table["name"], checks.table["ok"], strict=True))


def test_preflight_looks_at_everything_and_leaves_nothing(client, bucket, refs) -> None:
    before = storage.list_files(f"s3://{bucket}/", session=client.session)
    jobs = len(list(client.jobs()))
    seen = client.preflight(refs[:9], f"s3://{bucket}/out/")
    names = ["credentials", f"bucket {bucket}", "reading", "image limits", "output", "bulk analysis"]
    assert _found(seen) == dict.fromkeys(names, True)
    assert seen.ok
    assert storage.list_files(f"s3://{bucket}/", session=client.session) == before
    assert len(list(client.jobs())) == jobs


def test_preflight_says_what_stands_in_the_way(client, bucket, refs) -> None:
    storage.write(f"s3://{bucket}/bad.jpg", b"nonsense", session=client.session)
    seen = client.preflight([*refs, f"s3://{bucket}/bad.jpg"], "s3://nobody-has-this/out/")
    assert _found(seen) == {
        "credentials": True, f"bucket {bucket}": True, "bucket nobody-has-this": False, "reading": False,
        "image limits": False, "output": False, "bulk analysis": False,
    }  # fmt: skip
    assert "none.jpg" in seen.table["message"][3]
    assert "1 of 11 images will not be analyzed (1 INVALID_IMAGE_FORMAT)" in repr(seen)
    assert seen.table["status"].iloc[-1] == "?"  # whether bulk analysis is open, a wrong output does not say
    assert "could not be asked for (" in seen.table["message"].iloc[-1]
    key = client.session.client("kms").create_key()["KeyMetadata"]["KeyId"]
    assert client.preflight(refs[:2], f"s3://{bucket}/o/", kms_key_id=key).ok
    client.session.client("kms").disable_key(KeyId=key)
    assert "is Disabled" in repr(client.preflight(refs[:2], f"s3://{bucket}/o/", kms_key_id=key))


def test_preflight_calls_no_limit_kept_that_it_did_not_look_at(client, bucket, refs) -> None:
    bad = f"s3://{bucket}/bad.jpg"
    storage.write(bad, b"nonsense", session=client.session)

    def limits(*images: str) -> tuple[str, str, bool]:
        seen = client.preflight(images, f"s3://{bucket}/out/")
        (check,) = [check for check in seen.checks if check.name == "image limits"]
        assert check.ok == (check.status == "ok")
        return check.status, check.message, seen.ok

    assert limits(refs[0])[::2] == ("ok", True)
    assert limits(refs[0], bad)[::2] == ("warn", True)  # in the way of one image, and not of the other
    assert limits(bad)[::2] == ("NO", False)
    assert limits(refs[9], refs[0]) == ("?", "1 of 2 images could not be looked at; the rest is within them.", True)
    assert limits(refs[9]) == ("?", "none of 1 images could be looked at.", False)


def test_preflight_calls_a_missing_image_a_warning_unless_all_are(client, bucket, refs) -> None:
    def reading(*images: str) -> list[str]:
        table = client.preflight(images, f"s3://{bucket}/out/").table
        return table.loc[table["name"] == "reading", "status"].tolist()

    gone = f"s3://{bucket}/nowhere.jpg"
    assert reading(refs[0], gone) == ["warn"]
    assert reading(gone) == ["NO"]


def test_a_group_that_may_not_be_read_is_not_overwritten(client, bucket, refs, monkeypatch) -> None:
    def denied(uri: str, **_: object) -> bytes:
        raise storage.Denied(f"reading {uri}: access denied.")

    written: list[str] = []
    monkeypatch.setattr(objects, "read", denied)
    monkeypatch.setattr(storage, "write", lambda uri, *_, **__: written.append(uri))
    with pytest.raises(NotFound, match="cannot be known"):
        client.analyze(refs, f"s3://{bucket}/denied/")
    assert not written


def test_a_floor_left_out_and_50_are_one_request(client, bucket, refs, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(tk.MediaAnalysis, "_started", lambda _, request, __: asked.append(request) or 1 / 0)
    for floor in (None, 50):
        monkeypatch.setattr(storage, "read_if_there", lambda *_, **__: None)  # both at once: neither sees the other
        with pytest.raises(ZeroDivisionError):
            client.analyze(refs, f"s3://{bucket}/same/", min_confidence=floor)
    assert asked[0] == asked[1]


def test_preflight_sees_a_bucket_of_another_region(endpoint, refs, bucket) -> None:
    session = tk.connect(endpoint, region_name="eu-west-1")
    elsewhere = f"eu-{bucket}"[:60]
    storage.make_bucket(elsewhere, session=session)
    client = tk.MediaAnalysis(tk.connect(endpoint))
    seen = client.preflight(refs[:2], f"s3://{elsewhere}/out/")
    assert not _found(seen)[f"bucket {elsewhere}"]
    assert "in eu-west-1, but jobs would run in us-east-1; use --region eu-west-1" in repr(seen)


def test_where_bulk_analysis_is_closed_preflight_says_to_use_detect(client, bucket, refs, monkeypatch) -> None:
    rekognition = client.session.client("rekognition")
    ask = client.session.client
    with Stubber(rekognition) as stub:
        stub.add_client_error("start_media_analysis_job", "AccessDeniedException", "closed", 403)
        monkeypatch.setattr(
            client.session, "client", lambda name, **_: rekognition if name == "rekognition" else ask(name)
        )
        seen = client.preflight(refs[:2], f"s3://{bucket}/out/")
    assert not seen.ok
    assert "use `modkit detect`" in repr(seen)


def test_the_commands_do_the_same(endpoint, client, bucket, refs, tmp_path) -> None:
    def modkit(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "toolkit", *words, "--endpoint", endpoint]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    where = [f"s3://{bucket}/in/", f"s3://{bucket}/out/"]
    ready = modkit("preflight", *where, "--json")
    assert (ready.returncode, json.loads(ready.stdout)["ok"]) == (0, True)
    assert json.loads(ready.stdout)["estimate"].startswith("9 images cost less than 0.01 USD (prices of ")
    begun = modkit("analyze", *where, "--min-confidence", "5", "--json")
    group = json.loads(begun.stdout)["group"]
    assert (begun.returncode, len(json.loads(begun.stdout)["jobs"])) == (0, 1)
    saved = modkit("resume", group, "--save", str(tmp_path / "work"), "--json")
    assert (saved.returncode, json.loads(saved.stdout)["images"]) == (0, 9)
    assert tk.Workspace.load(tmp_path / "work").results("run").min_confidence == 5
    (job,) = json.loads(begun.stdout)["jobs"]
    listed = modkit("jobs", "--status", "SUCCEEDED", "--since", "2020-01-01", "--json")
    (known,) = [one for one in json.loads(listed.stdout)["jobs"] if one["job_id"] == job["job_id"]]
    assert known["cost"] == 0
    wrong = modkit("preflight", where[0], "s3://nobody-has-this/out/")
    assert wrong.returncode == 2
    assert "NO   bucket nobody-has-this" in wrong.stdout
    assert "checks failed." in wrong.stderr


def test_preflight_without_a_region_is_one_sentence(monkeypatch, tmp_path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    session = boto3.Session("id", "secret")
    with pytest.raises(Unreachable, match="no AWS region"):
        tk.MediaAnalysis(session).preflight(["s3://bucket/a.jpg"], "s3://bucket/out/")
