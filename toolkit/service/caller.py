"""Who asks, from which region, and what every request that names an object must say."""

from dataclasses import dataclass
from typing import Any

from moto.utilities.utils import get_partition

from toolkit.service.faults import InvalidParameter


@dataclass(frozen=True)
class Caller:
    """The account (twelve digits) and region of a request: it sees nothing of others."""

    account: str
    region: str

    def arn(self, resource: str) -> str:
        """The ARN of something of Rekognition's that belongs to this account and region."""
        return f"arn:{get_partition(self.region)}:rekognition:{self.region}:{self.account}:{resource}"

    def listing(self, operation: str, of: str = "") -> str:
        """What a page token belongs to."""
        return f"{operation}/{self.account}/{self.region}/{of}"


def require_place(place: dict[str, Any] | None, member: str) -> dict[str, str]:
    """An S3Object that says where: the service model leaves Bucket and Name optional, but nothing works without.

    Raises
    ------
    InvalidParameter
    """
    for name in ("Bucket", "Name"):
        if not (place or {}).get(name):
            raise InvalidParameter(f"{member}.{name}: required, but missing.")
    return place or {}
