"""Tasks: named units of work, `(input, context) -> output`, JSON in and JSON out."""

from .registry import Registry, Task, TaskContext, task

__all__ = ["Registry", "Task", "TaskContext", "task"]
