"""Read, write and list by URI: `s3://bucket/key`, or a path on this machine.

Nothing here is hidden state: whoever talks to S3 passes a boto3 session, and `connect` makes one that talks to a chosen
endpoint, such as the local service.
"""

from toolkit.storage.failures import Denied, NoRegion, translated
from toolkit.storage.objects import (
    exists,
    list_files,
    list_sizes,
    make_bucket,
    read,
    read_if_there,
    write,
    write_new,
)
from toolkit.storage.sessions import EndpointSession, Session, connect, is_local, rekognition_url
from toolkit.storage.uploads import upload, upload_files
from toolkit.storage.uris import is_s3, join, split_s3

__all__ = [
    "Denied",
    "EndpointSession",
    "NoRegion",
    "Session",
    "connect",
    "exists",
    "is_local",
    "is_s3",
    "join",
    "list_files",
    "list_sizes",
    "make_bucket",
    "read",
    "read_if_there",
    "rekognition_url",
    "split_s3",
    "translated",
    "upload",
    "upload_files",
    "write",
    "write_new",
]
