"""KMS keys, kept in one file that only its owner may read: what they encrypted can be decrypted after a restart.

moto has one KMS for the whole process; as with buckets, each key knows whose it is.
"""

import base64
import datetime as dt
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from moto.kms.models import Alias, Grant, Key, KmsBackend, kms_backends
from moto.kms.utils import ECDSAPrivateKey, RSAPrivateKey

from toolkit.service.disk import sync_folder
from toolkit.service.folder import kept_in

_NAME: Final = "kms.json"


def save(directory: Path, owner: object) -> None:
    """Writes the keys of an owner, where anything about them has changed.

    Raises
    ------
    OSError
    """
    path = directory / _NAME
    text = json.dumps([_record(key, backend) for key, backend in _keys(owner)], indent=1)
    if path.exists() and path.read_text("utf-8") == text:
        return
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(directory)


def load(directory: Path, owner: object) -> None:
    """Puts the keys that `save` wrote into moto's memory.

    Raises
    ------
    Unreachable
        The file is damaged.
    """
    path = directory / _NAME
    with kept_in(path):
        _load(path, owner)


def _load(path: Path, owner: object) -> None:
    for record in json.loads(path.read_text("utf-8")) if path.exists() else []:
        tags = record.pop("tags")
        key = _key(record)
        key.owner = owner
        backend: KmsBackend = kms_backends[key.account_id][key.region]
        backend.keys[key.id] = key
        if tags:
            backend.tagger.tag_resource(key.id, tags)


def unload(owner: object) -> None:
    """Takes an owner's keys out of moto's memory."""
    for key, backend in list(_keys(owner)):
        backend.delete_key(key.id)


def _keys(owner: object) -> Iterator[tuple[Key, KmsBackend]]:
    for backends in kms_backends.values():
        for backend in backends.values():
            for key in list(backend.keys.values()):
                if getattr(key, "owner", None) is owner:
                    yield key, backend


def _record(key: Key, backend: KmsBackend) -> dict[str, Any]:
    pair: Any = key.private_key
    private = pair.private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    record = {name: value for name, value in vars(key).items() if name != "owner"}
    return record | {
        "key_material": base64.b64encode(key.key_material).decode("ascii"),
        "private_key": private.decode("ascii"),
        "signs": getattr(pair, "valid_signing_algorithms", None),
        "deletion_date": key.deletion_date.isoformat() if key.deletion_date else None,
        "grants": [vars(grant) for grant in key.grants.values()],
        "aliases": [vars(alias) for alias in key.aliases.values()],
        "tags": backend.tagger.list_tags_for_resource(key.id)["Tags"],
    }


def _key(record: dict[str, Any]) -> Any:
    # Not through their constructors: those make new key material, which takes a while and is not wanted.
    signs = record.pop("signs")
    key = _remade(Key, record)
    key.key_material = base64.b64decode(record["key_material"])
    key.private_key = _private_key(record["private_key"], signs)
    if key.deletion_date:
        key.deletion_date = dt.datetime.fromisoformat(record["deletion_date"])
    key.grants = {grant["id"]: _remade(Grant, grant) for grant in record["grants"]}
    key.aliases = {alias["alias_name"]: _remade(Alias, alias) for alias in record["aliases"]}
    return key


def _private_key(pem: str, signs: list[str] | None) -> Any:
    loaded: Any = serialization.load_pem_private_key(pem.encode("ascii"), None)
    if isinstance(loaded, rsa.RSAPrivateKey):
        return _remade(RSAPrivateKey, {"key_size": loaded.key_size, "private_key": loaded})
    return _remade(ECDSAPrivateKey, {"valid_signing_algorithms": signs, "private_key": loaded})


def _remade(kind: Any, values: dict[str, Any]) -> Any:
    made: Any = object.__new__(kind)
    vars(made).update(values)
    return made
