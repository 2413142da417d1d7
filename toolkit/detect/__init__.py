"""The image-by-image way: DetectModerationLabels over a collection, resumable and rate-limited.

It writes the results manifest and summary that a job writes, so that nothing after it need know which way was gone.
"""

from toolkit.detect.moderate import moderate
from toolkit.detect.outcome import DetectRun
from toolkit.detect.quota import DEFAULT_TPS, account_tps
from toolkit.detect.record import floor_beside
from toolkit.detect.run import detect

__all__ = ["DEFAULT_TPS", "DetectRun", "account_tps", "detect", "floor_beside", "moderate"]
