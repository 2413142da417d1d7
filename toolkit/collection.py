"""The images of a collection, however a person names them, and the input manifests that are made of them."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from toolkit import image_limits, manifests, storage
from toolkit.errors import InvalidArgument, NotFound
from toolkit.manifests import LineError

Images = str | os.PathLike[str] | Iterable[str]
"""One `s3://bucket/prefix/`, a folder on this machine, an input manifest (`.jsonl`), or the images' own names: a list,
a column of a table, any iterable of text."""

OnDone = Callable[[int, int], None]
"""Called with the number done and the number in total."""

MANIFEST_SUFFIXES = (".jsonl", ".manifest")


@dataclass(frozen=True)
class Collection:
    """The images to analyze, in order, and those that cannot be.

    Attributes
    ----------
    refs
        One entry for each image: an S3 URI, or a path where `local`. "" where a manifest's line names none.
    problems
        Line number (position in `refs`, from 1) to the reason why this image is not worth asking about.
    folder
        Where the images lie, if they are on this machine.
    """

    refs: tuple[str, ...]
    problems: Mapping[int, LineError] = field(default_factory=dict)
    folder: Path | None = None

    def __len__(self) -> int:
        return len(self.refs)

    @property
    def usable(self) -> list[str]:
        """The images without a problem."""
        return [ref for line, ref in enumerate(self.refs, start=1) if line not in self.problems]

    @property
    def complaint(self) -> str:
        """What is left out, in a sentence; empty where nothing is.

        >>> Collection(("a.jpg", "b.jpg"), {2: LineError(2, "IMAGE_TOO_LARGE", "too large.", "b.jpg")}).complaint
        '1 of 2 images is left out: b.jpg (IMAGE_TOO_LARGE: too large).'
        """
        if not self.problems:
            return ""
        first = self.problems[min(self.problems)]
        many = len(self.problems) > 1
        why = f"{first.source_ref or f'line {first.line}'} ({first.code}: {first.message.rstrip('.')})"
        return (
            f"{len(self.problems):,} of {len(self.refs):,} images {'are' if many else 'is'} left out"
            f"{', the first' if many else ''}: {why}."
        )


def collect(images: Images, *, session: storage.Session | None = None) -> Collection:
    """Lists the images that a person means. Nothing is copied.

    Parameters
    ----------
    images
        S3 URIs (every one counts, duplicates too; a set is sorted); an `s3://bucket/prefix/` or a folder on this
        machine, of which every JPEG and PNG is taken, sorted by name; or an input manifest (`.jsonl`, `.manifest`),
        here or in S3.
    session
        For S3; None is boto3's default.

    Returns
    -------
    Collection
        What the limits forbid (over 15 MB; on this machine also under 80 or over 10,000 pixels a side) has a problem,
        as has a manifest's line that cannot be read. What is no image at all is left to the job, which says so.

    Raises
    ------
    NotFound
        No image is there, or one is not an S3 URI.
    InvalidArgument
        It is nothing that names images, such as a whole table; or a list or column holds something that is not text,
        such as a missing value.
    Unreachable, RequestRefused
    """
    if not isinstance(images, (str, os.PathLike)):
        return _named(images)
    if str(images).endswith(MANIFEST_SUFFIXES):
        return _from_manifest(str(images), session)
    found = _listed(str(images), session) if storage.is_s3(images) else _in_folder(Path(images))
    if not found.refs:
        raise NotFound(f"{images}: no JPEG or PNG there; name a prefix or folder that holds images.")
    return found


def _named(images: Iterable[str]) -> Collection:
    if isinstance(images, pd.DataFrame):
        raise InvalidArgument('images is a whole table; give its column that names them, such as table["image"].')
    if not isinstance(images, Iterable):
        raise InvalidArgument(f"images is {images!r}; give S3 URIs, an s3://bucket/prefix/, a manifest or a folder.")
    refs = tuple(images)
    if not refs:
        raise NotFound("no images given; name at least one s3://bucket/key.")
    for number, ref in enumerate(refs, start=1):
        if not isinstance(ref, str):
            raise InvalidArgument(f"image {number} is {ref!r}, not text; drop the rows that name no image.")
        _require_unicode(ref)
        if not all(storage.split_s3(ref)):
            raise NotFound(f"{ref}: not an image in S3; write it as s3://bucket/key.")
    # The order of a set differs from process to process, and with it the manifests and the name of a group.
    return Collection(tuple(sorted(refs)) if isinstance(images, (set, frozenset)) else refs)


def _require_unicode(ref: str) -> None:
    """Refuses what no file or request can hold: half of a surrogate pair, which stands for bytes that are no UTF-8."""
    try:
        ref.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{ref!r} is no text in UTF-8; correct it, or rename the file.") from error


def _from_manifest(uri: str, session: storage.Session | None) -> Collection:
    refs: list[str] = []
    problems: dict[int, LineError] = {}
    lines = [line for line in storage.read(uri, session=session).split(b"\n") if line.strip()]
    if not lines:
        raise NotFound(f"{uri}: the manifest is empty; write one with write_manifest.")
    for number, line in enumerate(lines, start=1):
        try:
            refs.append(manifests.parse_input_line(line))
        except ValueError as error:
            refs.append("")
            problems[number] = LineError(number, "INVALID_JSON_LINE", f"{error}.")
    return Collection(tuple(refs), problems)


def _listed(prefix: str, session: storage.Session | None) -> Collection:
    listed = storage.list_sizes(prefix, session=session).items()
    sizes = {uri: size for uri, size in listed if manifests.is_image_name(uri)}
    return Collection(tuple(sizes), _problems((uri, image_limits.size_problem(size)) for uri, size in sizes.items()))


def _in_folder(folder: Path) -> Collection:
    paths = [path for path in storage.list_files(folder) if manifests.is_image_name(path)]
    for path in paths:
        _require_unicode(path)
    return Collection(tuple(paths), _problems((path, _problem_of_file(path)) for path in paths), folder)


def _problem_of_file(path: str) -> image_limits.Problem | None:
    try:
        size = Path(path).stat().st_size
        return image_limits.size_problem(size) or image_limits.problem_of(Path(path).read_bytes())
    except OSError as error:
        return "INVALID_IMAGE_FORMAT", f"cannot be read ({error.strerror or error})."


def _problems(found: Iterable[tuple[str, image_limits.Problem | None]]) -> dict[int, LineError]:
    return {
        line: LineError(line, *problem, source_ref=ref)
        for line, (ref, problem) in enumerate(found, start=1)
        if problem is not None and problem[0] != "INVALID_IMAGE_FORMAT"
    }


# -- into S3 ----------------------------------------------------------------------------------------------------------


def upload_collection(
    found: Collection, prefix: str, *, session: storage.Session | None = None, on_done: OnDone | None = None
) -> list[str]:
    """Copies the usable images of a folder below an S3 prefix, each under the hash of what is in it.

    An image becomes `<prefix>/<sha256>/<its path in the folder>`: what is there already is not copied again, and an
    image that changed never takes the place of an older one that a manifest names.

    Parameters
    ----------
    found
        Images on this machine.
    prefix
        `s3://bucket/prefix/`.
    session
        None is boto3's default.
    on_done
        Called after each file that is copied.

    Returns
    -------
    list of str
        The URIs of all usable images, in order.

    Raises
    ------
    NotFound, Unreachable, RequestRefused
    """
    there = storage.list_sizes(f"{prefix.rstrip('/')}/", session=session)
    targets = {path: storage.join(prefix, _hash(path), _name(path, found.folder)) for path in found.usable}
    missing = [(path, uri) for path, uri in targets.items() if there.get(uri) != Path(path).stat().st_size]
    storage.upload_files(missing, session=session, on_done=on_done)
    return list(targets.values())


def _hash(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NotFound(f"reading {path}: {error.strerror or error}; check the path.") from error


def _name(path: str, folder: Path | None) -> str:
    return Path(path).relative_to(folder).as_posix() if folder is not None else Path(path).name


def write_manifest(
    images: Images,
    destination: str | os.PathLike[str],
    *,
    session: storage.Session | None = None,
) -> list[str]:
    """Writes the input manifest of a job, in as many parts as the service's limits ask for.

    Parameters
    ----------
    images
        What `collect` takes. The images of a folder on this machine are first copied to `images/` beside the manifest,
        each below the hash of its content.
    destination
        S3 URI of the manifest (or a path, for images that are in S3 already). One part keeps this name; several get
        `-1`, `-2`, … before the suffix.
    session
        For S3; None is boto3's default.

    Returns
    -------
    list of str
        URIs of the parts, at most 10,000 lines and 50 MB each. Images over 15 MB are left out (see `collect`, which
        names them).

    Raises
    ------
    NotFound
        No image was found, one is not an S3 URI, or the destination is not where a manifest can be.
    """
    _require_place(images, str(destination))
    return write_parts(collect(images, session=session), destination, session=session)


def write_parts(
    found: Collection,
    destination: str | os.PathLike[str],
    *,
    session: storage.Session | None = None,
    on_done: OnDone | None = None,
) -> list[str]:
    """As `write_manifest`, for a collection that was listed already; `on_done` is told of each image that is copied."""
    refs = found.usable
    if found.folder is not None:
        beside = storage.join(str(destination).rpartition("/")[0], "images")
        refs = upload_collection(found, beside, session=session, on_done=on_done)
    if not refs:
        raise NotFound(f"no image can be analyzed; {found.complaint}")
    targets, parts = name_parts(str(destination), refs)
    for name, part in zip(targets, parts, strict=True):
        storage.write(name, part, session=session)
    return targets


def name_parts(destination: str, refs: Iterable[str]) -> tuple[list[str], list[bytes]]:
    """The input manifests of these images: their URIs, and what is in them."""
    parts = manifests.split_lines(manifests.to_line({"source-ref": ref}) for ref in refs)
    if len(parts) == 1:
        return [destination], parts
    stem, suffix = os.path.splitext(destination)  # noqa: PTH122  (a URI, not a path)
    return [f"{stem}-{number}{suffix}" for number in range(1, len(parts) + 1)], parts


def _require_place(images: Images, destination: str) -> None:
    """Refuses a destination before anything is copied."""
    if storage.is_s3(destination):
        if not all(storage.split_s3(destination)):
            raise NotFound(f"{destination}: a bucket, not an object in it; write it as s3://bucket/manifest.jsonl.")
    elif isinstance(images, (str, os.PathLike)) and not storage.is_s3(images) and Path(images).is_dir():
        raise NotFound(
            f"{destination}: not in S3, where the images of a folder are copied beside their manifest; write it as "
            f"s3://bucket/manifest.jsonl."
        )
