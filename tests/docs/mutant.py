"""A plug-in of pytest: one effect that TREADLE_WITHOUT names (ROW, and its number) is not there. Its file is compiled as if that text
stood in it; nothing is written.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType

from tests.docs.effects import ROOT, Effect
from tests.docs.mutations import ROWS, WITHOUT


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


_row, _, _number = os.environ[WITHOUT].rpartition("#")
sys.meta_path.insert(0, _Finder(ROWS[_row][int(_number)]))
