"""What thousands of manifests say together, without all of their rows ever being in one place.

Each manifest is reduced where it is read to counts: how many images have each confidence of each label, how many of
the judged ones with that confidence have it rightly, how many a policy would block. Counts add up exactly, in whatever
order and on however many machines, and from them come the same distributions, curves and forecasts as from the rows.
"""

from toolkit.summarize.making import summarize
from toolkit.summarize.summary import CollectionSummary

__all__ = ["CollectionSummary", "summarize"]
