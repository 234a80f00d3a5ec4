"""Addresses in text, and as sockets name them. One rule: a name is not looked up here."""

from haqactor.env import ConnectFailed

SocketName = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""What the kernel calls an end; the third kind only where Python was built without IPv6."""


def split_address(address: str) -> tuple[str, int]:
    """``host:port`` or ``[v6]:port`` as host and port. Raises ConnectFailed when it is neither."""
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise ConnectFailed(f"{address!r} is no address: write host:port, or [host]:port for IPv6")
    return host, int(port)


def join_address(name: SocketName) -> str:
    """A socket's name as ``host:port``."""
    host, port = name[0], name[1]
    return f"[{host!s}]:{port!s}" if ":" in str(host) else f"{host!s}:{port!s}"
