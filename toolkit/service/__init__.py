"""A bulk-analysis endpoint on your own machine: the annex of the toolkit.

`LocalService` runs it in a thread of this process, `ServiceProcess` in a process of its own. Both are imported when
they are asked for: moto and onnxruntime take a second to load.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.service.process import ServiceProcess
    from toolkit.service.server import LocalService

# onnxruntime reports to its makers what it is used for, unless this is there before it is loaded (1.32 on Linux does).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["LocalService", "ServiceProcess"]


def __getattr__(name: str) -> Any:
    if name == "LocalService":
        from toolkit.service.server import LocalService

        return LocalService
    if name == "ServiceProcess":
        from toolkit.service.process import ServiceProcess

        return ServiceProcess
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
