"""The command line, as a process."""

import subprocess
import sys

DEAD = "http://127.0.0.1:9"


def modkit(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "toolkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What went wrong, once it is sure that it was said as the promise has it."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    sentence = done.stderr.strip()
    assert sentence[-1] in ".?"
    assert "\n" not in sentence
    return sentence
