"""Thresholds per label become decisions per image."""

from toolkit.policy.choose import PolicyChoice, choose_policy, policy_of
from toolkit.policy.rule import Rule
from toolkit.policy.rules import DECISIONS, OtherModels, Policy, decisions_of, forecast_of

__all__ = [
    "DECISIONS",
    "OtherModels",
    "Policy",
    "PolicyChoice",
    "Rule",
    "choose_policy",
    "decisions_of",
    "forecast_of",
    "policy_of",
]
