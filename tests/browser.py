"""A Chromium or Chrome for the browser tests: one that is here, else what playwright or Debian can install."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
ADVICE = "no Chromium or Chrome: install one, or run `python -m playwright install chromium`"

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@cache
def find_chromium() -> str | None:
    """Path of a browser that starts; None if there is none and none can be had."""
    return _installed() or _from_playwright() or _from_debian()


def _installed() -> str | None:
    found = [path for name in NAMES if (path := shutil.which(name))] + [str(MAC)] * MAC.is_file()
    with sync_playwright() as playwright:
        found.append(playwright.chromium.executable_path)
    return next((path for path in found if _starts(path)), None)


def _from_playwright() -> str | None:
    return _installed() if _ran(sys.executable, "-m", "playwright", "install", "--with-deps", "chromium") else None


def _from_debian() -> str | None:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return None
    if not (_ran("apt-get", "update") and _ran("apt-get", "install", "-y", "--no-install-recommends", "chromium")):
        return None
    return _installed()


def _starts(path: str) -> bool:
    # Ubuntu's `chromium-browser` may be a stub that only says how to install it.
    return Path(path).is_file() and _ran(path, "--version")


def _ran(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=600, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
