"""Thresholds for many labels at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import pandas as pd

from toolkit import checks
from toolkit.curves import threshold_curve
from toolkit.errors import InvalidObjective
from toolkit.policy.rule import Rule
from toolkit.policy.rules import Policy
from toolkit.results import Results
from toolkit.truth import Truth
from toolkit.tuning import Choice, choose_threshold

BANDS: Final = ("block", "review")
Objectives = str | Mapping[str, str | Mapping[str, str]]

_RATES: Final = ("precision", "precision_low", "precision_high", "recall", "recall_low", "recall_high")


@dataclass(frozen=True, repr=False)
class PolicyChoice:
    """A policy, and why each of its thresholds is what it is.

    Attributes
    ----------
    policy
        One rule for each label for which a threshold was found; its provenance says from what.
    choices
        (label, band) to what was chosen there, or why there is nothing.
    confidence_level
        With which probability all objectives hold at once on new data; None where nothing is promised.
    """

    policy: Policy
    choices: Mapping[tuple[str, str], Choice]
    confidence_level: float | None

    @property
    def table(self) -> pd.DataFrame:
        """One row a label and band.

        Returns
        -------
        pandas.DataFrame
            `label`, `band` (block or review), `objective`, `threshold` (percent, NaN where there is none), precision
            and recall with their intervals on the sample (0–1), `positives`, `negatives`, `reason`.
        """
        rows = [
            {"label": label, "band": band, "objective": choice.objective, "threshold": choice.threshold}
            | {rate: getattr(choice.point, rate) if choice.point else None for rate in _RATES}
            | {"positives": choice.positives, "negatives": choice.negatives, "reason": choice.reason}
            for (label, band), choice in self.choices.items()
        ]
        return pd.DataFrame(rows).astype(dict.fromkeys(("threshold", *_RATES), float))

    def __repr__(self) -> str:
        found = sum(choice.threshold is not None for choice in self.choices.values())
        promise = f", all promised with {self.confidence_level:g}" if self.confidence_level else ""
        return f"PolicyChoice({found} of {len(self.choices)} thresholds found{promise})"


def choose_policy(
    results: Results, truth: Truth, objectives: Objectives, *, confidence_level: float | None = None
) -> PolicyChoice:
    """Thresholds for many labels at once.

    Parameters
    ----------
    results
        What the model reported.
    truth
        What people said about some of these images.
    objectives
        One for every label that is present in the sample, as `choose_threshold` takes it, to block by; or label to
        objective; or label to `{"block": objective, "review": objective}`, of which one may be left out. Images from
        the review threshold up to the block threshold are for people to look at; where review would start above block,
        everything that it would catch is blocked, and there is no review.
    confidence_level
        None: the best on this sample. Between 0 and 1: the probability that every promise holds on new data, all at
        once.

    Returns
    -------
    PolicyChoice

    Raises
    ------
    NotLabelled
        Nobody judged one of the labels.
    InvalidObjective
        An objective cannot be read, or not promised; or there is none.
    InvalidPolicy
        One label has objectives under its old and its new spelling.
    InvalidArgument
        `confidence_level` is not between 0 and 1, or `results` or `truth` is none.

    Notes
    -----
    The promise is for the whole family: of m objectives, each is promised with 1 - (1 - confidence_level) / m
    (Bonferroni [1]_), which holds however the labels depend on each other.

    References
    ----------
    .. [1] O. J. Dunn (1961). Journal of the American Statistical Association 56(293), 52–64.
    """
    checks.kind("results", results, Results, "read_results")
    checks.kind("truth", truth, Truth, "read_truth")
    wanted = _wanted(objectives, truth)
    each = None
    if confidence_level is not None:
        checks.confidence_level(confidence_level)
        each = 1 - (1 - confidence_level) / len(wanted)
    curves = {label: threshold_curve(results, truth, label) for label in dict.fromkeys(label for label, _ in wanted)}
    choices = {
        (label, band): choose_threshold(curves[label], objective, confidence_level=each)
        for (label, band), objective in wanted.items()
    }
    return PolicyChoice(policy_of(choices, results, truth, confidence_level), choices, confidence_level)


def policy_of(
    choices: Mapping[tuple[str, str], Choice], results: Results, truth: Truth, confidence_level: float | None = None
) -> Policy:
    """The policy that thresholds make, with where they come from.

    Parameters
    ----------
    choices
        (label, band) to what was chosen; band is block or review.
    results, truth
        What they were chosen on.
    confidence_level
        With which probability all of them hold on new data at once; None where that is not promised.
    """
    rules = {label: _rule(label, choices) for label, _ in choices}
    found = {label: rule for label, rule in rules.items() if rule is not None}
    provenance = _provenance(results, truth, choices)
    return Policy(
        found, provenance if confidence_level is None else provenance | {"confidence_level": confidence_level}
    )


def _wanted(objectives: Objectives, truth: Truth) -> dict[tuple[str, str], str]:
    """Objective by label and band."""
    if not isinstance(objectives, Mapping):
        objectives = dict.fromkeys(truth.tunable_labels(), objectives)
    wanted = {
        (label, band): objective
        for label, given in objectives.items()
        for band, objective in (given if isinstance(given, Mapping) else {"block": given}).items()
    }
    if not wanted:
        raise InvalidObjective("no objective given; name one for at least one label.")
    for label, band in wanted:
        if band not in BANDS:
            raise InvalidObjective(f"{label}: {band!r} is not a band; give objectives for {' or '.join(BANDS)}.")
    return wanted


def _rule(label: str, choices: Mapping[tuple[str, str], Choice]) -> Rule | None:
    block, review = (choices[label, band].threshold if (label, band) in choices else None for band in BANDS)
    if block is not None and review is not None and review >= block:
        review = None
    return Rule(block, review) if block is not None or review is not None else None


def _provenance(results: Results, truth: Truth, choices: Mapping[tuple[str, str], Choice]) -> dict[str, Any]:
    """Which results, which truth, which objectives, when: what an auditor asks."""
    return {
        "results": {
            "sources": list(results.sources),
            "images": results.n_images,
            "min_confidence": results.min_confidence,
            "adapters": results.project_versions,
            "models": results.models,
        },
        "truth": {"source": truth.source, "images": truth.n_images, "judgements": len(truth.table)},
        "objectives": [
            {"label": label, "band": band, "objective": choice.objective, "threshold": choice.threshold}
            | {"confidence_level": choice.confidence_level}
            for (label, band), choice in choices.items()
        ],
        "chosen": datetime.now(UTC).isoformat(timespec="seconds"),
        "toolkit": _toolkit_version(),
    }


def _toolkit_version() -> str:
    try:
        return version("moderation-toolkit")
    except PackageNotFoundError:  # used from a checkout
        return "not installed"
