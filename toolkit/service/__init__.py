"""A bulk-analysis endpoint on your own machine: the annex of the toolkit.

`LocalService` runs it in a thread of this process, `ServiceProcess` in a process of its own. Both are imported when
they are asked for: moto and onnxruntime take a second to load.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.service.process import ServiceProcess
    from toolkit.service.server import LocalService

__all__ = ["LocalService", "ServiceProcess"]


def __getattr__(name: str) -> Any:
    if name == "LocalService":
        from toolkit.service.server import LocalService

        return LocalService
    if name == "ServiceProcess":
        from toolkit.service.process import ServiceProcess

        return ServiceProcess
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
