"""For each row of docs/spec-map.md: an effect, and the test that fails when it is taken away.

    make mutations                                      every row, after the keys of the configuration
    make mutations ROWS="'dispatch_task' 'Privacy protection'"   some of them

Law: an effect is taken away by compiling its file with another text in the place of one (mutant.py), in the process of the test and
nowhere else. A row whose test still passes is a test that shows nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.docs.capabilities import CAPABILITIES, MONITORING, SECURITY
from tests.docs.effects import ERROR_CASES, FUNCTIONS, ROOT

WITHOUT = "TREADLE_WITHOUT"  # the variable that names the row and which of its effects

ROWS = FUNCTIONS | ERROR_CASES | CAPABILITIES | SECURITY | MONITORING


def is_killed(row: str, number: int) -> bool:
    """The test fails without the effect. Raises RuntimeError where it does not run at all."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.docs.mutant", ROWS[row][number].test]
    ran = subprocess.run(command, cwd=ROOT, env={**os.environ, WITHOUT: f"{row}#{number}"}, capture_output=True, text=True, check=False)
    if ran.returncode not in (0, 1):
        raise RuntimeError(f"{row}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return ran.returncode == 1


def main(wanted: list[str]) -> int:
    if unknown := set(wanted) - ROWS.keys():
        print(f"there is no row {', '.join(unknown)}", file=sys.stderr)
        return 2
    effects = [(row, number) for row in wanted or ROWS for number in range(len(ROWS[row]))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        killed = list(pool.map(lambda effect: is_killed(*effect), effects))
    survived = [effect for effect, was_killed in zip(effects, killed, strict=True) if not was_killed]
    for row, number in survived:
        print(f"{row}: {ROWS[row][number].test} passes without {ROWS[row][number].text!r} of {ROWS[row][number].file}")
    print(f"{len({row for row, _ in effects})} rows, {len(effects)} effects, {len(survived)} that nothing shows")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
