"""Fixtures that every test may use."""

import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import Maker

import toolkit as tk
from toolkit import storage

collect_ignore_glob = ["*conftest.py"]  # where pytest looks for doctests, it does not tell one from another


@pytest.fixture(scope="session", autouse=True)
def hears_ctrl_c() -> None:
    """A shell without job control starts what it puts in the background with SIGINT ignored; some tests send it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory) -> Iterator[str]:
    """A local service for the whole session."""
    from toolkit.service import LocalService

    with LocalService(tmp_path_factory.mktemp("service")) as service:
        yield service.endpoint_url


@pytest.fixture
def bucket(endpoint: str) -> str:
    """A new versioned bucket."""
    name = f"bucket-{uuid.uuid4().hex}"
    storage.make_bucket(name, versioned=True, session=tk.connect(endpoint))
    return name
