"""What a task is given in a test that runs it by itself."""

from __future__ import annotations

import logging
import time
from typing import Any

from treadle import TaskContext


def context(**more: Any) -> TaskContext:
    usual: dict[str, Any] = {"run_id": "r", "step_id": "s", "attempt": 1, "idempotency_key": "k", "deadline": time.time() + 60}
    return TaskContext(**{**usual, "logger": logging.getLogger("test"), **more})
