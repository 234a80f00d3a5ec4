"""How a cluster begins: the nodes of the bootstrap list exchange their disks' nonces, once.

One rule: the cluster's id is a hash of the founding list (addresses and nonces), so that all who agree on the
list agree on the id, and a node with another list, or with a wiped disk, can never found a second cluster
beside the first (S9, R15)."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import trio

from haqactor import codec
from haqactor.config import NodeConfig, peer_address
from haqactor.env import Environment, Network, NetworkError
from haqactor.errors import ConfigError, Conflict, Error, ProtocolError
from haqactor.frame import Decoder, encode
from haqactor.journal.identity import Identity
from haqactor.nodes import peerwire
from haqactor.nodes.peers import receive_frame
from haqactor.nodes.peerwire import PeerOp

LOCAL_ADDRESS = "local:0"
Member = tuple[int, str, bytes]


class Founded(NamedTuple):
    """A cluster: its id, and who founded it, in the order of their list (where one moved since, at its new
    address)."""

    cluster: bytes
    members: tuple[Member, ...]


class Answer(NamedTuple):
    """What another node says when it is asked: its nonce; its cluster (b"": none yet) and members; and whom
    the cluster that it founds will have, () where it founds none, or does not tell."""

    nonce: bytes
    cluster: bytes
    members: tuple[Member, ...]
    founders: tuple[str, ...]


def own_address(config: NodeConfig) -> str:
    """The address by which clients and founders know this node; a made-up one if it opens no port."""
    return config.advertise or config.listen or LOCAL_ADDRESS


def cluster_id(members: tuple[Member, ...]) -> bytes:
    """16 bytes, the same on every founder."""
    return blake2b(codec.dumps([list(member) for member in members]), digest_size=16).digest()


def check_identity(config: NodeConfig, identity: Identity) -> None:
    """A founded directory serves its cluster, and as the node that it belongs to. Its address may be another
    than before where ``bootstrap`` is not given, or ``seeds`` are; it must not be that of another member.
    Raises ConfigError."""
    if not identity.members:
        return
    mine = own_address(config)
    addresses = {node: address for node, address, _nonce in identity.members}
    recorded = next(address for node, address in addresses.items() if node == identity.node_id)
    if len(addresses) > 1 and config.listen is None:
        raise ConfigError(
            f"{config.data_dir} belongs to a node of the cluster of {', '.join(addresses.values())}: set "
            "listen, so that the others reach it"
        )
    taken = next((node for node, address in addresses.items() if address == mine), identity.node_id)
    if taken != identity.node_id:
        raise ConfigError(
            f"{config.data_dir} belongs to node {identity.node_id}, last at {recorded}, and {mine} is the "
            f"address of node {taken} of its cluster: check data_dir and listen"
        )
    if not config.bootstrap:
        return
    founding = _founding_list(config.bootstrap, identity)
    if founding is None and sorted(addresses.values()) != sorted(config.bootstrap):
        raise ConfigError(
            f"{config.data_dir} belongs to the cluster of {', '.join(addresses.values())}, but bootstrap "
            f"names {', '.join(config.bootstrap)}: use that cluster's list, or another data_dir"
        )
    if mine not in (recorded, founding) and not config.seeds:
        raise ConfigError(
            f"{config.data_dir} belongs to the node at {recorded}, not to {mine}: check data_dir and listen; "
            "if the node has moved, give seeds instead of bootstrap"
        )


def _founding_list(bootstrap: Sequence[str], identity: Identity) -> str | None:
    """Is this the very list with which the cluster was founded? Then the address that this node had in it:
    members may have moved since, but the id is a hash of the list."""
    if len(bootstrap) != len(identity.members):
        return None
    pairs = zip(bootstrap, identity.members, strict=True)
    founders = tuple((node, address, nonce) for address, (node, _now, nonce) in pairs)
    if cluster_id(founders) != identity.cluster_id:
        return None
    return next(address for node, address, _nonce in founders if node == identity.node_id)


class Founding:
    """Collects the nonces of the founding list (``addresses``; that of the settings unless it was heard from
    a seed); ``heard`` is fed by the peer listener as well."""

    def __init__(
        self, env: Environment, config: NodeConfig, nonce: bytes, addresses: Sequence[str] = ()
    ) -> None:
        self._env = env
        self._config = config
        mine = own_address(config)
        self.addresses = tuple(addresses or config.bootstrap) or (mine,)
        self._nonces: dict[str, bytes] = {mine: nonce}
        self._mine = mine
        self._changed = trio.Event()
        self.founded: Founded | None = None
        self.last_error = ""
        self._conflict: Conflict | None = None

    def heard(self, address: str, nonce: bytes) -> None:
        """A founder named its nonce."""
        if address in self.addresses and self._nonces.get(address) != nonce:
            self._nonces[address] = nonce
            self._changed.set()

    async def run(self) -> Founded:
        """The cluster, once all nonces are known. Raises Conflict if one exists without this disk, or if
        another founder has another list."""
        async with trio.open_nursery() as nursery:
            for address in self.addresses:
                if address != self._mine:
                    nursery.start_soon(self._ask, address)
            while self.founded is None and self._conflict is None:
                if all(address in self._nonces for address in self.addresses):
                    members = tuple(
                        (k, address, self._nonces[address]) for k, address in enumerate(self.addresses)
                    )
                    self.founded = Founded(cluster_id(members), members)
                    break
                await self._changed.wait()
                self._changed = trio.Event()
            nursery.cancel_scope.cancel()
        if self.founded is None:
            raise self._conflict or Conflict("founding was given up")
        return self.founded

    async def _ask(self, address: str) -> None:
        backoff = 0.02
        while True:
            try:
                with trio.move_on_after(self._config.limits.handshake):
                    await self._ask_once(address)
                    return
            except Conflict as error:
                self._conflict = error
                self._changed.set()
                return
            except (NetworkError, Error) as error:
                self.last_error = f"{address}: {error}"
            await trio.sleep(backoff * self._env.random.uniform(0.75, 1.25))
            backoff = min(backoff * 1.5, 0.3)

    async def _ask_once(self, address: str) -> None:
        nonce = self._nonces[self._mine]
        answer = await ask_founder(self._env.network, address, self._mine, nonce)
        if answer.cluster:
            self.founded = checked_cluster(address, answer, self._mine, nonce)
            self._changed.set()
        elif answer.founders and answer.founders != self.addresses:
            raise Conflict(
                f"{address} founds the cluster of {', '.join(answer.founders)}, this node that of "
                f"{', '.join(self.addresses)}: bootstrap must be the same list, in the same order, on all "
                "nodes that have one"
            )
        self.heard(address, answer.nonce)


async def ask_founder(network: Network, address: str, mine: str, nonce: bytes) -> Answer:
    """Tell a node that this one, at ``mine``, has no cluster yet, and hear what it knows. Raises
    NetworkError, ProtocolError."""
    stream = await network.dial(peer_address(address))
    try:
        await stream.send_all(encode(PeerOp.FOUND, [mine, nonce]))
        frame = await receive_frame(stream, Decoder(64 * 1024))
    finally:
        stream.abort()
    header = frame.header
    theirs, cluster, rows = peerwire.hello_fields(header, (bytes, bytes, list), "Founded")
    members = [peerwire.hello_fields(row, (int, str, bytes), "A member") for row in rows]
    founders = header[3] if len(header) > 3 else []  # what older releases do not tell
    if not isinstance(founders, list) or not all(isinstance(founder, str) for founder in founders):
        raise ProtocolError("Founded has founders that are no list of addresses")
    return Answer(
        theirs,
        cluster,
        tuple((row[0], row[1], row[2]) for row in members),
        tuple(str(each) for each in founders),
    )


def checked_cluster(seed: str, answer: Answer, mine: str, nonce: bytes) -> Founded:
    """The cluster that ``seed`` told of, where it knows this disk. Raises Conflict."""
    if nonce in [member[2] for member in answer.members]:
        return Founded(answer.cluster, answer.members)
    known = [member[0] for member in answer.members if member[1] == mine]
    if known:
        raise Conflict(
            f"{seed} belongs to a cluster already, in which {mine} is the address of node {known[0]}, with "
            "another disk: this data directory is new, or was wiped, and cannot serve as that node. The "
            "cluster runs on with the others. Bring the old data directory back, or let a new node take its "
            "place with `haq node replace`, once your release has it"
        )
    raise Conflict(
        f"{seed} belongs to a cluster already, which does not know this disk: a node whose data directory is "
        "new must join as a new member, it cannot be founded again"
    )
