"""The `workflow_engine:` file: where values come from, and that all faults of all sources are told at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from treadle.aws.parameters import read_parameter
from treadle.config import InvalidConfiguration, Target, load
from treadle.core.errors import NotFound, Unavailable

BASIC = """\
workflow_engine:
  initialization:
    max_concurrent_workflows: 100
    state_persistence: true
    error_handling:
      retry_attempts: 3
      backoff_strategy: "exponential"
      escalation_policy: "automatic"
    monitoring:
      enabled: true
      metrics: ["latency", "throughput", "failures"]
    extensions:
      - name: "custom_logger"
        enabled: true
        config:
          log_level: "info"
          output_format: "json"
"""
ADVANCED = """\
workflow_engine:
  performance:
    parallel_execution: true
    resource_optimization: true
    caching_enabled: true
    load_balancing: true
  reliability:
    fault_tolerance: true
    state_replication: true
    checkpoint_frequency: "5m"
    recovery_strategy: "automatic"
  scalability:
    horizontal_scaling: true
    auto_scaling: true
    resource_limits:
      cpu: "4 cores"
      memory: "8GB"
      storage: "100GB"
  integration:
    api_access: true
    webhook_support: true
    external_system_integration: true
    monitoring_integration: true
"""


def engine(**sections: Any) -> dict[str, Any]:
    return {"workflow_engine": sections}


MOST = "/initialization/max_concurrent_workflows"
METRICS = "/initialization/monitoring/metrics"
REPLICAS = "/reliability/replica_regions"
LIMITS = "/scalability/resource_limits"
POOLS = "/scalability/pools"
BAD_POOLS = (
    ("a pool without a size", "large", {"storage": "1GB"}, f"{POOLS}/large/memory"),
    ("a name that no queue could have", "Large", {"memory": "2GB"}, f"{POOLS}/Large"),
    ("a Lambda with processors", "large", {"memory": "2GB", "cpu": "2 vCPU"}, f"{POOLS}/large/cpu"),
    ("a Lambda that is too large", "large", {"memory": "11GB"}, f"{POOLS}/large/memory"),
    ("a Lambda that is too small", "large", {"memory": "128MB"}, f"{POOLS}/large/memory"),
    ("a Lambda with too much storage", "large", {"memory": "2GB", "storage": "20GB"}, f"{POOLS}/large/storage"),
    ("a Lambda that AWS would stop", "large", {"memory": "2GB", "timeout": "15m"}, f"{POOLS}/large/timeout"),
    ("a default pool of containers", "default", {"memory": "2GB", "kind": "fargate"}, f"{POOLS}/default/kind"),
    ("a container with three processors", "big", {"memory": "8GB", "kind": "fargate", "cpu": "3 vCPU"}, f"{POOLS}/big/cpu"),
    ("memory that goes with no processors", "big", {"memory": "130GB", "kind": "fargate"}, f"{POOLS}/big/memory"),
    ("memory that does not go with these", "big", {"memory": "9GB", "kind": "fargate", "cpu": "1 vCPU"}, f"{POOLS}/big/memory"),
    ("a container with little storage", "big", {"memory": "8GB", "kind": "fargate", "storage": "10GB"}, f"{POOLS}/big/storage"),
    ("a container that never ends", "big", {"memory": "8GB", "kind": "fargate", "timeout": "60d"}, f"{POOLS}/big/timeout"),
)


def told(given: Any, environment: dict[str, str] | None = None, **more: Any) -> list[tuple[str, str]]:
    """(code, path below the root) of every finding."""
    loaded = load(given, environment=environment or {}, **more)
    return [(finding.code, finding.path.removeprefix("/workflow_engine")) for finding in loaded.findings]


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("text", [pytest.param(BASIC, id="basic"), pytest.param(ADVANCED, id="advanced")])
def test_the_founding_specs_examples_load_as_they_stand(text: str, target: Target) -> None:
    assert load(text, environment={}, target=target).config is not None


def test_what_has_less_to_do_than_it_seems_is_told_where_it_stands() -> None:
    (found,) = load(ADVANCED, environment={}).warnings
    assert str(found).startswith("the configuration:4:28: warning: there is one pool of workers")
    with_more = engine(performance={"resource_optimization": True}, scalability={"pools": {"large": {"memory": "2GB"}}})
    assert told(with_more) == []


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        pytest.param(engine(perfomance={}), [("unknown-field", "/perfomance")], id="a section that is none"),
        pytest.param({"engine": {}}, [("missing-field", ""), ("unknown-field", "/engine")], id="another root"),
        pytest.param(engine(initialization={"max_concurrent_workflows": "100"}), [("bad-type", MOST)], id="a type"),
        pytest.param(engine(initialization={"max_concurrent_workflows": 0}), [("bad-value", MOST)], id="nobody may run"),
        pytest.param(engine(initialization={"max_concurrent_workflows": 1001}), [("bad-value", MOST)], id="too many"),
        pytest.param(engine(initialization={"monitoring": {"metrics": ["cost"]}}), [("bad-value", f"{METRICS}/0")], id="no group"),
        pytest.param(
            engine(initialization={"extensions": [{"name": "custom_loger"}, {"name": "custom_logger"}, {"name": "custom_logger"}]}),
            [("unknown-extension", "/initialization/extensions/0/name"), ("conflicting-settings", "/initialization/extensions/2/name")],
            id="an extension that is not there, and one twice",
        ),
        pytest.param(
            engine(initialization={"extensions": [{"name": "custom_logger", "config": {"log_level": "loud"}}]}),
            [("bad-value", "/initialization/extensions/0/config")],
            id="an extension that cannot be made with that",
        ),
        pytest.param(
            engine(reliability={"checkpoint_frequency": 5}), [("bad-duration", "/reliability/checkpoint_frequency")], id="no unit"
        ),
        pytest.param(engine(reliability={"replica_regions": ["eu-west-1", "Ireland"]}), [("bad-value", REPLICAS)], id="no region"),
        pytest.param(
            engine(reliability={"replica_regions": ["eu-west-1"], "state_replication": False}),
            [("conflicting-settings", REPLICAS)],
            id="replicas without replication",
        ),
        pytest.param(
            engine(reliability={"fault_tolerance": False, "recovery_strategy": "manual"}),
            [("conflicting-settings", "/reliability/recovery_strategy")],
            id="recovery of nothing",
        ),
        pytest.param(
            engine(scalability={"horizontal_scaling": False, "auto_scaling": True}),
            [("conflicting-settings", "/scalability/auto_scaling")],
            id="scaling without room",
        ),
        pytest.param(
            engine(data_retention={"workflows": {"order": "7d"}, "keep": ["order"]}),
            [("conflicting-settings", "/data_retention/keep")],
            id="a time and for ever",
        ),
        pytest.param(engine(data_retention={"runs": "a month"}), [("bad-duration", "/data_retention/runs")], id="no duration"),
        pytest.param(engine(scalability={"horizontal_scaling": False}), [], id="a default contradicts nobody"),
        pytest.param(engine(scalability={"resource_limits": {"memory": "64MB"}}), [("no-such-resources", LIMITS)], id="too small"),
        *(pytest.param(engine(scalability={"pools": {name: pool}}), [("bad-value", place)], id=id) for id, name, pool, place in BAD_POOLS),
        pytest.param(
            engine(scalability={"pools": {"small": {"memory": "2GB", "workers": 1}}}),
            [("bad-value", "/scalability/pools/small/workers")],
            id="one worker",
        ),
        pytest.param(
            engine(scalability={"pools": {f"p{n}": {"memory": "1GB"} for n in range(9)}}), [("bad-value", POOLS)], id="nine pools"
        ),
        pytest.param(
            engine(initialization={"monitoring": {"enabled": False, "metrics": ["latency"]}}, integration={"monitoring_integration": True}),
            [
                ("conflicting-settings", METRICS),
                ("conflicting-settings", "/integration/monitoring_integration"),
            ],
            id="metrics that are off",
        ),
        pytest.param(
            engine(integration={"telemetry": {"endpoint": "http://collector:4318"}}),
            [("conflicting-settings", "/integration/telemetry/endpoint")],
            id="a collector to which nothing is sent",
        ),
        pytest.param(
            engine(integration={"monitoring_integration": True, "telemetry": {"endpoint": "collector:4318"}}),
            [("bad-value", "/integration/telemetry/endpoint")],
            id="a collector that is nowhere",
        ),
        pytest.param(
            engine(initialization={"state_persistence": False}, reliability={"state_replication": True}),
            [("conflicting-settings", "/reliability/state_replication")],
            id="replicas of what is not kept",
        ),
        pytest.param(engine(tasks={"charge": {"rate": "ten"}}), [("bad-value", "/tasks/charge/rate")], id="a rate that is none"),
        pytest.param(engine(tasks={"charge": {"rate": "0/s"}}), [("bad-value", "/tasks/charge/rate")], id="never"),
        pytest.param(engine(integration={"allow": {"host": []}}), [("bad-value", "/integration/allow")], id="what may be reached"),
        pytest.param(
            engine(integration={"external_system_integration": False, "allow": {"hosts": ["*"]}}),
            [("conflicting-settings", "/integration/allow")],
            id="reaching out with nothing",
        ),
        pytest.param("workflow_engine: [\n", [("syntax", "")], id="no YAML"),
    ],
)
def test_what_is_wrong_is_told(given: Any, faults: list[tuple[str, str]]) -> None:
    assert sorted(told(given)) == sorted(faults)


def test_only_a_local_engine_may_forget() -> None:
    forgets = engine(initialization={"state_persistence": False})
    assert told(forgets) == []
    assert told(forgets, target=Target.DEPLOYED) == [("bad-value", "/initialization/state_persistence")]


def test_a_fault_hides_no_other_one_and_all_sources_are_told_at_once() -> None:
    def parameter(name: str) -> str:
        return f"# {name}\nworkflow_engine:\n  reliability: {{checkpoint_frequency: 5 minutes}}\n"

    environment = {
        "TREADLE_CONFIG_PARAMETER": "/treadle/engine",
        "TREADLE_PERFORMANCE__CACHING_ENABLED": "flase",
        "TREADLE_INITIALISATION__EXTENSIONS": "[]",
    }
    given = engine(initialization={"max_concurrent_workflows": 1.5}, scalability={"horizontal_scaling": False, "auto_scaling": True})
    found = load(given, environment=environment, read_parameter=parameter).findings
    assert [(finding.source, finding.code) for finding in found] == [
        ("parameter /treadle/engine", "bad-duration"),
        ("the configuration", "bad-type"),
        ("variable TREADLE_INITIALISATION__EXTENSIONS", "unknown-field"),
        ("variable TREADLE_PERFORMANCE__CACHING_ENABLED", "bad-type"),
        ("the configuration", "conflicting-settings"),
    ]
    assert str(found[0]).startswith("parameter /treadle/engine:3:39: error: a duration is ")
    assert found[2].hint == "did you mean `initialization`?"


def test_what_is_missing_is_told_where_it_should_stand() -> None:
    text = "workflow_engine:\n  scalability:\n    pools:\n      large: {memory: 2GB}\n      small: {}\n"
    (found,) = load(text, environment={}).findings
    assert (found.line, found.path) == (5, "/workflow_engine/scalability/pools/small/memory")


def test_a_later_source_stands_above_an_earlier_one_and_each_value_says_where_it_is_from(tmp_path: Path) -> None:
    file = tmp_path / "engine.yaml"
    file.write_text("workflow_engine:\n  initialization:\n    max_concurrent_workflows: 20\n  performance: {caching_enabled: false}\n")
    environment = {
        "TREADLE_CONFIG": str(file),
        "TREADLE_CONFIG_PARAMETER": "/engine",
        "TREADLE_INITIALIZATION__MAX_CONCURRENT_WORKFLOWS": "5",
        "TREADLE_INITIALIZATION__ERROR_HANDLING__BACKOFF_STRATEGY": "linear",
    }
    in_parameter = "workflow_engine: {performance: {caching_enabled: true, load_balancing: false}}"
    loaded = load(environment=environment, read_parameter=lambda name: in_parameter)
    config = loaded.required()
    assert config.initialization.max_concurrent_workflows == 5
    assert config.initialization.error_handling.backoff_strategy == "linear"
    assert (config.performance.caching_enabled, config.performance.load_balancing) == (False, False)
    assert loaded.origins == {
        "performance.load_balancing": "parameter /engine:1",
        "performance.caching_enabled": f"{file}:4",
        "initialization.error_handling.backoff_strategy": "variable TREADLE_INITIALIZATION__ERROR_HANDLING__BACKOFF_STRATEGY",
        "initialization.max_concurrent_workflows": "variable TREADLE_INITIALIZATION__MAX_CONCURRENT_WORKFLOWS",
    }


def test_a_source_that_cannot_be_reached_is_a_fault_like_any_other() -> None:
    def away(name: str) -> str:
        raise Unavailable("no route to SSM")

    found = load("nowhere.yaml", environment={"TREADLE_CONFIG_PARAMETER": "/engine"}, read_parameter=away).findings
    assert [str(finding) for finding in found] == [
        "parameter /engine: error: cannot be read: no route to SSM [unreachable]",
        "nowhere.yaml: error: cannot be read: No such file or directory [unreachable]",
    ]


def test_whoever_needs_a_configuration_gets_every_fault_in_one_error() -> None:
    with pytest.raises(InvalidConfiguration) as raised:
        load(engine(perfomance={}, reliabilty={}), environment={}).required()
    assert [finding.hint for finding in raised.value.findings] == ["did you mean `performance`?", "did you mean `reliability`?"]


@mock_aws
def test_a_parameter_is_read_from_ssm() -> None:
    client = boto3.client("ssm", region_name="us-east-1")
    client.put_parameter(Name="/engine", Value=BASIC, Type="SecureString")
    assert read_parameter("/engine", client) == BASIC
    with pytest.raises(NotFound):
        read_parameter("/other", client)
