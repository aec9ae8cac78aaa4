"""Fuzzing, the short and bounded part: the same inputs each time. `make fuzz` goes on from there, guided by coverage.

What was once found is here as a case of its own.
"""

from __future__ import annotations

import random

import pytest

from tests.fuzz.inputs import EXPRESSIONS, definitions, encoded, mutated
from tests.fuzz.once import APART, Look, least_ms_apart
from tests.fuzz.targets import MOST_MS, TARGETS, definition, evaluation, expression, within

GENEROUS = 20  # times what it may take, on a machine that does much else
CASES = 300
PARTS = 4

DOUBLED = b",".join(b"'%d': {anyOf: [{$ref: '#/$defs/%d'}, {$ref: '#/$defs/%d'}]}" % (at, at + 1, at + 1) for at in range(30))

# Each of these once took minutes or gigabytes, or raised what it should not.
FOUND: list[tuple[str, bytes]] = [
    ("expression", b"input.s.matches('" + b"x{0,1000}" * 300 + b"')"),
    ("evaluation", b"input.s.matches('' + '" + b"(a|b)*" * 500 + b"' + input.x)"),
    ("evaluation", b"input.many.map(x, input.s + input.s + input.s).map(y, y + y + y + y)"),
    ("evaluation", b"[input.s]" + b".map(x, [x, x])" * 12),
    ("evaluation", b"input.many.all(x, input.many.all(y, input.s.upperAscii() != ''))"),
    ("expression", "'\ud800'".encode("utf-8", "surrogatepass")),
    ("definition", b"id: w\ninput: {type: string, pattern: 'x{0,1000}{0,1000}'}"),
    ("definition", b"id: w\ninput: {type: string, pattern: '" + b"x{0,1000}" * 300 + b"'}"),
    ("definition", b"id: w\ninput: {anyOf: [" + b"{}," * 2700 + b"]}"),
    ("definition", b"id: w\nsteps: [{set: '${input.x}'}]\ninput: {$ref: '#/$defs/0', $defs: {" + DOUBLED + b"}}"),
]


def generous(target: str, data: bytes) -> None:
    within(target, data, MOST_MS[target] * GENEROUS)


@pytest.mark.parametrize("part", range(PARTS))
def test_any_definition_is_answered_soon(part: int) -> None:
    chance, seeds = random.Random(f"definition {part}"), definitions()
    for _ in range(CASES // PARTS):
        generous("definition", encoded(mutated(chance.choice(seeds), chance), chance))


@pytest.mark.parametrize("part", range(PARTS))
def test_any_expression_is_answered_soon(part: int) -> None:
    chance = random.Random(f"expression {part}")
    for _ in range(CASES // PARTS):
        data = encoded(mutated(chance.choice(EXPRESSIONS), chance), chance)
        generous("expression", data)
        generous("evaluation", data)


@pytest.mark.parametrize(("target", "data"), FOUND, ids=[ascii(data)[2:40] for _, data in FOUND])
def test_what_was_found_once(target: str, data: bytes) -> None:
    generous(target, data)


def test_real_inputs_are_taken_without_a_word() -> None:
    for text in definitions():
        definition(text.encode())
    for text in EXPRESSIONS:
        expression(text.encode())
        evaluation(text.encode())


@pytest.mark.parametrize("target", TARGETS)
def test_what_takes_long_is_looked_at_again_in_a_process_of_its_own(target: str) -> None:
    of_it, of_ordinary = least_ms_apart(target, b"{}")
    assert 0 < of_it < of_ordinary


@pytest.mark.parametrize(
    ("processes", "slow_ms"),
    [
        ([(60, 10)], 60),
        ([(60, 20)], None),  # the machine was slow, not the input
        ([(120, 20), (70, 10)], 60),
        ([(60, 10), (60, 10), (50, 10)], None),
        ([(120, 10), (120, 5)], 120),  # the machine is faster than was thought: that holds for what comes
        ([(80, 10), (80, 5), (80, 10)], None),
    ],
)
def test_slow_is_what_takes_too_long_at_full_speed_in_each_process(processes: list[tuple[float, float]], slow_ms: float | None) -> None:
    """50 ms are allowed, and the ordinary inputs took 10 at first. The last process stands for all that follow."""
    to_come = [(1, 10)] * APART + processes
    look = Look("expression", 50, lambda _target, _data: to_come.pop(0) if len(to_come) > 1 else to_come[0])
    assert look.slow_ms(b"") == slow_ms
