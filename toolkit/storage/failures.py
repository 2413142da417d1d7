"""What boto3 raises, in the toolkit's errors: one sentence that says what happened, to what, and what to do."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from toolkit.errors import NotFound, RequestRefused, ToolkitError, Unreachable

_MISSING: Final = {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404", "NotFound"}
_FORBIDDEN: Final = {"AccessDenied", "403", "Forbidden", "AllAccessDisabled"}
_TOO_LITTLE: Final = re.compile(r"Invalid (length|range|value) for parameter (\S+), value: (\S+), valid min \w+: (\S+)")
_IN_WORDS: Final = {
    "Bucket": "the bucket's name", "Key": "the object's key", "Name": "the object's key",
    "S3Bucket": "the name of the output's bucket", "JobName": "the job's name", "JobId": "the job's id",
    "KmsKeyId": "the KMS key's id", "ProjectVersion": "the adapter's ARN", "ProjectVersionArn": "the adapter's ARN",
    "ProjectName": "the adapter's name", "VersionName": "the version's name", "ClientRequestToken": "the token",
    "Version": "the manifest's version", "MinConfidence": "MinConfidence",
}  # fmt: skip
"""What botocore calls a parameter, and what the toolkit's users call it."""


class Denied(NotFound):
    """Access is denied: whether something is there, nobody can say."""


class NoRegion(Unreachable):
    """No region is configured, and none was named."""


@contextmanager
def translated(what: str, advice: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turns what boto3 raises inside the block into the toolkit's errors.

    Parameters
    ----------
    what
        What is being done, to what; begins the message: `reading s3://bucket/key`.
    advice
        For some of the service's error codes, what to do, which ends the message; "" stands for all others.

    Raises
    ------
    NotFound, Unreachable, RequestRefused
    """
    try:
        yield
    except ClientError as error:
        raise _answered(what, error, advice or {}) from error
    except KeyError as error:  # what the operation promises to answer is not there
        raise _stranger(what, f"no {error}") from error
    except ResponseParserError as error:
        raise _stranger(what, str(error)) from error
    except RecursionError as error:
        raise _stranger(what, "redirects without end") from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise Unreachable(
            f"{what}: no AWS credentials; configure a profile, or name an endpoint of your own."
        ) from error
    except NoRegionError as error:
        raise NoRegion(
            f"{what}: no AWS region; name one (--region, region_name) such as eu-west-1, or set AWS_REGION."
        ) from error
    except InvalidRegionError as error:
        region = error.kwargs["region_name"]
        raise Unreachable(f"{what}: {region!r} is not an AWS region; name one such as eu-west-1.") from error
    except ReadTimeoutError as error:
        raise Unreachable(
            f"{what}: the endpoint takes the request and does not answer; start it again (`modkit serve`) or check its "
            f"URL."
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        raise Unreachable(
            f"{what}: the endpoint does not answer; start it (`modkit serve`) or check its URL."
        ) from error
    except ParamValidationError as error:
        raise RequestRefused(f"{what}: {_in_words(str(error.kwargs['report']))}.") from error
    except (BotoCoreError, ValueError) as error:
        raise RequestRefused(
            f"{what}: {_short(str(error))}; check the endpoint's URL and your AWS configuration."
        ) from error


def _answered(what: str, error: ClientError, advice: Mapping[str, str]) -> ToolkitError:
    """What an error of the service is to us."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    said = str(error.response.get("Error", {}).get("Message", ""))
    answer: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    # Every answer of AWS has a request ID. Where there is none, and botocore had to take the HTTP status for a code,
    # some other server has spoken. (The local service's answers to HEAD have neither.)
    spoken = bool(answer) and not error.operation_name.startswith("Head")
    if spoken and not answer.get("RequestId") and (code.isdigit() or not code):
        return _stranger(what, f"{code} {said}")
    if code in _MISSING:
        return NotFound(f"{what}: there is no such object or bucket; check the name.")
    if code in _FORBIDDEN:
        return Denied(f"{what}: access denied; check the name, and that your credentials may read and write it.")
    todo = advice.get(code) or advice.get("")
    return RequestRefused(f"{what}: {code}: {_short(said, 500)}{f'; {todo}' if todo else ''}.", code)


def _stranger(what: str, said: str) -> Unreachable:
    return Unreachable(f"{what}: the URL does not answer as AWS does ({_short(said)}); check the endpoint's URL.")


def _in_words(report: str) -> str:
    """What botocore found wrong with a request, in the words of who made it."""
    first = report.splitlines()[0]
    if first.startswith("Invalid bucket name"):
        return f"{_short(first.partition(':')[0])}; 3 to 63 small letters, digits, dots and hyphens make one"
    if not (found := _TOO_LITTLE.fullmatch(first)):
        return _short(first)
    kind, parameter, value, least = found.groups()
    name = _IN_WORDS.get(parameter.rpartition(".")[2], parameter)
    if kind != "length":
        return f"{name} is {value}; give {least} or more"
    return f"{name} {'is empty' if value == '0' else f'has {value} of at least {least} characters'}; write it in full"


def _short(text: str, most: int = 120) -> str:
    """One line without its full stop, cut where it goes on and on."""
    squeezed = " ".join(text.split()).rstrip(".")
    return squeezed if len(squeezed) <= most else squeezed[: most - 1] + "…"
