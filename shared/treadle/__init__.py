"""treadle: a serverless workflow engine. A run is its facts.

from treadle import task, TaskError, TaskContext
"""

from .core.errors import TaskError
from .tasks.registry import TaskContext, task

__version__ = "0.1.0"
__all__ = ["TaskContext", "TaskError", "__version__", "task"]
