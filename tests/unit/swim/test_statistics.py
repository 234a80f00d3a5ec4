"""Every counter is in the picture."""

from dataclasses import fields

from haqactor.swim.statistics import Counts, SwimStatistics


def test_every_counter_is_in_the_picture() -> None:
    counts = Counts()
    for number, name in enumerate(Counts.__slots__, 1):
        setattr(counts, name, number)
    picture = counts.statistics(health=70, members=80)
    shown = {field.name: getattr(picture, field.name) for field in fields(SwimStatistics)}
    expected = {name: number for number, name in enumerate(Counts.__slots__, 1)}
    assert shown == {**expected, "health": 70, "members": 80}
