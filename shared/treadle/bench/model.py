"""A model of the time that AWS takes: what the counting clock goes by, and what Lambda's GB-seconds are made of.

Law: nothing here is measured where the benchmark runs. A figure is the median of one call from a warm function in the same
region, as commonly reported; to see what your own account gives, time a function there and replace it.

A function pays for each call twice: it waits for the network, and it computes (signing, TLS, parsing) with the share of a
core that its memory buys. The computing of the engine itself is in the same figure. Tasks are no-ops.
"""

from __future__ import annotations

from typing import Final

from ..local.clock import LocalClock

NETWORK_MS: Final = {
    "dynamodb.GetItem": 2.5,
    "dynamodb.BatchGetItem": 4.0,
    "dynamodb.PutItem": 4.5,
    "dynamodb.UpdateItem": 4.5,
    "dynamodb.DeleteItem": 4.5,
    "dynamodb.Query": 4.0,
    "sqs.SendMessageBatch": 7.0,
    "sqs.ChangeMessageVisibility": 6.0,
    "events.PutEvents": 12.0,
    "s3.PutObject": 25.0,
    "s3.GetObject": 15.0,
}
CPU_MS_PER_CALL: Final = 0.4  # of a whole core
CORE_MB: Final = 1769  # the memory at which Lambda gives a whole core
INVOCATION_MS: Final = 1.5  # of a warm function, before and after what it does
HOP_MS: Final = 20.0  # from a message sent to its handler begun: queue, poller, invocation
BUS_HOP_MS: Final = 60.0  # from an event put to its message in the queue


def call_ms(call: str, memory_mb: int) -> float:
    return NETWORK_MS[call] + CPU_MS_PER_CALL * max(1.0, CORE_MB / memory_mb)


class ModelClock(LocalClock):
    """Stands still, but for what the model says has passed. It begins at a fixed moment, so that all sizes are the same too."""

    START_MS: Final = 1_800_000_000_000

    def __init__(self) -> None:
        super().__init__(skip=True)
        self.ms = float(self.START_MS)

    def now(self) -> int:
        return int(self.ms)

    def pass_by(self, ms: float) -> None:
        self.ms += ms

    def jump_to(self, moment_ms: int) -> None:
        self.ms = max(self.ms, float(moment_ms))
