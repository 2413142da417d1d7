"""Objects as a notebook shows them: two columns, in the notebook's own colours; text from outside is escaped."""

import html
from collections.abc import Mapping


def described(title: str, facts: Mapping[str, object]) -> str:
    """A heading and a table of facts.

    Parameters
    ----------
    title
        Plain text.
    facts
        Plain text to anything that has a text; None is left out.

    Examples
    --------
    >>> described("Truth", {"images": 3})
    '<table><caption>Truth</caption><tr><th>images</th><td>3</td></tr></table>'
    """
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(_written(fact))}</td></tr>"
        for name, fact in facts.items()
        if fact is not None
    )
    return f"<table><caption>{html.escape(title)}</caption>{rows}</table>"


def _written(fact: object) -> str:
    if isinstance(fact, int) and not isinstance(fact, bool):
        return f"{fact:,}"
    return f"{fact:.4g}" if isinstance(fact, float) else str(fact)
