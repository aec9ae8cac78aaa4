"""The `workflow_engine:` file: what it may say, where each value came from, and what it means to the engine.

Law: a key does what docs/reference/configuration.md says of it, or is refused, or is told of as having no effect yet. Nothing is
read and then ignored.
"""

from .checks import Finding
from .effects import Effects, effects_of
from .model import Configuration
from .reading import InvalidConfiguration, Loaded, Target, load

__all__ = ["Configuration", "Effects", "Finding", "InvalidConfiguration", "Loaded", "Target", "effects_of", "load"]
