"""What one label's confidence leads to."""

from dataclasses import dataclass
from numbers import Real

from toolkit.errors import InvalidPolicy


@dataclass(frozen=True)
class Rule:
    """What one label's confidence leads to: at `block` or above the image is blocked, at `review` or above it is looked
    at by a person. Percent, 0–100, kept as float; None leaves that step out.

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
        if not all(isinstance(value, Real) and not isinstance(value, bool) and 0 <= value <= 100 for value in given):
            raise InvalidPolicy(f"{self}: thresholds are confidences between 0 and 100.")
        for step in ("block", "review"):
            if getattr(self, step) is not None:  # numpy's numbers are taken too, but JSON holds only Python's
                object.__setattr__(self, step, float(getattr(self, step)))
        if self.block is not None and self.review is not None and self.review > self.block:
            raise InvalidPolicy(f"{self}: review must not start above block.")
