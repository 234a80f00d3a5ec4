"""What faults aim at: each aim is drawn, none is drawn always, and what is not aimed stays as it is."""

from haqactor.sim.aims import aimed
from haqactor.sim.keyed import keyed
from haqactor.sim.plan import Fault


def drawn(kind: str, **args: int | bool) -> list[Fault]:
    fault = Fault(1, kind, "n1", {"for_ns": 5, **args})
    return [aimed(keyed(seed), fault) for seed in range(60)]


def test_rot_is_aimed_at_what_is_read_again_soon() -> None:
    recent = [fault for fault in drawn("bit_rot", crash=False) if fault.args.get("recent")]
    assert 20 < len(recent) < 50
    assert all(fault.args["crash"] for fault in recent)
    assert not any("recent" in fault.args for fault in drawn("bit_rot", tail=True))


def test_the_power_goes_while_a_block_is_written_and_soon_again() -> None:
    found = dict.fromkeys(
        (bool(fault.args.get("torn")), bool(fault.args.get("again"))) for fault in drawn("power_cut")
    )
    assert len(found) == 4


def test_other_faults_stay_as_they_are() -> None:
    assert drawn("crash") == [Fault(1, "crash", "n1", {"for_ns": 5})] * 60
