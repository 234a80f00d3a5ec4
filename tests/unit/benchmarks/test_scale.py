"""The bodies of ten million messages are made when they are needed, and told apart when they arrive."""

from benchmarks.scale import Bodies


def test_bodies_by_number() -> None:
    bodies = Bodies()
    batch = bodies.batch(12_345_600)
    assert len(batch) == len(set(batch)) == 100
    assert {len(body) for body in batch} == {100}
    assert batch[7] == Bodies().body(12_345_607)
    assert int.from_bytes(batch[7][:8], "big") == 12_345_607
