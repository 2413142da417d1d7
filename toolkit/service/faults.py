"""What the service answers when it refuses: one class for each exception of Rekognition that can happen here.

`code` is the name of the error in botocore's model, `status` the HTTP status that AWS documents for it. Every message
is a sentence that says what was wrong with what.
"""

from moto.core.exceptions import ServiceException


class Fault(ServiceException):
    """Base class of the answers below."""

    status = 400


class AccessDenied(Fault):
    """A bucket's policy forbids it."""

    code = "AccessDeniedException"


class IdempotentParameterMismatch(Fault):
    """A ClientRequestToken came back with another request."""

    code = "IdempotentParameterMismatchException"


class ImageTooLarge(Fault):
    """More bytes or more pixels than an image may have."""

    code = "ImageTooLargeException"


class InternalServerError(Fault):
    """Our own mistake; the service's log has the details."""

    code = "InternalServerError"
    status = 500


class InvalidImageFormat(Fault):
    """Neither JPEG nor PNG, or cut off."""

    code = "InvalidImageFormatException"


class InvalidManifest(Fault):
    """The input manifest is empty or larger than allowed."""

    code = "InvalidManifestException"


class InvalidPaginationToken(Fault):
    """A NextToken that this operation did not give out."""

    code = "InvalidPaginationTokenException"


class InvalidParameter(Fault):
    """A request member breaks the model's constraints, or asks for what is not offered here."""

    code = "InvalidParameterException"


class InvalidS3Object(Fault):
    """An object or bucket is not there, or not in the request's region."""

    code = "InvalidS3ObjectException"


class LimitExceeded(Fault):
    """As many jobs run as may run at once."""

    code = "LimitExceededException"


class ProvisionedThroughputExceeded(Fault):
    """More requests a second than the endpoint was told to take."""

    code = "ProvisionedThroughputExceededException"


class ResourceInUse(Fault):
    """The name is taken, or something still depends on it."""

    code = "ResourceInUseException"


class ResourceNotFound(Fault):
    """No such job, project or project version for this account and region."""

    code = "ResourceNotFoundException"


class ResourceNotReady(Fault):
    """The project version has not finished training."""

    code = "ResourceNotReadyException"


class Serialization(Fault):
    """The request's body is not a JSON object."""

    code = "SerializationException"


class Throttling(Fault):
    """Far more requests a second than that."""

    code = "ThrottlingException"
    status = 500
