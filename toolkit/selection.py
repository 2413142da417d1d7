"""Which images of a run to look at."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from toolkit import checks
from toolkit.errors import InvalidArgument
from toolkit.policy import DECISIONS, Policy
from toolkit.results import Results
from toolkit.truth import Truth

Answer = Literal["present", "absent", "unknown"]
ANSWERS: Final[tuple[Answer, ...]] = ("present", "absent", "unknown")


def select_images(
    results: Results,
    label: str | None = None,
    *,
    low: float | None = None,
    high: float = 100.0,
    content_type: str | None = None,
    truth: Truth | None = None,
    answer: Answer | None = None,
    policy: Policy | None = None,
    decision: str | None = None,
    ascending: bool = False,
) -> NDArray[np.int64]:
    """Rows of `results.images` that are all of what is asked for.

    Parameters
    ----------
    results
        A run.
    label
        What `low`, `high`, `answer` and the order are about; None leaves all images, in the run's order.
    low, high
        The label's confidence, percent, both ends included. Without `low`, images on which it was not reported are
        among them.
    content_type
        As in `results.images`.
    truth, answer
        What people said about the label; images that they did not judge are unknown.
    policy, decision
        allow, review or block.
    ascending
        The least confident first, before them those on which the label was not reported; else the most confident.

    Returns
    -------
    numpy.ndarray
        Row numbers, in order.

    Raises
    ------
    InvalidArgument
        An answer, a decision or a confidence that does not exist, or one without what it needs.
    BelowFloor
        The run cannot speak about a threshold of the policy.
    """
    chosen = np.ones(results.n_images, dtype=bool)
    if content_type is not None:
        chosen &= (results.images["content_type"] == content_type).to_numpy(bool)
    if decision is not None:
        if policy is None or decision not in DECISIONS:
            raise InvalidArgument(f"decision is {decision!r}; give a policy, and one of {', '.join(DECISIONS)}.")
        chosen &= (policy.decide(results)["decision"] == decision).to_numpy(bool)
    if label is None:
        if answer is not None or low is not None:
            raise InvalidArgument("low and answer are about a label; name one.")
        return np.flatnonzero(chosen)
    scores = results.scores(label)
    checks.within("high", high, 0, 100)
    if low is not None:
        checks.within("low", low, 0, 100)
        chosen &= scores >= np.float32(low)
    chosen &= ~(scores > np.float32(high))
    if answer is not None:
        chosen &= _answered(results, label, truth, answer)
    rows = np.flatnonzero(chosen)
    ranks = np.nan_to_num(scores[rows], nan=-1.0)
    return rows[np.argsort(ranks if ascending else -ranks, kind="stable")]


def _answered(results: Results, label: str, truth: Truth | None, answer: str) -> NDArray[np.bool_]:
    if truth is None or answer not in ANSWERS:
        raise InvalidArgument(f"answer is {answer!r}; give truth, and one of {', '.join(ANSWERS)}.")
    known, present = truth.matched(label, results.images["source_ref"])
    return {"present": known & present, "absent": known & ~present, "unknown": ~known}[answer]
