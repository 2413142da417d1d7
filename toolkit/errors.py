"""What can go wrong, one class for each thing that a user can do about it.

Every message is one sentence that says what happened, to what, and what to do. The command line prints it and exits
with 2; a notebook shows it as the exception's text.
"""


class ToolkitError(Exception):
    """Base class of every error that the toolkit raises on purpose."""


class NotFound(ToolkitError):
    """A file, bucket or object is not there (or not readable): check the name, the bucket and the permissions."""


class Unreachable(ToolkitError):
    """The endpoint does not answer, or there are no credentials for it: start it, or check URL and profile."""


class RequestRefused(ToolkitError):
    """The service answered a request with an error; `code` is the service's own word for it."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class UnreadableManifest(ToolkitError):
    """A file is not in the format it should be in; the message shows where."""


class UnreadableImage(ToolkitError):
    """Bytes that are not an image we open: not an image, cut off, or too large."""


class JobFailed(ToolkitError):
    """A job or a training ended without a result; `code` is the service's own word for it."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NotAnalyzed(ToolkitError):
    """A job has ended, and some of its images are neither safe nor flagged; the message says where the others are."""


class TimedOut(ToolkitError):
    """Waiting ended before the job did; the job runs on."""


class NotLabelled(ToolkitError):
    """Nobody judged this label on these images; the message names the labels that were judged."""


class BelowFloor(ToolkitError):
    """Asked for a threshold at which the run reported nothing; the message says which MinConfidence to rerun with."""


class NotInstalled(ToolkitError):
    """An optional part is not installed; the message is the command that installs it."""


class InvalidArgument(ToolkitError):
    """A number out of its range, or arrays that do not fit together; the message says what can be given."""


class InvalidObjective(ToolkitError):
    """An objective that cannot be read; the message lists the ones that can."""


class InvalidSample(ToolkitError):
    """A sample that cannot be drawn as asked; the message says what can."""


class InvalidPolicy(ToolkitError):
    """A policy, or a policy file, that is not usable."""
