"""A service with a key answers whoever signs with it, and nobody else."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from service_client import Client, picture

from toolkit.errors import Unreachable
from toolkit.service import LocalService
from toolkit.service.gate import is_loopback
from toolkit.service.signatures import ERRORS, NotAuthentic, Verifier

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    with LocalService(tmp_path_factory.mktemp("locked"), access_key=KEY, secret_key=SECRET) as service:
        yield service


def session(access_key: str = KEY, secret_key: str = SECRET) -> boto3.Session:
    return boto3.Session(access_key, secret_key, region_name="us-east-1")


def clients(service: LocalService, *keys: str, **config: Any) -> tuple[Any, Any]:
    settings: dict[str, Any] = {
        "endpoint_url": service.endpoint_url,
        "config": Config(retries={"total_max_attempts": 1}, **config),
    }
    return session(*keys).client("rekognition", **settings), session(*keys).client("s3", **settings)


def code(error: ClientError) -> tuple[int, str]:
    return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]


def send(service: LocalService, request: Any) -> tuple[int, str]:
    """Sends a request as it is, whatever botocore would have made of it."""
    parts = urlsplit(request.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    connection.request(request.method, target, request.data, dict(request.headers.items()))
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def signed(
    service: LocalService, body: bytes = b"{}", *, at: datetime | None = None, kind: Any = SigV4Auth, **headers: str
) -> Any:
    """A signed ListMediaAnalysisJobs, or with S3SigV4Auth the upload of an object."""
    to_s3 = kind is S3SigV4Auth
    url = service.endpoint_url + ("/signed/o%20b%2Bj%C3%A9ct?x=%20&a=1" if to_s3 else "/")
    given = {"Host": urlsplit(url).netloc}
    if not to_s3:
        given["X-Amz-Target"] = "RekognitionService.ListMediaAnalysisJobs"
        given["Content-Type"] = "application/x-amz-json-1.1"
    request: Any = AWSRequest("PUT" if to_s3 else "POST", url, given | headers, body)
    auth: Any = kind(Credentials(KEY, SECRET), "s3" if to_s3 else "rekognition", "us-east-1")
    request.context["timestamp"] = (at or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    auth._modify_request_before_signing(request)
    for name, value in headers.items():  # also where the signer has its own idea
        del request.headers[name]
        request.headers[name] = value
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    auth._inject_signature_to_request(request, signature)
    return request


def test_whoever_has_the_key_does_the_whole_job(locked: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    client = Client(locked.endpoint_url)
    bucket = client.bucket(versioned=True)
    names = ["a b+c.jpg", "é/ü&=?.jpg", "a//b.jpg", "~x_y-z.jpg", "100%.jpg"]
    place = client.manifest(bucket, [client.put(bucket, name, picture(1)) for name in names])
    key = client.kms.create_key()["KeyMetadata"]["KeyId"]
    assert len(client.results(client.job(client.start(place, KmsKeyId=key)))) == len(names)
    assert client.session.client("sts").get_caller_identity()["Account"].isdigit()
    client.s3.put_object(Bucket=bucket, Key="meta", Body=b"x" * 100_000, Metadata={"some_name": "a  b"})
    assert client.s3.get_object(Bucket=bucket, Key="meta", Range="bytes=0-3")["Body"].read() == b"xxxx"
    assert client.s3.list_objects_v2(Bucket=bucket, Prefix="é/", Delimiter="/")["KeyCount"] == 1


@pytest.mark.parametrize(
    ("keys", "rekognition_code", "s3_code"),
    [
        (("AKIDOTHER", SECRET), "UnrecognizedClientException", "InvalidAccessKeyId"),
        ((KEY, "wrong"), "InvalidSignatureException", "SignatureDoesNotMatch"),
        ((), "MissingAuthenticationTokenException", "AccessDenied"),
    ],
)
def test_whoever_has_not_is_refused(
    locked: LocalService, keys: tuple[str, ...], rekognition_code: str, s3_code: str
) -> None:
    config = {} if keys else {"signature_version": UNSIGNED}
    rekognition, s3 = clients(locked, *keys, **config)
    for call, expected in ((rekognition.list_media_analysis_jobs, rekognition_code), (s3.list_buckets, s3_code)):
        with pytest.raises(ClientError) as caught:
            call()
        assert code(caught.value) == (403, expected)
        assert SECRET not in str(caught.value)


def test_a_signature_is_good_for_its_moment_only(locked: LocalService) -> None:
    now = datetime.now(UTC)
    for minutes in (-14, 0, 14):
        assert send(locked, signed(locked, at=now + timedelta(minutes=minutes)))[0] == 200
    for minutes in (-16, 16, -60 * 24, 60 * 24 * 400):
        status, said = send(locked, signed(locked, at=now + timedelta(minutes=minutes)))
        assert status == 403
        assert "check this computer's clock" in said
    status, said = send(locked, signed(locked, kind=S3SigV4Auth, at=now - timedelta(hours=1)))
    assert (status, "<Code>RequestTimeTooSkewed</Code>" in said) == (403, True)


@pytest.mark.parametrize("kind", [SigV4Auth, S3SigV4Auth])
def test_whatever_is_changed_on_the_way_is_refused(locked: LocalService, kind: Any) -> None:
    clients(locked)[1].create_bucket(Bucket="signed")
    as_signed = signed(locked, b'{"MaxResults": 1}', kind=kind)
    assert send(locked, as_signed)[0] == 200

    def changed(**parts: Any) -> tuple[int, str]:
        request = signed(locked, b'{"MaxResults": 1}', kind=kind)
        for name, value in parts.items():
            setattr(request, name, value)
        return send(locked, request)

    assert changed(data=b'{"MaxResults": 2}')[0] == 403
    assert changed(method="DELETE")[0] == 403
    assert changed(url=as_signed.url + "&b=2" if "?" in as_signed.url else as_signed.url + "?b=2")[0] == 403
    for name in ("X-Amz-Date", "Authorization", *(["X-Amz-Target"] if kind is SigV4Auth else ["X-Amz-Content-SHA256"])):
        request = signed(locked, kind=kind)
        value = request.headers[name]
        del request.headers[name]
        if name == "X-Amz-Target":
            request.headers[name] = value.replace("List", "Get")
        assert send(locked, request)[0] == 403, name
    for name in ("X-Amz-Copy-Source", "X-Moto-Account-Id"):
        request = signed(locked, kind=kind)
        request.headers[name] = "signed/secret"
        status, said = send(locked, request)
        assert (status, f"must be signed, too: {name.lower()}." in said) == (403, True)


def test_only_s3_takes_a_body_that_was_not_signed(locked: LocalService) -> None:
    clients(locked)[1].create_bucket(Bucket="unsigned")
    for kind, said, expected in (
        (S3SigV4Auth, "UNSIGNED-PAYLOAD", 200),
        (SigV4Auth, "UNSIGNED-PAYLOAD", 403),
        (S3SigV4Auth, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", 403),
        (S3SigV4Auth, "0" * 64, 403),
    ):
        request = signed(locked, kind=kind, **{"X-Amz-Content-SHA256": said})
        assert send(locked, request)[0] == expected, said


def test_a_presigned_url_is_good_until_it_expires(locked: LocalService) -> None:
    _, s3 = clients(locked, signature_version="s3v4")
    s3.create_bucket(Bucket="shared")
    s3.put_object(Bucket="shared", Key="a b.txt", Body=b"hello")
    url = s3.generate_presigned_url("get_object", {"Bucket": "shared", "Key": "a b.txt"}, ExpiresIn=60)
    assert send(locked, AWSRequest("GET", url, {"Range": "bytes=0-1"}, b"")) == (206, "he")
    assert send(locked, AWSRequest("GET", url.replace("a%20b", "other"), {}, b""))[0] == 403
    assert send(locked, AWSRequest("GET", url.replace("Expires=60", "Expires=600"), {}, b""))[0] == 403
    assert send(locked, AWSRequest("DELETE", url, {}, b""))[0] == 403
    upload = s3.generate_presigned_url("put_object", {"Bucket": "shared", "Key": "box"}, ExpiresIn=60)
    status, said = send(locked, AWSRequest("PUT", upload, {"x-amz-copy-source": "shared/a b.txt"}, b""))
    assert (status, "must be signed, too: x-amz-copy-source." in said) == (403, True)
    assert send(locked, AWSRequest("PUT", upload, {}, b"mine"))[0] == 200

    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}"
    environ = {"REQUEST_METHOD": "GET", "REQUEST_URI": target, "QUERY_STRING": parts.query, "HTTP_HOST": parts.netloc}
    for seconds, good in ((30, True), (90, False)):
        verifier = Verifier(KEY, SECRET, lambda seconds=seconds: datetime.now(UTC) + timedelta(seconds=seconds))
        if good:
            verifier.check(verifier.recognize(environ), environ, b"")
        else:
            with pytest.raises(NotAuthentic, match="Request has expired") as refused:
                verifier.recognize(environ)
            assert ERRORS[refused.value.reason][1] == "AccessDenied"
    early = Verifier(KEY, SECRET, lambda: datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(NotAuthentic, match="clock"):
        early.recognize(environ)


def test_a_url_signed_the_old_way_is_told_how_to_be_signed(locked: LocalService) -> None:
    _, s3 = clients(locked)
    url = s3.generate_presigned_url("get_object", {"Bucket": "shared", "Key": "key"})
    assert "AWSAccessKeyId=" in url  # boto3's own choice for us-east-1
    status, said = send(locked, AWSRequest("GET", url, {}, b""))
    assert (status, "<Code>InvalidRequest</Code>" in said) == (403, True)
    assert 'Config(signature_version="s3v4")' in said


def opened(service: LocalService, head: str, body: bytes = b"xx") -> socket.socket:
    """A connection on which a request has been begun."""
    parts = urlsplit(service.endpoint_url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
    connection.sendall(f"PUT /bucket/key HTTP/1.1\r\nHost: {parts.netloc}\r\n{head}\r\n\r\n".encode() + body)
    return connection


def said_at_once(connection: socket.socket) -> str:
    """All that is answered, and that no more will be."""
    with connection, connection.makefile("rb") as answer:
        return answer.read().decode()


def authorization(access_key: str) -> str:
    now = datetime.now(UTC)
    scope = f"{access_key}/{now:%Y%m%d}/us-east-1/s3/aws4_request"
    return (
        f"X-Amz-Date: {now:%Y%m%dT%H%M%SZ}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={scope}, "
        "SignedHeaders=host;x-amz-date, Signature=00"
    )


@pytest.mark.parametrize("who", ["", authorization("AKIDOTHER") + "\r\n"])
def test_the_body_of_who_has_no_key_is_not_waited_for(locked: LocalService, who: str) -> None:
    for size in ("Content-Length: 60000000", "Transfer-Encoding: chunked"):
        said = said_at_once(opened(locked, f"{who}{size}", b"2\r\nxx\r\n"))
        assert said.startswith("HTTP/1.1 403")
        assert ("InvalidAccessKeyId" if who else "AccessDenied") in said


def test_a_body_that_nobody_takes_is_refused_at_once(locked: LocalService, service: LocalService) -> None:
    for one in (locked, service):
        assert said_at_once(opened(one, "Content-Length: 1000000000000")).startswith("HTTP/1.1 413")


def test_who_is_still_sending_sees_the_refusal(locked: LocalService) -> None:
    request = AWSRequest("PUT", f"{locked.endpoint_url}/bucket/key", {"Host": "127.0.0.1"}, bytes(20_000_000))
    assert send(locked, request)[0] == 403


def test_a_body_is_not_waited_for_for_ever(
    locked: LocalService, service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.service.connection.SILENCE_SECONDS", 0.3)
    said = said_at_once(opened(locked, f"{authorization(KEY)}\r\nContent-Length: 1000"))
    assert said.startswith("HTTP/1.1 400")
    assert "<Code>RequestTimeout</Code>" in said
    assert said_at_once(opened(service, "Content-Length: 1000")).startswith("HTTP/1.1 400")
    parts = urlsplit(service.endpoint_url)
    assert said_at_once(socket.create_connection((parts.hostname, parts.port), timeout=10)) == ""  # not even a request


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic dXNlcjpwYXNz",
        f"AWS {KEY}:c2lnbmF0dXJl",
        "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=00",
        f"AWS4-ECDSA-P256-SHA256 Credential={KEY}/20260101/rekognition/aws4_request, SignedHeaders=host, Signature=00",
        f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/rekognition/aws4_request",
        f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request, SignedHeaders=, Signature=é",
        "AWS4-HMAC-SHA256 =,=,,,",
    ],
)
def test_what_is_no_signature_is_refused_without_a_mistake(locked: LocalService, authorization: str) -> None:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"Host": urlsplit(locked.endpoint_url).netloc, "X-Amz-Date": now, "X-Amz-Target": "RekognitionService.X"}
    headers |= {"Authorization": authorization.encode().decode("latin-1")} if authorization else {}
    assert send(locked, AWSRequest("POST", locked.endpoint_url + "/", headers, b"{}"))[0] == 403


def test_other_machines_get_in_with_a_key_only(tmp_path: Path) -> None:
    for keys in ({}, {"access_key": KEY}, {"secret_key": SECRET}):
        with pytest.raises(Unreachable, match=r"give (both\.|an access key and a secret key, too)"):
            LocalService(tmp_path, host="0.0.0.0", **keys)
    for access_key, secret_key in ((KEY, None), ("", ""), ("", None), (KEY, "")):  # as unset shell variables make them
        with pytest.raises(Unreachable, match="neither is empty; give both"):
            LocalService(tmp_path, access_key=access_key, secret_key=secret_key)
    with LocalService(tmp_path, host="0.0.0.0", access_key=KEY, secret_key=SECRET) as service:
        assert clients(service)[0].list_media_analysis_jobs()["MediaAnalysisJobs"] == []
        with pytest.raises(ClientError, match="not the one"):
            clients(service, "other", "other")[0].list_media_analysis_jobs()


@pytest.mark.parametrize("host", ["127.0.0.2", "::1", "localhost"])
def test_every_loopback_address_is_one(tmp_path: Path, host: str) -> None:
    LocalService(tmp_path, host=host)
    assert is_loopback(host)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, 127.0.0.1 is the only loopback address there is")
def test_another_loopback_address_needs_no_key(tmp_path: Path) -> None:
    with LocalService(tmp_path, host="127.0.0.2") as service:
        assert clients(service)[0].list_media_analysis_jobs()["MediaAnalysisJobs"] == []
        request = AWSRequest("GET", service.endpoint_url, {"Host": "rebound.example.org"}, b"")
        assert send(service, request)[0] == 403


def serve(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "toolkit", "serve", "--port", "0", "--json", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=os.environ | environment)


def test_the_command_line_locks_and_limits_the_service(tmp_path: Path) -> None:
    limits = ("--tps", "50", "--max-concurrent-jobs", "0")
    with serve("--dir", str(tmp_path), *limits, MODKIT_ACCESS_KEY=KEY, MODKIT_SECRET_KEY=SECRET) as process:
        try:
            assert process.stdout
            endpoint = json.loads(process.stdout.readline())["endpoint"]
            settings: dict[str, Any] = {"endpoint_url": endpoint, "config": Config(retries={"total_max_attempts": 1})}
            with pytest.raises(ClientError, match="UnrecognizedClientException"):
                session("other", "other").client("rekognition", **settings).list_media_analysis_jobs()
            s3 = session().client("s3", **settings)
            s3.create_bucket(Bucket="limited")
            s3.put_object(Bucket="limited", Key="m", Body=b'{"source-ref": "s3://limited/a.jpg"}')
            with pytest.raises(ClientError, match="LimitExceededException"):
                session().client("rekognition", **settings).start_media_analysis_job(
                    OperationsConfig={"DetectModerationLabels": {}},
                    Input={"S3Object": {"Bucket": "limited", "Name": "m"}},
                    OutputConfig={"S3Bucket": "limited"},
                )
        finally:
            process.terminate()
        assert process.wait(15) == 0
    assert SECRET not in "".join(path.read_text("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file())


def test_the_command_line_opens_nothing_to_others_without_a_key(tmp_path: Path) -> None:
    for arguments, why in (
        (("--host", "0.0.0.0"), "other machines"),
        (("--access-key", KEY), "give both"),
        (("--access-key", "", "--secret-key", ""), "neither is empty"),
    ):
        with serve("--dir", str(tmp_path), *arguments) as process:
            try:
                said, errors = process.communicate(timeout=60)
            finally:
                process.kill()  # one that serves after all would be waited for
        assert (process.returncode, said) == (2, "")
        assert why in errors
        assert errors.count("\n") == 1
