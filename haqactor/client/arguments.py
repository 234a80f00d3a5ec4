"""What callers may pass, checked before anything is sent.

One rule: a wrong type is InvalidArgument that names the argument and what it should be; too much is TooLarge
with the limit.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from haqactor import codec
from haqactor.batch import Content
from haqactor.errors import InvalidArgument, TooLarge

KEY_BYTES_MAX: Final = 1024
HEADERS_BYTES_MAX: Final = 64 * 1024
REASON_CHARACTERS_MAX: Final = 1024
SECONDS_MAX: Final = 365 * 86_400
HeaderValue = str | int | float | bool | bytes
_NS: Final = 1_000_000_000


def content_of(
    body: bytes,
    key: str | None,
    headers: Mapping[str, HeaderValue] | None,
    message_id: str | None,
    body_bytes_max: int,
) -> Content:
    """One message, ready to be packed."""
    if type(body) is not bytes:
        hint = "; encode it first" if isinstance(body, str) else ""
        raise InvalidArgument(f"a message's body is bytes, not {type(body).__name__}{hint}")
    if len(body) > body_bytes_max:
        raise TooLarge(
            f"a message of {len(body)} bytes is over the limit of {body_bytes_max}", limit=body_bytes_max
        )
    if key is None and headers is None and message_id is None:
        return Content(body)
    for name, value in (("key", key), ("message_id", message_id)):
        if value is None:
            continue
        raw: object = value
        if not isinstance(raw, str):
            raise InvalidArgument(f"{name} is a str, not {type(value).__name__}")
        if _encoded(name, value) > KEY_BYTES_MAX:
            raise TooLarge(f"{name} is longer than {KEY_BYTES_MAX} bytes", limit=KEY_BYTES_MAX)
    return Content(body, (key, None if headers is None else _headers(headers), message_id))


def _encoded(name: str, value: str) -> int:
    try:
        return len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{name} is no valid text: {error}") from error


def _headers(headers: object) -> dict[str, Any]:
    if not isinstance(headers, Mapping):
        raise InvalidArgument(f"headers are a mapping, not {type(headers).__name__}")
    given = cast("Mapping[object, object]", headers)
    found: dict[str, Any] = {}
    for name, value in given.items():
        if not isinstance(name, str):
            raise InvalidArgument(f"a header's name is a str, not {name!r}")
        if not isinstance(value, str | int | float | bool | bytes):
            raise InvalidArgument(
                f"header {name!r} is a str, int, float, bool or bytes, not {type(value).__name__}"
            )
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
            raise InvalidArgument(f"header {name!r} is {value}, which needs more than 64 bits")
        found[name] = value
    try:
        size = len(codec.dumps(found))
    except (UnicodeEncodeError, ValueError) as error:
        raise InvalidArgument(f"headers hold text that is not valid: {error}") from error
    if size > HEADERS_BYTES_MAX:
        raise TooLarge(
            f"headers of {size} bytes are over the limit of {HEADERS_BYTES_MAX}", limit=HEADERS_BYTES_MAX
        )
    return found


def whole(name: str, value: object, low: int, high: int) -> int:
    """An int in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidArgument(f"{name} is {value!r}, but must be a whole number from {low} to {high}")
    return value


def span_ns(name: str, value: object, *, low: float = 0.0) -> int:
    """Seconds, as nanoseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= SECONDS_MAX:
        raise InvalidArgument(f"{name} is {value!r}, but must be seconds between {low:g} and {SECONDS_MAX}")
    return round(value * _NS)


def text(name: str, value: object) -> str:
    """A reason; cut at 1,024 characters."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} is a str, not {type(value).__name__}")
    return value[:REASON_CHARACTERS_MAX].encode(errors="replace").decode()
