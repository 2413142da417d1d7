"""`detect.json`: says which run an output is of, and, as long as that may go on, where its journal is."""

import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import boto3

from toolkit import manifests, storage
from toolkit.errors import ToolkitError, UnreadableManifest

FILE_NAME: Final = "detect.json"
VERSION: Final = 1
_DAMAGE: Final = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a damaged file raises."""


@dataclass(frozen=True)
class JournalPlace:
    """The folder of a journal, and the machine that it is on."""

    host: str
    folder: str


@dataclass(frozen=True)
class Record:
    """What `detect.json` says of a run.

    Attributes
    ----------
    identity
        What tells the run from others.
    images, failed, unsettled
        As a `DetectRun` has them. Of a run that has begun: the images of the results that it left before, or
        is about to, and 0.
    min_confidence
        Its floor, percent.
    project_version
        ARN of the adapter that was asked for; None for the base model.
    asked
        Whose answers these are: an endpoint, or "this machine".
    journal
        None of a run that has ended.
    """

    identity: str
    images: int
    failed: int
    unsettled: int
    min_confidence: float
    project_version: str | None
    asked: str | None
    journal: JournalPlace | None = None

    def to_json(self) -> bytes:
        """As it stands in the file."""
        document: dict[str, Any] = {"version": VERSION} | asdict(self)
        if self.journal is None:
            del document["journal"]
        else:
            document["begun"] = secrets.token_hex(8)  # no two runs that begin say the same
        return (json.dumps(document, indent=2) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes, uri: str, advice: Callable[[], str]) -> Self:
        """Reads the file.

        Parameters
        ----------
        data
            What is in it.
        uri
            Where it is; begins the message.
        advice
            Says what to do about a damaged one; ends the message.

        Raises
        ------
        UnreadableManifest
            It is damaged, or of a newer version.
        """
        try:
            known = json.loads(data)
            version, journal = known["version"], known.get("journal")
            if version == VERSION:
                return cls(
                    str(known["identity"]), int(known["images"]), int(known["failed"]), int(known["unsettled"]),
                    float(known["min_confidence"]), known["project_version"], known.get("asked"),
                    None if journal is None else JournalPlace(str(journal["host"]), str(journal["folder"])),
                )  # fmt: skip
            newer = version > VERSION
        except _DAMAGE:
            newer = False
        if newer:
            raise UnreadableManifest(
                f"{uri}: of version {version}, and this toolkit reads version {VERSION}; update the toolkit, or name "
                f"another output."
            )
        raise UnreadableManifest(f"{uri}: is damaged; {advice()}.")


def floor_beside(results: str, *, session: boto3.Session | None = None) -> float | None:
    """MinConfidence, percent, of the run that left a results manifest, as `detect.json` beside it tells; None without.

    Parameters
    ----------
    results
        Path or S3 URI of the manifest.
    session
        For S3; None is boto3's default.
    """
    plain = results.removesuffix(".gz")
    if not plain.endswith(manifests.RESULTS_NAME):
        return None
    # Another program's file, a newer toolkit's, or none.
    with suppress(ToolkitError, *_DAMAGE):
        known = json.loads(storage.read(plain.removesuffix(manifests.RESULTS_NAME) + FILE_NAME, session=session))
        floor = float(known["min_confidence"])
        return floor if known["version"] == VERSION and 0 <= floor <= 100 else None
    return None
