"""ministack as a subprocess on loopback: an AWS that runs Lambdas, mappings, rules, an HTTP API, and evaluates IAM policies."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".cache" / "ministack-venv"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
REGION, ACCOUNT = "us-east-1", "000000000000"
STARTS_WITHIN_S = 90


@dataclass(frozen=True)
class Emulator:
    url: str
    log: Path

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            aws_session_token="",
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )


@contextmanager
def running(folder: Path) -> Iterator[Emulator]:
    """`folder` takes the log and whatever the emulator writes. Policies are enforced: what a role lacks is denied."""
    port = _free_port()
    log = folder / "ministack.log"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "CLOUDTRAIL_RECORDING": "1",
        "MINISTACK_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AUTH": "true",
        "LAMBDA_EXECUTOR": "local",
    }
    with log.open("w") as output:
        process = subprocess.Popen([str(_python()), "-m", "ministack"], env=environment, cwd=folder, stdout=output, stderr=output)
        try:
            emulator = Emulator(f"http://127.0.0.1:{port}", log)
            _wait_for(emulator, process)
            yield emulator
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _python() -> Path:
    """The interpreter of ministack's own environment, made when it is not there."""
    VENV.parent.mkdir(exist_ok=True)
    with (VENV.parent / "ministack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = VENV / "installed.txt"
        if not installed.exists() or installed.read_bytes() != REQUIREMENTS.read_bytes():
            subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
            pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
            installed.write_bytes(REQUIREMENTS.read_bytes())
    return VENV / "bin" / "python"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(emulator: Emulator, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"{emulator.url}/_ministack/health", timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"ministack did not start:\n{emulator.log.read_text()}")
