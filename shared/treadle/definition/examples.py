"""What the JSON Schema shows for each map of the language, so that an editor can offer it: one example each, each of them valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXAMPLES: Mapping[str, Any] = {
    "Approval": {"by": ["ann", "bob"], "message": "Ship order ${input.id}?", "timeout": "24h"},
    "Cache": {"key": "input.city", "ttl": "1h"},
    "Case": {"when": "input.amount > 1000", "then": ["review", "pay"]},
    "Catch": {"errors": ["Http*"], "output": {"charged": False, "why": "${error.message}"}},
    "Checkpoint": {"every": "5m"},
    "Child": {"id": "shipping", "version": "1.2.0", "input": {"order": "${input.order}"}},
    "Compensation": {"task": "refund", "with": {"receipt": "${output.receipt}"}, "retry": {"maxAttempts": 5}},
    "Edge": {"step": "charge", "on": "failed"},
    "Else": {"else": "pay"},
    "Emit": {"type": "Shipped", "source": "shop", "detail": {"order": "${input.order}"}},
    "ErrorHandling": {"onFailure": "compensate", "retry": {"maxAttempts": 3, "delay": "2s"}},
    "Fail": {"error": "OutOfStock", "message": "no ${input.item} is left"},
    "Group": {"steps": [{"id": "price", "task": "price", "with": "${item}"}], "output": "${steps.price.output}"},
    "Metadata": {"owner": "shop", "attributes": {"customer": "${input.customer}"}},
    "Repeat": {"until": "previous.state == 'ready'", "max": 100, "delay": "30s"},
    "Resources": {"cpu": "2 vCPU", "memory": "4GB"},
    "Retry": {"maxAttempts": 5, "backoff": "exponential", "delay": "1s", "maxDelay": "5m", "except": ["CardDeclined"]},
    "RunConcurrency": {"key": "input.customer", "limit": 1, "overflow": "queue"},
    "Rung": {"afterFailure": "10m", "notify": "oncall", "severity": "critical"},
    "S3Trigger": {"prefix": "reports/", "suffix": ".csv"},
    "Signal": {"name": "payment", "timeout": "2d", "schema": {"type": "object", "required": ["amount"]}},
    "Step": {"id": "charge", "after": ["validate"], "task": "charge", "with": {"amount": "${input.amount}"}, "timeout": "30s"},
    "TaskConcurrency": {"key": "'payments'", "limit": 10},
    "Thresholds": {"maxFailedSteps": 10, "action": "pause"},
    "Tolerate": {"percent": 5},
    "Trigger": {"schedule": "cron(0 3 * * ? *)", "input": {"day": "${event.time}"}},
    "WaitUntil": {"until": "timestamp(input.due)"},
}
