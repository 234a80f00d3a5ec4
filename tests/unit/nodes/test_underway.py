"""What was admitted counts until it is answered, once for each sending."""

from haqactor.nodes.line import Size
from haqactor.nodes.underway import NOTHING, Claim, UnderWay

A, B = (name.ljust(16) for name in (b"a", b"b"))


def test_what_began_counts_until_it_ends() -> None:
    under_way = UnderWay()
    one, two = Claim((A, 1), 1), Claim((B, 2), 1)
    under_way.begin(one, Size(2, 50))
    under_way.begin(two, Size(3, 70))
    assert (under_way.of(1), under_way.of(2), under_way.total) == (Size(2, 50), Size(3, 70), Size(5, 120))
    assert one in under_way
    assert Claim((A, 1), 2) not in under_way
    assert Claim((A, 2), 1) not in under_way
    under_way.end(one, Size(2, 50))
    assert one not in under_way
    assert (under_way.of(1), under_way.total) == (NOTHING, Size(3, 70))


def test_a_claim_that_was_sent_twice_is_under_way_until_both_are_answered() -> None:
    under_way = UnderWay()
    claim = Claim((A, 1), 1)
    for _ in range(2):
        under_way.begin(claim, Size(1, 10))
    under_way.end(claim, Size(1, 10))
    assert claim in under_way
    assert under_way.of(1) == Size(1, 10)
    under_way.end(claim, Size(1, 10))
    assert claim not in under_way
    assert under_way.total == NOTHING
