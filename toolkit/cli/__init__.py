"""The command line: whatever a person can do in Python they can do in a shell."""

from toolkit.cli.main import main

__all__ = ["main"]
