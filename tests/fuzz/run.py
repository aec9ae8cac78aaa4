"""Fuzzing, guided by coverage (atheris, which is libFuzzer): until the time is over, or something is found.

    make fuzz SECONDS=600

A definition may take 50 ms of CPU time, and so may parsing and checking an expression; evaluating it 200 ms (`targets.MOST_MS`). Atheris
makes Python about twice as slow, which is not what a user has, and a machine is not always as fast: an input that takes longer here is
looked at again in processes of its own (`tests.fuzz.once`), at the highest speed that this machine was seen to have, and is a finding
only if it takes longer in each of them.

Known to take longer, though no fuzzer came upon them: definitions of 8 KiB that are nothing but different expressions of thirty operators
each (60 ms; checking takes about 10 µs for each name, value and operator).

A finding is written to `.cache/fuzz/TARGET/`, and raised. Inputs that led somewhere new are kept there too, for the next time.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["treadle.definition", "treadle.cel", "treadle.core"]):
    from tests.fuzz.inputs import EXPRESSIONS, HOME, definitions, encoded, mutated
    from tests.fuzz.once import Look
    from tests.fuzz.targets import MOST_MS, TARGETS


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("target", choices=TARGETS)
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--times", type=float, default=1, help="as much CPU time as an input may take")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    corpus = HOME / ".cache" / "fuzz" / chosen.target
    _plant(corpus / "corpus", definitions() if chosen.target == "definition" else list(EXPRESSIONS))
    libfuzzer = [
        f"-max_total_time={chosen.seconds}",
        f"-seed={chosen.seed}",
        "-max_len=8192",
        "-timeout=60",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        f"-artifact_prefix={corpus}/found-",
        str(corpus / "corpus"),
    ]
    look = Look(chosen.target, MOST_MS[chosen.target] * chosen.times)
    atheris.Setup(
        [sys.argv[0], *libfuzzer],
        look.at,
        custom_mutator=_mutator,
        internal_libfuzzer=True,
    )
    atheris.Fuzz()


def _plant(folder: Path, texts: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        (folder / f"seed-{number:03}").write_text(text)


def _mutator(data: bytes, max_size: int, seed: int) -> Any:
    """Half of them by libFuzzer's own, which knows nothing of what the bytes mean."""
    chance = random.Random(seed)
    if chance.random() < 0.5:
        return atheris.Mutate(data, max_size)
    return encoded(mutated(data.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode(), chance), chance)[:max_size]


if __name__ == "__main__":
    main()
