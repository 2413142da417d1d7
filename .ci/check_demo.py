"""Checks what `modkit demo --json` said, and that the files it names are there."""

import json
import sys
from pathlib import Path

text = Path(sys.argv[1]).read_text()
answer = json.loads(text)
assert text.count("\n") == 1, "more than one line on stdout"
assert answer["endpoint"].startswith("http://127.0.0.1:"), answer["endpoint"]
assert [(job["model"], job["status"]) for job in answer["jobs"]] == [("base", "SUCCEEDED"), ("adapter", "SUCCEEDED")]
assert all(job["errors"] >= 4 and job["images"] > 400 for job in answer["jobs"]), answer["jobs"]
gambling = answer["labels"]["Gambling"]
assert gambling["average_precision"] >= 0.9, gambling
assert gambling["precision"] >= 0.9, gambling
assert gambling["precision_low"] < gambling["precision"] <= gambling["precision_high"], gambling
assert gambling["base"]["threshold"] is None, "the base model cannot know Gambling"
for name, path in answer["files"].items():
    assert Path(path).stat().st_size > 0, name
print(f"demo: {answer['jobs'][0]['images']} images; Gambling at {gambling['threshold']:.2f}: {gambling}")
