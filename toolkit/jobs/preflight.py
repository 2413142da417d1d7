"""Before money is spent: would this collection be analyzed?"""

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import boto3
import pandas as pd

from toolkit import image_limits, storage
from toolkit.collection import Collection
from toolkit.errors import NotFound, RequestRefused, ToolkitError
from toolkit.jobs.request import JobSettings, start_request

_READERS = 8
_GONE = "gone"

Status = Literal["ok", "NO", "warn", "?"]
"""As it must be; in the way of everything; in the way of some images only; could not be looked at."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: whether it is as it must be, and in a sentence what was found."""

    name: str
    status: Status
    message: str

    @property
    def ok(self) -> bool:
        """Whether it is as it must be."""
        return self.status == "ok"


@dataclass(frozen=True, repr=False)
class Preflight:
    """What was looked at before a job.

    Attributes
    ----------
    checks
        In the order in which they matter.
    """

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing stands in the way; some images may still be left without a result, as a warning says."""
        return all(check.status != "NO" for check in self.checks)

    @property
    def table(self) -> pd.DataFrame:
        """One row a check: `name`, `status`, `ok`, `message`."""
        rows = [(c.name, c.status, c.ok, c.message) for c in self.checks]
        return pd.DataFrame(rows, columns=["name", "status", "ok", "message"])

    def __repr__(self) -> str:
        return "\n".join(f"{check.status:4} {check.name}: {check.message}" for check in self.checks)


def preflight(session: boto3.Session, found: Collection, output: str, kms_key_id: str | None, sample: int) -> Preflight:
    """Looks at everything that a job needs; see `MediaAnalysis.preflight`."""
    with storage.translated("looking at what a job needs"):
        region = str(session.client("rekognition").meta.region_name)
    chosen = _spread(found.usable, sample)
    buckets = sorted({storage.split_s3(uri)[0] for uri in [*chosen, output] if storage.is_s3(uri)})
    checks = [_credentials(session)]
    checks += [_region(session, bucket, region) for bucket in buckets]
    checks += _images(session, chosen, len(found.usable))
    checks.append(_output(session, output, kms_key_id))
    checks.append(_bulk_analysis(session, output))
    return Preflight(tuple(checks))


def _spread(refs: Sequence[str], sample: int) -> list[str]:
    """A few images from all over the collection."""
    step = max(1, len(refs) // max(1, sample))
    return list(refs[::step][:sample])


def _credentials(session: boto3.Session) -> Check:
    try:
        with storage.translated("asking who you are"):
            who = session.client("sts").get_caller_identity()
    except ToolkitError as error:
        return Check("credentials", "NO", str(error))
    return Check("credentials", "ok", f"account {who['Account']}, {who['Arn']}.")


def _region(session: boto3.Session, bucket: str, region: str) -> Check:
    name = f"bucket {bucket}"
    try:
        with storage.translated(f"looking for bucket {bucket}"):
            answer = session.client("s3").head_bucket(Bucket=bucket)
    except ToolkitError as error:
        return Check(name, "NO", str(error))
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    there = answer.get("BucketRegion") or headers.get("x-amz-bucket-region") or region
    if there != region:
        return Check(
            name, "NO", f"in {there}, but jobs would run in {region}; use --region {there}, or copy the images."
        )
    return Check(name, "ok", f"in {region}, where jobs would run.")


def _images(session: boto3.Session, chosen: Sequence[str], total: int) -> Iterator[Check]:
    """Whether a sample can be read, and is within the limits."""
    if not chosen:
        yield Check("reading", "NO", "no image is left to be analyzed.")
        return
    over = f", spread over {total:,}," if total > len(chosen) else ""
    spread = f"{len(chosen):,} images{over}"
    client: Any = session.client("s3")

    def look(uri: str) -> tuple[str, str] | None:
        """What is wrong with an image: a code and a sentence; the code is empty where nobody could look."""
        try:
            if not storage.is_s3(uri):
                return image_limits.problem_of(Path(uri).read_bytes())
            bucket, key = storage.split_s3(uri)
            with storage.translated(f"reading {uri}"):
                return image_limits.problem_of(client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except (NotFound, FileNotFoundError) as error:  # one that is not there stands in nobody's way
            return "" if isinstance(error, storage.Denied) else _GONE, str(error)
        except (ToolkitError, OSError) as error:
            return "", str(error)

    with ThreadPoolExecutor(_READERS) as pool:
        problems = [(uri, *said) for uri, said in zip(chosen, pool.map(look, chosen), strict=True) if said is not None]
    unread = [message for _, code, message in problems if not code]
    gone = [message for _, code, message in problems if code == _GONE]
    if unread:
        yield Check("reading", "NO", unread[0])
    elif gone:
        said = f"{len(gone)} of {spread} are not there and will not be analyzed, such as {gone[0]}"
        yield Check("reading", "warn" if len(gone) < len(chosen) else "NO", said)
    else:
        yield Check("reading", "ok", f"{spread} can be read.")
    bad = [(uri, code, message) for uri, code, message in problems if code not in {"", _GONE}]
    unseen = len(unread) + len(gone)
    if bad:
        counts = ", ".join(f"{count} {code}" for code, count in Counter(code for _, code, _ in bad).items())
        said = f"{len(bad)} of {spread} will not be analyzed ({counts}), such as {bad[0][0]}: {bad[0][2]}"
        # They end as errors of their job, and do not stand in the way of the others.
        yield Check("image limits", "warn" if len(bad) < len(chosen) - unseen else "NO", said)
    elif unseen == len(chosen):
        yield Check("image limits", "?", f"none of {spread} could be looked at.")
    elif unseen:
        yield Check("image limits", "?", f"{unseen} of {spread} could not be looked at; the rest is within them.")
    else:
        yield Check("image limits", "ok", f"none of {spread} is against them.")


def _output(session: boto3.Session, output: str, kms_key_id: str | None) -> Check:
    """Whether results can be written there, by writing and removing something."""
    bucket, prefix = storage.split_s3(output)
    key = f"{prefix.rstrip('/')}/preflight-{uuid.uuid4().hex}".lstrip("/")
    encrypted = {} if kms_key_id is None else {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id}
    client: Any = session.client("s3")
    name = "output" if kms_key_id is None else "output, encrypted"
    try:
        if kms_key_id is not None:
            with storage.translated(f"looking for KMS key {kms_key_id}"):
                state = session.client("kms").describe_key(KeyId=kms_key_id)["KeyMetadata"]["KeyState"]
            if state != "Enabled":
                return Check(name, "NO", f"KMS key {kms_key_id} is {state}; name one that is enabled.")
        with storage.translated(f"writing s3://{bucket}/{key}"):
            client.put_object(Bucket=bucket, Key=key, Body=b"", **encrypted)
    except ToolkitError as error:
        return Check(name, "NO", str(error))
    try:
        with storage.translated(f"removing s3://{bucket}/{key}"):
            client.delete_object(Bucket=bucket, Key=key)
    except ToolkitError:
        return Check(name, "ok", f"can be written; an empty object is left there ({key}), as it may not be removed.")
    return Check(name, "ok", "can be written.")


def _bulk_analysis(session: boto3.Session, output: str) -> Check:
    """Whether the account may start jobs, by starting one on a manifest that is not there: it cannot begin."""
    name = "bulk analysis"
    missing = storage.join(output, f"preflight-{uuid.uuid4().hex}.jsonl")
    try:
        request = start_request(missing, output, JobSettings(), token=uuid.uuid4().hex)
        with storage.translated("asking for bulk analysis"):
            session.client("rekognition").start_media_analysis_job(**request)
    except RequestRefused as error:
        if error.code in {"InvalidS3ObjectException", "InvalidManifestException"}:
            return Check(name, "ok", "open to this account.")
        if error.code == "AccessDeniedException":
            return Check(
                name, "NO",
                f"not open to this account or role ({error}); ask for rekognition:StartMediaAnalysisJob, or, where AWS "
                f"has closed it to the account, use `modkit detect` (tk.detect): it is open to all and writes the same "
                f"files.",
            )  # fmt: skip
        if error.code == "InvalidParameterException":  # only the output may be what is wrong with our request
            return Check(
                name, "?", f"could not be asked for ({str(error).rstrip('.')}); name another output, and look again."
            )
        return Check(name, "NO", str(error))
    except ToolkitError as error:
        return Check(name, "NO", str(error))
    return Check(name, "ok", "open to this account.")
