"""How a session reaches nodes: where to begin, and a way to dial; and what a URL says about both.

One rule: a session knows nodes only by address and by what they say on a stream.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from haqactor.config import split_address
from haqactor.env import Network, Stream
from haqactor.errors import ConfigError, InvalidArgument

SCHEME = "haq://"


class Transport(Protocol):
    """A way to the nodes of one cluster."""

    @property
    def seeds(self) -> Sequence[str]:
        """Addresses to begin with; at least one."""
        ...

    async def dial(self, address: str) -> Stream:
        """A byte stream to a node. Raises NetworkError."""
        ...


class NetworkTransport:
    """Nodes over the Environment's network."""

    def __init__(self, network: Network, seeds: Sequence[str]) -> None:
        self._network = network
        self._seeds = list(seeds)

    @property
    def seeds(self) -> Sequence[str]:
        """The addresses of the URL."""
        return self._seeds

    async def dial(self, address: str) -> Stream:
        """Connect."""
        return await self._network.dial(address)


class Url(NamedTuple):
    """``haq://host:port,host:port?route=proxy``."""

    seeds: list[str]
    proxy: bool


def parse_url(url: object) -> Url:
    """The parts of a URL. Raises InvalidArgument that says what it should look like."""
    if not isinstance(url, str):
        raise InvalidArgument(f"a URL is a str such as 'haq://127.0.0.1:7420', not {type(url).__name__}")
    if not url.startswith(SCHEME):
        raise InvalidArgument(f"{url!r} is no URL of haqactor: it begins with 'haq://'")
    hosts, mark, query = url[len(SCHEME) :].partition("?")
    if mark and query not in ("route=proxy", "route=direct"):
        raise InvalidArgument(f"{url!r}: after '?' only 'route=proxy' or 'route=direct' is known")
    seeds: list[str] = []
    for address in hosts.rstrip("/").split(","):
        try:
            split_address(address, "an address")
        except ConfigError as error:
            raise InvalidArgument(f"{url!r}: {error}; write 'haq://host:port,host:port'") from error
        seeds.append(address)
    return Url(list(dict.fromkeys(seeds)), query == "route=proxy")
