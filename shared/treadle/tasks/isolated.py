"""A task in a process of its own, forked for one attempt: it can be killed whatever it does, and what it breaks is its own.

Law: only JSON goes over the pipe. The process is a copy of its worker's, with its own process group (what it starts dies with it),
its own folder for temporary files, and the first to go when memory is short. It is not a prison: it has the worker's user and
credentials, so it keeps tasks from breaking one another, not from meaning harm (docs/how-to/write-a-task.md).

There is no multiprocessing here: Lambda has no /dev/shm, and a pipe is all that is needed.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn

_LENGTH: Final = struct.Struct("!I")
_READ: Final = 65_536
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG
RUNNING: Final[set[int]] = set()  # the processes of tasks that were not waited for yet
_FORKING = threading.Lock()  # until the worker has closed the other end: a process forked in between would hold it open


class Pipe:
    """One end: messages of JSON, each with its length before it."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._read = bytearray()

    def send(self, message: dict[str, Any]) -> None:
        """Raises OSError where nobody listens any more."""
        content = json.dumps(message).encode()
        self._end.settimeout(None)
        self._end.sendall(_LENGTH.pack(len(content)) + content)

    def receive(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """None: not in time. Raises EOFError: the other end is gone."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while (message := self._whole()) is None:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return None
            self._end.settimeout(left)
            try:
                content = self._end.recv(_READ)
            except TimeoutError:
                return None
            except OSError:
                raise EOFError from None
            if not content:
                raise EOFError
            self._read += content
        return message

    def _whole(self) -> dict[str, Any] | None:
        if len(self._read) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._read)
        end = _LENGTH.size + length
        if len(self._read) < end:
            return None
        message: dict[str, Any] = json.loads(self._read[_LENGTH.size : end])
        del self._read[:end]
        return message

    def close(self) -> None:
        self._end.close()


class Child:
    """The process, as its worker sees it."""

    def __init__(self, pid: int, pipe: Pipe) -> None:
        self.pid = pid
        self.pipe = pipe
        self.signal: str | None = None  # that ended it, once it has ended
        self.maxrss = 0  # as getrusage says it: of it, or of a process that it started and waited for

    def end(self) -> str:
        """Kill it and all that it started; how it had ended, if it had."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        try:
            _, status, used = os.wait4(self.pid, 0)
        except ChildProcessError:
            RUNNING.discard(self.pid)
            return "is gone"
        RUNNING.discard(self.pid)
        self.maxrss = used.ru_maxrss
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return f"ended with exit code {code}"
        self.signal = signal.Signals(-code).name
        return f"ended by {self.signal}"


@contextmanager
def child(work: Callable[[Pipe], None]) -> Iterator[Child]:
    """`work` in a process of its own, which is killed when the block is left."""
    folder = tempfile.mkdtemp(prefix="treadle-")
    parent = os.getpid()
    with _FORKING:
        ours, its = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _be_the_child(work, its, ours, folder, parent)
        RUNNING.add(pid)
        its.close()
    with suppress(OSError):  # it does so itself as well: whoever is first
        os.setpgid(pid, pid)
    it = Child(pid, Pipe(ours))
    try:
        yield it
    finally:
        it.pipe.close()
        with suppress(ChildProcessError):
            it.end()
        shutil.rmtree(folder, ignore_errors=True)


def _be_the_child(work: Callable[[Pipe], None], its: socket.socket, ours: socket.socket, folder: str, parent: int) -> NoReturn:
    code = 1
    try:
        _set_apart(folder, parent)
        ours.close()
        work(Pipe(its))
        code = 0
    except BaseException:  # noqa: BLE001 (nothing may leave here: the worker's own code stands above)
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _set_apart(folder: str, parent: int) -> None:
    with suppress(OSError):
        os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")
    os.environ["TMPDIR"] = tempfile.tempdir = folder
