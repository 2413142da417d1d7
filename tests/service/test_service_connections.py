import errno
import json
import os
import select
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from service_client import Client, picture, raising
from service_requests import ask

from toolkit.service import LocalService
from toolkit.service.gate import MAX_BODY_BYTES
from toolkit.service.stored import File


@pytest.mark.parametrize(
    "kind",
    ["STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD", "streaming-unsigned-payload-trailer"],
)
def test_chunks_of_another_kind_are_not_stored_as_an_object(client: Client, service: LocalService, kind: str) -> None:
    bucket = client.bucket()
    headers = {"x_amz_content_sha256": kind, "x_amz_decoded_content_length": "5"}
    status, said = ask(service.endpoint_url, "PUT", f"/{bucket}/key", b"5\r\nhello\r\n0\r\n\r\n", **headers)
    assert (status, "<Code>NotImplemented</Code>" in said) == (501, True)
    assert "Contents" not in client.s3.list_objects_v2(Bucket=bucket)


def test_a_request_has_a_largest_size(service: LocalService) -> None:
    status, said = ask(service.endpoint_url, "PUT", "/bucket/key", bytes(MAX_BODY_BYTES + 1))
    assert status == 413
    assert "in parts" in said


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'\xef\xbb\xbf{"JobId": "a"}'])
def test_a_body_that_is_no_object_is_refused(service: LocalService, body: bytes) -> None:
    target = {"X_Amz_Target": "RekognitionService.GetMediaAnalysisJob", "Content_Type": "application/x-amz-json-1.1"}
    status, said = ask(service.endpoint_url, "POST", "/", body, **target)
    assert status == 400
    assert json.loads(said)["__type"] == ("SerializationException" if body else "InvalidParameterException")


def test_a_mistake_of_ours_is_an_answer_without_details(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistake(*_: Any) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr("toolkit.service.jobs.Jobs.page", mistake)
    status, said = ask(
        client.rekognition.meta.endpoint_url,
        "POST",
        "/",
        b"{}",
        X_Amz_Target="RekognitionService.ListMediaAnalysisJobs",
    )
    assert status == 500
    assert json.loads(said)["__type"] == "InternalServerError"
    assert "deep inside" not in said
    assert "deep inside" in caplog.text


def test_connections_that_say_nothing_make_others_wait_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.service.server.MAX_CONNECTIONS", 3)
    with LocalService(tmp_path) as service, ThreadPoolExecutor() as threads:
        client = Client(service.endpoint_url)
        bucket = client.bucket()
        job_id = client.start(client.manifest(bucket, [client.put(bucket, "a.jpg", picture(1))] * 20))
        address = urlsplit(service.endpoint_url)
        with ExitStack() as silent:
            for _ in range(3):
                silent.enter_context(socket.create_connection((address.hostname, address.port)))
            waits = threads.submit(client.s3.list_buckets)
            with pytest.raises(TimeoutError):
                waits.result(1)
        assert waits.result(30)["Buckets"]
        assert client.job(job_id)["Status"] == "SUCCEEDED"
        for _ in range(3):
            socket.create_connection((address.hostname, address.port))
        began = time.monotonic()
        service.stop()
        assert time.monotonic() - began < 5


def test_a_head_that_comes_byte_by_byte_holds_its_place_for_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.service.server.MAX_CONNECTIONS", 3)
    monkeypatch.setattr("toolkit.service.connection.HEAD_SECONDS", 1.0)
    with LocalService(tmp_path) as service, ThreadPoolExecutor() as threads:
        client, address = Client(service.endpoint_url), urlsplit(service.endpoint_url)
        bucket = client.bucket()

        def slowly(head: str, rest: bytes) -> bytes:
            """An answer to a request of which the rest goes out byte by byte."""
            with socket.create_connection((address.hostname, address.port), 10) as connection:
                connection.sendall(f"{head}\r\n".encode())
                for byte in rest:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.2)
                return connection.recv(4096)

        held = [threads.submit(slowly, "GET / HTTP/1.1\r\nHost: 127.0.0.1", b"X-A: " + b"a" * 150) for _ in range(3)]
        time.sleep(0.5)
        assert threads.submit(client.s3.list_buckets).result(15)["Buckets"]
        assert all(isinstance(one.exception(5), ConnectionError) for one in held)
        put = f"PUT /{bucket}/key HTTP/1.1\r\nHost: 127.0.0.1"
        assert b"200 OK" in slowly(f"{put}\r\nContent-Length: 10\r\n", b"0123456789")


@pytest.mark.parametrize(
    ("piece", "status"), [(b"X-A: a\r\n" * 4, b"431"), (b"a" * 4096, b"414"), (b"GET\r\n\r\n", b"400")]
)
def test_a_head_that_is_refused_takes_no_longer_than_one_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: bytes, status: bytes
) -> None:
    monkeypatch.setattr("toolkit.service.connection.HEAD_SECONDS", 2.0)
    with LocalService(tmp_path) as service:
        address = urlsplit(service.endpoint_url)
        with socket.create_connection((address.hostname, address.port), 10) as connection:

            def takes(piece: bytes) -> bool:
                try:
                    connection.sendall(piece)
                except ConnectionError:
                    return False
                time.sleep(0.02)
                return True

            began, said = time.monotonic(), b""
            assert takes(b"GET / HTTP/1.1\r\n" if piece.startswith(b"X") else b"")
            while takes(piece) and time.monotonic() - began < 8:
                if not said and select.select([connection], [], [], 0)[0]:
                    said = connection.recv(4096)
            assert status in said
            assert 1.5 < time.monotonic() - began < 5


def test_a_client_is_told_once_to_go_on(client: Client, service: LocalService) -> None:
    address, bucket = urlsplit(service.endpoint_url), client.bucket()
    head = f"PUT /{bucket}/key HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(head.encode())
        said = connection.recv(4096)
        assert said == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        while more := connection.recv(4096):
            said += more
    assert (said.count(b"100 Continue"), said.count(b"200 OK")) == (1, 1)
    assert client.get({"Bucket": bucket, "Name": "key"}) == b"hello"


def test_too_many_open_files_are_no_fault_of_the_disk_and_nothing_final(
    client: Client, shapes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = client.bucket()
    place = client.manifest(bucket, [client.put(bucket, f"{number}.jpg", picture(number)) for number in range(20)])
    expected = client.results(client.job(client.start(place, MinConfidence=0)))
    opens, left = File.read, iter(range(6))

    def read(file: File, size: int = -1) -> bytes:
        if threading.current_thread().name.startswith("look") and next(left, None) is not None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return opens(file, size)

    monkeypatch.setattr("toolkit.service.engine.RETRY_SECONDS", 0.01)
    monkeypatch.setattr(File, "read", read)
    assert client.results(client.job(client.start(place, MinConfidence=0))) == expected
    left = iter(range(3))
    project = client.project()
    arn = client.train(project, shapes["bucket"], shapes["training"], shapes["testing"])
    assert client.version(project, arn)["Status"] == "TRAINING_COMPLETED"
    monkeypatch.setattr(File, "read", raising(OSError(errno.EMFILE, os.strerror(errno.EMFILE))))
    with pytest.raises(ClientError, match="too many files open; try again"):
        client.s3.get_object(Bucket=bucket, Key="0.jpg")
    with pytest.raises(ClientError, match="too many files open; try again"):
        client.start(place)
