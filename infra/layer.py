"""The Lambda layer: `treadle` and what its handlers import, staged without Docker. `python -m infra.layer` stages it.

Only wheels are taken, for the Lambdas' platform rather than this machine's, at the versions and hashes of
requirements/runtime.txt. A staged layer is kept under .cache/layer/ by the hash of what it is made of, so it is made
once for each change of the package or of a dependency.

PYTHON is the newest that Lambda has, and all wheels exist for it (3.14, Amazon Linux 2023, glibc 2.34).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "shared" / "treadle"
LOCK = ROOT / "requirements" / "runtime.txt"
STAGED = ROOT / ".cache" / "layer"
PYTHON = "3.14"
LIMIT_MB = 250  # AWS: function and layers together, unzipped

# Nothing imports these. The extensions of CEL that are not switched on are libraries of 5 to 7 MB each, and its wheel carries
# the sources that it was built from.
_DROPPED = (
    "bazel-project",
    "bin",
    *(f"cel_expr_python/ext/ext_{name}.*" for name in ("bindings", "encoders", "optional", "proto", "strings")),
    "**/__pycache__",
    "**/tests",
    "**/*.pyi",
    "**/RECORD",
)
# Of the package, what only runs on a developer's machine.
_LOCAL_ONLY = ("cli", "local", "spec", "testing.py")


@dataclass(frozen=True, slots=True)
class Target:
    """The machine that the layer is for: pip's names of platforms, newest first."""

    python: str = PYTHON
    platforms: tuple[str, ...] = ("manylinux_2_28_aarch64", "manylinux2014_aarch64")


LAMBDA = Target()


def stage(target: Target = LAMBDA) -> Path:
    """The folder to zip (it holds `python/`), made unless it is there. Raises CalledProcessError when a wheel is missing.

    What is installed is shared between layers by hard links: a change of the package costs no download and little space.
    """
    installed = _made_once(_digest(target, LOCK, Path(__file__)), lambda folder: _install(folder / "python", target))
    package = sorted(path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return _made_once(_digest(target, LOCK, Path(__file__), *package), lambda folder: _assemble(folder / "python", installed / "python"))


def placeholder() -> Path:
    """An empty layer: templates can be made from it without a package index."""
    folder = STAGED / "placeholder"
    (folder / "python").mkdir(parents=True, exist_ok=True)
    (folder / "python" / "README").write_text("This layer is a placeholder; `make layer` stages the real one.\n")
    return folder


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _made_once(name: str, make: Callable[[Path], None]) -> Path:
    """A folder under .cache/layer/, published by one rename, so that nobody ever sees half of it."""
    folder = STAGED / name
    if not folder.exists():
        STAGED.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=STAGED, prefix="unfinished-"))
        make(unfinished)
        unfinished.chmod(0o755)
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.exists():  # otherwise somebody else made the same meanwhile
                raise
            shutil.rmtree(unfinished)
    return folder


def _install(into: Path, target: Target) -> None:
    platforms = [word for platform in target.platforms for word in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps"]
    only = ["--only-binary=:all:", "--implementation", "cp", "--python-version", target.python, *platforms]
    subprocess.run([*pip, *only, "--require-hashes", "--requirement", str(LOCK), "--target", str(into)], check=True)
    for path in [path for pattern in _DROPPED for path in into.glob(pattern)]:
        _remove(path)


def _assemble(into: Path, installed: Path) -> None:
    shutil.copytree(installed, into, copy_function=os.link)
    shutil.copytree(PACKAGE, into / "treadle", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for name in _LOCAL_ONLY:
        _remove(into / "treadle" / name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _digest(target: Target, *made_of: Path) -> str:
    digest = hashlib.sha256(repr(target).encode())
    for path in made_of:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def main() -> int:
    folder = stage()
    size = size_mb(folder)
    print(f"{folder.relative_to(ROOT)}: {size:.1f} MB unzipped, for Python {PYTHON} on arm64")
    return 0 if size < LIMIT_MB else 1


if __name__ == "__main__":
    sys.exit(main())
