"""The README's AWS part, word by word, with nothing changed but the endpoint."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT, picture

import toolkit as tk
from toolkit import storage
from toolkit.service import ServiceProcess


def _blocks(section: str) -> list[tuple[str, str]]:
    """Language and text of the code blocks of a section."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_aws_part_works_word_by_word(tmp_path) -> None:
    with ServiceProcess(tmp_path / "service") as service:
        session = tk.connect(service.endpoint_url, region_name="eu-west-1")
        storage.make_bucket("your-bucket", session=session)
        for number in range(12):
            storage.write(f"s3://your-bucket/photos/{number}.jpg", picture(number), session=session)
        keys = "region = eu-west-1\naws_access_key_id = local\naws_secret_access_key = local\n"
        (tmp_path / "config").write_text(f"[default]\n{keys}[profile moderation]\n{keys}")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "AWS_ENDPOINT_URL": service.endpoint_url,  # the one thing that is not as on AWS
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "PYTHONPATH": str(ROOT),
        }
        bin_folder = tmp_path / ".venv" / "bin"
        bin_folder.mkdir(parents=True)
        (bin_folder / "modkit").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m toolkit "$@"\n')
        (bin_folder / "modkit").chmod(0o755)
        ran = []
        for language, text in _blocks("On AWS"):
            command = ["sh", "-eux"] if language == "sh" else [sys.executable, "-"]
            ended = subprocess.run(command, input=text, cwd=tmp_path, env=environment, capture_output=True, text=True)
            assert ended.returncode == 0, f"{text}\n{ended.stdout}\n{ended.stderr}"
            ran.append((language, ended.stdout))
    assert [language for language, _ in ran] == ["sh", "sh", "sh", "python"]
    assert "bulk analysis: open to this account." in ran[0][1]
    for folder in ("run", "detected"):
        results = tk.Workspace.load(tmp_path / folder).results("run")
        assert (results.n_images, results.min_confidence) == (12, 5)
    assert not Path(tmp_path, "modkit-detect").exists() or not list(Path(tmp_path, "modkit-detect").rglob("*.journal"))
