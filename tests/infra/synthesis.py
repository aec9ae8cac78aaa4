"""The template, synthesised once for each change of what it is made of, and kept under .cache/synth/."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / ".cache" / "synth"
# A configuration that asks for whatever a deployment may have.
TOPIC = "arn:aws:sns:eu-central-1:123456789012:ops"
TARGETS = {
    "oncall": {"webhook": "https://hooks.example.com/treadle", "secret": "oncall_key", "on": ["RunFailed", "RunTimedOut"]},
    "ops": {"sns": TOPIC},
    "board": {"bus": True},
}
EVERYTHING = json.dumps({"workflow_engine": {"integration": {"webhook_support": True, "notifications": TARGETS}}})
MADE_OF = ("infra", "functions", "shared/treadle/topology.py", "requirements/dev.txt", "cdk.json")


def assembly(**context: Any) -> Path:
    """The folder of the cloud assembly for this context. The layer is a placeholder, so that no package index is needed."""
    context = {"layer": "placeholder", **context}
    folder = KEPT / _digest(context)
    with _one_at_a_time():
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            _synthesise(unfinished, context)
            unfinished.rename(folder)
    return folder


def template(folder: Path) -> dict[str, Any]:
    (file,) = folder.glob("*.template.json")
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def run_python(*arguments: str, into: Path, **context: Any) -> subprocess.CompletedProcess[str]:
    """As the cdk command does it: the context of cdk.json first, then what was given."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | context
    path = os.pathsep.join(str(ROOT / part) for part in ("shared", "."))
    environment = {**os.environ, "PYTHONPATH": path, "CDK_OUTDIR": str(into), "CDK_CONTEXT_JSON": json.dumps(context)}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)


def _synthesise(into: Path, context: dict[str, Any]) -> None:
    done = run_python("-m", "infra.app", into=into, **context)
    if done.returncode:
        raise RuntimeError(f"the template could not be synthesised:\n{done.stdout}{done.stderr}")


def _digest(context: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(context, sort_keys=True).encode())
    for path in sorted(path for name in MADE_OF for path in _files(ROOT / name)):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Several test processes want the same template: the first one makes it."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
