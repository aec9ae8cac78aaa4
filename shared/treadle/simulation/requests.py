"""What is asked of the engine, by people and by other systems: one request each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import wiring
from ..core.errors import Conflict, NotFound, Rejected
from .shapes import Act
from .world import TENANT

if TYPE_CHECKING:
    from .simulator import Simulation

KEY = "simulated"  # a request that is made again is the same one


def request(simulation: Simulation, act: Act) -> None:
    """Raises what the operation raises."""
    operations, shape = wiring.current().operations, simulation.prepared.shape
    match act.verb:
        case "start" if shape.cold:
            simulation.run_id = operations.run_definition(TENANT, shape.definition, shape.input, key=KEY).id
        case "start":
            simulation.run_id = operations.start(TENANT, simulation.prepared.workflow, shape.input, key=KEY).id
        case "succeed" | "fail" | "heartbeat":
            if not simulation.tokens:
                raise Conflict("nobody was given a token yet")
            told = {**act.arguments}
            which = told.pop("token", -1)  # of all that were given, the last one unless it is said
            getattr(operations, act.verb)(simulation.tokens[which], **told)
        case "register":
            operations.register(TENANT, act.arguments["source"])
        case "checkpoint":
            simulation.checkpoint = operations.checkpoint(TENANT, simulation.run_id)["id"]
        case "restore":
            operations.restore(TENANT, simulation.checkpoint, key=KEY)
        case _:
            getattr(operations, act.verb)(TENANT, simulation.run_id, **act.arguments)


def may_fit_later(simulation: Simulation, act: Act, refused: Rejected) -> bool:
    """The run has yet to come to where it is asked for. Whoever answers looks again at what is asked."""
    status = simulation.status
    if status is None or status.is_final or simulation.prepared.shape.answers:
        return False
    return act.verb in ("approve", "reject", "decide", "retry") and (refused.code == "wrong-state" or isinstance(refused, NotFound))
