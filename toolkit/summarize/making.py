"""From what a person names to one summary, on whatever machines."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial, reduce
from itertools import chain
from os import PathLike

import pandas as pd

from toolkit import checks, parallel
from toolkit.policy import Policy
from toolkit.results import Opener, list_manifests
from toolkit.results.lift import require_version, untranslated, warn_of_models
from toolkit.results.reading import floor_of, place_of_summary
from toolkit.summarize.reducing import Asked, reduced
from toolkit.summarize.summary import CollectionSummary, added, warn_of_one_guess
from toolkit.taxonomy import MODEL_VERSION
from toolkit.truth import Truth


def summarize(
    sources: str | PathLike[str] | Sequence[str | PathLike[str]],
    truth: Truth | None = None,
    policy: Policy | None = None,
    *,
    min_confidence: float | None = None,
    taxonomy: str | None = None,
    session: Opener | None = None,
    executor: Executor | None = None,
) -> CollectionSummary:
    """Reads and reduces any number of manifests; what comes back fits in memory however many they are.

    Runs of different models on the same images are refused, because every image would count once a model. Names of
    images are not compared one by one, as `read_results` does: two manifests are refused if more than one model
    answered in them (model version, or ARN of an adapter) and, in the order of characters, the names in one begin
    before the names in the other end. That finds every image that two models answered in different manifests, and
    refuses some runs that share no image. Lines of the same manifest always all count.

    Parameters
    ----------
    sources
        As in `read_results`: paths, S3 URIs, globs, folders, prefixes.
    truth
        Labelled samples, for curves.
    policy
        For forecasts.
    min_confidence
        The floor of the runs in percent; None takes the smallest confidence seen, and the summary says so.
    taxonomy
        "7.0" translates what model 6.1 said, as `Results.to_taxonomy`; labels without a counterpart are kept as they
        are. None leaves all labels as they are, and warns (UserWarning) where they are not those of model 7.0.
    session
        For S3; for an executor with other processes, a function that makes one (`functools.partial(tk.connect, …)`).
    executor
        Any `concurrent.futures.Executor`, such as `distributed.Client(…).get_executor()`; None takes threads of
        this process.

    Returns
    -------
    CollectionSummary
        The same to the last digit, wherever the work was done.

    Raises
    ------
    NotFound, Unreachable, RequestRefused, UnreadableManifest
        As `read_results`.
    InvalidArgument
        `min_confidence` is out of its range, or above a confidence in a file; or the manifests may be runs of different
        models on the same images; or a folder holds a manifest twice, as `list_manifests`; or another taxonomy; or
        `truth` or `policy` is none.

    Warns
    -----
    UserWarning
        As `read_results`.
    """
    if truth is not None:
        checks.kind("truth", truth, Truth, "read_truth")
    if policy is not None:
        checks.kind("policy", policy, Policy, "Policy.load")
    if min_confidence is not None:
        checks.within("min_confidence", min_confidence, 0, 100)
    uris = list_manifests(sources, session=session)
    if taxonomy is not None:
        require_version(taxonomy)
    work = partial(reduced, asked=Asked.of(truth), policy=policy, translate=taxonomy is not None, session=session)
    # Manifests of one folder share its summary, which counts once.
    places = pd.Index([place_of_summary(uri) for uri in uris])
    first, alone = ~places.duplicated(), ~places.duplicated(keep=False)
    items = list(zip(uris, first.tolist(), alone.tolist(), strict=True))
    whole = _fold(parallel.in_batches(work, items, executor))
    _warn_of_models(whole, translated=taxonomy is not None)
    floor, floor_source = floor_of(whole.min_confidence, min_confidence)
    return warn_of_one_guess(
        replace(whole, min_confidence=floor, floor_source=floor_source, truth=truth, policy=policy)
    )


def _fold(parts: Iterable[CollectionSummary]) -> CollectionSummary:
    """Adds up as in merge sort, like with like: each count is touched a few times, not once a part."""
    piles: list[tuple[int, CollectionSummary]] = []
    for part in parts:
        size = 1
        while piles and piles[-1][0] == size:
            part, size = added([piles.pop()[1], part]), 2 * size
        piles.append((size, part))
    return reduce(lambda right, left: added([left, right]), (part for _, part in reversed(piles)))


def _warn_of_models(whole: CollectionSummary, *, translated: bool) -> None:
    versions = sorted(set(chain.from_iterable(one.versions for one in whole.answered)))
    versions = untranslated(versions) if translated else versions
    warn_of_models("this summary", versions, f'translate them with summarize(…, taxonomy="{MODEL_VERSION}")')
