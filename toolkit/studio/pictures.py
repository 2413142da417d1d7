"""Thumbnails for galleries: fetched, made small and square, and blurred before anything reaches the browser."""

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import streamlit as st
from PIL import Image, ImageOps

from toolkit import plots, storage
from toolkit.errors import ToolkitError
from toolkit.images import thumbnail
from toolkit.studio import source
from toolkit.studio.source import Connection, View
from toolkit.workspace import Workspace

SIZE: Final = 240
"""Side of a tile in pixels."""
LARGE: Final = 640
"""Longest side of an image that one looks at alone."""
EMPTY: Final = Image.new("RGB", (SIZE, SIZE), plots.GREY)
"""The tile of an image that cannot be shown."""
_WORKERS: Final = 8


def tiles(view: View, source_refs: Sequence[str], *, blur: bool) -> list[bytes | str]:
    """Square thumbnails: a JPEG file for each image or, where there is none to show, one sentence on why.

    An image comes from the view's workspace or, where its source allows that and somebody said where, from S3; a
    `source_ref` is never opened as a path on this machine.
    """
    return [each if isinstance(each, str) else square(each) for each in _all(view, source_refs, SIZE, blur)]


def large(view: View, source_refs: Sequence[str], *, blur: bool) -> list[bytes | str]:
    """As `tiles`, as large as one looks at them, and in their own shape."""
    return _all(view, source_refs, LARGE, blur)


def _all(view: View, source_refs: Sequence[str], size: int, blur: bool) -> list[bytes | str]:
    folder, images = (str(view.workspace.folder), view.workspace.images) if view.workspace else (None, {})

    connection = source.connection_of(view.source) if view.source.s3 else None

    def one(source_ref: str) -> bytes | str:
        return _one(source_ref, folder, images, connection, size, blur)

    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(pool.map(one, source_refs))


@st.cache_data(max_entries=2000, ttl="10m", show_spinner=False)
def _one(
    source_ref: str,
    folder: str | None,
    images: Mapping[str, str],
    connection: Connection | None,
    size: int,
    blur: bool,
) -> bytes | str:
    try:
        data = Workspace(Path(folder), images=images).image(source_ref) if folder else None
        if data is None and connection is not None and storage.is_s3(source_ref):
            data = storage.read(source_ref, session=source.session(connection))
        return "no copy of this image here." if data is None else thumbnail(data, size, blur=blur)
    except ToolkitError as error:
        return source.in_words(error)
    except (OSError, ValueError) as error:  # a name that this machine's file system cannot hold
        return f"cannot be opened ({error})."


def square(picture: bytes) -> bytes:
    """A picture in the middle of a grey square, nothing cut off, so that galleries stand in rows."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        ImageOps.pad(image, (SIZE, SIZE), color=plots.GREY).save(out, "JPEG", quality=85)
    return out.getvalue()
