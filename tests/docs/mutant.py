"""A plug-in of pytest: one effect that TREADLE_WITHOUT names (ROW, and its number) is not there. Its file is compiled as if that text
stood in it; nothing is written.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from tests.docs.effects import ROOT, Effect
from tests.docs.mutations import ROWS, WITHOUT
from tests.infra import synthesis


class _Loader(importlib.machinery.SourceFileLoader):
    effect: Effect

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.effect.taken_away().encode(), self.path)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, effect: Effect) -> None:
        self._effect = effect
        self._file = str(ROOT / effect.file)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None or os.path.realpath(spec.origin) != self._file:
            return None
        spec.loader = loader = _Loader(fullname, self._file)
        loader.effect = self._effect
        return spec


def synthesise(into: Path, context: dict[str, Any]) -> None:
    """The template is made in a process of its own, which does without the effect as well."""
    app = "import tests.docs.mutant, runpy; runpy.run_module('infra.app', run_name='__main__')"
    done = synthesis.run_python("-c", app, into=into, **context)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


_row, _, _number = os.environ[WITHOUT].rpartition("#")
_effect = ROWS[_row][int(_number)]
sys.meta_path.insert(0, _Finder(_effect))
if _effect.file.startswith("infra/"):
    _kept = tempfile.TemporaryDirectory()  # a template without the effect is nobody else's
    synthesis.KEPT, synthesis._synthesise = Path(_kept.name), synthesise
