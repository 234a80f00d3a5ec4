"""What is believed of what is heard: the merge rule at work, accusations, deaths, refutations.

One rule: news changes what is believed only where it supersedes it; of oneself a member believes nothing,
and speaks against it.
"""

from dataclasses import replace

from haqactor.swim import suspicion
from haqactor.swim.effects import Changed
from haqactor.swim.member import INCARNATION_MAX, NEVER_HEARD, Member, Status, same_facts, supersedes
from haqactor.swim.messages import Rumour
from haqactor.swim.state import SwimState
from haqactor.swim.suspicion import Suspicion
from haqactor.swim.table import LIVE, Record


def take_in(state: SwimState, rumour: Rumour, teller: bytes, *, second_hand: bool = False) -> None:
    """``teller`` said so. ``second_hand``: as part of its table; that it holds somebody for dead who is live
    here is a suspicion only, for it may have been cut off itself."""
    member = rumour.member
    if member.key == state.me.key:
        about_me(state, member)
        return
    record = state.table.get(member.key)
    if record is None:
        _meet(state, rumour, teller)
        return
    held = record.member
    if second_hand and member.status is Status.DEAD and held.status in LIVE:
        member = replace(member, status=Status.SUSPECT)
    by = rumour.by or teller
    raised = held.status is Status.DEAD and member.status is Status.ALIVE
    if supersedes(member, held) or (raised and state.probe.bug("swim.stale_resurrects")):
        _believe(state, record, member, by, rumour.age_ns)
    elif held.status not in LIVE and member.status in LIVE:
        state.probe.mark("swim.tombstone_held")
    elif member.status is Status.SUSPECT and member.incarnation == held.incarnation:
        _confirm(state, record, by)
    if member.incarnation == record.member.incarnation and record.member.status in LIVE:
        record.heard = True


def accuse(state: SwimState, record: Record) -> None:
    """This node itself got no answer."""
    if record.suspicion is not None:
        _confirm(state, record, state.me.key)
    elif record.member.status is Status.ALIVE:
        state.counts.suspicions += 1
        _believe(state, record, replace(record.member, status=Status.SUSPECT), state.me.key, 0)


def bury(state: SwimState) -> None:
    """Suspects that did not refute in time are dead."""
    due = [record for record in state.suspects.values() if _deadline_ns(record) <= state.now_ns]
    for record in due:
        state.suspects.pop(record.member.key, None)
        record.suspicion = None
        state.counts.deaths += 1
        _believe(state, record, replace(record.member, status=Status.DEAD), state.me.key, 0)


def next_burial_ns(state: SwimState) -> int | None:
    """When the first suspicion runs out."""
    return min([_deadline_ns(record) for record in state.suspects.values()], default=None)


def _deadline_ns(record: Record) -> int:
    assert record.suspicion is not None, "only suspects are listed"
    return record.suspicion.deadline_ns


def extend(state: SwimState, for_ns: int, grace_ns: int) -> None:
    """This node stood still; all suspects get as much more time."""
    for record in state.suspects.values():
        if record.suspicion is not None:
            record.suspicion.extend(for_ns, grace_ns)


def about_me(state: SwimState, member: Member) -> None:
    """Somebody says this of me. Older incarnations are stale; what agrees with me or is beaten by what I say
    needs no answer; to all else the answer is a higher incarnation."""
    me = state.me
    same = same_facts(member, me)
    if member.incarnation < me.incarnation or (same and not supersedes(member, me)):
        return
    state.probe.mark("swim.refutes")
    state.counts.refutations += 1
    if member.status is not Status.ALIVE:
        state.awareness.change(1)
    raised = min(member.incarnation + 1, INCARNATION_MAX)
    say(
        state, replace(me, incarnation=me.incarnation if state.probe.bug("swim.stale_refutation") else raised)
    )


def say(state: SwimState, me: Member) -> None:
    """This is what I am now: tell everybody."""
    state.me = me
    state.broadcasts.put(me, b"", state.now_ns)


def forget(state: SwimState) -> None:
    """The dead and those who left go, once everybody must have heard of it."""
    for record in state.table.records():
        over_ns = record.since_ns + state.config.forget_ns
        if record.member.status not in LIVE and not record.known and over_ns <= state.now_ns:
            state.table.remove(record.member.key)
            state.broadcasts.drop(record.member.key)


def _meet(state: SwimState, rumour: Rumour, teller: bytes) -> None:
    """Somebody new. Those who were forgotten elsewhere are not remembered again."""
    member = rumour.member
    if member.status not in LIVE and rumour.age_ns >= state.config.forget_ns:
        return
    if len(state.table) >= state.config.members_max:
        state.counts.refused += 1
        return
    since_ns = state.now_ns - (0 if member.status in LIVE else rumour.age_ns)
    record = Record(member, since_ns, heard=member.status in LIVE)
    state.table.add(record)
    if member.status is Status.SUSPECT:
        _suspect(state, record, rumour.by or teller)
    state.broadcasts.put(member, _accuser(member, rumour.by or teller), since_ns)
    state.effects.append(Changed(member, None))


def _believe(state: SwimState, record: Record, member: Member, by: bytes, age_ns: int) -> None:
    was = record.member
    since_ns = state.now_ns - (0 if member.status in LIVE else age_ns)
    state.table.change(record, member, since_ns)
    if member.status is Status.SUSPECT:
        if record.suspicion is None or member.incarnation > was.incarnation:
            _suspect(state, record, by)
    elif not (member.status is Status.ALIVE and state.probe.bug("swim.suspicion_never_cancelled")):
        record.suspicion = None
        state.suspects.pop(member.key, None)
    if member.incarnation > NEVER_HEARD:
        state.broadcasts.put(member, _accuser(member, by), record.since_ns)
    state.effects.append(Changed(member, was))


def _accuser(member: Member, by: bytes) -> bytes:
    return by if member.status is Status.SUSPECT else b""


def _suspect(state: SwimState, record: Record, by: bytes) -> None:
    times = suspicion.times(state.config, state.size)
    record.suspicion = Suspicion(by, times, 1 + state.awareness.score, state.now_ns)
    state.suspects[record.member.key] = record


def _confirm(state: SwimState, record: Record, by: bytes) -> None:
    if record.suspicion is None or not record.suspicion.confirm(by):
        return
    state.probe.mark("swim.suspicion_cut_short")
    if record.member.incarnation > NEVER_HEARD:
        state.broadcasts.put(record.member, by, record.since_ns)
