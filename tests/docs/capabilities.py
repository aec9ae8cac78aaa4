"""Effects of the capabilities, security lines and figures that docs/spec-map.md lists, and the tests that fail without them."""

from __future__ import annotations

from tests.docs.effects import NEVER, Effect

_EMITTED = "config/test_effects.py::test_the_groups_that_are_named_are_emitted"


def _of(module: str, text: str, instead: str, test: str) -> Effect:
    return Effect(module if module.startswith("infra/") else f"shared/treadle/{module}.py", text, instead, f"tests/{test}")


CAPABILITIES: dict[str, tuple[Effect, ...]] = {
    "Fault tolerance, error recovery": (
        _of("engine/settle", "repair and not is_paused", "False", "simulation/test_simulation.py::test_a_shape_survives"),
    ),
    "State persistence, persistent state": (
        _of(
            "aws/dynamodb",
            "expressions(condition, change)",
            "expressions(None, change)",
            "contracts/test_store.py::test_of_two_who_put_the_same_item_one_wins",
        ),
    ),
    "Graceful degradation": (
        _of(
            "engine/world",
            "self.lanes.send([outbox.message(event) for event in events])",
            "pass",
            "faults/test_outages.py::test_what_waited_for_the_bus_is_told_when_it_is_back",
        ),
    ),
    "High throughput, low latency, resource optimisation": (
        _of(
            "engine/segment",
            "if inline and not self.only_sends and self.has_time(claim.key) else",
            "if False else",
            "bench/test_figures.py::test_no_figure_is_worse_than_its_gate_or_than_it_was",
        ),
    ),
    "Pools chosen by what tasks were seen to need": (
        _of(
            "engine/world",
            "return declared if self.observed is None else",
            "return declared if True else",
            "pools/test_observed.py::test_a_task_goes_where_it_was_seen_to_fit",
        ),
    ),
    "Resource management: worker pools by what a step needs": (
        _of(
            "core/resources",
            "for pool in pools if needs.fit(pool)),",
            "for pool in pools),",
            "pools/test_pools.py::test_the_smallest_pool_that_fits_is_taken",
        ),
    ),
    "Horizontal scaling": (
        _of(
            "infra/deployment.py",
            '"none": NONE}[self.effects.scaling]',
            '"none": NONE}["auto"]',
            "infra/test_configuration.py::test_scaling_is_the_concurrency_of_the_workers",
        ),
    ),
    "Dynamic workflows, dynamic loading": (
        _of(
            "engine/amending",
            '"added": [name for name in new if name not in old],',
            '"added": [],',
            "people/test_steering.py::test_the_history_keeps_why_and_what_was_changed",
        ),
    ),
    "Plugin architecture": (
        _of(
            "hooks/__init__",
            "if plugins else {}",
            "if False else {}",
            "tasks/test_hooks.py::test_an_installed_hook_is_told_without_being_named",
        ),
    ),
    "Sequential, parallel, conditional execution": (
        _of("core/advance", "if target in fact.chosen:", "if True:", "language/test_patterns.py::test_a_pattern"),
        _of("core/advance", "if tally.resolved < width:", NEVER, "language/test_patterns.py::test_a_pattern"),
    ),
    "Loop execution": (_of("engine/loops", "for key in sorted(value)]", "for key in ()]", "language/test_loops.py::test_for_each"),),
    "Integration ready": (
        _of(
            "triggers",
            'if is_asked and matches(trigger["event"], event):',
            NEVER,
            "triggers/test_runs.py::test_an_event_that_matches_starts_a_run",
        ),
    ),
    "State transitions": (
        _of(
            "engine/control",
            'if not written.ok and not is_set(change, written.item):\n        raise WrongState(f"run {run.id} is {run.status.value}: it',
            NEVER + '\n        raise WrongState(f"it',
            "people/test_steering.py::test_a_patch_of_the_status_is_a_pause",
        ),
    ),
    "Data flow": (_of("engine/names", 'bound["input"] = run.input', 'bound["input"] = None', "language/test_values.py::test_a_value"),),
    "Checkpointing": (
        _of(
            "engine/checkpoints",
            "KEPT = (Outcome.SUCCEEDED, Outcome.CAUGHT, ",
            "KEPT = (Outcome.CAUGHT, ",
            "people/test_checkpoints.py::test_what_a_checkpoint_has_is_not_run_again",
        ),
    ),
    "State synchronisation": (
        _of(
            "aws/dynamodb",
            'parameters["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"',
            "pass",
            "contracts/test_store.py::test_of_two_who_put_the_same_item_one_wins",
        ),
    ),
    "Error detection, retry logic": (
        _of(
            "core/retry",
            'return "*" in self.on and not is_permanent(error)',
            'return "*" in self.on',
            "core/test_retry.py::test_which_errors_are_tried_again",
        ),
        _of("core/retry", "attempt >= retry.max_attempts", "attempt >= 1", "language/test_failures.py::test_attempts"),
    ),
    "Error escalation": (
        _of(
            "engine/escalation",
            '    run.world.tell([Event("EscalationRaised", identity, run.id, run.now, told)])\n',
            "",
            "people/test_notifications.py::test_a_rung_tells_the_target_that_it_names_and_the_history_says_so",
        ),
    ),
    "Error reporting": (
        _of(
            "given",
            "value = hidden(run, template, names(run, key, seen=saw))",
            "value = None",
            "people/test_inputs.py::test_what_a_step_was_given_is_found_however_it_ended",
        ),
    ),
    "Manual intervention": (
        _of(
            "engine/control",
            "    retrying.retry(run, from_step, given)\n",
            "    pass\n",
            "people/test_trying_again.py::test_a_run_that_was_tried_again_can_be_retried_as_well",
        ),
    ),
    "Limits across runs: places of a concurrency, rates of tasks": (
        _of(
            "engine/semaphores",
            'had = held is not None and (fence is None or held.get("fence", fence) == fence)',
            "had = False",
            "pools/test_places.py::test_a_holder_that_dies_anywhere_leaves_no_place_taken",
        ),
        _of(
            "engine/rates",
            "return None if turn <= now + BURST_MS else turn",
            "return None",
            "pools/test_rates.py::test_no_more_begin_than_the_rate_allows_and_nearly_as_many",
        ),
    ),
    "Load balancing": (
        _of(
            "engine/run",
            'self.control.get("tenant") if self.world.settings.fair else None',
            "None",
            "config/test_effects.py::test_load_balancing_is_the_message_group_of_the_tenant",
        ),
    ),
    "Caching": (
        _of(
            "engine/actions",
            'if item is None or item["until"] <= run.now:',
            "if True:",
            "pools/test_caches.py::test_two_workers_find_each_others_results_and_compile_each_plan_once",
        ),
    ),
    "Monitoring": (_of("hooks/metrics", 'throughput={"EndedRuns": 1},', "", _EMITTED),),
}

SECURITY: dict[str, tuple[Effect, ...]] = {
    "Authentication, authorisation": (
        _of(
            "auth",
            "return not self.roles.isdisjoint(POLICY[permission])",
            "return True",
            "api/test_policy.py::test_a_role_may_do_what_the_table_says_and_nothing_else",
        ),
        _of(
            "auth",
            "issuer=self.issuer,",
            "",
            "api/test_auth.py::test_other_tokens_are_refused",
        ),
    ),
    "API security, rate limiting, validation": (
        _of(
            "api/reading",
            "if len(value) < len(pairs):",
            NEVER,
            "api/test_requests.py::test_a_body_is_refused_with_its_own_code_and_nothing_is_asked_for",
        ),
        _of(
            "infra/constructs/door.py",
            "throttling_rate_limit=RATE_PER_S, throttling_burst_limit=BURST, ",
            "",
            "infra/test_security.py::test_the_door_is_throttled_and_logged",
        ),
    ),
    "Audit logging": (
        _of(
            "audit",
            "number = append(world, tenant, what, by, told)",
            "number = 0",
            "people/test_audit.py::test_everything_that_somebody_asks_for_is_in_it",
        ),
        _of("audit", '"before": head.hash}', '"before": FIRST}', "people/test_audit.py::test_an_untouched_trail_has_no_fault"),
    ),
    "Encryption at rest and in transit": (
        _of(
            "infra/constructs/at_rest.py",
            "enable_key_rotation=True",
            "enable_key_rotation=False",
            "infra/test_security.py::test_the_one_key_rotates",
        ),
    ),
    "Privacy protection": (
        _of(
            "engine/secrecy",
            "return text if self._pattern is None else self._pattern.sub(HIDDEN, text)",
            "return text",
            "security/test_secrets.py::test_what_is_masked",
        ),
    ),
    "Data retention": (
        _of("engine/removal", 'if item["sk"] != "!":', NEVER, "people/test_retention.py::test_nothing_is_left_of_a_run_whose_time_is_over"),
    ),
    "Sandboxing": (
        _of(
            "infra/constructs/grants.py",
            "            *self._consume(function),\n",
            "",
            "infra/test_security.py::test_what_is_granted_is_what_the_topology_says",
        ),
    ),
    "Resource limits": (
        _of(
            "core/resources",
            "if pool.cpu <= cpu and pool.memory_mb <= memory]",
            "]",
            "config/test_effects.py::test_no_step_may_ask_for_more_than_the_resource_limits",
        ),
        _of("engine/watch", "return min(limits, key", "return max(limits, key", "tasks/test_attempts.py::test_the_least_limit_holds"),
    ),
    "Input validation": (
        _of(
            "tasks/shapes",
            "raise _invalid(name, what, faults)",
            "pass",
            "tasks/test_shapes.py::test_what_does_not_fit_is_a_permanent_error_that_says_where",
        ),
    ),
    "Output validation": (
        _of(
            "tasks/shapes",
            'raise _invalid("OutputInvalid", "the task\'s result", _faults(fault)) from None',
            "return output",
            "tasks/test_shapes.py::test_what_does_not_fit_is_a_permanent_error_that_says_where",
        ),
    ),
}

MONITORING: dict[str, tuple[Effect, ...]] = {
    "Execution time, completion and error rates, success rate, throughput": (
        _of("hooks/metrics", 'latency={"RunLatency": took_ms},', "", _EMITTED),
    ),
    "Queue length, engine health": (
        _of(
            "engine/heartbeat",
            "return now - self.at > LATE_MS",
            "return False",
            "faults/test_heartbeat.py::test_a_sweeper_that_is_late_degrades_the_engine",
        ),
        _of(
            "infra/constructs/alarms.py",
            "            self._old(lane)\n",
            "",
            "infra/test_the_template_is_the_topology.py::test_every_alarm_watches_something_of_the_stack",
        ),
    ),
    "Dead letters": (
        _of(
            "engine/letters",
            'str(said["why"]) if said and "why" in said else GONE',
            "GONE",
            "faults/test_dead_letters.py::test_poison_becomes_a_dead_letter_that_says_why",
        ),
    ),
    "Extension performance": (
        _of("hooks/__init__", "spent.took(took_ms)", "pass", "tasks/test_hooks.py::test_what_hooks_take_is_a_metric"),
    ),
    "Cost efficiency": (
        _of("bench/report", "used.wru * prices.write_units_million", "0", "bench/test_figures.py::test_money_is_counted_by_the_list"),
    ),
    "Resource utilisation of tasks": (
        _of("hooks/metrics", 'used = {"WorkerMemory": float(peak_mb)}', "used: dict[str, float] = {}", _EMITTED),
    ),
    "User satisfaction": (
        _of(
            "hooks/metrics",
            "1.0 if took_ms <= objective_ms else 0.5",
            "1.0",
            "config/test_effects.py::test_how_content_somebody_may_be_with_a_run",
        ),
    ),
    "Alerting on errors, performance, exhaustion": (
        _of(
            "infra/constructs/alarms.py",
            "            self._failing(worker)\n",
            "",
            "infra/test_the_template_is_the_topology.py::test_every_alarm_watches_something_of_the_stack",
        ),
    ),
    "Alerting on security incidents": (
        _of(
            "infra/constructs/alarms.py",
            "            self._incidents(door)\n",
            "            pass\n",
            "infra/test_the_template_is_the_topology.py::test_who_tries_keys_at_the_door_is_counted_in_its_log_and_an_alarm",
        ),
    ),
}
