"""Compiling: canonical, hashed, edges in both directions, names read ahead of time."""

from __future__ import annotations

import json

from treadle.cel import Cel
from treadle.core.plan import Edge, Named, Plan, compile_plan
from treadle.core.retry import Retry

from tests.core.plans import plan

HEAD = {"id": "w", "name": "W", "version": "1.0.0"}


def test_the_hash_does_not_depend_on_the_order_of_keys() -> None:
    one = {**HEAD, "steps": [{"id": "a", "task": "echo", "with": {"x": 1, "y": 2}}]}
    other = {"steps": [{"with": {"y": 2, "x": 1}, "task": "echo", "id": "a"}], "version": "1.0.0", "name": "W", "id": "w"}
    assert compile_plan(one, Cel()).hash == compile_plan(other, Cel()).hash


def test_the_hash_depends_on_everything_that_runs() -> None:
    assert plan({"id": "a"}).hash != plan({"id": "a", "timeout": "1s"}).hash


def test_a_plan_read_again_is_the_same() -> None:
    compiled = plan({"id": "a"}, {"id": "b", "after": ["a"], "retry": {"maxAttempts": 2}})
    again = Plan.from_json(json.loads(compiled.canonical()))
    assert again.hash == compiled.hash
    assert again.steps == compiled.steps


def test_dependencies_and_after_give_the_same_edges() -> None:
    written = plan({"id": "a"}, {"id": "b", "after": ["a"]}).root
    mapped = plan({"id": "a"}, {"id": "b"}, dependencies={"b": ["a"]}).root
    assert written.steps["b"].edges == mapped.steps["b"].edges == (Edge("a"),)
    assert mapped.steps["a"].targets == ("b",)


def test_switch_and_catch_give_edges_to_what_they_choose() -> None:
    root = compile_plan(
        {
            **HEAD,
            "steps": [
                {"id": "s", "switch": [{"when": "true", "then": ["x", "y"]}, {"else": "z"}]},
                {"id": "x", "set": 1, "catch": [{"errors": ["*"], "then": "z"}]},
                {"id": "y", "set": 1},
                {"id": "z", "set": 1},
            ],
        },
        Cel(),
    ).root
    assert root.steps["y"].edges == (Edge("s", "chosen"),)
    assert root.steps["z"].edges == (Edge("s", "chosen"), Edge("x", "chosen"))


def test_expressions_are_read_ahead_of_time() -> None:
    step = {"id": "c", "after": ["a", "b"], "when": "steps.a.output > input.n", "set": "${steps.b.output}"}
    compiled = compile_plan({**HEAD, "steps": [{"id": "a", "set": 1}, {"id": "b", "set": 2}, step]}, Cel()).steps["c"]
    assert compiled.named == Named(("a", "b"), frozenset({"steps", "input"}))


def test_a_scope_is_over_when_its_sinks_and_the_sources_of_early_joins_are() -> None:
    root = plan({"id": "a"}, {"id": "b"}, {"id": "c", "after": ["a", "b"], "join": "any"}).root
    assert root.last == ("a", "b", "c")
    assert plan({"id": "a"}, {"id": "b"}, {"id": "c", "after": ["a", "b"]}).root.last == ("c",)


def test_the_default_retry_is_for_steps_without_one_and_not_for_groups() -> None:
    inner = {"id": "i", "set": 1}
    document = {
        **HEAD,
        "errorHandling": {"retry": {"maxAttempts": 7}},
        "steps": [{"id": "a", "set": 1}, {"id": "b", "set": 1, "retry": {"maxAttempts": 2}}, {"id": "g", "group": {"steps": [inner]}}],
    }
    steps = compile_plan(document, Cel()).steps
    assert [steps[name].retry and steps[name].retry.max_attempts for name in ("a", "b", "g", "i")] == [7, 2, None, 7]


def test_the_founding_names_mean_the_same() -> None:
    document = {**HEAD, "errorHandling": {"retryAttempts": 3, "backoffStrategy": "linear"}, "steps": [{"id": "a", "set": 1}]}
    assert compile_plan(document, Cel()).steps["a"].retry == Retry(max_attempts=4, backoff="linear")
