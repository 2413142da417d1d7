"""Text from outside, shown as it is."""

import re
from typing import Final

_PUNCTUATION: Final = re.compile(r"([!-/:-@\[-`{-~])")
# Streamlit links these, and joins dashes, even where every character is escaped; an invisible joiner stops that.
_LINKS: Final = re.compile(r"(?<=http:)(?=//)|(?<=https:)(?=//)|(?<=www)(?=\.)|(?=@)|(?<=-)(?=[->])", re.IGNORECASE)
_JOINER: Final = "\u2060"


def plain(text: str) -> str:
    """Text from outside, for places where Streamlit reads Markdown: nothing in it means anything.

    >>> plain("*a* [b](c)")
    '\\\\*a\\\\* \\\\[b\\\\]\\\\(c\\\\)'
    """
    return _PUNCTUATION.sub(r"\\\1", _LINKS.sub(_JOINER, " ".join(text.split())))
