"""The moderation labels of Rekognition's model 7.0 and their tree.

Level 1 is the top. A label that is in no table is kept as it is by every reader: AWS adds labels without notice, so a
name that is unknown here is not an error here; `parent` and `ancestors` then say nothing about it.
"""

import difflib
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

MODEL_VERSION: Final = "7.0"
SPLIT_SINCE_6_1: Final = "Suggestive"
"""The label of model 6.1 whose children went to two labels of 7.0."""
CONTENT_TYPES: Final = ("Animated", "Illustrated")

_TREE: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "Explicit": {
        "Explicit Nudity": (
            "Exposed Male Genitalia",
            "Exposed Female Genitalia",
            "Exposed Buttocks or Anus",
            "Exposed Female Nipple",
        ),
        "Explicit Sexual Activity": (),
        "Sex Toys": (),
    },
    "Non-Explicit Nudity of Intimate parts and Kissing": {
        "Non-Explicit Nudity": (
            "Bare Back",
            "Exposed Male Nipple",
            "Partially Exposed Buttocks",
            "Partially Exposed Female Breast",
            "Implied Nudity",
        ),
        "Obstructed Intimate Parts": ("Obstructed Female Nipple", "Obstructed Male Genitalia"),
        "Kissing on the Lips": (),
    },
    "Swimwear or Underwear": {
        "Female Swimwear or Underwear": (),
        "Male Swimwear or Underwear": (),
    },
    "Violence": {
        "Weapons": (),
        "Graphic Violence": (
            "Weapon Violence",
            "Physical Violence",
            "Self-Harm",
            "Blood & Gore",
            "Explosions and Blasts",
        ),
    },
    "Visually Disturbing": {
        "Death and Emaciation": ("Emaciated Bodies", "Corpses"),
        "Crashes": ("Air Crash",),
    },
    "Drugs & Tobacco": {
        "Products": ("Pills",),
        "Drugs & Tobacco Paraphernalia & Use": ("Smoking",),
    },
    "Alcohol": {
        "Alcohol Use": ("Drinking",),
        "Alcoholic Beverages": (),
    },
    "Rude Gestures": {"Middle Finger": ()},
    "Gambling": {},
    "Hate Symbols": {"Nazi Party": (), "White Supremacy": (), "Extremist": ()},
}

_SPELLINGS: Final = {"Drug & Tobacco Paraphernalia & Use": "Drugs & Tobacco Paraphernalia & Use"}


def _parents() -> dict[str, str | None]:
    parents: dict[str, str | None] = {}
    for first, seconds in _TREE.items():
        parents[first] = None
        for second, thirds in seconds.items():
            parents[second] = first
            parents.update(dict.fromkeys(thirds, second))
    return parents


PARENTS: Final[Mapping[str, str | None]] = MappingProxyType(_parents())
"""Every label of model 7.0 with its parent; None for level 1."""

LEVEL_1: Final[tuple[str, ...]] = tuple(_TREE)
"""The ten top labels, the only ones that a custom moderation adapter learns."""

FROM_6_1: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Explicit Nudity": "Explicit",
        "Nudity": "Explicit Nudity",
        "Graphic Male Nudity": "Exposed Male Genitalia",
        "Graphic Female Nudity": "Exposed Female Genitalia",
        "Sexual Activity": "Explicit Sexual Activity",
        "Illustrated Explicit Nudity": "Explicit Nudity",
        "Adult Toys": "Sex Toys",
        "Female Swimwear Or Underwear": "Female Swimwear or Underwear",
        "Male Swimwear Or Underwear": "Male Swimwear or Underwear",
        "Partial Nudity": "Implied Nudity",
        "Barechested Male": "Exposed Male Nipple",
        "Revealing Clothes": "Non-Explicit Nudity",
        "Sexual Situations": "Kissing on the Lips",
        "Graphic Violence Or Gore": "Blood & Gore",
        "Self Injury": "Self-Harm",
        "Hanging": "Corpses",
        "Explosions And Blasts": "Explosions and Blasts",
        "Drugs": "Drugs & Tobacco",
        "Tobacco": "Drugs & Tobacco",
        "Drug Products": "Products",
        "Tobacco Products": "Products",
        "Drug Use": "Drugs & Tobacco Paraphernalia & Use",
        "Tobacco Use": "Drugs & Tobacco Paraphernalia & Use",
        "Drug Paraphernalia": "Drugs & Tobacco Paraphernalia & Use",
    }
    | {
        name: name
        for name in (
            "Violence", "Physical Violence", "Weapon Violence", "Weapons", "Visually Disturbing", "Emaciated Bodies",
            "Corpses", "Air Crash", "Rude Gestures", "Middle Finger", "Pills", "Smoking", "Alcohol", "Drinking",
            "Alcoholic Beverages", "Gambling", "Hate Symbols", "Nazi Party", "White Supremacy", "Extremist",
        )
    }
)  # fmt: skip
"""Labels of model 6.1 and their counterparts in 7.0; SPLIT_SINCE_6_1 has none of its own, only its children tell."""


def canonical(name: str) -> str:
    """The current spelling of a label; a name without another spelling comes back as it is.

    >>> canonical("Drug & Tobacco Paraphernalia & Use")
    'Drugs & Tobacco Paraphernalia & Use'
    """
    return _SPELLINGS.get(name, name)


def parent(name: str) -> str | None:
    """The label one level up; None for a level-1 label and for a name that the tree does not hold.

    >>> parent("Smoking")
    'Drugs & Tobacco Paraphernalia & Use'
    """
    return PARENTS.get(canonical(name))


def ancestors(name: str) -> tuple[str, ...]:
    """All labels above this one, nearest first; empty for level 1 and for unknown names.

    >>> ancestors("Smoking")
    ('Drugs & Tobacco Paraphernalia & Use', 'Drugs & Tobacco')
    """
    found: list[str] = []
    above = parent(name)
    while above is not None:
        found.append(above)
        above = parent(above)
    return tuple(found)


def descendants(name: str) -> tuple[str, ...]:
    """All labels below this one, in the tree's order; empty for leaves and for unknown names.

    >>> descendants("Alcohol")
    ('Alcohol Use', 'Drinking', 'Alcoholic Beverages')
    """
    top = canonical(name)
    return tuple(label for label in PARENTS if top in ancestors(label))


def level(name: str) -> int | None:
    """1, 2 or 3 as in `TaxonomyLevel`; None for a name that the tree does not hold.

    >>> level("Weapons")
    2
    """
    return len(ancestors(name)) + 1 if canonical(name) in PARENTS else None


def advice_on_unknown(name: str, reported: Collection[str]) -> str | None:
    """What to do about a label that is neither in the tree nor among those that a run reported, as the end of a
    sentence; None if it is in one of them.

    >>> advice_on_unknown("explicit", ["My label"])
    'did you mean Explicit?'
    """
    known = [*reported, *PARENTS]
    if canonical(name) in known:
        return None
    spelled = {label.lower(): label for label in reversed(known)}
    near = difflib.get_close_matches(name.lower(), spelled, n=1)
    return f"did you mean {spelled[near[0]]}?" if near else "name one that was reported, or is in the taxonomy."
