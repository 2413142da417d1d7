"""What one label's confidence leads to."""

from dataclasses import dataclass

from toolkit.errors import InvalidPolicy


@dataclass(frozen=True)
class Rule:
    """What one label's confidence leads to: at `block` or above the image is blocked, at `review` or above it is looked
    at by a person. Percent, 0–100; None leaves that step out.

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
        if any(type(value) not in {int, float} or not 0 <= value <= 100 for value in given):
            raise InvalidPolicy(f"{self}: thresholds are confidences between 0 and 100.")
        if given != sorted(given):
            raise InvalidPolicy(f"{self}: review must not start above block.")
