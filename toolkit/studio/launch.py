"""How the studio is started; kept free of Streamlit so that the command line stays quick."""

import socket
import sys
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Final

MAIN: Final = Path(__file__).with_name("main.py")

LOOPBACK: Final = "127.0.0.1"
OPTIONS: Final = {
    # A server address is also what keeps Streamlit from asking an outside service for this machine's own.
    "server.address": LOOPBACK,
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "client.toolbarMode": "minimal",
    "runner.magicEnabled": "false",
    "theme.metricValueFontSize": "1.625rem",
    "theme.light.primaryColor": "#0072B2",
    "theme.light.backgroundColor": "#FFFFFF",
    "theme.light.secondaryBackgroundColor": "#F3F5F8",
    "theme.light.textColor": "#101317",
    "theme.dark.primaryColor": "#1B7AB4",
    "theme.dark.backgroundColor": "#14181D",
    "theme.dark.secondaryBackgroundColor": "#1F252C",
    "theme.dark.textColor": "#E8EBEE",
}
"""Streamlit's options for the studio; `.streamlit/config.toml` says the same for `streamlit run app.py`."""

ALLOWED_HOSTS: Final = (LOOPBACK, "localhost")
"""Names under which a browser may reach the studio: no other site's name can be pointed at it (DNS rebinding)."""

EVERY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104  (what these mean is said to whoever asks for them)

PORT: Final = 8501
"""Where the studio is unless it is said otherwise, so that a link to it stays good."""


def command(
    folder: str | PathLike[str] | None = None,
    *,
    endpoint_url: str | None = None,
    page: str | None = None,
    host: str = LOOPBACK,
    port: int | None = None,
    exit_with_stdin: bool = False,
) -> list[str]:
    """The command that starts the studio, for `subprocess.run`.

    Parameters
    ----------
    folder
        A workspace, or where one can be made; None lets the studio look for one where it is started.
    endpoint_url
        Where S3 is reached; None is AWS.
    page
        The page that opens first: explore, tune or runs.
    host
        Address to listen on. Any but the loopback address lets others use the studio, and all that it may read,
        without a password.
    port
        Where the browser finds it; None is Streamlit's choice (8501, or the next that is free).
    exit_with_stdin
        Whether it ends when its standard input does: whoever holds the other end of the pipe takes it along, however
        that ends.

    Examples
    --------
    >>> command("modkit-demo")[-2:]
    ['--dir', 'modkit-demo']
    """
    settings = OPTIONS | {"server.address": host}
    options = [word for name, value in settings.items() for word in (f"--{name}", value)]
    options += [word for name in (*ALLOWED_HOSTS, *names_of(host)) for word in ("--server.allowedHosts", name)]
    if port is not None:
        options += ["--server.port", str(port)]
    given = {"--dir": folder, "--endpoint": endpoint_url, "--page": page}
    words = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    module = "toolkit.studio.attached" if exit_with_stdin else "streamlit"
    return [sys.executable, "-m", module, "run", str(MAIN), *options, "--", *words]


def names_of(host: str) -> list[str]:
    """The names under which others reach a studio that listens on this address, the best to tell them first."""
    if host in {*ALLOWED_HOSTS, "::1"}:
        return []
    if host not in EVERY_ADDRESS:
        return [host]
    name = socket.gethostname()
    found = [name, socket.getfqdn()]
    with suppress(OSError):  # a name that nobody can look up is still one
        found += socket.gethostbyname_ex(name)[2]
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; the system says which of its addresses it would send from
        found.append(probe.getsockname()[0])
    return list(dict.fromkeys(found))
