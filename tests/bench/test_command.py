"""`treadle bench` on the command line: the shape that other programs read."""

from __future__ import annotations

import json

from click.testing import CliRunner
from treadle.cli.benching import bench


def test_json_has_what_the_contract_names() -> None:
    done = CliRunner().invoke(bench, ["diamond", "-o", "json"], standalone_mode=False)
    assert done.return_value == 0, done.stderr
    told = json.loads(done.stdout)
    figures = told["workloads"]["diamond"]
    assert {"steps", "runs", "per_step", "usd_per_million_steps", "steps_per_second", "latency_ms"} <= figures.keys()
    names = {"dynamodb_wru", "dynamodb_rru", "sqs_requests", "events", "lambda_invocations", "bytes_written", "aws_calls"}
    assert names <= figures["per_step"].keys()
    assert {"p50", "p99"} == figures["latency_ms"].keys()
    assert {"source", "date"} <= told["prices"].keys()


def test_an_unknown_workload_is_wrong_usage() -> None:
    done = CliRunner().invoke(bench, ["chain11"])
    assert done.exit_code == 2
    assert "there is no workload chain11" in done.stderr
