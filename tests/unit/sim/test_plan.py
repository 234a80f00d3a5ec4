"""Plans: roles find their hosts, JSON comes back as it went, and nonsense is refused."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haqactor.sim.plan import NS, Fault, Plan, PlanError, Target, seconds, target


class Three:
    def __init__(self, leader: str | None = "n1") -> None:
        self.led_by = leader

    def hosts(self) -> Sequence[str]:
        return ("n0", "n1", "n2", "n3")

    def leader(self, scope: str, name: str) -> str | None:
        return self.led_by if (scope, name) == ("queue", "orders of today") else None

    def members(self, scope: str, name: str) -> Sequence[str]:
        return ("n0", "n1", "n2")


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", ()),
        ("all", ("n0", "n1", "n2", "n3")),
        ("n2", ("n2",)),
        ("n3, n0", ("n0", "n3")),
        ("n9", ()),
        ("leader of queue orders of today", ("n1",)),
        ("follower of queue orders of today", ("n0",)),
        ("followers of queue orders of today", ("n0", "n2")),
        ("members of group 3", ("n0", "n1", "n2")),
        ("leader of group 3", ()),
    ],
)
def test_targets(text: str, hosts: tuple[str, ...]) -> None:
    assert target(text).resolve(Three()) == hosts


def test_vacant_role() -> None:
    assert target("leader of queue orders of today").resolve(Three(None)) == ()
    assert target("followers of group 1").resolve(Three(None)) == ("n0", "n1", "n2")


@pytest.mark.parametrize("text", ["boss of queue q", "leader of shelf q", "leader of queue"])
def test_unknown_roles(text: str) -> None:
    with pytest.raises(PlanError):
        target(text)


def test_names_are_kept() -> None:
    assert target("n1,n2") == Target(names=("n1", "n2"))


def test_order_and_kinds() -> None:
    plan = Plan((Fault(5, "heal"), Fault(1, "crash", "n1"), Fault(5, "crash", "n2")))
    assert [(fault.at_ns, fault.kind) for fault in plan] == [(1, "crash"), (5, "heal"), (5, "crash")]
    assert plan.kinds() == ("crash", "heal")
    assert len(plan.where(lambda fault: fault.kind == "crash")) == 2


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault(1_203_000_000, "crash", "n2"), "t=1.203 crash n2"),
        (Fault(NS, "pause", "all", {"for_ns": 1_500_000_000}), "t=1.000 pause all for=1.500s"),
        (
            Fault(0, "partition", "", {"groups": [["n1"], ["n0", "n2"]]}),
            "t=0.000 partition groups=n1 | n0,n2",
        ),
        (Fault(7, "torn", "n0", {"on": True, "p": 0.5}), "t=0.000000007 torn n0 on=true p=0.5"),
        (Fault(7 * NS, "cut", "", {"links": ["a", "b"], "x": None}), "t=7.000 cut links=a,b x=null"),
    ],
)
def test_said(fault: Fault, text: str) -> None:
    assert str(fault) == text


@pytest.mark.parametrize(
    ("at_ns", "text"), [(0, "0.000"), (NS // 8, "0.125"), (12_000_000_001, "12.000000001")]
)
def test_seconds(at_ns: int, text: str) -> None:
    assert seconds(at_ns) == text


faults = st.builds(
    Fault,
    st.integers(0, 10**11),
    st.sampled_from(["crash", "heal", "bit rot"]),
    st.sampled_from(["", "all", "n1", "leader of queue q"]),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3))),
)


@given(st.lists(faults, max_size=6))
def test_json_there_and_back(some: list[Fault]) -> None:
    plan = Plan(tuple(some))
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        [1],
        [{"at_ns": -1, "kind": "crash"}],
        [{"at_ns": 1.5, "kind": "crash"}],
        [{"at_ns": 1}],
        [{"at_ns": 1, "kind": "crash", "target": 3}],
        [{"at_ns": 1, "kind": "crash", "target": "king of queue q"}],
        [{"at_ns": 1, "kind": "crash", "args": []}],
    ],
)
def test_nonsense_is_refused(value: object) -> None:
    with pytest.raises(PlanError):
        Plan.from_json(value)
