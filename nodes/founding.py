"""How a cluster begins: the nodes of the bootstrap list exchange their disks' nonces, once.

One rule: the cluster's id is a hash of the founding list (addresses and nonces), so that all who agree on the
list agree on the id, and a node with another list, or with a wiped disk, can never found a second cluster
beside the first (S9, R15)."""

from hashlib import blake2b

import trio

from haqactor import codec
from haqactor.config import NodeConfig, peer_address
from haqactor.env import Environment, NetworkError
from haqactor.errors import ConfigError, Conflict, Error
from haqactor.frame import Decoder, encode
from haqactor.journal.identity import Identity
from haqactor.nodes import peerwire
from haqactor.nodes.peers import receive_frame
from haqactor.nodes.peerwire import PeerOp

LOCAL_ADDRESS = "local:0"
Member = tuple[int, str, bytes]


def own_address(config: NodeConfig) -> str:
    """The address by which clients and founders know this node; a made-up one if it opens no port."""
    return config.advertise or config.listen or LOCAL_ADDRESS


def cluster_id(members: tuple[Member, ...]) -> bytes:
    """16 bytes, the same on every founder."""
    return blake2b(codec.dumps([list(member) for member in members]), digest_size=16).digest()


def check_identity(config: NodeConfig, identity: Identity) -> None:
    """A founded directory serves the cluster and the address that it was founded with. Raises ConfigError."""
    if not identity.members or not config.bootstrap:
        return
    known = [address for _node, address, _nonce in identity.members]
    if sorted(known) != sorted(config.bootstrap):
        raise ConfigError(
            f"{config.data_dir} belongs to the cluster of {', '.join(known)}, but bootstrap names "
            f"{', '.join(config.bootstrap)}: use that cluster's list, or another data_dir"
        )
    mine = next(address for node, address, _nonce in identity.members if node == identity.node_id)
    if mine != own_address(config):
        raise ConfigError(
            f"{config.data_dir} belongs to the node at {mine}, not to {own_address(config)}: check data_dir "
            "and listen"
        )


class Founding:
    """Collects the nonces of the bootstrap list; ``heard`` is fed by the peer listener as well."""

    def __init__(self, env: Environment, config: NodeConfig, nonce: bytes) -> None:
        self._env = env
        self._config = config
        mine = own_address(config)
        self._addresses = list(config.bootstrap) or [mine]
        self._nonces: dict[str, bytes] = {mine: nonce}
        self._mine = mine
        self._changed = trio.Event()
        self.members: tuple[Member, ...] = ()
        self.last_error = ""
        self._conflict: Conflict | None = None

    def heard(self, address: str, nonce: bytes) -> None:
        """A founder named its nonce."""
        if address in self._addresses and self._nonces.get(address) != nonce:
            self._nonces[address] = nonce
            self._changed.set()

    async def run(self) -> tuple[Member, ...]:
        """The members, in the order of the list, once all are known. Raises Conflict if a cluster exists
        without this disk."""
        async with trio.open_nursery() as nursery:
            for address in self._addresses:
                if address != self._mine:
                    nursery.start_soon(self._ask, address)
            while not self.members and self._conflict is None:
                if all(address in self._nonces for address in self._addresses):
                    self.members = tuple(
                        (k, address, self._nonces[address]) for k, address in enumerate(self._addresses)
                    )
                    break
                await self._changed.wait()
                self._changed = trio.Event()
            nursery.cancel_scope.cancel()
        if self._conflict is not None:
            raise self._conflict
        return self.members

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
        stream = await self._env.network.dial(peer_address(address))
        try:
            await stream.send_all(encode(PeerOp.FOUND, [self._mine, self._nonces[self._mine]]))
            frame = await receive_frame(stream, Decoder(64 * 1024))
        finally:
            stream.abort()
        nonce, cluster, rows = peerwire.hello_fields(frame.header, (bytes, bytes, list), "Founded")
        if cluster:
            members = [peerwire.hello_fields(row, (int, str, bytes), "A member") for row in rows]
            self._adopt(address, tuple((row[0], row[1], row[2]) for row in members))
        self.heard(address, nonce)

    def _adopt(self, address: str, members: tuple[Member, ...]) -> None:
        mine = (self._mine, self._nonces[self._mine])
        if mine not in [(member[1], member[2]) for member in members]:
            raise Conflict(
                f"{address} belongs to a cluster already, which does not know this disk: a node whose data "
                "directory is new must "
                "join as a new member, it cannot be founded again"
            )
        self.members = members
        self._changed.set()
