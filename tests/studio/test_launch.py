"""How the studio is started."""

import socket
import subprocess
import sys
import tomllib
from itertools import pairwise
from typing import Any

from tests.studio.conftest import APP
from toolkit.studio import command, launch


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def test_the_command_line_and_the_configuration_file_say_the_same():
    written = flat(tomllib.loads(APP.with_name(".streamlit").joinpath("config.toml").read_text()))
    assert written.pop("server.allowedHosts") == list(launch.ALLOWED_HOSTS)
    assert {name: str(value).lower() if isinstance(value, bool) else value for name, value in written.items()} == (
        launch.OPTIONS
    )


def test_the_studio_listens_on_loopback_and_reports_to_nobody():
    words = command("folder", endpoint_url="http://127.0.0.1:1", page="tune", port=1234)
    assert words[words.index("--server.address") + 1] == "127.0.0.1"
    assert words[words.index("--browser.gatherUsageStats") + 1] == "false"
    assert words[words.index("--") + 1 :] == ["--dir", "folder", "--endpoint", "http://127.0.0.1:1", "--page", "tune"]


def test_others_reach_the_studio_only_where_that_was_asked_for_and_by_this_machines_names():
    def allowed(words: list[str]) -> list[str]:
        return [after for word, after in pairwise(words) if word == "--server.allowedHosts"]

    assert allowed(command()) == ["127.0.0.1", "localhost"]
    words = command(host="192.0.2.7")
    assert words[words.index("--server.address") + 1] == "192.0.2.7"
    assert allowed(words) == ["127.0.0.1", "localhost", "192.0.2.7"]
    assert socket.gethostname() in allowed(command(host="0.0.0.0"))
    assert "*" not in allowed(command(host="0.0.0.0"))


def test_the_studio_is_held_by_its_standard_input_only_where_asked():
    assert command()[1:4] == ["-m", "streamlit", "run"]
    assert command(exit_with_stdin=True)[1:4] == ["-m", "toolkit.studio.attached", "run"]


def test_starting_does_not_load_streamlit():
    code = "import sys, toolkit.studio; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=APP.parent, check=False).returncode == 0
