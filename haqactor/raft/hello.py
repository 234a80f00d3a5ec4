"""The conversation between a suspect and the other replicas (see docs/operating/recover.md).

One rule: a hello opens a new epoch of its sender; what older epochs acknowledged or voted is dropped, and
the sender counts again only by the rules of ``recovery``.
"""

from typing import Final

from haqactor.ids import NO_NODE, Index, NodeId
from haqactor.raft.messages import Hello
from haqactor.raft.recovery import CureState, Report
from haqactor.raft.state import NO_DEADLINE_NS, Cure, RaftState, Role

_NO_INDEX: Final = Index(0)


def say(state: RaftState) -> None:
    """A suspect's hello to all other voters, again and again until it is cured."""
    if not state.recovery.suspect:
        state.hello_ns = NO_DEADLINE_NS
        return
    state.hello_ns = state.now_ns + state.config.heartbeat_ns
    learned(state)  # a cluster of one waits for nobody
    for voter in state.others():
        state.send_after(voter, _own(state, suspect=True))


def _own(state: RaftState, *, suspect: bool, to_boot: int = 0, cure_index: Index = _NO_INDEX) -> Hello:
    log = state.log
    reply = to_boot > 0
    return Hello(
        state.hard.term, log.last_index, log.last_term, state.boot, suspect, reply, to_boot, cure_index
    )


def note_boot(state: RaftState, peer: NodeId, boot: int) -> bool:
    """A message of ``peer``'s ``boot`` arrived. False where that epoch is over."""
    known = state.peer_boots.get(peer, 0)
    if boot < known:
        return False
    if boot > known:
        state.peer_boots[peer] = boot
        state.peer_suspects.pop(peer, None)
        state.recovery.forget(peer, boot)
        state.votes.pop(peer, None)
    return True


def on_hello(state: RaftState, sender: NodeId, hello: Hello) -> None:
    """Either side of the conversation."""
    if not note_boot(state, sender, hello.boot):
        return
    if hello.reply:
        _on_reply(state, sender, hello)
        return
    if hello.suspect:
        state.peer_suspects[sender] = hello.boot
        state.hello_seen_ns[sender] = state.now_ns
    cure_index = Index(0)
    if state.role is Role.LEADER:
        cure = suspected(state, sender, hello.boot)
        if cure is not None and cure.told:
            cure_index = cure.index
    reply = _own(state, suspect=state.recovery.suspect, to_boot=hello.boot, cure_index=cure_index)
    state.send_after(sender, reply)


def _on_reply(state: RaftState, sender: NodeId, hello: Hello) -> None:
    recovery = state.recovery
    if hello.to_boot != state.boot or not recovery.suspect:
        return
    if sender in state.others():
        recovery.report(sender, Report(hello.term, hello.last_index, hello.last_term, hello.boot))
    if hello.cure_index > 0:
        recovery.offered_cure(hello.term, hello.cure_index)
    learned(state)


def learned(state: RaftState) -> None:
    """A suspect learned something: is it cured? Votes in reported terms are barred durably, by the hard
    state."""
    recovery = state.recovery
    others = state.others()
    if recovery.missing(others):
        return
    floor = recovery.reported_term()
    if state.hard.term < floor:
        state.set_hard(floor, state.node)
        state.votes.clear()
        state.set_role(Role.FOLLOWER, NO_NODE)
    elif state.hard.term == floor and state.hard.vote == NO_NODE:
        state.set_hard(floor, state.node)
    stored(state, min(state.matched, state.log.durable_index))


def stored(state: RaftState, matched: Index) -> None:
    """A suspect holds its leader's log durably up to ``matched``."""
    recovery = state.recovery
    if not recovery.suspect:
        return
    others = state.others()
    if recovery.stored(state.hard.term, matched, state.noop_index, others):
        state.probe.mark("raft.suspect_acknowledges")
        state.ack_due = state.leader != NO_NODE
    if recovery.acknowledges and not recovery.missing(others):
        cured(state)


def cured(state: RaftState) -> None:
    """This replica counts again, in everything."""
    if state.recovery.suspect:
        state.recovery.cured()
        state.cured = True
        state.hello_ns = NO_DEADLINE_NS
        state.probe.mark("raft.suspect_cured")


# -- the leader's side


def suspected(state: RaftState, peer: NodeId, boot: int) -> Cure | None:
    """The leader learned that ``peer`` is a suspect in ``boot``: it stops counting, and a round without it
    begins. None where it is cured already, or no member."""
    progress = state.progress.get(peer)
    if progress is None or boot < progress.boot or (boot == progress.boot and progress.cleared):
        return None
    cure = state.cures.get(peer)
    if cure is not None and cure.boot == boot:
        return cure
    progress.restarted(boot, True, Index(state.log.last_index + 1))
    cure = state.cures[peer] = Cure(boot, state.reads.begin(), state.log.last_index)
    state.sending = True
    return cure


def settle(state: RaftState) -> None:
    """The leader's rounds went on: tell those suspects whose round is confirmed."""
    for peer, cure in state.cures.items():
        if not cure.told and state.reads.covered >= cure.round:
            cure.told = True
            told = _own(state, suspect=state.recovery.suspect, to_boot=cure.boot, cure_index=cure.index)
            state.send_after(peer, told)


def cure_state(state: RaftState) -> CureState:
    """What the shell says in NoQuorum."""
    recovery = state.recovery
    missing = recovery.missing(state.others()) if recovery.suspect else ()
    since_ns = state.now_ns - state.config.election_max_ns  # hellos come with every beat, until cured
    suspects = [peer for peer in state.peer_suspects if state.hello_seen_ns.get(peer, since_ns) > since_ns]
    if recovery.suspect:
        suspects.append(state.node)
    damaged = recovery.suspect and not recovery.door
    return CureState(recovery.suspect, recovery.acknowledges, damaged, missing, tuple(sorted(suspects)))
