"""Tasks: named units of work, `(input, context) -> output`, JSON in and JSON out."""

from .allowed import Allowed
from .built_in import Outside
from .later import LATER, Callback
from .registry import Registry, Task, TaskContext, task

__all__ = ["LATER", "Allowed", "Callback", "Outside", "Registry", "Task", "TaskContext", "task"]
