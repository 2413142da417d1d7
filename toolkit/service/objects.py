"""S3 objects and KMS keys, read and written in this process through moto's backends.

Nothing goes over HTTP, and no file name is ever made of a bucket or a key. What is written here is on disk when the
call returns; `durable` sees to that.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from moto.kms.models import KmsBackend, kms_backends
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeBucket, FakeKey, S3Backend, s3_backends
from moto.s3.utils import ARCHIVE_STORAGE_CLASSES
from moto.utilities.utils import get_partition

from toolkit.service import durable, stores
from toolkit.service.disk import Disk
from toolkit.service.permissions import denies
from toolkit.service.stored import Replaced

_READS: Final = 3
"""How often an object is looked for that is replaced while it is being read."""


class ObjectError(Exception):
    """A bucket or an object is not there, too large, or in another region; the message is a sentence."""


class KeyUnusable(Exception):
    """A KMS key is not there, not enabled, or not made for encryption; the message is a sentence."""


@dataclass(frozen=True)
class StoredObject:
    """The bytes of one object, and the version they are (None where its bucket keeps no versions)."""

    data: bytes
    version: str | None


class ObjectStore:
    """What one account sees in one region.

    Parameters
    ----------
    disk
        The service's own; what is written to a bucket is kept where that bucket is.
    account
        Twelve digits.
    region
        Rekognition only works with buckets of its own region; other buckets are refused.
    """

    def __init__(self, disk: Disk, account: str, region: str) -> None:
        self._disk = disk
        self._account = account
        self._region = region
        self._s3: S3Backend = s3_backends[account][get_partition(region)]
        self._kms: KmsBackend = kms_backends[account][region]

    def bucket(self, name: str) -> FakeBucket:
        """The bucket of that name.

        Raises
        ------
        ObjectError
            It does not exist, or lies in another region.
        """
        try:
            bucket: FakeBucket = self._s3.get_bucket(name)
        except S3ClientError as error:
            raise ObjectError(f"s3://{name}: there is no such bucket, or it is not accessible.") from error
        if bucket.region_name != self._region:
            raise ObjectError(f"s3://{name}: the bucket is in {bucket.region_name}, the request in {self._region}.")
        return bucket

    def _permitted(self, bucket: str, action: str, name: str) -> FakeBucket:
        found = self.bucket(bucket)
        if denies(found.policy, action, f"arn:{get_partition(self._region)}:s3:::{bucket}/{name}"):
            raise Denied(f"s3://{bucket}/{name}: the bucket's policy denies {action}.")
        return found

    def require_writable(self, bucket: str, *names: str) -> FakeBucket:
        """Finds out now what `write` would say later of these objects; gives their bucket.

        Raises
        ------
        ObjectError
            The bucket is not there or in another region; a key is none of S3's; its policy denies one (`Denied`).
        """
        for name in names:
            self._permitted(bucket, "s3:PutObject", name)
            try:
                stores.check_key(name)
            except S3ClientError as error:
                raise ObjectError(f"s3://{bucket}/{name:.40}…: {error.message}") from error
        return self.bucket(bucket)

    def read(self, bucket: str, name: str, version: str | None = None, *, max_bytes: int) -> StoredObject:
        """One object, whole.

        Parameters
        ----------
        bucket, name
            Where it is.
        version
            None for the latest.
        max_bytes
            A larger object is refused before it is read.

        Raises
        ------
        ObjectError
            No such bucket, object or version; another region; archived; too large (then it is an `ObjectTooLarge`);
            the bucket's policy denies it (`Denied`).
        """
        keeps_versions = self._permitted(bucket, "s3:GetObject", name).versioning_status is not None
        for _ in range(_READS):
            found = self._s3.get_object(bucket, name, version_id=version)
            if found is None:
                which = f" version {version}" if version else ""
                raise ObjectError(f"s3://{bucket}/{name}{which}: there is no such object.")
            if found.storage_class in ARCHIVE_STORAGE_CLASSES and not _is_restored(found):
                raise ObjectError(f"s3://{bucket}/{name}: archived ({found.storage_class}); restore it first.")
            if found.size > max_bytes:
                raise ObjectTooLarge(
                    f"s3://{bucket}/{name}: {found.size:,} bytes, more than the {max_bytes:,} allowed."
                )
            try:
                return StoredObject(found.value, found.version_id if keeps_versions else None)
            except Replaced:  # look again
                continue
        raise ObjectError(f"s3://{bucket}/{name}: replaced again and again while it was being read.")

    def write(
        self, bucket: str, name: str, data: bytes, *, key_arn: str | None = None, unless_there: bool = False
    ) -> str | None:
        """Writes one object, encrypted with a KMS key (SSE-KMS) where one is given, and locked as its bucket says.

        Parameters
        ----------
        unless_there
            Leave an object that has these bytes already as it is.

        Returns
        -------
        str or None
            The version written, or found; None where the bucket keeps no versions.

        Raises
        ------
        ObjectError
            The bucket is gone, in another region, or takes no writes; its policy denies it (`Denied`).
        """
        self.require_writable(bucket, name)
        there = self._s3.get_object(bucket, name) if unless_there else None
        if there is not None and there.etag.strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest():
            return str(there.version_id) if there._is_versioned else None
        encryption = "aws:kms" if key_arn else None
        durable.begin(self._disk)
        try:
            written = self._s3.put_object(bucket, name, data, encryption=encryption, kms_key_id=key_arn)
        except S3ClientError as error:
            raise ObjectError(f"s3://{bucket}/{name}: the bucket does not take it ({error.code}).") from error
        finally:
            durable.commit()
        return str(written.version_id) if written._is_versioned else None

    def key_arn(self, key: str) -> str:
        """The ARN of a KMS key that encrypts.

        Parameters
        ----------
        key
            Key id, key ARN, alias name (`alias/…`) or alias ARN.

        Raises
        ------
        KeyUnusable
            Unknown in this account and region, not enabled, or not a symmetric encryption key.
        """
        named = self._kms.get_alias_name(key)
        durable.begin(self._disk)  # one of AWS's own aliases makes its key when it is first asked for
        try:
            by_alias = named.startswith("alias/")
            key_id = self._kms.get_key_id_from_alias(named) if by_alias else self._kms.get_key_id(named)
        finally:
            durable.commit()
        found = self._kms.keys.get(key_id or "")
        # An ARN of another region or account can end in an id or an alias that is known here.
        here = f"arn:{get_partition(self._region)}:kms:{self._region}:{self._account}:{named}" if by_alias else None
        if found is None or (key.startswith("arn:") and key != (here or found.arn)):
            raise KeyUnusable(f"KMS key {key}: there is no such key in {self._region}.")
        if found.key_state != "Enabled":
            # A key whose deletion is cancelled is disabled.
            dying = found.key_state == "PendingDeletion"
            todo = "cancel its deletion, then enable it" if dying else "enable it"
            raise KeyUnusable(f"KMS key {key}: its state is {found.key_state}; {todo}.")
        # moto leaves the usage empty where CreateKey did: that means ENCRYPT_DECRYPT.
        if (found.key_usage or "ENCRYPT_DECRYPT") != "ENCRYPT_DECRYPT" or found.key_spec != "SYMMETRIC_DEFAULT":
            raise KeyUnusable(f"KMS key {key}: not a symmetric encryption key; give one of SYMMETRIC_DEFAULT.")
        return str(found.arn)


def _is_restored(found: FakeKey) -> bool:
    return 'ongoing-request="false"' in str(found.response_dict.get("x-amz-restore", ""))


class ObjectTooLarge(ObjectError):
    """The object is there, but has more bytes than allowed."""


class Denied(ObjectError):
    """The bucket's policy does not let Rekognition do it."""
