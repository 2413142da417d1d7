import os
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from helpers import started
from service_client import Client, picture, shape, until
from service_requests import ask

import toolkit
from toolkit.errors import Unreachable
from toolkit.service import LocalService, ServiceProcess
from toolkit.service.rekognition import OPERATIONS
from toolkit.service.server import run

ROOT = Path(toolkit.__file__).parents[1]


def _runs(get: Any, job_id: str) -> bool:
    return bool(get(JobId=job_id)["Status"] == "IN_PROGRESS")


def answers(endpoint: str) -> bool:
    try:
        with socket.create_connection((urlsplit(endpoint).hostname, urlsplit(endpoint).port), timeout=5):
            return True
    except OSError:
        return False


def test_other_services_and_operations_are_refused(client: Client) -> None:
    session = client.session
    for call in (
        lambda: session.client("dynamodb").list_tables(),
        lambda: session.client("sqs").list_queues(),
        lambda: session.client("lambda").list_functions(),
        lambda: session.client("iam").list_users(),
        lambda: client.rekognition.list_collections(),
        lambda: client.rekognition.detect_faces(Image={"Bytes": picture(1)}),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert refused.value.response["ResponseMetadata"]["RequestId"]
        assert "here" in refused.value.response["Error"]["Message"]
    with pytest.raises(ClientError, match=OPERATIONS[0]):
        client.rekognition.list_faces(CollectionId="x")
    assert session.client("sts").get_caller_identity()["Account"] == "123456789012"


@pytest.mark.parametrize("path", ["/moto-api/", "/moto-api/reset", "/moto-api/data.json", "/latest/meta-data/iam"])
def test_motos_own_pages_are_not_there(service: LocalService, path: str) -> None:
    for method in ("GET", "POST"):
        status, said = ask(service.endpoint_url, method, path)
        assert status == 400
        assert "not offered here" in said


def test_no_web_page_gets_in(service: LocalService) -> None:
    assert ask(service.endpoint_url)[0] == 200
    assert ask(service.endpoint_url, Origin="https://example.org")[0] == 403
    assert ask(service.endpoint_url, "OPTIONS", Origin="https://example.org")[0] == 403
    assert ask(service.endpoint_url, Host="rebound.example.org")[0] == 403
    assert ask(service.endpoint_url, Host="[1")[0] == 403
    assert ask(service.endpoint_url, Host="bucket.localhost:80")[0] != 403


def test_what_is_not_signed_is_s3s_or_stss(client: Client, service: LocalService) -> None:
    bucket, body = client.bucket(), b"Action=AssumeRole"
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert ask(service.endpoint_url, "PUT", f"/{bucket}/key", body, Content_Type="image/jpeg")[0] == 200
    assert client.get({"Bucket": bucket, "Name": "key"}) == body
    url = client.s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "key"})
    assert ask(service.endpoint_url, "GET", url.removeprefix(service.endpoint_url))[0] == 200
    assume = b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=t&RoleSessionName=session"
    assume += b"&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fx"
    assert "AssumeRoleWithWebIdentityResult" in ask(service.endpoint_url, "POST", "/", assume, **form)[1]


def test_a_key_may_have_several_lines(client: Client) -> None:
    bucket = client.bucket()
    for key in ("two\nlines.jpg", "folder/\nbegins", "ends\n", "\n"):
        ref = client.put(bucket, key, picture(1))
        assert client.get({"Bucket": bucket, "Name": key}) == picture(1)
        job = client.job(client.start(client.manifest(client.bucket(), [ref]), MinConfidence=0))
        assert [one["source-ref"] for one in client.results(job)] == [ref]
        client.s3.delete_object(Bucket=bucket, Key=key)
    assert "Contents" not in client.s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("kind", ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"])
def test_a_body_in_broken_chunks_is_an_error_of_s3(client: Client, service: LocalService, kind: str) -> None:
    bucket = client.bucket()
    sign = b";chunk-signature=a" if "HMAC" in kind else b""

    def put(body: bytes, length: str = "5") -> tuple[int, str]:
        headers = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/s3/aws4_request, Signature=a",
            "x_amz_content_sha256": kind,
            "x_amz_decoded_content_length": length,
        }
        return ask(service.endpoint_url, "PUT", f"/{bucket}/key", body.replace(b"|", sign + b"\r\n"), **headers)

    whole = b"5|hello\r\n0|\r\n"
    assert put(whole)[0] == 200
    assert client.get({"Bucket": bucket, "Name": "key"}) == b"hello"
    for body in (
        b"",
        b"5|hel",
        b"5|hello\r\n",
        b"5|helloxx0|\r\n",
        b"5|hello\n\r0|\r\n",
        b"-5|hello\r\n0|",
        b"five|hello\r\n0|",
        b"f" * 9 + b"|",
        b"5;;\nhello\r\n",
    ):
        status, said = put(body)
        assert (status, "<Code>IncompleteBody</Code>" in said) == (400, True)
    for length in ("4", "1000000000000", "five", ""):
        assert put(whole, length)[0] == 400
    assert client.get({"Bucket": bucket, "Name": "key"}) == b"hello"
    many = b"3e8|" + bytes(1000) + b"\r\n"
    assert put(many * 50_000 + b"0|\r\n", "50000000")[0] == 200
    assert client.s3.head_object(Bucket=bucket, Key="key")["ContentLength"] == 50_000_000
    status, said = put(b"1|a\r\n" * 100_000 + b"0|\r\n", "100000")
    assert (status, "send larger ones" in said) == (400, True)


def test_importing_the_toolkit_or_the_service_loads_no_server() -> None:
    program = "import sys, toolkit.service; print({'moto', 'onnxruntime', 'sklearn', 'flask'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_a_folder_has_one_service_and_a_port_too(service: LocalService, tmp_path: Path) -> None:
    with LocalService(tmp_path) as first:
        with pytest.raises(Unreachable, match="another service uses this folder"):
            LocalService(tmp_path).start()
        with pytest.raises(Unreachable, match="cannot listen there"):
            LocalService(tmp_path / "other", port=int(first.endpoint_url.rpartition(":")[2])).start()
    with LocalService(tmp_path):
        pass
    with pytest.raises(Unreachable, match="not running"):
        _ = first.endpoint_url
    (tmp_path / "file").touch()
    with pytest.raises(Unreachable, match="cannot keep its data"):
        LocalService(tmp_path / "file" / "below").start()
    for host in ("203.0.113.1", "nosuchhost.invalid"):
        with pytest.raises(Unreachable, match=f"{host}: cannot listen there, it is no address of this machine; name"):
            LocalService(tmp_path, host=host, access_key="key", secret_key="secret").start()


@pytest.mark.parametrize("name", ["service.sqlite", "objects.sqlite", "kms.json"])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    with LocalService(tmp_path) as service:
        client = Client(service.endpoint_url)
        client.bucket()
        client.kms.create_key()
    whole = (tmp_path / name).read_bytes()
    for damaged in (b"nonsense, and nothing else", whole[: len(whole) // 2]):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(Unreachable, match=f"{name}: damaged, .*; put back a copy of its whole folder") as raised:
            LocalService(tmp_path).start()
        assert "\n" not in str(raised.value)
    (tmp_path / name).write_bytes(whole)
    with LocalService(tmp_path):  # nothing of it stayed in memory
        pass


def test_serve_forever_ends_when_stopped(tmp_path: Path) -> None:
    service = LocalService(tmp_path)
    serving = threading.Thread(target=service.serve_forever)
    serving.start()
    until(lambda: service._thread)
    endpoint = service.endpoint_url
    assert answers(endpoint)
    service.stop()
    service.stop()
    serving.join(10)
    assert not serving.is_alive()
    assert not answers(endpoint)


def test_a_killed_service_keeps_its_jobs_and_adapters_and_goes_on_with_what_it_had_begun(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path) as service:
        client = Client(service.endpoint_url)
        bucket = client.bucket()
        labelled = [
            (client.put(bucket, f"{number}.jpg", shape(number, number % 2 == 0)), ["Gambling"] * (number % 2 == 0))
            for number in range(14)
        ]
        truth = client.truth(bucket, "truth", labelled)
        project = client.project()
        arn = client.train(project, bucket, truth, {"AutoCreate": True})
        assert client.version(project, arn)["Status"] == "TRAINING_COMPLETED"
        finished = client.job(client.start(client.manifest(bucket, [labelled[0][0]]), ClientRequestToken="once"))
        begun = client.start(client.manifest(bucket, [labelled[0][0]] * 5000, "long"))
        untrained = client.train(project, bucket, truth, {"AutoCreate": True}, "v2")
        waiting = client.start({"Bucket": bucket, "Name": "long"})

        def progress() -> str:
            job = client.rekognition.get_media_analysis_job(JobId=begun)
            return str(job["ResponseMetadata"]["HTTPHeaders"]["x-modkit-progress"])

        until(lambda: progress() not in ("0/0", "0/5000"))
        image = {"Image": {"Bytes": shape(50, True)}, "ProjectVersion": arn, "MinConfidence": 0}
        before = client.rekognition.detect_moderation_labels(**image)
        token = client.rekognition.list_media_analysis_jobs(MaxResults=1)["NextToken"]
        pid = service.pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: not answers(service.endpoint_url))

    with ServiceProcess(tmp_path) as service:
        client = Client(service.endpoint_url)
        get = client.rekognition.get_media_analysis_job
        assert get(JobId=begun)["Status"] == "IN_PROGRESS"
        assert get(JobId=waiting)["Status"] in ("QUEUED", "IN_PROGRESS")
        assert progress() not in ("0/0", "0/5000")
        kept = get(JobId=finished["JobId"])
        for one in (finished, kept):
            del one["ResponseMetadata"]
        assert kept == finished
        [last] = client.rekognition.list_media_analysis_jobs(NextToken=token, MaxResults=1)["MediaAnalysisJobs"]
        assert last["JobId"] == begun
        after = client.rekognition.detect_moderation_labels(**image)
        assert after["ModerationLabels"] == before["ModerationLabels"]
        assert client.version(project, untrained)["Status"] == "TRAINING_COMPLETED"
        assert client.get({"Bucket": bucket, "Name": "0.jpg"}) == shape(0, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_time_whatever_runs(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "toolkit.service", "--dir", str(tmp_path)]
    with started(command, cwd=ROOT) as child:
        endpoint = child.stdout.readline().removeprefix("Listening on ").strip()
        client = Client(endpoint)
        bucket = client.bucket()
        ref = client.put(bucket, "a.jpg", picture(1))
        client.start(client.manifest(bucket, [ref] * 5000))
        child.send_signal(number)
        assert child.wait(10) == 0


def test_the_service_dies_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import sys, threading; from toolkit.service import ServiceProcess\n"
        "print(ServiceProcess(sys.argv[1]).start().endpoint_url, flush=True); threading.Event().wait()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with started(command, cwd=ROOT) as parent:
        endpoint = parent.stdout.readline().strip()
        assert answers(endpoint)
        parent.kill()
    until(lambda: not answers(endpoint), 10)


def test_a_child_that_cannot_start_says_why(service: LocalService, tmp_path: Path) -> None:
    port = int(service.endpoint_url.rpartition(":")[2])
    child = ServiceProcess(tmp_path, port=port)
    with pytest.raises(Unreachable, match=f"did not start: 127.0.0.1:{port}: cannot listen there"):
        child.start()
    assert child.pid is None
    with pytest.raises(Unreachable, match="not running"):
        _ = child.endpoint_url
    (tmp_path / "file").touch()
    with pytest.raises(Unreachable, match="cannot keep its data"):
        ServiceProcess(tmp_path / "file").start()


def test_run_ends_with_its_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        announced: list[str] = []
        arguments = {"announce": announced.append, "exit_with_stdin": True}
        thread = threading.Thread(target=run, args=(LocalService(tmp_path),), kwargs=arguments)
        thread.start()
        until(lambda: announced)
        assert answers(announced[0])
        os.close(writing)
        thread.join(10)
        assert not thread.is_alive()
        assert not answers(announced[0])


def test_a_stop_is_not_a_mistake(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    started: list[str] = []
    for _ in range(3):
        with LocalService(tmp_path) as service:
            client = Client(service.endpoint_url)
            get = client.rekognition.get_media_analysis_job
            for job_id in started:
                assert get(JobId=job_id)["Status"] in ("QUEUED", "IN_PROGRESS")
            bucket = client.bucket()
            ref = client.put(bucket, "a.jpg", picture(1))
            started.append(client.start(client.manifest(bucket, [ref] * 2000)))
            until(partial(_runs, get, started[0]))
    assert "Traceback" not in caplog.text


def test_a_broken_aws_configuration_is_no_business_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[profile broken\nregion", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    with ServiceProcess(tmp_path / "service") as service:
        client = Client(service.endpoint_url, "eu-west-1")
        key = client.kms.create_key()["KeyMetadata"]["KeyId"]
        bucket = client.bucket()
        job = client.start(client.manifest(bucket, [client.put(bucket, "a.jpg", picture(1))]), KmsKeyId=key)
        assert client.job(job)["Status"] == "SUCCEEDED"


def test_a_region_that_is_none_is_said(service: LocalService) -> None:
    client = Client(service.endpoint_url, "moon")
    for call in (client.kms.create_key, client.rekognition.list_media_analysis_jobs, client.s3.list_buckets):
        with pytest.raises(ClientError, match="moon is no AWS region; sign for one such as us-east-1") as refused:
            call()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
