"""Takes the steps of action.yml as a runner would, as far as they are shell: action.py INPUTS, a JSON object.

Of a runner's expressions it knows `${{ inputs.NAME }}`, which is all that the action's steps use.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
given = json.loads(sys.argv[1])
unknown = given.keys() - action["inputs"].keys()
assert not unknown, f"the action has no input {unknown}"
# The example workflows give nothing that the action does not take, and ask for no output that it does not have.
for example in sorted((ROOT / "examples/github").glob("*.yml")):
    text = example.read_text(encoding="utf-8")
    for job in yaml.safe_load(text)["jobs"].values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("your-organisation/pgrotate@"):
                assert step["with"].keys() <= action["inputs"].keys(), f"{example.name}: {step}"
    outputs = set(re.findall(r"steps\.[a-z]+\.outputs\.([a-z-]+)", text))
    assert outputs <= action["outputs"].keys(), f"{example.name}: {outputs}"
inputs = {name: given.get(name, declared.get("default", "")) for name, declared in action["inputs"].items()}


def filled(text: str) -> str:
    text = re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: inputs[found[1]], text)
    assert "${{" not in text, f"an expression that only GitHub knows, without a value given for it: {text}"
    return text


for step in action["runs"]["steps"]:
    assert "${{" not in step["run"], "inputs do not go into a script"
    environment = {name: filled(value) for name, value in step["env"].items()}
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], check=False,
                          env={**os.environ, **environment, "GITHUB_ACTION_PATH": str(ROOT)})
    if done.returncode:
        sys.exit(done.returncode)
