"""How near to the account's limit does `detect` run when the service has a bad day, beside the way one writes it first?

    python benchmarks/detect.py [--images 3000] [--tps 50] [--faults 0.1] [--rounds 1]

A local service in a process of its own takes `--tps` requests a second and throttles the rest. Before it stands a door
that answers a share of all requests (`--faults`) with throttling and server errors, half and half. Two ways go through
the same images, one after the other:

(a) detect: `toolkit.detect`, told the limit.
(b) plain: a ThreadPoolExecutor of 50 threads, and boto3 with its "standard" retries, as it comes.

The sustained rate is images answered per second, between the first and the last answer, and is shown as a share of the
limit. An image is lost when it has no result, doubled when the service answered for it more than once. What a door
turned away costs time but no quota, so that 100 % can be reached. The service and the clients share this machine. The
plain way's losses begin once the service's and botocore's reserves are used up: with 60 images there are none.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import toolkit as tk
from toolkit.service import LocalService
from toolkit.service.limits import Limits

SAMPLES = Path(__file__).parents[1] / "sample_data" / "images"
BUCKET = "detect-benchmark"
THREADS = 50
ERRORS = ((400, "ProvisionedThroughputExceededException"), (500, "InternalServerError"))


class Door:
    """Turns a share of DetectModerationLabels away, and counts what comes back for each image."""

    def __init__(self, app: Any, faults: float) -> None:
        self._app, self._faults, self._random = app, faults, random.Random(0)  # noqa: S311
        self._lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        """Counts from nothing."""
        self.requests, self.throttled, self.turned_away = 0, 0, 0
        self.answered: Counter[str] = Counter()
        self.first = self.last = 0.0

    def report(self) -> dict[str, Any]:
        """What was counted, as JSON."""
        return {
            "requests": self.requests, "throttled": self.throttled, "turned_away": self.turned_away,
            "seconds": self.last - self.first, "answered": sum(self.answered.values()),
            "doubled": sum(count - 1 for count in self.answered.values()),
        }  # fmt: skip

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answers one request."""
        if not environ.get("HTTP_X_AMZ_TARGET", "").endswith(".DetectModerationLabels"):
            return self._app(environ, start_response)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = BytesIO(body)
        with self._lock:
            self.requests += 1
            refused = self._random.random() < self._faults
            status, code = self._random.choice(ERRORS)
            self.turned_away += refused
        if refused:
            headers = [("x-amzn-ErrorType", code), ("Content-Type", "application/x-amz-json-1.1")]
            start_response(f"{status} Error", headers)
            return [json.dumps({"__type": code, "message": "a bad day"}).encode()]

        def started(status: str, headers: Any, *rest: Any) -> Any:
            with self._lock:
                if status.startswith("200"):
                    self.last = time.perf_counter()
                    self.first = self.first or self.last
                    self.answered[json.loads(body)["Image"]["S3Object"]["Name"]] += 1
                else:
                    self.throttled += 1
            return start_response(status, headers, *rest)

        return self._app(environ, started)


def serve(folder: str, tps: float, faults: float) -> None:
    """The service's process: says its URL, then reports and begins anew whenever it is sent a line."""
    with LocalService(folder, limits=Limits(tps)) as service:
        server: Any = service._server
        server.app = door = Door(server.app, faults)
        print(service.endpoint_url, flush=True)
        for _ in sys.stdin:
            print(json.dumps(door.report()), flush=True)
            door.begin()


def ours(uris: Sequence[str], session: boto3.Session, tps: float, folder: Path) -> int:
    """Images that have a result."""
    run = tk.detect(uris, folder / f"run-{time.time_ns()}", tps=tps, session=session, progress=False)
    return run.results().n_images


def plain(uris: Sequence[str], session: boto3.Session, _tps: float, _folder: Path) -> int:
    """Images that have a result."""
    config = Config(retries={"mode": "standard"}, max_pool_connections=THREADS)
    client = session.client("rekognition", config=config)

    def ask(uri: str) -> bool:
        with suppress(ClientError):
            client.detect_moderation_labels(Image={"S3Object": {"Bucket": BUCKET, "Name": uri.rpartition("/")[2]}})
            return True
        return False

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(ask, uris))


def main() -> None:
    """Prints one table a round, and the lot as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--tps", type=float, default=50)
    parser.add_argument("--faults", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.tps, given.faults)
        return
    ways: dict[str, Callable[..., int]] = {"detect": ours, "plain": plain}
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, __file__, "--serve", f"{name}/service", "--tps", str(given.tps)]
        command += ["--faults", str(given.faults)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as service:
            if service.stdin is None or service.stdout is None:
                raise RuntimeError("no pipes")
            session = tk.connect(service.stdout.readline().strip())
            uris = fill(session, given.images)
            for number in range(given.rounds):
                for way, run in ways.items():
                    results = run(uris, session, given.tps, Path(name))
                    print("report", file=service.stdin, flush=True)
                    counts = json.loads(service.stdout.readline())
                    row = {"round": number + 1, "way": way, "images": len(uris), "lost": len(uris) - results} | counts
                    row["of_limit"] = counts["answered"] / counts["seconds"] / given.tps
                    found.append(row)
                    show(row)
            service.stdin.close()
    print(json.dumps(found))


def fill(session: boto3.Session, count: int) -> list[str]:
    """So many images in S3, the samples again and again, each under a name of its own."""
    tk.storage.make_bucket(BUCKET, session=session)
    files = sorted(SAMPLES.iterdir())
    pairs = [(files[n % len(files)], f"s3://{BUCKET}/{n:06}{files[n % len(files)].suffix}") for n in range(count)]
    tk.storage.upload_files(pairs, session=session)
    return [uri for _, uri in pairs]


def show(row: dict[str, Any]) -> None:
    """One line for people."""
    print(
        f"{row['way']:7}  {row['of_limit']:6.1%} of the limit  {row['seconds']:6.1f} s  {row['requests']:6,} requests  "
        f"{row['turned_away']:5,} turned away  {row['throttled']:5,} throttled  {row['lost']:4,} lost  "
        f"{row['doubled']:4,} doubled",
        flush=True,
    )


if __name__ == "__main__":
    main()
