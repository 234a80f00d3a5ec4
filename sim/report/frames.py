"""Names what went over the wire: the frames in what was sent, for filters, colours and hovering.

One rule: bytes that are no frames of ours are left as they are; nothing here can fail.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final, NamedTuple, cast

from haqactor import wire
from haqactor.errors import Error
from haqactor.frame import MAGIC, PRELUDE_BYTES, Decoder
from haqactor.nodes.peerwire import FRAME_BYTES_MAX, PeerOp, parse_raft
from haqactor.sim.report.words import BODY_MAX
from haqactor.sim.trace import DATAGRAM, Event

PEER_PORTS: Final = (7421,)
CONTINUED: Final = "part of a frame"
_PRELUDE: Final = struct.Struct("<IIBBHI")
_TOLD_MAX: Final = 4
_HIDDEN: Final = ("entries", "read_context", "boot")


class _Sent(NamedTuple):
    frames: list[bytes]
    size: int
    way: str
    is_peer: bool


class Frames:
    """A ``Describe`` over the bodies of a trace. ``peer_ports``: where nodes hear nodes; streams to other
    ports speak the clients' protocol. Datagrams are between nodes only; one that is no frame of ours stays as
    it is."""

    def __init__(
        self, events: Sequence[Event], bodies: Mapping[int, bytes], *, peer_ports: Sequence[int] = PEER_PORTS
    ) -> None:
        self._sent: dict[int, _Sent] = {}
        peers: dict[int, bool] = {}
        waiting: dict[tuple[str, int], bytes] = {}
        for event in events:
            given = event.data[3] if len(event.data) > 3 else None
            stream = given if isinstance(given, int) else -1
            if event.kind == "dial":
                peers[stream] = any(port in peer_ports for port in event.data[2:3])
            elif event.kind == "send" and DATAGRAM in event.data:
                told, _rest = _frames(b"", bodies.get(event.number, b""))
                if told:
                    self._sent[event.number] = _Sent(told, len(bodies[event.number]), DATAGRAM, is_peer=True)
            elif event.kind == "send" and event.number in bodies:
                key = (event.host, stream)
                body = bodies[event.number]
                told, waiting[key] = _frames(waiting.get(key, b""), body)
                self._sent[event.number] = _Sent(
                    told, len(body), f"stream {stream}", peers.get(stream, False)
                )

    def __call__(self, event: Event) -> tuple[str, str] | None:
        """What was sent, named by its first frame; None for all else. Decoded when it is asked for."""
        sent = self._sent.get(event.number)
        if sent is None:
            return None
        told = [_frame(whole, is_peer=sent.is_peer) for whole in sent.frames[:_TOLD_MAX]]
        said = "; ".join(f"{name} {text}".rstrip() for name, text in told)
        more = f"; and {len(sent.frames) - _TOLD_MAX} more" if len(sent.frames) > _TOLD_MAX else ""
        label = told[0][0] if told else CONTINUED
        return label, f"{said}{more} ({sent.size} B, {sent.way})".strip()


def _frames(rest: bytes, data: bytes) -> tuple[list[bytes], bytes]:
    """The frames that end in ``data``, the beginning of one that only begins there, and what is left over."""
    buffer = rest + data
    told: list[bytes] = []
    at = 0
    while len(buffer) - at >= PRELUDE_BYTES:
        length, _crc, _kind, _flags, magic, _head = _PRELUDE.unpack_from(buffer, at)
        if magic != MAGIC or length < PRELUDE_BYTES:
            return told, b""
        if len(buffer) - at < length:
            if len(rest) <= at:
                told.append(buffer[at : at + PRELUDE_BYTES])
            break
        told.append(buffer[at : at + length])
        at += length
    return told, buffer[at:]


def _kind(kind: int, *, is_peer: bool) -> str:
    known: dict[int, str] = {int(op): op.name for op in (PeerOp if is_peer else wire.Op)}
    return "".join(word.capitalize() for word in known.get(kind, f"kind {kind}").split("_"))


def _frame(whole: bytes, *, is_peer: bool) -> tuple[str, str]:
    length, _crc, kind, _flags, _magic, _head = _PRELUDE.unpack_from(whole)
    name = _kind(kind, is_peer=is_peer)
    if length > len(whole):
        return name, "begins"
    try:
        (frame,) = Decoder(FRAME_BYTES_MAX).feed(whole)
        if not is_peer:
            return name, _fields(wire.parse(frame))
        if kind != PeerOp.RAFT:
            return name, _short(frame.header)
        group, message = parse_raft(frame)
    except (Error, ValueError):
        return name, "damaged"
    count = len(getattr(message, "entries", ()))
    entries = f" entries={count}" if count else ""
    return type(message).__name__, f"group={group} {_fields(message)}{entries}"


def _fields(message: object) -> str:
    named = cast("tuple[str, ...]", getattr(message, "_fields", ()))
    names = [field.name for field in fields(message)] if is_dataclass(message) else named
    values: dict[str, Any] = {name: getattr(message, name) for name in names if name not in _HIDDEN}
    return " ".join(f"{name}={_short(value)}" for name, value in values.items())


def _short(value: object) -> str:
    text = value[:8].hex() if isinstance(value, bytes) else repr(value)
    return text if len(text) <= BODY_MAX // 4 else text[: BODY_MAX // 4 - 1] + "…"
