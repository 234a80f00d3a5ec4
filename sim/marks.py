"""The rare branches that nodes and clients mark when they take them, and the places where they may be made to
behave awkwardly.

One rule: every name in the source stands here, and nothing else; a branch that no run can reach yet says why,
and one that few runs reach says which test does.
"""

from collections.abc import Mapping
from typing import Final

MARKS: Final[dict[str, str]] = {
    "client.behind_a_hole": "",
    "client.claim_lost": "",
    "client.goodbye": "",
    "client.guesses": "",
    "client.hole_closed": "",
    "client.link_silent": "",
    "client.overload_unknown": "",
    "client.overloaded": "",
    "client.parcel_divided": "simulated queues and groups have no limits that a batch alone is above",
    "client.publish_unknown": "",
    "client.redirected": "",
    "client.request_again": "a lane lets go of its connection before that ends; then nothing waits on it",
    "client.request_expired": "",
    "client.settled_while_subscribing": "",
    "client.settlement_refused": "",
    "client.stale_subscription": "",
    "client.stalled": "",
    "client.subscribe_overtaken": "",
    "client.verdict_awaited": "",
    "dispatcher.claim_kept": "",
    "dispatcher.claim_lost": "",
    "dispatcher.claim_overtaken": "",
    "dispatcher.lease_expired": "",
    "dispatcher.session_given_up": "",
    "dispatcher.unclaimed_at_opening": "",
    "journal.cold_files_merged": "",
    "journal.live_entries_moved": "",
    "journal.move_overtaken": "",
    "journal.no_descriptor_for_a_segment": "a simulated host has no end of descriptors",
    "journal.no_space_for_a_segment": "",
    "journal.no_space_to_compact": "",
    "journal.poisoned": "",
    "journal.retired_beside_a_snapshot_put_off": "",
    "journal.retired_by_force": "",
    "journal.retired_during_a_merge": "",
    "journal.salvaged": "",
    "journal.segment_enlarged": "",
    "journal.segment_not_prepared": "",
    "journal.segment_retired": "",
    "journal.tail_cut": "",
    "journal.waits_for_space": "",
    "machine.claim_refused": "",
    "machine.dead_lettered": "",
    "machine.dedup_hit": "",
    "machine.discarded": "",
    "machine.fenced": "",
    "machine.parked": "",
    "machine.purged": "",
    "machine.queue_dropped": "",
    "machine.restored": "",
    "machine.sequence_gap": "",
    "machine.suspects": "",
    "machine.version_raised": "",
    "machine.version_unknown": "",
    "nodes.actor_stalled": "",
    "nodes.backpressure": "",
    "nodes.balances": "",
    "nodes.begins_again": "",
    "nodes.catch_up_paced": "",
    "nodes.client_does_not_read": "64 MiB would have to wait; a run of ten seconds has less to say",
    "nodes.cold_apply": "",
    "nodes.cold_delivery": "",
    "nodes.cold_delivery_ahead": "",
    "nodes.cold_fetch": "",
    "nodes.disk_nearly_full": "",
    "nodes.draft_kept_in_transfer": "",
    "nodes.drains": "",
    "nodes.fenced_by_directory": "",
    "nodes.hands_over": "",
    "nodes.hello_late": "",
    "nodes.install_cut": "",
    "nodes.install_failed": "",
    "nodes.install_overtaken": "",
    "nodes.install_received": "",
    "nodes.install_resumed": "",
    "nodes.install_sent": "",
    "nodes.link_of_an_earlier_boot": (
        "a machine that lost its power resets what comes for it: "
        "tests/unit/nodes/test_peers.py::test_a_peer_that_dials_in_anew_is_dialled_anew"
    ),
    "nodes.member_moved": "in a run every node stays where it is: tests/integration/test_gossip.py moves one",
    "nodes.no_replica_yet": "",
    "nodes.outcome_unknown": "",
    "nodes.overloaded": "",
    "nodes.passed_over": "",
    "nodes.peer_message_dropped": "",
    "nodes.proposal_overwritten": "",
    "nodes.proxied": "",
    "nodes.proxied_consumer_moved": "",
    "nodes.proxied_request_lost": "",
    "nodes.proxy_silent": "",
    "nodes.proxy_without_leader": "",
    "nodes.purge_waits": "",
    "nodes.raise_waits": "",
    "nodes.redirect": "",
    "nodes.request_held": "",
    "nodes.settled_elsewhere": "",
    "nodes.slow_disk": "",
    "nodes.snapshot_put_off": "",
    "nodes.too_many_held": "",
    "nodes.waits_for_directory": "",
    "raft.append_refused": "",
    "raft.campaign": "",
    "raft.check_quorum": "",
    "raft.install_keeps_suffix": "",
    "raft.install_late": "",
    "raft.install_replaces_log": "",
    "raft.install_word_lost": "",
    "raft.leader": "",
    "raft.old_term_waits": "",
    "raft.slow_disk": "",
    "raft.snapshot_offer": "",
    "raft.suspect_acknowledges": "",
    "raft.suspect_cured": "",
    "raft.transfer": "",
    "raft.transfer_over": "",
    "raft.truncate": "",
    "raft.uncommitted_full": "",
    "swim.fallback_saved": "",
    "swim.indirect_saved": "",
    "swim.refutes": "",
    "swim.rejoins": "",
    "swim.stall_forgiven": "",
    "swim.suspicion_cut_short": "",
    "swim.tombstone_held": "",
}
"""Name to the reason why no run reaches it; "" for those that runs have to reach."""

RARE: Final[dict[str, str]] = {
    "client.behind_a_hole": (
        "an overload ends just between two parts of one pipeline: "
        "tests/unit/client/test_failover.py::test_an_overloaded_leader_is_asked_again_in_order"
    ),
    "client.overload_unknown": (
        "an overload that is longer than a client's patience follows a lost answer to the same publish: "
        "tests/unit/client/test_failover.py::test_overload_after_a_lost_answer_moves_no_numbers"
    ),
    "client.stale_subscription": (
        "a leader falls without telling a consumer whose watchdog is asking just then: "
        "tests/unit/client/test_stalls.py::test_a_leader_that_leads_no_more_and_did_not_say_so"
    ),
    "client.verdict_awaited": (
        "an acknowledgement is refused over a connection that was left, and on its way over another: "
        "tests/unit/client/test_consuming.py::test_what_an_older_sending_was_refused_the_newer_may_be_granted"
    ),
    "dispatcher.claim_overtaken": (
        "two consumers claim one message from the second new leader in a row, the one with the older lease "
        "first: tests/unit/machine/test_dispatcher.py::test_of_two_claims_the_higher_lease_wins"
    ),
    "journal.segment_enlarged": (
        "the first block of a segment is larger than it, and nothing was written to it before: "
        "tests/unit/journal/test_segments.py::test_a_segment_that_nothing_was_written_to_makes_place_for_a_larger_one"
    ),
}
"""Marks that thousands of seeds may miss, what has to meet in them, and the test that surely takes each."""

BUGGIFY: Final = (
    "client.credit_of_one",
    "client.short_connection",
    "dispatcher.one_turn",
    "journal.early_merge",
    "journal.early_roll",
    "journal.small_block",
    "nodes.apply_from_disk",
    "nodes.credit_forgotten",
    "nodes.deliver_from_disk",
    "nodes.early_snapshot",
    "nodes.extra_beat",
    "nodes.give_leadership_away",
    "nodes.late_turn",
    "nodes.stalled_turn",
    "raft.early_step_down",
    "raft.one_entry_an_append",
)
"""Where ``probe.buggify`` may say yes."""


def unreached(counts: Mapping[str, int]) -> list[str]:
    """Marks without a reason that were not counted, but for the rare ones."""
    return [name for name in _missed(counts) if name not in RARE]


def missed_rarely(counts: Mapping[str, int]) -> list[str]:
    """Rare marks that were not counted."""
    return [name for name in _missed(counts) if name in RARE]


def _missed(counts: Mapping[str, int]) -> list[str]:
    return [name for name, reason in MARKS.items() if not reason and not counts.get(name)]


def surprising(counts: Mapping[str, int]) -> list[str]:
    """Marks that were counted though their reason says that they cannot be."""
    return [name for name, reason in MARKS.items() if reason and counts.get(name)]
