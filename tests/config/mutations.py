"""For each key of the `workflow_engine:` file: the tests that fail when its effect is taken away.

    make mutations                              every key
    make mutations ARGS=performance.advance     one of them

Law: a key is taken away by what reads a whole configuration finding the default in its place (mutant.py), and by nothing else. A row
whose tests still pass is a test that shows nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MUTANT = "TREADLE_MUTANT"  # the variable that names the key
_FILES = {
    "E": "tests/config/test_effects.py",
    "R": "tests/config/test_reading.py",
    "N": "tests/config/test_notified.py",
    "I": "tests/infra/test_configuration.py",
    "H": "tests/people/test_retention.py",
    "P": "tests/pools/test_rates.py",
    "T": "tests/tasks/test_opentelemetry.py",
}

# key -> tests, each of which fails without it: the file's letter, and the test's name
ROWS: dict[str, tuple[str, ...]] = {
    "initialization.max_concurrent_workflows": ("E live_runs_beyond_the_limit_stay_pending_and_go_on_first_come_first_served",),
    "initialization.state_persistence": ("R only_a_local_engine_may_forget", "I a_deployment_does_not_forget"),
    "initialization.error_handling.retry_attempts": ("E a_definition_without_retries_gets_those_of_the_engine",),
    "initialization.error_handling.backoff_strategy": ("E a_definition_without_retries_gets_those_of_the_engine",),
    "initialization.error_handling.escalation_policy": (
        "E manual_escalation_leaves_a_failed_step_to_a_person",
        "E thresholds_and_ladders_of_the_engine_are_those_of_a_definition_without",
    ),
    "initialization.error_handling.error_thresholds": ("E thresholds_and_ladders_of_the_engine_are_those_of_a_definition_without",),
    "initialization.monitoring.enabled": ("E the_groups_that_are_named_are_emitted",),
    "initialization.monitoring.metrics": ("E the_groups_that_are_named_are_emitted",),
    "initialization.monitoring.objectives": ("E the_groups_that_are_named_are_emitted", "E how_content_somebody_may_be_with_a_run"),
    "initialization.extensions": ("E an_extension_is_told_what_happens_as_it_was_configured",),
    "performance.parallel_execution": (
        "E without_parallel_execution_one_task_of_a_run_runs_at_a_time",
        "E without_parallel_execution_a_step_may_have_no_places_of_its_own",
    ),
    "performance.resource_optimization": ("E a_task_that_was_seen_to_need_more_memory_gets_a_larger_pool",),
    "performance.caching_enabled": ("E without_caching_a_task_runs_whatever_is_cached_and_plans_are_read_anew",),
    "performance.load_balancing": ("E load_balancing_is_the_message_group_of_the_tenant",),
    "performance.advance": ("E both_ways_of_advancing_are_a_setting",),
    "reliability.fault_tolerance": ("E without_fault_tolerance_a_lost_step_has_failed",),
    "reliability.recovery_strategy": ("E with_manual_recovery_a_lost_step_waits_for_a_person",),
    "reliability.state_replication": ("I without_an_api_and_replication_there_is_neither_a_door_nor_recovery",),
    "reliability.replica_regions": (
        "I replica_regions_have_a_copy_of_the_table_under_a_key_of_their_own",
        "I a_copy_needs_a_key_of_its_region",
    ),
    "reliability.checkpoint_frequency": ("E a_long_run_keeps_checkpoints_as_often_as_the_engine_says",),
    "data_retention.runs": ("H on_the_local_stack_a_run_is_removed_when_time_has_passed",),
    "data_retention.workflows": ("H on_the_local_stack_a_run_is_removed_when_time_has_passed",),
    "data_retention.keep": ("H on_the_local_stack_a_run_is_removed_when_time_has_passed",),
    "scalability.horizontal_scaling": ("I scaling_is_the_concurrency_of_the_workers",),
    "scalability.auto_scaling": ("I scaling_is_the_concurrency_of_the_workers",),
    "scalability.resource_limits.cpu": ("E no_step_may_ask_for_more_than_the_resource_limits",),
    "scalability.resource_limits.memory": (
        "E no_step_may_ask_for_more_than_the_resource_limits",
        "E the_limits_bound_what_the_pools_offer",
    ),
    "scalability.resource_limits.storage": ("E no_step_may_ask_for_more_than_the_resource_limits",),
    "scalability.pools": (
        "E a_step_goes_to_the_smallest_pool_that_has_what_it_asks_for",
        "I a_pool_has_lanes_and_a_dispatcher_of_its_size",
    ),
    "tasks": ("P the_rate_of_a_configuration_holds_on_the_local_stack",),
    "integration.api_access": ("I without_an_api_and_replication_there_is_neither_a_door_nor_recovery",),
    "integration.webhook_support": ("N what_a_target_may_be",),
    "integration.notifications": ("N the_effect_is_what_was_written",),
    "integration.external_system_integration": ("E without_external_systems_there_are_no_tasks_that_reach_out",),
    "integration.allow": (
        "E what_the_configuration_allows_is_reached_and_nothing_else",
        "I workers_are_told_of_settings_extensions_and_what_may_be_reached",
    ),
    "integration.monitoring_integration": ("T a_run_is_one_trace_with_its_steps_and_attempts_below",),
    "integration.telemetry.endpoint": ("T a_run_is_one_trace_with_its_steps_and_attempts_below",),
    "integration.telemetry.headers": ("T it_says_whose_it_is_and_brings_the_headers",),
    "integration.telemetry.service_name": ("T it_says_whose_it_is_and_brings_the_headers",),
}


def place(test: str) -> str:
    """As pytest names it."""
    letter, _, name = test.partition(" ")
    return f"{_FILES[letter]}::test_{name}"


def is_killed(key: str, test: str) -> bool:
    """The test fails without the key. Raises RuntimeError where it does not run at all."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.config.mutant", place(test)]
    ran = subprocess.run(command, cwd=ROOT, env={**os.environ, MUTANT: key}, capture_output=True, text=True, check=False)
    if ran.returncode not in (0, 1):
        raise RuntimeError(f"{place(test)}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return ran.returncode == 1


def main(wanted: list[str]) -> int:
    if unknown := set(wanted) - ROWS.keys():
        print(f"there is no key {', '.join(unknown)}", file=sys.stderr)
        return 2
    pairs = [(key, test) for key in wanted or ROWS for test in ROWS[key]]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        killed = list(pool.map(lambda pair: is_killed(*pair), pairs))
    survived = [pair for pair, was_killed in zip(pairs, killed, strict=True) if not was_killed]
    for key, test in survived:
        print(f"{key}: {place(test)} passes without it")
    print(f"{len({key for key, _ in pairs})} keys, {len(pairs)} tests, {len(survived)} that show nothing")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
