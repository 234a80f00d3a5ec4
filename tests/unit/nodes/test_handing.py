"""Leadership is handed to everybody who could take it in turn, one at a time."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from haqactor.env import NullProbe
from haqactor.ids import NO_NODE
from haqactor.nodes.handing import Handing


@dataclass
class Core:
    term: int = 3
    is_leader: bool = True
    transferee: int = NO_NODE
    node: int = 0
    preferred: int = 2
    suspect: int = -1
    given: list[int] = field(default_factory=list[int])
    configuration: Any = field(default_factory=lambda: SimpleNamespace(deciders=lambda: (0, 1, 2, 3)))

    def statistics(self) -> Any:
        matches = {1: 5, 2: 9, 3: 9, 4: 9}  # 4 is a learner
        peers = [SimpleNamespace(node=n, match=m, suspect=n == self.suspect) for n, m in matches.items()]
        return SimpleNamespace(peers=peers)

    def transfer(self, target: int, _now: int) -> None:
        self.given.append(target)


def handing(core: Core, *away: int, serving: bool = True) -> Handing:
    peers = {node: SimpleNamespace(connected=node not in away) for node in (1, 2, 3, 4)}
    context = SimpleNamespace(peers=peers, env=SimpleNamespace(probe=NullProbe()))
    return Handing(cast("Any", SimpleNamespace(core=core, context=context, serving=serving)))


def test_everybody_is_tried_before_anybody_is_again() -> None:
    """One that repairs its log holds all of it and may not stand for election: seed 7071 of swarm."""
    core = Core()
    hand = handing(core)
    for _ in range(4):
        hand.over(0)
    assert core.given == [2, 3, 1, 2]
    core.term += 1
    hand.over(0)
    assert core.given[-1] == 2, "in another term everything may be different"


def test_nobody_who_cannot_take_it() -> None:
    core = Core(suspect=2)
    hand = handing(core, 3)
    hand.over(0)
    assert core.given == [1]
    handing(core, 1, 2, 3).over(0)
    assert core.given == [1]


def test_one_at_a_time() -> None:
    core = Core(transferee=1)
    handing(core).over(0)
    handing(Core(is_leader=False)).over(0)
    assert core.given == []


def test_back_to_where_it_belongs() -> None:
    core = Core()
    handing(core).back(0)
    handing(core, serving=False).back(0)
    core.preferred = 0
    handing(core).back(0)
    assert core.given == [2]


def test_not_back_to_who_repairs_its_log() -> None:
    """It may have said so in the very turn in which leadership is given back: the core would refuse, and that
    ended the node."""
    core = Core(suspect=2)
    handing(core).back(0)
    core.preferred = 7
    handing(core).back(0)
    assert core.given == []
