"""What pages compute by calling the library, kept until a file changes; nobody changes what they get from here."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from toolkit import plots
from toolkit.compare import Comparison, compare
from toolkit.curves import ThresholdCurve, threshold_curve
from toolkit.errors import NotLabelled
from toolkit.policy import Policy, Rule
from toolkit.results import Results
from toolkit.sampling import sample_for_labeling
from toolkit.studio import source
from toolkit.studio.source import Samples, Source, Stamp
from toolkit.widgets import explorer_data

Value = TypeVar("Value")
Rules = tuple[tuple[str, float | None, float | None], ...]
"""A policy: label, block, review."""


def keep(what: str, of: tuple[Source | Samples, ...], key: Hashable, compute: Callable[[], Value]) -> Value:
    """What `compute` returns, until a file changes.

    Parameters
    ----------
    what
        Tells one kind of result from another.
    of
        What it is computed from.
    key
        All else that it depends on.
    compute
        Called when nothing is kept.
    """
    return cast("Value", _keep(what, of, tuple(source.stamp(each) for each in of), key, compute))


@st.cache_resource(max_entries=256, show_spinner=False)
def _keep(
    what: str,  # noqa: ARG001  (part of the cache's key, as what follows)
    of: tuple[Source | Samples, ...],  # noqa: ARG001
    stamps: tuple[Stamp, ...],  # noqa: ARG001
    key: Any,  # noqa: ARG001
    _compute: Callable[[], Any],
) -> Any:
    return _compute()


def overview(run: Source) -> pd.DataFrame:
    """As `Results.overview`."""
    return keep("overview", (run,), None, lambda: source.load(run).overview())


def names(run: Source) -> list[str]:
    """As `Results.label_names`."""
    return keep("names", (run,), None, lambda: source.load(run).label_names())


def types(run: Source) -> list[str]:
    """The content types that were reported."""

    def compute() -> list[str]:
        found = source.load(run).images["content_type"].dropna().unique()
        return sorted(str(each) for each in found if each)

    return keep("types", (run,), None, compute)


def cooccurrence(run: Source) -> go.Figure:
    """As `plots.cooccurrence`."""
    return keep("cooccurrence", (run,), None, lambda: plots.cooccurrence(source.load(run).cooccurrence()))


def curve(run: Source, samples: Samples, label: str) -> ThresholdCurve:
    """As `threshold_curve`."""
    return keep(
        "curve", (run, samples), label, lambda: threshold_curve(source.load(run), source.load_samples(samples), label)
    )


def explorer(
    run: Source, samples: Samples, label: str, suggested: float | None, also: tuple[float, ...]
) -> dict[str, Any]:
    """As `explorer_data`."""
    return keep(
        "explorer",
        (run, samples),
        (label, suggested, also),
        lambda: explorer_data(curve(run, samples, label), source.load(run), suggested=suggested, also=also),
    )


def forecast(run: Source, rules: Rules) -> pd.DataFrame:
    """As `Policy.forecast`."""
    return keep("forecast", (run,), rules, lambda: policy_of(rules).forecast(source.load(run)))


def decisions(run: Source, rules: Rules) -> pd.DataFrame:
    """As `Policy.decide`."""
    return keep("decisions", (run,), rules, lambda: policy_of(rules).decide(source.load(run)))


def policy_of(rules: Rules) -> Policy:
    """The policy of these rules."""
    return Policy({label: Rule(block, review) for label, block, review in rules})


def rules_of(policy: Policy) -> Rules:
    """The rules of a policy, as a key."""
    return tuple((label, rule.block, rule.review) for label, rule in policy.rules.items())


def judged(run: Source, samples: Samples, label: str) -> pd.DataFrame:
    """The judged images of a run: `source_ref`, `confidence` (percent; NaN: not reported), `present`.

    Raises
    ------
    NotLabelled
        There are none.
    """

    def compute() -> pd.DataFrame:
        results = source.load(run)
        known, present = source.load_samples(samples).matched(label, results.images["source_ref"])
        table = results.images.loc[known, ["source_ref"]]
        return table.assign(confidence=results.scores(label)[known], present=present[known])

    return keep("judged", (run, samples), label, compute)


def judged_any(run: Source, samples: Samples | None, label: str) -> bool:
    """Whether the samples say anything of this label on this run's images."""
    if samples is None:
        return False
    given = samples

    def compute() -> bool:
        try:
            source.load_samples(given).matched(label, source.load(run).images["source_ref"])
        except NotLabelled:
            return False
        return True

    return keep("judged any", (run, given), label, compute)


def elsewhere(run: Source, samples: Samples, label: str) -> str | None:
    """Why what people said of this label says nothing of this run: it is of other images. None where it is not so."""

    def compute() -> str | None:
        truth = source.load_samples(samples)
        try:
            truth.of(label)
        except NotLabelled:  # of no image at all
            return None
        try:
            truth.matched(label, source.load(run).images["source_ref"])
        except NotLabelled as error:
            return str(error)
        return None

    return keep("elsewhere", (run, samples), label, compute)


def sample(run: Source, label: str, n: int, strategy: str, threshold: float | None, seed: int) -> pd.DataFrame:
    """As `sample_for_labeling`."""

    def compute() -> pd.DataFrame:
        results: Results = source.load(run)
        return sample_for_labeling(results, n, label, strategy=strategy, threshold=threshold, seed=seed)

    return keep("sample", (run,), (label, n, strategy, threshold, seed), compute)


def comparison(
    base: Source, candidate: Source, samples: Samples, label: str, thresholds: tuple[float, float]
) -> Comparison:
    """As `compare`."""

    def compute() -> Comparison:
        with st.spinner("Comparing image with image …"):
            return compare(source.load(base), source.load(candidate), source.load_samples(samples), label, thresholds)

    return keep("comparison", (base, candidate, samples), (label, thresholds), compute)
