"""What is wrong with a service's folder, or with a file in it, as a sentence."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from toolkit.errors import Unreachable

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_NO_FILES: Final = (errno.EMFILE, errno.ENFILE)
# SQLite says "disk I/O error" where there is no room for the index of its write-ahead log.
_SQLITE_NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def is_full(error: OSError | sqlite3.Error) -> bool:
    """Whether the disk, or one's share of it, is full."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    return getattr(error, "sqlite_errorcode", None) in _SQLITE_NO_ROOM  # the driver's own errors have none


def is_out_of_files(error: BaseException) -> bool:
    """Whether as many files are open as may be: no fault of the disk, and soon over."""
    return isinstance(error, OSError) and error.errno in _NO_FILES


def refused(directory: Path, error: OSError | sqlite3.Error) -> Unreachable:
    """A folder that cannot be written, is none, or lies on a full disk."""
    place = getattr(error, "filename", None) or directory
    if is_full(error):
        return Unreachable(f"{place}: the disk is full; make room there, or name another folder (--dir).")
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
