"""Streamlit, for as long as somebody holds the other end of its standard input: `-m toolkit.studio.attached run …`.

A child process is not told when its parent dies, and on kill -9 the parent can do nothing about that either; but the
system closes the pipe between them in every case.
"""

import os
import signal
import sys
import threading
from typing import Final

_STOP_SECONDS: Final = 5.0


def main() -> None:
    """What `python -m streamlit` does, until standard input ends."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    from streamlit.web import cli

    cli.main(prog_name="streamlit")


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)  # Streamlit's own way out
    threading.Event().wait(_STOP_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    main()
