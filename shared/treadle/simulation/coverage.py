"""Which places of the source AWS was called from, and what went wrong at each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .explore import Case
from .faults import Kind
from .places import all_places

SOURCES = ("engine", "deliveries.py")  # what writes and sends; reading for an answer is the operations' own

# Places, or whole files, that no simulation comes to.
EXEMPT: Mapping[str, str] = {
    "engine/__init__.py:Engine._while_it_is_there store.get": "for a run that DynamoDB has deleted once it expired: after months",
    "engine/claims.py:given_back store.delete": "of such a run",
    "engine/admission.py:check_room store.get": "a start that is repeated when its run has lost its place; tests/faults/test_slower.py",
    "engine/starting.py:_is_anothers store.get": "two requests with one key and two inputs; the same",
    "engine/retrying.py:_offer store.update": "a run that is tried again with another input; the same",
    "engine/retrying.py:_take_input store.update": "the same",
    "engine/anew.py:begin store.get_many": "loops within a loop that a person has tried anew; tests/people/test_loops_anew.py",
    "engine/anew.py:begin store.delete": "the same",
    "engine/amending.py:_marked store.put": "an amendment meets a worker on its way to its next step; tests/people/test_amending.py",
    "engine/amending.py:_take_back store.delete": "one takes out a step that was skipped; the same",
    "engine/progress.py:_knows_the_amendment store.get": "one changes what is skipped then; tests/faults/test_late.py",
    "engine/retrying.py:Reopening.bar store.put": "what nobody had reached was about to be skipped; the same",
    "engine/suspects.py:is_dropped store.delete": "an end that is written after a retry; the same",
    "engine/waits.py:_comes_by_later store.get": "a callback's heartbeat comes as its silence is being told of; the same",
    "engine/waits.py:_let_go store.get_many": "more signals than an item holds; the same",
    "engine/claims.py:renew store.update": "called by the thread that watches an attempt; simulated workers have none",
    "engine/compensation.py:_held store.update": "the same",
    "engine/checkpoints.py:drop store.delete": "of checkpoints that a run takes by itself only the last ones stay: no shape lives so long",
    "engine/heartbeat.py:last store.get": "somebody asks whether the engine is well; tests/faults/test_heartbeat.py asks",
    "engine/outputs.py:_text blobs.get": "outputs of a chunk that are too large for an item; no shape's loop gives so much",
    "engine/quarantine.py": "corrupted items, which a simulation has none of; tests/faults/test_corrupted.py makes some",
    "engine/checkpoints.py:drop_named store.get": "the same",
    "engine/checkpoints.py:drop_named store.delete": "the same",
    "engine/checkpoints.py:drop_named blobs.remove": "the same",
    "engine/checkpoints.py:_own.<locals>.copied blobs.get": "of runs that are removed one day; tests/people/test_retention.py",
    "engine/checkpoints.py:_own.<locals>.copied blobs.put": "the same",
    "engine/removal.py": "runs whose time is over, which is a deployment's to say; tests/people/test_retention.py",
    "engine/retention.py": "the same, and holds",
    "engine/sweeping.py:over store.query_due": "the same",
    "engine/rates.py": "rates are a deployment's to give; tests/pools/test_rates.py gives some",
    "engine/cancelling.py:cancel_step store.get": "a step that is cancelled by itself; no shape asks for it yet",
    "engine/stale.py": "a message of before a retry that comes after it; tests/language/test_people.py has one",
    "engine/sweeping.py:comes_again store.get": "what a newer version wrote is met by rollouts, and they are no crash points",
    "deliveries.py:_sent_anew lanes.send": "the same; tests/faults/test_versions.py",
    "engine/letters.py": "dead letters, which a simulation must not leave; tests/faults/test_dead_letters.py makes some",
}


def is_exempt(place: str) -> bool:
    return place in EXEMPT or place.partition(":")[0] in EXEMPT


def place_of(site: str) -> str:
    """Of `dispatcher engine/claims.py:take store.put`, without the function."""
    return site.partition(" ")[2]


def possible(site: str) -> list[Kind]:
    """What can go wrong there."""
    function, call = site.partition(" ")[0], site.rpartition(" ")[2]
    return [kind for kind in Kind if kind.is_possible(f"{function} {call}")]


@dataclass
class Coverage:
    """`reached`: calls by function and place. `fired`: faults by these."""

    reached: Counter[str] = field(default_factory=Counter)
    fired: Counter[tuple[str, Kind]] = field(default_factory=Counter)

    def add(self, case: Case) -> None:
        self.reached.update(case.places)
        self.fired.update(case.fired_at)

    def merge(self, other: Coverage) -> None:
        self.reached += other.reached
        self.fired += other.fired

    @property
    def unreached(self) -> list[str]:
        missed = all_places(*SOURCES) - {place_of(site) for site in self.reached}
        return sorted(place for place in missed if not is_exempt(place))

    @property
    def unfired(self) -> list[str]:
        """Of what was reached: where something that is possible did not go wrong."""
        return sorted(f"{site} {kind}" for site in self.reached for kind in possible(site) if not self.fired[site, kind])

    def to_json(self) -> dict[str, Any]:
        faults: dict[str, dict[str, int]] = {}
        for (site, kind), count in sorted(self.fired.items()):
            faults.setdefault(site, {})[kind.value] = count
        places = all_places(*SOURCES)
        return {
            "places": len(places),
            "reached": len(places & {place_of(site) for site in self.reached}),
            "unreached": self.unreached,
            "exempt": dict(EXEMPT),
            "faults": faults,
            "unfired": self.unfired,
        }
