"""Requests without a client library."""

import http.client
from urllib.parse import urlsplit


def ask(endpoint: str, method: str = "GET", path: str = "/", body: bytes = b"", **headers: str) -> tuple[int, str]:
    """An answer to a request that no AWS client would send."""
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()
