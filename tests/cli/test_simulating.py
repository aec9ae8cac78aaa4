"""`treadle simulate FILE`: what it tells of a user's own workflow, and the line that has a violation again."""

from __future__ import annotations

import json
import logging
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from shlex import quote, split
from typing import Any

import pytest
from treadle.cli import status_of
from treadle.definition.reading import read
from treadle.engine.segment import Segment
from treadle.simulation.campaign import explorer_of
from treadle.simulation.samples import sample
from treadle.simulation.shapes import shape_of

FLOW = """\
id: parcel
name: Parcel
version: 1.0.0
input: {type: object, required: [who]}
steps:
  - {id: charge, task: charge, with: {who: "${input.who}"}}
  - {id: note, after: [charge], when: "has(input.note)", task: print_note}
  - {id: all, after: [charge], forEach: [1, 2], task: tell, with: {n: "${item}"}}
  - {id: seen, after: [all], signal: {name: seen, schema: {type: object, required: [by], properties: {by: {type: string}}}}}
  - id: send
    after: [seen, note]
    group:
      steps:
        - {id: pack, task: pack}
"""
TASKS = """\
from treadle import task

@task
def charge(given):
    if given["who"] == "nobody":
        raise ValueError("nobody to charge")
    return {"paid": True}

@task
def print_note(given): ...

@task
def tell(given): ...

@task
def pack(given): ...
"""
GIVEN = '{"who": "ann"}'


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "130")
    Path("parcel.yaml").write_text(FLOW)
    Path("jobs.py").write_text(TASKS)
    Path("given.json").write_text(GIVEN)
    Path("empty.yaml").write_text("")
    Path("broken.yaml").write_text(FLOW.replace("after: [all]", "after: [nobody]"))
    Path("odd.yaml").write_text(FLOW.replace("task: pack}", "task: unpack}"))
    Path("folder").mkdir()
    return "parcel.yaml"


@dataclass(frozen=True)
class Done:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def simulate(*arguments: str) -> Done:
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        status = status_of(["simulate", *arguments])
    return Done(status, out.getvalue(), err.getvalue())


def in_json(*arguments: str, seconds: str = "0") -> Any:
    return json.loads(simulate(*arguments, "--seeds", "12", "--seconds", seconds, "-o", "json").stdout)


def test_it_tells_of_each_step_in_a_line(flow: str) -> None:
    done = simulate(flow, "--input", GIVEN, "--seeds", "12", "--seconds", "0")
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert lines[0].startswith("parcel: ")
    assert lines[0].endswith("schedules, no violation")
    said = {line.split()[0]: line for line in lines if line[:1].isalpha()}
    for step, words in {
        "charge": "ran in all",
        "note": "never ran in any schedule: its `when` was false",
        "all": "always after charge",
        "seen": "waited for its signal in all",
        "send": "always after seen, note",
        "send.pack": "ran in all",
    }.items():
        assert words in said[step]
    assert "with the same idempotency key" in said["charge"]
    assert "make them idempotent" in done.stdout
    assert "--tasks FILE runs real ones" in " ".join(done.stdout.split())
    assert max(map(len, lines)) <= 130


def test_the_same_in_json_has_one_entry_for_each_step_of_the_definition(flow: str) -> None:
    told = in_json(flow, "--input", GIVEN)
    steps = {step["step"]: step for step in told["steps"]}
    assert list(steps) == ["charge", "note", "all", "seen", "send", "send.pack"]
    assert told["ends"] == {"succeeded": told["simulations"]}
    assert told["simulations"] == told["schedules"] + told["crash_points"] + told["rollouts"] + 1
    assert steps["note"]["ran"] == 0
    assert steps["note"]["skipped"] == told["simulations"]
    assert steps["all"]["calls"] >= 2 * told["simulations"]
    assert all(count > 0 for count in told["faults"].values())
    assert 0 < steps["charge"]["repeated"] <= steps["charge"]["calls"] - told["simulations"]


def test_real_tasks_that_fail_are_told_with_why(flow: str) -> None:
    told = in_json(flow, "--input", '{"who": "nobody"}', "--tasks", "jobs.py")
    assert told["calm"] == {"status": "failed", "error": "charge: ValueError: nobody to charge"}
    assert told["standIns"] is False
    assert next(step for step in told["steps"] if step["step"] == "charge")["errors"] == {"ValueError": told["simulations"]}


def _counts_losses_as_attempts(self: Segment, standing: Any) -> None:
    """A defence is switched off: an attempt that was lost with its worker uses one up."""
    self._take(standing, standing["attempt"] + 1)


SHORT = FLOW[: FLOW.index("  - {id: seen")]


def test_the_printed_line_has_the_violation_again(flow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("my parcel.yaml").write_text(SHORT)
    Path("given.json").write_text(GIVEN)
    named = ["my parcel.yaml", "--input", "@given.json", "--tasks", "jobs.py"]
    with monkeypatch.context() as patching:
        patching.setattr(Segment, "_take_lost", _counts_losses_as_attempts)
        found = simulate(*named, "--seeds", "25", "--seconds", "0")
        told = [line.rpartition(": treadle simulate ")[::2] for line in found.stdout.splitlines() if line.startswith("I6 ")]
        assert found.exit_code == 1
        assert told
        for what, how in told:
            again = simulate(*split(how))
            assert again.exit_code == 1, again.output
            assert what in again.stdout.splitlines()
    for _, how in told:
        assert simulate(*split(how)).exit_code == 0  # and the sound engine does not break it


def test_so_has_the_line_of_a_schedule_of_chance(flow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Segment, "_take_lost", _counts_losses_as_attempts)
    Path(flow).write_text(SHORT)
    subject = f"{flow} --input {quote(GIVEN)}"
    explorer = explorer_of(shape_of(read(Path(flow)).value, json.loads(GIVEN)), None, subject)
    case = next(case for case in map(explorer.at_random, range(1, 200)) if case.violations)
    again = simulate(*split(case.how), "-o", "json")
    told = json.loads(again.stdout)
    assert case.how.startswith(f"{subject} --seed ")
    assert told["violations"] == [str(violation) for violation in case.violations]
    assert [f"{function} {call}" for _, _, function, call in told["trace"]] == list(case.calls)
    assert again.exit_code == 1


def test_a_schedule_is_the_same_again(flow: str) -> None:
    one, again = (simulate(flow, "--input", GIVEN, "--seed", "3", "-o", "json").stdout for _ in range(2))
    assert one == again
    assert json.loads(one)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["nowhere.yaml"], 2, "does not exist"),
        (["folder"], 2, "is a directory"),
        (["empty.yaml"], 1, "the document is empty"),
        (["broken.yaml", "--input", GIVEN], 1, "broken.yaml:9:"),
        (["odd.yaml", "--input", GIVEN, "--tasks", "jobs.py"], 1, "there is no task 'unpack'"),
        (["parcel.yaml", "--input", "{who"], 2, "it is not JSON"),
        (["parcel.yaml", "--input", '{"who": 1, "who": 2}'], 2, 'the key "who" is there twice'),
        (["parcel.yaml", "--input", '{"who": NaN}'], 2, "NaN is no JSON number"),
        (["parcel.yaml"], 1, "'who' is a required property"),
        (["parcel.yaml", "--input", GIVEN, "--seed", "x"], 2, "not a valid integer"),
        (["parcel.yaml", "--input", GIVEN, "--seed", "3", "--fault", "call=3:after"], 2, "by one of them"),
        (["parcel.yaml", "--input", GIVEN, "--fault", "call=3:never"], 2, "a fault is call=NUMBER:KIND"),
        (["parcel.yaml", "--input", GIVEN, "--fault", "call=99999:after"], 2, "never happened"),
        (["parcel.yaml", "--shape", "chain"], 2, "not both"),
        (["parcel.yaml", "--exhaustive"], 2, "no FILE"),
        (["--input", GIVEN], 2, "go with FILE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_use_is_refused_with_what_to_do(flow: str, arguments: list[str], status: int, told: str) -> None:
    done = simulate(*arguments)
    assert done.exit_code == status, done.output
    assert told in done.output


def test_somebody_who_is_refused_every_time_gives_up(flow: str) -> None:
    Path(flow).write_text(FLOW.replace("by: {type: string}", "by: {type: string, pattern: '^[a-c]{9}$'}"))
    told = in_json(flow, "--input", GIVEN, seconds="1")
    assert told["ends"] == {"waiting": told["simulations"]}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (None, {}),
        ({}, {}),
        ({"type": "object", "required": ["by"], "properties": {"by": {"type": "string", "minLength": 2}}}, {"by": "xx"}),
        ({"enum": ["low", "high"]}, "low"),
        ({"const": 7}, 7),
        ({"type": "array", "minItems": 2, "items": {"type": "integer", "minimum": 3}}, [3, 3]),
        ({"anyOf": [{"type": "boolean"}, {"type": "string"}]}, True),
        ({"type": ["null", "string"]}, None),
    ],
)
def test_a_sample_is_what_its_schema_plainly_says(schema: Any, value: Any) -> None:
    assert sample(schema) == value


PARENT = """\
id: parent
name: Parent
version: 1.0.0
steps:
  - {id: ask, approval: {by: [ann]}}
  - {id: sub, after: [ask], workflow: {id: kid, input: {n: 1}}}
  - {id: end, after: [sub], task: end, with: {got: "${steps.sub.output}"}}
"""
KID = """\
id: kid
name: Kid
version: 1.0.0
steps:
  - {id: work, task: work, with: {n: "${input.n}"}}
"""
FEW = ("--seeds", "24", "--rollouts", "4", "--seconds", "0")


@pytest.fixture
def family(flow: str) -> list[str]:
    Path("parent.yaml").write_text(PARENT)
    Path("kid.yaml").write_text(KID)
    return ["parent.yaml", "--with", "kid.yaml"]


def test_a_workflow_is_simulated_with_those_that_it_starts(family: list[str]) -> None:
    told = json.loads(simulate(*family, *FEW, "-o", "json").stdout)
    steps = {step["step"]: step for step in told["steps"]}
    assert (told["calm"]["status"], told["violations"]) == ("succeeded", [])
    assert steps["sub"]["succeeded"] == steps["ask"]["succeeded"] > 0


def test_whoever_is_asked_says_no_as_well(family: list[str]) -> None:
    told = json.loads(simulate(*family, *FEW, "-o", "json").stdout)
    ask = told["steps"][0]
    assert ask["errors"] == {"Rejected": ask["failed"]}
    assert 0 < ask["failed"] == told["ends"]["failed"] < told["schedules"]
    said = simulate(*family, *FEW).stdout
    assert f"rejected in {ask['failed']}" in said
    assert "also said no" in said


def test_a_workflow_that_was_not_given_is_named(family: list[str]) -> None:
    said = " ".join(simulate("parent.yaml", *FEW).stdout.split())
    assert "were not given: kid; their steps fail. Give their definitions: --with FILE." in said


def test_over_several_processes_it_is_the_same(family: list[str]) -> None:
    alone, together = (json.loads(simulate(*family, *FEW, "--jobs", jobs, "-o", "json").stdout) for jobs in ("1", "2"))
    assert {**alone, "seconds": 0} == {**together, "seconds": 0}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--with", "kid.yaml"], "--input, --with and --tasks go with FILE"),
        (["parent.yaml", "--with", "parent.yaml"], "two of the files are workflow parent: give each once"),
        (["parent.yaml", "--with", "gone.yaml"], "'gone.yaml' does not exist"),
        (["parent.yaml", "--with", "broken.yaml"], "broken.yaml:"),
        (["--rollout", "1"], "--fault and --rollout need FILE, or one --shape"),
        (["parent.yaml", "--rollout", "1", "--seed", "2"], "by one of them"),
    ],
)
def test_what_cannot_be_is_refused(family: list[str], arguments: list[str], told: str) -> None:
    done = simulate(*arguments)
    assert done.exit_code != 0
    assert told in done.output


def test_one_deployment_of_another_version_can_be_had_again(family: list[str]) -> None:
    done = simulate(*family, "--rollout", "3")
    assert done.exit_code == 0
    assert "dispatcher" in done.stdout
    assert done.stderr.endswith("no violation\n")


def test_what_the_engine_logs_of_a_world_that_fails_is_not_told(
    family: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logging.getLogger("treadle.somewhere")
    monkeypatch.setattr(Segment, "finish", lambda self, finish=Segment.finish: (log.warning("a service is away"), finish(self))[1])
    done = simulate(*family, "--seeds", "2", "--rollouts", "0", "--seconds", "0", "--jobs", "1")
    assert "a service is away" not in done.output + capsys.readouterr().err
