"""Thresholds per label become decisions per image."""

import json
import pprint
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from os import PathLike
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from toolkit import storage, taxonomy
from toolkit.curves import binomial_interval
from toolkit.errors import InvalidPolicy
from toolkit.results import Results

FORMAT: Final = "modkit-policy"
VERSION: Final = 1
DECISIONS: Final = ("allow", "review", "block")

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


@dataclass(frozen=True)
class Rule:
    """What one label's confidence leads to: at `block` or above the image is blocked, at `review` or above it is looked
    at by a person. Percent, 0–100; None leaves that step out.

    Raises
    ------
    InvalidPolicy
        Neither is given, one is not between 0 and 100, or review starts above block.
    """

    block: float | None = None
    review: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.review, self.block) if value is not None]
        if not given:
            raise InvalidPolicy("a rule without block and review decides nothing; give one of them.")
        if any(type(value) not in {int, float} or not 0 <= value <= 100 for value in given):
            raise InvalidPolicy(f"{self}: thresholds are confidences between 0 and 100.")
        if given != sorted(given):
            raise InvalidPolicy(f"{self}: review must not start above block.")


@dataclass(frozen=True)
class Policy:
    """Rules for labels.

    Attributes
    ----------
    rules
        Label to `Rule`.
    provenance
        Where the thresholds come from: anything that JSON can hold.
    """

    rules: Mapping[str, Rule]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spelled = {taxonomy.canonical(label): rule for label, rule in self.rules.items()}
        object.__setattr__(self, "rules", spelled)

    @property
    def min_confidence(self) -> float | None:
        """The MinConfidence to give the next job: the lowest threshold in use, percent; None without rules."""
        values = [v for rule in self.rules.values() for v in (rule.block, rule.review) if v is not None]
        return min(values, default=None)

    def decide(self, results: Results) -> pd.DataFrame:
        """One decision an analyzed image: the strictest that any label asks for.

        Images that failed are not here: nothing is known of them (see `results.errors`).

        Parameters
        ----------
        results
            A run whose floor is not above any threshold of the policy.

        Returns
        -------
        pandas.DataFrame
            `image`, `source_ref`, `decision` (allow, review or block), `label` that decided (the one with the highest
            confidence among those asking for it; missing for allow), `confidence` (percent).

        Raises
        ------
        BelowFloor
            The run cannot speak about one of the thresholds.
        """
        severity = np.zeros(results.n_images, dtype=np.int8)
        decided = np.full(results.n_images, None, dtype=object)
        confidence = np.full(results.n_images, np.nan, dtype=np.float32)
        for label, rule in self.rules.items():
            scores = results.scores(label)
            for step, threshold in ((1, rule.review), (2, rule.block)):
                if threshold is None:
                    continue
                results.require(threshold, label)
                asks = scores >= np.float32(threshold)
                wins = asks & ((step > severity) | ((step == severity) & ~(confidence >= scores)))
                severity[wins], decided[wins], confidence[wins] = step, label, scores[wins]
        return pd.DataFrame(
            {
                "image": results.images["image"],
                "source_ref": results.images["source_ref"],
                "decision": pd.Categorical(np.array(DECISIONS)[severity], categories=list(DECISIONS), ordered=True),
                "label": pd.array(decided, dtype="str"),
                "confidence": confidence,
            }
        )

    def forecast(self, results: Results, *, confidence_level: float = 0.95) -> pd.DataFrame:
        """What the policy would do with a thousand images like these.

        Parameters
        ----------
        results
            A run on images that stand for the ones to come.
        confidence_level
            Coverage of the interval (Clopper–Pearson), which takes the images for a random sample.

        Returns
        -------
        pandas.DataFrame
            One row a decision: `decision`, `images` (of this run), `per_thousand`, `per_thousand_low`,
            `per_thousand_high`; NaN for a run without images.

        Raises
        ------
        BelowFloor
            The run cannot speak about one of the thresholds.
        InvalidArgument
            `confidence_level` is not between 0 and 1.
        """
        counts = self.decide(results)["decision"].value_counts().reindex(list(DECISIONS), fill_value=0)
        low, high = binomial_interval(counts.to_numpy(), results.n_images, confidence_level)
        return pd.DataFrame(
            {
                "decision": list(DECISIONS),
                "images": counts.to_numpy(),
                "per_thousand": 1000 * counts.to_numpy() / (results.n_images or np.nan),
                "per_thousand_low": 1000 * low,
                "per_thousand_high": 1000 * high,
            }
        )

    def to_a2i(self) -> dict[str, Any]:
        """The review bands as activation conditions of Amazon A2I: which images a person should look at.

        Returns
        -------
        dict
            JSON-ready. A label is reviewed from `review` up to, not including, `block`; a rule without `review` adds
            nothing. A2I looks at labels one by one, so an image that another label blocks may still be sent to review.
        """

        def check(label: str, comparison: str, value: float) -> dict[str, Any]:
            parameters = {"ModerationLabelName": label, comparison: value}
            return {"ConditionType": "ModerationLabelConfidenceCheck", "ConditionParameters": parameters}

        bands = []
        for label, rule in self.rules.items():
            if rule.review is not None:
                band = [check(label, "ConfidenceGreaterThanEquals", rule.review)]
                band += [check(label, "ConfidenceLessThan", rule.block)] if rule.block is not None else []
                bands.append({"And": band} if len(band) > 1 else band[0])
        return {"Conditions": [{"Or": bands}] if len(bands) > 1 else bands}

    def to_python(self) -> str:
        """The policy as a Python function that needs nothing but Python, to paste into a service.

        Returns
        -------
        str
            Source of `decide(moderation_labels)`, which takes the ModerationLabels of one response and returns "allow",
            "review" or "block", as `Policy.decide` does.
        """
        rules = {label: (rule.review, rule.block) for label, rule in self.rules.items()}
        return _FUNCTION.format(rules=pprint.pformat(rules, sort_dicts=False))

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the policy as versioned JSON.

        Raises
        ------
        NotFound
            The path cannot be written.
        """
        document = {
            "format": FORMAT,
            "version": VERSION,
            "rules": {label: asdict(rule) for label, rule in self.rules.items()},
            "min_confidence": self.min_confidence,
            "provenance": dict(self.provenance),
        }
        storage.write(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Reads what `save` wrote.

        Raises
        ------
        NotFound
            There is no such file.
        InvalidPolicy
            It is not a policy, or one of a newer version.
        """
        try:
            document = json.loads(storage.read(path))
            kind, version, rules = document["format"], document["version"], document["rules"]
            provenance = dict(document.get("provenance", {}))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidPolicy(f"{path}: not a policy file; point at one that Policy.save wrote.") from error
        if kind != FORMAT or version != VERSION:
            raise InvalidPolicy(f"{path}: {kind} version {version}; this toolkit reads {FORMAT} version {VERSION}.")
        try:
            return cls({label: Rule(rule["block"], rule["review"]) for label, rule in rules.items()}, provenance)
        except (AttributeError, KeyError, TypeError) as error:
            raise InvalidPolicy(f"{path}: a rule is not {{block, review}}; save the policy again.") from error
