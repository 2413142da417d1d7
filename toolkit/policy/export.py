"""A policy in the form that other systems take."""

import pprint
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from toolkit.policy.rule import Rule

_OLD_SPELLINGS: Final = {"Drugs & Tobacco Paraphernalia & Use": "Drug & Tobacco Paraphernalia & Use"}
"""What older responses call a label; `decide` knows it from the taxonomy, which other systems have not."""

_FUNCTION: Final = '''\
import struct

# Label: confidence (percent) from which an image is reviewed, and from which it is blocked.
RULES = {rules}


def _float32(value):
    """Confidences are float32; compare them as such."""
    return struct.unpack("f", struct.pack("f", value))[0]


def decide(moderation_labels):
    """"allow", "review" or "block" for the ModerationLabels of one response."""
    decision = 0
    for label in moderation_labels:
        review, block = RULES.get(label["Name"], (None, None))
        confidence = _float32(label["Confidence"])
        if block is not None and confidence >= _float32(block):
            decision = 2
        elif review is not None and confidence >= _float32(review):
            decision = max(decision, 1)
    return ("allow", "review", "block")[decision]
'''


def to_a2i(rules: Mapping[str, Rule]) -> dict[str, Any]:
    """The review bands as activation conditions of Amazon A2I; see `Policy.to_a2i`."""

    def check(label: str, comparison: str, value: float) -> dict[str, Any]:
        # The float32 that `decide` compares with, written out: A2I compares with more digits than a confidence has.
        parameters = {"ModerationLabelName": label, comparison: float(np.float32(value))}
        return {"ConditionType": "ModerationLabelConfidenceCheck", "ConditionParameters": parameters}

    bands = []
    for label, rule in _spelled(rules):
        if rule.review is not None:
            band = [check(label, "ConfidenceGreaterThanEquals", rule.review)]
            band += [check(label, "ConfidenceLessThan", rule.block)] if rule.block is not None else []
            bands.append({"And": band} if len(band) > 1 else band[0])
    return {"Conditions": [{"Or": bands}] if len(bands) > 1 else bands}


def to_python(rules: Mapping[str, Rule]) -> str:
    """Source of a function without dependencies; see `Policy.to_python`."""
    pairs = {label: (rule.review, rule.block) for label, rule in _spelled(rules)}
    return _FUNCTION.format(rules=pprint.pformat(pairs, sort_dicts=False))


def _spelled(rules: Mapping[str, Rule]) -> Iterator[tuple[str, Rule]]:
    """Each rule under every name that a response may give its label."""
    for label, rule in rules.items():
        yield label, rule
        if label in _OLD_SPELLINGS:
            yield _OLD_SPELLINGS[label], rule
