"""What a bucket's policy forbids."""

import json
import re
from typing import Any

_SERVICE = "rekognition.amazonaws.com"


def denies(policy: bytes | None, action: str, resource: str) -> bool:
    """Whether a bucket policy denies an action to everyone, or to Rekognition.

    Statements with conditions do not count: they speak of networks, encryption and organisations that are not here.
    What allows does not count either: whoever may talk to this service owns its buckets.

    Parameters
    ----------
    policy
        JSON; None where the bucket has none. One that cannot be understood denies everything.
    action
        Such as `s3:PutObject`.
    resource
        ARN of the object.
    """
    if policy is None:
        return False
    try:
        statements = json.loads(policy)["Statement"]
        return any(
            _counts(statement)
            and _speaks_of(statement, "Action", action, ignore_case=True)
            and _speaks_of(statement, "Resource", resource)
            for statement in ([statements] if isinstance(statements, dict) else statements)
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return True


def _counts(statement: dict[str, Any]) -> bool:
    if statement["Effect"] != "Deny" or statement.get("Condition"):
        return False
    if "NotPrincipal" in statement:
        return not _names(statement["NotPrincipal"])
    return _names(statement["Principal"])


def _names(principal: Any) -> bool:
    """Whether a principal is everyone, or Rekognition among others."""
    if isinstance(principal, str):
        return principal == "*"
    return "*" in _many(principal.get("AWS", [])) or bool({"*", _SERVICE} & set(_many(principal.get("Service", []))))


def _speaks_of(statement: dict[str, Any], member: str, value: str, *, ignore_case: bool = False) -> bool:
    """Whether `Action` or `Resource` matches, or `NotAction` or `NotResource` does not; `*` and `?` are wildcards."""
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    exclude = f"Not{member}" in statement
    patterns = _many(statement[f"Not{member}" if exclude else member])
    found = any(
        re.fullmatch(re.escape(each).replace(r"\*", ".*").replace(r"\?", "."), value, flags) for each in patterns
    )
    return found is not exclude


def _many(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
