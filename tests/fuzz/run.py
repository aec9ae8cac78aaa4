"""Fuzzing, guided by coverage (atheris, which is libFuzzer): until the time is over, or something is found.

    make fuzz SECONDS=600

A definition may take 50 ms of CPU time, and so may parsing and checking an expression; evaluating it 200 ms (`targets.MOST_MS`). Atheris
makes Python about twice as slow, which is not what a user has: an input that takes longer here is looked at again in a process of its own
(`tests.fuzz.once`), and is a finding only if it takes longer there too.

Known to take longer, though no fuzzer came upon them: definitions of 8 KiB that are nothing but different expressions with macros (about
0.2 ms each), or different regular expressions with Unicode classes such as `\\pL` (0.6 ms each, for RE2 to compile).

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
    from tests.fuzz.once import least_ms_apart
    from tests.fuzz.targets import MOST_MS, TARGETS, Slow, within


APART = 5  # processes, for an input that seems slow


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
    atheris.Setup(
        [sys.argv[0], *libfuzzer],
        lambda data: _look(chosen.target, data, chosen.times),
        custom_mutator=_mutator,
        internal_libfuzzer=True,
    )
    atheris.Fuzz()


def _look(target: str, data: bytes, times: float) -> None:
    """Raises Slow for what is slow apart from here as well, each time: a busy machine makes a figure worse, never better."""
    try:
        within(target, data, times)
    except Slow as here:
        apart_ms = []
        for _ in range(APART):
            apart_ms.append(least_ms_apart(target, data))
            if apart_ms[-1] <= MOST_MS[target] * times:
                return
        raise Slow(f"{min(apart_ms):.0f} ms (here {here})") from None


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
