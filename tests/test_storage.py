import inspect
import re
import resource
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError

import toolkit as tk
from toolkit import storage
from toolkit.errors import NotFound, RequestRefused, Unreachable

DEAD = "http://127.0.0.1:9"


def test_what_is_written_is_read_and_listed_here_as_there(endpoint: str, bucket: str, tmp_path) -> None:
    session = tk.connect(endpoint)
    for root in (f"s3://{bucket}/some/prefix", tmp_path / "folder"):
        for name in ("b.txt", "a/c.txt"):
            storage.write(storage.join(root, name), name.encode(), session=session)
        assert storage.list_files(root, session=session) == [storage.join(root, n) for n in ("a/c.txt", "b.txt")]
        assert storage.read(storage.join(root, "a/c.txt"), session=session) == b"a/c.txt"
        assert storage.exists(storage.join(root, "b.txt"), session=session)
        assert not storage.exists(storage.join(root, "x.txt"), session=session)


def test_a_listing_goes_on_after_its_first_thousand(endpoint: str, bucket: str, tmp_path) -> None:
    for number in range(1005):
        (tmp_path / f"{number:04}").write_bytes(b"x")
    session = tk.connect(endpoint)
    uploaded = storage.upload(tmp_path, f"s3://{bucket}/many/", session=session)
    assert storage.list_files(f"s3://{bucket}/many/", session=session) == uploaded
    assert len(uploaded) == 1005


def test_a_versioned_bucket_tells_the_version(endpoint: str, bucket: str) -> None:
    session = tk.connect(endpoint)
    first, second = (storage.write(f"s3://{bucket}/k", data, session=session) for data in (b"1", b"2"))
    assert first != second
    got = session.client("s3").get_object(Bucket=bucket, Key="k", VersionId=first)["Body"].read()
    assert got == b"1"


def test_a_bucket_that_is_there_already_is_no_error(endpoint: str, bucket: str) -> None:
    storage.make_bucket(bucket, session=tk.connect(endpoint))
    assert storage.list_files(f"s3://{bucket}", session=tk.connect(endpoint)) == []


@pytest.mark.parametrize("uri", ["s3://no-such-bucket-here/k", "s3:///k"])
def test_a_wrong_bucket_is_said_in_one_sentence(endpoint: str, uri: str) -> None:
    for act in (storage.read, storage.list_files):
        with pytest.raises(NotFound, match=r"; .*\.$"):
            act(uri, session=tk.connect(endpoint))
    with pytest.raises(NotFound):
        storage.write(uri, b"", session=tk.connect(endpoint))


def test_a_missing_object_and_a_missing_file_are_said_in_one_sentence(endpoint: str, bucket: str, tmp_path) -> None:
    with pytest.raises(NotFound, match="no such object"):
        storage.read(f"s3://{bucket}/k", session=tk.connect(endpoint))
    with pytest.raises(NotFound, match="check the path"):
        storage.read(tmp_path / "k")
    with pytest.raises(NotFound, match="no such folder"):
        storage.list_files(tmp_path / "k")


def test_what_may_not_be_read_is_not_taken_for_missing(endpoint: str, bucket: str, tmp_path, monkeypatch) -> None:
    session = tk.connect(endpoint)
    storage.write(f"s3://{bucket}/k", b"data", session=session)
    assert storage.read_if_there(f"s3://{bucket}/k", session=session) == b"data"
    for nothing in (f"s3://{bucket}/none", "s3://no-such-bucket-here/k", tmp_path / "none", tmp_path / "no" / "ne"):
        assert storage.read_if_there(nothing, session=session) is None
        assert not storage.exists(nothing, session=session)
    denied = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    with web_server(403, denied, {"x-amz-request-id": "1"}) as url:
        for act in (storage.read_if_there, storage.exists):
            with pytest.raises(NotFound, match=r"cannot be known; ask for s3:GetObject on it and s3:ListBucket"):
                act("s3://bucket/k", session=tk.connect(url))


def test_a_path_that_cannot_be_written_is_said_in_one_sentence(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotFound, match="check the path"):
        storage.write(tmp_path / "file" / "below", b"")


def test_a_write_that_fails_leaves_nothing_behind(tmp_path) -> None:
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "taken", ""):
        with pytest.raises(NotFound, match=r"writing .*; check the path"):
            storage.write(path, b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_an_endpoint_that_is_down_is_said_in_one_sentence() -> None:
    with pytest.raises(Unreachable, match="does not answer; start it"):
        storage.read("s3://bucket/k", session=tk.connect(DEAD))


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Op"), NotFound, "access denied"),
        (ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow."}}, "Op"), RequestRefused, "slow"),
        (NoCredentialsError(), Unreachable, "no AWS credentials"),
        (NoRegionError(), Unreachable, "no AWS region"),
        (ValueError("Invalid endpoint: x"), RequestRefused, "Invalid endpoint"),
    ],
)
def test_what_boto3_raises_becomes_one_of_ours(raised: Exception, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said), storage.translated("reading it"):
        raise raised


def test_an_unknown_profile_is_said_in_one_sentence() -> None:
    with pytest.raises(Unreachable, match="profile"):
        tk.connect(profile_name="no-such-profile")


def test_the_local_endpoint_needs_no_configuration_whatever_the_environment_says(endpoint, bucket, monkeypatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_ENDPOINT_URL", DEAD)
    storage.write(f"s3://{bucket}/k", b"1", session=tk.connect(endpoint))
    assert storage.read(f"s3://{bucket}/k", session=tk.connect(endpoint)) == b"1"
    with pytest.raises(Unreachable, match="no-such-profile"):
        tk.connect()
    with pytest.raises(Unreachable, match="not a URL"):
        tk.connect("localhost")
    with pytest.raises(Unreachable, match="other"):
        tk.connect(endpoint, profile_name="other")


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:abc", "http://", "http://a b", "localhost:4555"]
)
def test_what_is_not_a_url_is_said_in_one_sentence_with_one_that_is(url: str) -> None:
    with pytest.raises(Unreachable, match=r": not a URL.*; write it as http://127\.0\.0\.1:4555\.$"):
        tk.connect(url)


def test_what_is_not_a_region_is_said_in_one_sentence_with_one_that_is(tmp_path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"")
    session = tk.connect(DEAD, region_name="bad region")
    for act in (
        lambda: storage.read("s3://bucket/k", session=session),
        lambda: storage.upload(tmp_path, "s3://bucket/", session=session),
        lambda: storage.make_bucket("bucket", session=session),
        lambda: tk.train_adapter("a", "s3://bucket/t", "s3://bucket/o", session=session),
        lambda: next(tk.MediaAnalysis(session).jobs()),
    ):
        with pytest.raises(Unreachable, match=r"'bad region' is not an AWS region; name one such as eu-west-1\.$"):
            act()


def test_an_endpoint_elsewhere_without_a_region_says_how_to_name_one(monkeypatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(Unreachable, match=r"no AWS region; name one \(--region"):
        next(tk.MediaAnalysis(tk.connect("http://example.invalid")).jobs())


def test_the_region_is_found_where_awss_own_programs_look_for_it(monkeypatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert tk.connect().region_name == "eu-west-1"
    assert tk.connect("http://example.invalid").region_name == "eu-west-1"
    assert tk.connect(region_name="eu-north-1").region_name == "eu-north-1"
    monkeypatch.delenv("AWS_REGION")
    assert tk.connect().region_name == "us-west-2"


@pytest.mark.parametrize("service", ["s3", "rekognition"])
def test_an_endpoint_that_never_answers_is_waited_for_once(service: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        session = tk.connect(f"http://127.0.0.1:{silent.getsockname()[1]}")
        client = session.client(service, config=Config(read_timeout=0.3))
        ask = client.list_buckets if service == "s3" else client.list_media_analysis_jobs
        with (
            pytest.raises(Unreachable, match="takes the request and does not answer; start it again"),
            storage.translated("asking"),
        ):
            ask()
        silent.settimeout(1)
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()


def test_many_uploads_to_an_endpoint_that_never_answers_are_waited_for_once(tmp_path, monkeypatch) -> None:
    for number in range(30):
        (tmp_path / f"{number}.jpg").write_bytes(b"picture")
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        session = tk.connect(f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(session, "client", partial(session.client, config=Config(read_timeout=1)))
        with pytest.raises(Unreachable, match="does not answer"):
            storage.upload(tmp_path, "s3://bucket/", session=session)
        silent.settimeout(0.5)
        asked = 0
        with suppress(TimeoutError):
            while True:
                silent.accept()[0].close()
                asked += 1
        assert 1 <= asked < 30  # not one connection for each picture


@contextmanager
def web_server(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """Some other server: it answers everything in the same way."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815  (the library's names)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("status", [200, 404, 501])
def test_some_other_web_server_is_told_in_one_short_line(status: int, monkeypatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with web_server(status, b"<!doctype html>\n<title>It works</title>\n" + b"<p>Hello.</p>\n" * 100) as url:
        session = tk.connect(url)
        for act in (
            lambda: tk.MediaAnalysis(session).start("s3://bucket/m.jsonl", "s3://bucket/out/"),
            lambda: tk.MediaAnalysis(session).job("0" * 64),
            lambda: next(tk.MediaAnalysis(session).jobs()),
            lambda: next(tk.list_adapters(session)),
            lambda: storage.list_files("s3://bucket/prefix/", session=session),
            lambda: storage.write("s3://bucket/k", b"data", session=session),
        ):
            with pytest.raises(Unreachable, match="does not answer as AWS does") as raised:
                act()
            assert "\n" not in str(raised.value)
            assert len(str(raised.value)) < 320


@pytest.mark.parametrize("act", [storage.read, storage.write, storage.exists, storage.list_files])
def test_every_parameter_and_every_error_is_explained(act) -> None:
    says = inspect.cleandoc(act.__doc__)
    for name in [*inspect.signature(act).parameters, "NotFound", "Unreachable", "RequestRefused"]:
        assert re.search(rf"^{name}\n    \S", says, re.MULTILINE), name


def test_a_proxy_is_not_asked_for_an_endpoint_of_this_machine_that_a_variable_names(monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    session = tk.connect(region_name="eu-west-1")
    assert session.client("s3").meta.config.proxies == {}
    assert session.client("rekognition").meta.config.proxies is None


@pytest.mark.parametrize("where", ["s3", "here"])
def test_of_several_who_write_something_new_one_succeeds(where: str, endpoint, bucket, tmp_path) -> None:
    session = tk.connect(endpoint)
    uri = f"s3://{bucket}/new/one" if where == "s3" else str(tmp_path / "new" / "one")
    with ThreadPoolExecutor(8) as pool:
        wrote = list(pool.map(lambda n: storage.write_new(uri, b"%d" % n, session=session), range(8)))
    assert sum(wrote) == 1
    assert storage.read(uri, session=session) == b"%d" % wrote.index(True)
    if where == "s3":  # as botocore's second try finds it where the answer to the first was lost
        assert storage.write_new(uri, b"%d" % wrote.index(True), session=session)
    with pytest.raises(NotFound, match="writing"):
        storage.write_new("s3://nobody-has-this/one" if where == "s3" else uri + "/one", b"", session=session)


def test_a_full_disk_leaves_nothing_of_what_is_new(tmp_path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # no file may have a byte
    try:
        with pytest.raises(NotFound, match=r"writing .*check the path and the space on the disk"):
            storage.write_new(tmp_path / "new", b"data")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
    assert storage.write_new(tmp_path / "new", b"data")


def test_a_folder_is_not_taken_for_nothing(tmp_path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(NotFound, match="Is a directory"):
        storage.read_if_there(tmp_path / "one")


def test_an_endpoint_that_knows_no_condition_is_written_to_all_the_same(endpoint, bucket, monkeypatch) -> None:
    session = tk.connect(endpoint)
    client = session.client("s3")

    def unknown(params, **_) -> None:
        if "If-None-Match" in params["headers"]:
            answer = {"Error": {"Code": "NotImplemented"}, "ResponseMetadata": {"HTTPStatusCode": 501}}
            raise ClientError(answer, "PutObject")

    client.meta.events.register("before-call.s3.PutObject", unknown)
    monkeypatch.setattr(session, "client", lambda *_, **__: client)
    assert storage.write_new(f"s3://{bucket}/one", b"1", session=session)
    assert storage.read(f"s3://{bucket}/one", session=session) == b"1"
