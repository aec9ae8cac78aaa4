"""A model of few words, as unreliable as the real ones: sometimes too busy, and not for every picture."""

from __future__ import annotations

from typing import Any

from treadle import TaskContext, TaskError, task


@task(permanent=("Refused",))
def ask_model(given: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    picture = given["picture"]
    if "secret" in picture:
        raise TaskError("Refused", f"{picture} is not for captions")
    if "busy" in picture and context.attempt < 3:
        raise TaskError("Throttled", "too many requests")
    words = "a picture of" if given["model"] == "large" or "cat" in picture else "?"
    return {"text": f"{words} {picture.partition('.')[0]}" if words != "?" else words, "model": given["model"]}
