"""`modkit app`: where it opens, and that it ends with its command."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from cli_process import modkit, one_sentence
from helpers import started

import toolkit as tk
from toolkit.cli.studio import open_studio
from toolkit.studio import launch


def test_the_app_opens_on_a_workspace_and_says_where(run) -> None:
    (run / "workspace.json").write_text("{")
    assert "workspace.json" in one_sentence(modkit("app", "--dir", run))
    assert "not a folder" in one_sentence(modkit("app", "--dir", run / "results.jsonl"))
    tk.Workspace(run, {"run": tk.Run("results.jsonl", 50.0)}).save()
    command = [sys.executable, "-m", "toolkit", "app", "--dir", str(run), "--port", "0"]
    with started(command, stderr=subprocess.DEVNULL) as process:
        url = process.stdout.readline().split()[4]
        assert answers(url)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
    assert not answers(url)


def test_an_app_for_others_says_that_there_is_no_password(tmp_path) -> None:
    command = [sys.executable, "-m", "toolkit", "app", "--dir", str(tmp_path / "new"), "--port", "0", "--host"]
    with started([*command, "0.0.0.0"], stderr=subprocess.PIPE) as process:
        said = process.stdout.readline()
        warning = next(line for line in process.stderr if "password" in line)
        url = said.split()[4]
        assert url.startswith("http://127.0.0.1:")
        assert answers(url)
        assert f"http://{socket.gethostname()}:" in warning
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)


def test_the_app_is_where_it_was_the_last_time_unless_somebody_else_is_there(tmp_path, monkeypatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        usual = other.getsockname()[1]
        monkeypatch.setattr(launch, "PORT", usual)
        other.listen()
        with open_studio(tmp_path) as studio:
            assert studio.url != f"http://127.0.0.1:{usual}"
            assert studio.others == []
    with open_studio(tmp_path) as studio:
        assert studio.url == f"http://127.0.0.1:{usual}"
        assert answers(studio.url)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_app_ends_with_the_command_that_opened_it(run, number: signal.Signals) -> None:
    tk.Workspace(run, {"run": tk.Run("results.jsonl", 50.0)}).save()
    command = [sys.executable, "-m", "toolkit", "app", "--dir", str(run), "--port", "0"]
    with started(command, stderr=subprocess.DEVNULL) as process:
        url = process.stdout.readline().split()[4]
        assert answers(url)
        process.send_signal(number)
        process.wait(timeout=20)
    ends = time.monotonic() + 20
    while answers(url):
        assert time.monotonic() < ends, "the app outlived its command"
        time.sleep(0.1)


def test_a_program_under_test_hears_ctrl_c_even_where_pytest_does_not() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
        with started([sys.executable, "-c", code]) as process:
            assert process.communicate(timeout=20)[0] == "True\n"
    finally:
        signal.signal(signal.SIGINT, before)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:
            return answer.read() == b"ok"
    except OSError:
        return False
