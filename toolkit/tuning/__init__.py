"""An objective and a curve give a threshold, with or without a guarantee."""

from toolkit.tuning.choice import Choice, choose_threshold
from toolkit.tuning.objective import OBJECTIVES

__all__ = ["OBJECTIVES", "Choice", "choose_threshold"]
