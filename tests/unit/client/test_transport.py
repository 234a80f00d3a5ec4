"""URLs say where to begin, or are refused with a word on what they should be."""

import pytest

from haqactor.client.transport import Url, parse_url
from haqactor.errors import InvalidArgument


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("haq://127.0.0.1:7420", Url(["127.0.0.1:7420"], False)),
        ("haq://a:1,b:2,a:1/", Url(["a:1", "b:2"], False)),
        ("haq://[::1]:7420?route=proxy", Url(["[::1]:7420"], True)),
        ("haq://a:1?route=direct", Url(["a:1"], False)),
    ],
)
def test_good(url: str, parts: Url) -> None:
    assert parse_url(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "",
        "haq://",
        "a:1",
        "http://a:1",
        "haq://a",
        "haq://a:x",
        "haq://a:70000",
        "haq://a:1,",
        "haq://a:1?route=fast",
        7,
        None,
    ],
)
def test_bad(url: object) -> None:
    with pytest.raises(InvalidArgument, match=r"haq://|route"):
        parse_url(url)
