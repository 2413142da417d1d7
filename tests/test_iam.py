"""docs/iam.md: no command calls an operation that its policy does not allow, and no policy allows what nobody needs."""

import ast
import inspect
import json
import re
from pathlib import Path

import botocore.session
import pandas as pd
import pytest
import s3transfer.tasks
import s3transfer.upload
from botocore import xform_name
from botocore.client import BaseClient
from helpers import ROOT, picture
from typer.testing import CliRunner

import toolkit as tk
from toolkit import storage
from toolkit.cli.main import app
from toolkit.storage import uploads

ACTIONS = {
    "s3": {
        "GetObject": "s3:GetObject", "HeadObject": "s3:GetObject", "PutObject": "s3:PutObject",
        "CreateMultipartUpload": "s3:PutObject", "UploadPart": "s3:PutObject",
        "CompleteMultipartUpload": "s3:PutObject", "AbortMultipartUpload": "s3:AbortMultipartUpload",
        "ListObjectsV2": "s3:ListBucket", "HeadBucket": "s3:ListBucket",
        "DeleteObject": "s3:DeleteObject", "CreateBucket": "s3:CreateBucket",
        "PutBucketVersioning": "s3:PutBucketVersioning",
    },
    "rekognition": {},
    "service-quotas": {"ListServiceQuotas": "servicequotas:ListServiceQuotas"},
    "sts": {"GetCallerIdentity": "sts:GetCallerIdentity"},
    "kms": {"DescribeKey": "kms:DescribeKey"},
}  # fmt: skip
"""What IAM calls an operation; Rekognition's have their own names."""


def _action(service: str, operation: str) -> str:
    return f"rekognition:{operation}" if service == "rekognition" else ACTIONS[service][operation]


def _policies() -> dict[str, set[str]]:
    """Command to the actions of its policy."""
    found = {}
    for name, block in re.findall(r"^## `([^`]+)`\n.*?```json\n(.*?)```", _page(), re.DOTALL | re.MULTILINE):
        statements = json.loads(block)["Statement"]
        actions = [one["Action"] for one in statements]
        found[name] = {action for one in actions for action in ([one] if isinstance(one, str) else one)}
    return found


def _page() -> str:
    return (ROOT / "docs" / "iam.md").read_text(encoding="utf-8")


def _uploading() -> set[str]:
    """What s3transfer may call to copy a file to S3, however large it is and whatever goes wrong."""
    source = inspect.getsource(s3transfer.upload) + inspect.getsource(s3transfer.tasks)
    names = {xform_name(operation): operation for operation in ACTIONS["s3"]}
    return {ACTIONS["s3"][names[name]] for name in re.findall(r"client\.(\w+)", source)}


@pytest.fixture
def called(monkeypatch) -> set[str]:
    """The actions that are called from here on, and those that an upload would call on a bad day."""
    seen: set[str] = set()
    call = BaseClient._make_api_call
    manager = uploads.create_transfer_manager

    def uploading(*arguments):
        seen.update(_uploading())
        return manager(*arguments)

    monkeypatch.setattr(uploads, "create_transfer_manager", uploading)

    def recorded(client, operation, parameters):
        seen.add(_action(client.meta.service_model.service_name, operation))
        return call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", recorded)
    return seen


REKOGNITION_READS = {"s3:GetObject"}
"""Rekognition reads images and manifests with the caller's rights …"""
REKOGNITION_WORKS = {"s3:GetObject", "s3:PutObject"}
"""… and writes results."""


def test_every_command_calls_what_its_policy_allows_and_needs_all_of_it(endpoint, bucket, tmp_path, called) -> None:
    session = tk.connect(endpoint)
    (tmp_path / "photos").mkdir()
    rows = []
    for number in range(8):
        for shape in ("ellipse", "rectangle"):
            (tmp_path / "photos" / f"{shape}{number}.jpg").write_bytes(picture(number, shape))
            rows.append((f"s3://{bucket}/in/{shape}{number}.jpg", "Gambling", shape == "ellipse"))
    storage.upload(tmp_path / "photos", f"s3://{bucket}/in/", session=session)
    tk.Truth(pd.DataFrame(rows, columns=["source_ref", "label", "present"])).save(tmp_path / "t.csv")
    name, out = f"iam-{bucket[-10:]}", f"s3://{bucket}/out/"
    policies, used, last = _policies(), {}, {}

    def modkit(*words: str, by_service: set[str] = frozenset(), fails: bool = False) -> None:
        command = " ".join(["modkit", *words[: 2 if words[0] == "adapter" else 1]])
        called.clear()
        ended = CliRunner().invoke(app, [*words, "--endpoint", endpoint, "--json"])
        assert (ended.exit_code == 0) != fails, ended.output
        extra = called - policies[command] - {"sts:GetCallerIdentity"}
        assert not extra, f"{command} also calls {extra}"
        used[command] = used.get(command, set()) | called | by_service
        last.update(json.loads(ended.stdout) if ended.stdout.startswith("{") else {})

    modkit("manifest", str(tmp_path / "photos"), f"s3://{bucket}/m/m.jsonl")
    modkit("manifest", f"s3://{bucket}/in/", f"s3://{bucket}/m/m2.jsonl")
    modkit("preflight", f"s3://{bucket}/in/", out)
    modkit("analyze", f"s3://{bucket}/in/", out, "--save", str(tmp_path / "w1"), by_service=REKOGNITION_WORKS)
    modkit("analyze", str(tmp_path / "photos"), f"{out}folder/", by_service=REKOGNITION_WORKS)
    modkit("resume", last["group"], "--save", str(tmp_path / "w2"), by_service=REKOGNITION_WORKS)
    used["modkit resume"].add("rekognition:StartMediaAnalysisJob")  # for a part that has no job: as analyze
    modkit("start", f"s3://{bucket}/m/m.jsonl", out, "--save", str(tmp_path / "w3"), by_service=REKOGNITION_WORKS)
    modkit("fetch", last["job_id"], str(tmp_path / "w4"))
    modkit("jobs", "--limit", "3")
    used["modkit jobs"].add("s3:GetObject")  # here jobs cost nothing, and no summary is read
    modkit("detect", f"s3://{bucket}/in/", f"{out}detect/", "--journal", str(tmp_path), by_service=REKOGNITION_READS)
    used["modkit detect"].add("servicequotas:ListServiceQuotas")  # here there is no quota to be read
    modkit("summary", out)
    modkit("adapter", "manifest", str(tmp_path / "t.csv"), f"s3://{bucket}/m/t.jsonl")
    modkit("adapter", "train", name, out, "--truth", str(tmp_path / "t.csv"), by_service=REKOGNITION_WORKS)
    run = f"{out}detect/"
    modkit("adapter", "train", name, out, "--truth", str(tmp_path / "t.csv"), "--version", "v2", "--base", run)
    modkit("adapter", "wait", name)
    modkit("adapter", "list")
    modkit("adapter", "evaluate", name)
    modkit("adapter", "delete", f"{name}/v1", "--yes")
    modkit("adapter", "delete", name, "--yes")
    assert set(used) == set(policies) - {"modkit app"}
    too_much = {command: policies[command] - needed for command, needed in used.items() if policies[command] - needed}
    assert not too_much


def test_the_code_calls_no_operation_outside_the_page() -> None:
    session = botocore.session.Session()
    models = {service: session.get_service_model(service) for service in ACTIONS}
    operations = {
        xform_name(operation): _action(service, operation)
        for service, known in ACTIONS.items()
        for operation in (models[service].operation_names if service == "rekognition" else known)
    }
    # Whatever else these services offer, and is called in our code, is a call that this test does not know.
    all_names = {xform_name(name): service for service, model in models.items() for name in model.operation_names}
    allowed = set(re.findall(r"\b(?:s3|rekognition|servicequotas|sts|kms):[A-Za-z0-9]+", _page()))
    outside = []
    for path in sorted(Path(tk.__file__).parent.rglob("*.py")):
        # The service is not a client, and the demo's key is made in its own service.
        if "service" in path.parts or path.name == "demo.py" or not _talks_to_aws(path):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in all_names:
                action = operations.get(node.attr, f"{all_names[node.attr]}:{node.attr}")
                if action not in allowed:
                    outside.append(f"{path.name}: {action}")
    assert not outside


def _talks_to_aws(path: Path) -> bool:
    return ".client(" in path.read_text(encoding="utf-8")
