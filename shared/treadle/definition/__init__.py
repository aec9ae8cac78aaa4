"""What a user writes: reading it, checking it, and saying what is wrong with it and where.

checked = Checker(tasks={"charge"}, expressions=Cel()).check(pathlib.Path("order.yaml"))
checked.document        # plain JSON, or None if there is any error
checked.diagnostics     # every fault at once
"""

from .checking import Checked, Checker
from .diagnostics import Code, Diagnostic, Severity
from .structure import schema

__all__ = ["Checked", "Checker", "Code", "Diagnostic", "Severity", "schema"]
