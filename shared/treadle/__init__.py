"""treadle: a serverless workflow engine. A run is its facts.

from treadle import LATER, task, TaskError, TaskContext
"""

from .core.errors import TaskError
from .tasks.later import LATER
from .tasks.registry import TaskContext, task

__version__ = "0.1.0"
__all__ = ["LATER", "TaskContext", "TaskError", "__version__", "task"]
