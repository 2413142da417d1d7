"""What a bucket's policy forbids."""

import json
from typing import Any

from moto.iam.access_control import IAMPolicyStatement, PermissionResult

_EVERYONE = ("*", {"AWS": "*"}, {"AWS": ["*"]}, {"Service": "rekognition.amazonaws.com"})


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
            IAMPolicyStatement(statement).is_action_permitted(action, resource) is PermissionResult.DENIED
            for statement in ([statements] if isinstance(statements, dict) else statements)
            if _counts(statement)
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return True


def _counts(statement: dict[str, Any]) -> bool:
    return (
        statement["Effect"] == "Deny"
        and not statement.get("Condition")
        and statement.get("Principal", "*") in _EVERYONE
    )
