"""What is wrong with a service's folder, or with a file in it, as a sentence."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import Unreachable


def refused(directory: Path, error: OSError | sqlite3.Error) -> Unreachable:
    """A folder that cannot be written, or is none."""
    place = getattr(error, "filename", None) or directory
    why = getattr(error, "strerror", None) or error
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        why = "a file stands in the place of a folder"
    return Unreachable(f"{place}: the service cannot keep its data there ({why}); name another folder (--dir).")


@contextmanager
def kept_in(path: Path) -> Iterator[None]:
    """Turns what is raised over the content of a file into a sentence that names the file.

    Raises
    ------
    Unreachable
    """
    try:
        yield
    except sqlite3.OperationalError:  # the disk or the permissions, not the content
        raise
    except (sqlite3.DatabaseError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise Unreachable(
            f"{path}: damaged, or not written by the service ({error}); put back a copy of its whole folder, or start "
            f"in a new one (--dir)."
        ) from error
