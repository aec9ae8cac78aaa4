"""An example of a hook, and a useful one: every moment as a line of the log.

    extensions:
      - {name: custom_logger, config: {log_level: info, output_format: json}}

It sees no payloads, so it can log none.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("json", "text")


class CustomLogger:
    """`log_level`: the least that is written. Attempts and beginnings are `debug`, ends `info`, failed attempts `warning`, failures
    of steps and runs `error`. `output_format`: `json`, one object a line, or `text`. `stream`: standard error by default."""

    interface = 1
    name = "custom_logger"

    def __init__(self, log_level: str = "info", output_format: str = "json", stream: TextIO | None = None) -> None:
        if log_level not in LEVELS:
            raise ValueError(f"log_level must be one of {', '.join(LEVELS)}, not {log_level!r}")
        if output_format not in FORMATS:
            raise ValueError(f"output_format must be one of {', '.join(FORMATS)}, not {output_format!r}")
        self._least = LEVELS.index(log_level)
        self._is_json = output_format == "json"
        self._stream = stream

    def before_run(self, event: dict[str, Any]) -> None:
        self._write("info", "the run begins", event)

    def after_run(self, event: dict[str, Any]) -> None:
        self._write("info" if event["status"] == "succeeded" else "error", f"the run has ended: {event['status']}", event)

    def before_step(self, event: dict[str, Any]) -> None:
        self._write("debug", f"{event['step']} begins", event)

    def after_step(self, event: dict[str, Any]) -> None:
        self._write("error" if event["outcome"] == "failed" else "info", f"{event['step']} has ended: {event['outcome']}", event)

    def before_attempt(self, event: dict[str, Any]) -> None:
        self._write("debug", f"{event['step']}: attempt {event['attempt']} of {event['task']} begins", event)

    def after_attempt(self, event: dict[str, Any]) -> None:
        level = "warning" if event["outcome"] == "failed" else "debug"
        self._write(level, f"{event['step']}: attempt {event['attempt']} of {event['task']} has ended: {event['outcome']}", event)

    def after_delivery(self, event: dict[str, Any]) -> None:
        self._write("debug", f"a delivery is done with; caches: {event['caches']}", event)

    def _write(self, level: str, message: str, event: dict[str, Any]) -> None:
        if LEVELS.index(level) < self._least:
            return
        at = datetime.fromtimestamp(event["at"] / 1000, UTC).isoformat(timespec="milliseconds")
        if self._is_json:
            line = json.dumps({"level": level, "time": at, "message": message, **event}, ensure_ascii=False, separators=(",", ":"))
        else:
            line = f"{at} {level:<7} {event['workflow']} {event['run']} {message}"
        print(line, file=self._stream or sys.stderr)
