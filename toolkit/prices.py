"""What analyzing images costs, from a table with a date on it.

The table is `prices.json` beside this file. Prices differ by region and change: a copy with your own takes its place
(`Prices.load(path)`, `--prices`, or the environment variable MODKIT_PRICES).
"""

import json
import os
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final, Self

from toolkit.errors import NotFound, UnreadableManifest

VARIABLE: Final = "MODKIT_PRICES"
_OWN: Final = Path(__file__).with_name("prices.json")


@dataclass(frozen=True)
class Tier:
    """Up to so many images a month (None: all further ones), each costs so much."""

    up_to: int | None
    price: float


@dataclass(frozen=True)
class Prices:
    """What one image costs, by how many there were this month.

    Attributes
    ----------
    as_of
        Date of the table, as text.
    currency
        Of the prices.
    tiers
        In order; the last has no end.
    """

    as_of: str
    currency: str
    tiers: tuple[Tier, ...]

    @classmethod
    def load(cls, path: str | PathLike[str] | None = None) -> Self:
        """Reads a table.

        Parameters
        ----------
        path
            None takes what MODKIT_PRICES names, or else the toolkit's own.

        Raises
        ------
        NotFound
            There is no such file.
        UnreadableManifest
            It is not a table of prices.
        """
        chosen = Path(path or os.environ.get(VARIABLE) or _OWN)
        try:
            document = json.loads(chosen.read_bytes())
            tiers = tuple(Tier(tier["up_to"], float(tier["price"])) for tier in document["tiers"])
            ends = [0, *(int(tier.up_to or 0) for tier in tiers[:-1])]
            if tiers[-1].up_to is not None or ends != sorted(set(ends)):
                raise ValueError("its tiers are not in order")
            return cls(str(document["as_of"]), str(document["currency"]), tiers)
        except OSError as error:
            raise NotFound(f"{chosen}: {error.strerror or error}; check the path of the price table.") from error
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UnreadableManifest(
                f"{chosen}: not a price table ({error}); copy {_OWN} and change its prices."
            ) from error

    def cost(self, images: int, already: int = 0) -> float:
        """What these images cost.

        Parameters
        ----------
        images
            How many are analyzed.
        already
            How many were analyzed this month before them. 0 is never too little: earlier images make later ones
            cheaper.

        Examples
        --------
        >>> prices = Prices("2026-10-07", "USD", (Tier(1_000_000, 0.001), Tier(None, 0.0008)))
        >>> prices.cost(1_500_000), prices.cost(500_000, already=1_000_000)
        (1400.0, 400.0)
        """
        total, below = 0.0, 0
        for tier in self.tiers:
            end = already + images if tier.up_to is None else min(tier.up_to, already + images)
            total += max(0, end - max(below, already)) * tier.price
            below = max(below, end)
        return round(total, 6)

    def in_words(self, images: int) -> str:
        """An estimate for people.

        >>> Prices("2026-10-07", "USD", (Tier(None, 0.001),)).in_words(25_000)
        '25,000 images cost about 25.00 USD (prices of 2026-10-07)'
        """
        cost = self.cost(images)
        amount = "less than 0.01" if 0 < cost < 0.01 else f"about {cost:,.2f}"
        what = "1 image costs" if images == 1 else f"{images:,} images cost"
        return f"{what} {amount} {self.currency} (prices of {self.as_of})"
