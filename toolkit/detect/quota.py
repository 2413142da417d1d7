"""How many requests a second an account may make."""

from typing import Any, Final

import boto3

from toolkit import storage
from toolkit.errors import ToolkitError

DEFAULT_TPS: Final = 5.0
"""DetectModerationLabels requests per second where nobody says more: what AWS grants in its smaller regions."""
OPERATION: Final = "DetectModerationLabels"


def account_tps(session: boto3.Session | None = None) -> float | None:
    """The account's limit on DetectModerationLabels, as Service Quotas tells it; None where it does not.

    Parameters
    ----------
    session
        None is boto3's default.

    Returns
    -------
    float or None
        Requests per second.
    """
    try:
        with storage.translated("reading the account's quotas"):
            client: Any = (session or storage.connect()).client("service-quotas")
            pages = client.get_paginator("list_service_quotas").paginate(ServiceCode="rekognition")
            for quota in (found for page in pages for found in page["Quotas"]):
                if OPERATION in quota["QuotaName"].replace(" ", ""):
                    return float(quota["Value"])
    except ToolkitError:  # no permission, or an endpoint that knows no quotas: nobody says
        return None
    return None
