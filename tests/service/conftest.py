"""One service for all tests of this folder."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from service_client import Client, shape

from toolkit.service import LocalService


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    with LocalService(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="session")
def client(service: LocalService) -> Client:
    return Client(service.endpoint_url)


@pytest.fixture(scope="session")
def shapes(client: Client) -> dict[str, Any]:
    """An adapter that learned red circles (as Gambling) against blue squares, and what it learned from."""
    bucket = client.bucket()

    def labelled(part: str, first: int, count: int) -> list[tuple[str, list[str]]]:
        return [
            (
                client.put(bucket, f"{part}/{number}.jpg", shape(number, number % 2 == 0)),
                ["Gambling"] * (number % 2 == 0),
            )
            for number in range(first, first + count)
        ]

    training = client.truth(bucket, "training.jsonl", labelled("training", 0, 24))
    testing = client.truth(bucket, "testing.jsonl", labelled("testing", 100, 12))
    project = client.project()
    arn = client.train(project, bucket, training, testing)
    return {
        "bucket": bucket,
        "training": training,
        "testing": testing,
        "project": project,
        "arn": arn,
        "version": client.version(project, arn),
    }


@pytest.fixture
def impatient(client: Client) -> Any:
    """An S3 client that does not try again."""
    return client.session.client("s3", config=Config(retries={"max_attempts": 0}))
