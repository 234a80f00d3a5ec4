"""Names survive a power loss only once their directory was synced. One rule: until then, any outcome."""

from haqactor.sim.disk import Medium, Survival
from haqactor.sim.keyed import keyed

DATA = b"data" * 256


def medium() -> Medium:
    made = Medium(1, "n1")
    made.tree.make_folder("/d")
    return made


def put(disk: Medium, path: str, data: bytes, *, synced: bool = True) -> None:
    """A file whose name is not durable yet; its bytes are if ``synced``."""
    inode = disk.tree.create(path)
    disk.write(inode, path, 0, data)
    if synced:
        disk.sync(inode, path, inode.last)


def sync_names(disk: Medium, path: str = "/d") -> None:
    disk.tree.sync_folder(path, disk.tree.names.last)


def listing(disk: Medium) -> dict[str, bytes]:
    return {path: disk.content(path) for path in disk.paths()}


def test_a_name_needs_its_directory_synced_though_its_bytes_are_durable() -> None:
    disk = medium()
    put(disk, "/d/a", DATA)
    assert not disk.durable("/d/a", 0, 4)
    disk.crash(survival=Survival.NOTHING)
    assert listing(disk) == {}
    put(disk, "/d/a", DATA)
    sync_names(disk)
    assert disk.durable("/d/a", 0, len(DATA))
    disk.crash(survival=Survival.NOTHING)
    assert listing(disk) == {"/d/a": DATA}


def test_another_directory_does_not_help() -> None:
    disk = medium()
    disk.tree.make_folder("/e")
    put(disk, "/d/a", DATA)
    sync_names(disk, "/e")
    disk.crash(survival=Survival.NOTHING)
    assert listing(disk) == {}
    assert disk.tree.listing("/") == ["d", "e"]


def outcomes(synced: bool) -> list[tuple[tuple[str, bytes], ...]]:
    """After the usual dance of a safe replacement, without its last step."""
    found: dict[tuple[tuple[str, bytes], ...], None] = {}
    for seed in range(600):
        disk = medium()
        put(disk, "/d/a", b"old")
        sync_names(disk)
        put(disk, "/d/a.tmp", b"new", synced=synced)
        disk.tree.rename("/d/a.tmp", "/d/a")
        disk.crash(keyed(seed))
        found[tuple(listing(disk).items())] = None
    return sorted(found)


def test_a_rename_is_old_or_new_and_never_nothing() -> None:
    old, new = ("/d/a", b"old"), ("/d/a", b"new")
    assert outcomes(synced=True) == sorted([(old,), (new,), (old, ("/d/a.tmp", b"new"))])


def test_a_rename_may_survive_without_its_data() -> None:
    """The classic: the new name, and nothing in it."""
    found = outcomes(synced=False)
    assert (("/d/a", b""),) in found
    assert (("/d/a", b"\0\0\0"),) in found
    assert (("/d/a", b"new"),) in found
    assert (("/d/a", b"old"),) in found


def test_an_unlink_comes_back_until_it_is_synced() -> None:
    found: dict[tuple[str, ...], None] = {}
    for seed in range(40):
        disk = medium()
        put(disk, "/d/a", DATA)
        sync_names(disk)
        disk.tree.unlink("/d/a")
        assert not disk.durable("/d/a", 0, 1)
        disk.crash(keyed(seed))
        found[tuple(disk.paths())] = None
    assert sorted(found) == [(), ("/d/a",)]
    disk = medium()
    put(disk, "/d/a", DATA)
    sync_names(disk)
    disk.tree.unlink("/d/a")
    sync_names(disk)
    disk.crash(survival=Survival.NOTHING)
    assert disk.paths() == []


def test_names_may_survive_in_any_order() -> None:
    found: dict[tuple[str, ...], None] = {}
    for seed in range(200):
        disk = medium()
        for name in ("a", "b", "c"):
            put(disk, f"/d/{name}", DATA)
        disk.crash(keyed(seed))
        found[tuple(disk.paths())] = None
    assert len(found) == 8


def test_a_lost_file_is_missed_and_healed() -> None:
    disk = medium()
    put(disk, "/d/a", DATA)
    sync_names(disk)
    disk.lose("/d/a")
    assert disk.paths() == []
    assert disk.damage() == {"/d/a": [-1]}
    assert disk.written("/d/a") == DATA
    disk.crash()
    assert disk.damage() == {"/d/a": [-1]}
    disk.heal()
    assert listing(disk) == {"/d/a": DATA}
    assert disk.damage() == {}


def test_a_crash_is_the_same_for_the_same_seed() -> None:
    def run(seed: int) -> list[dict[str, bytes]]:
        disk = Medium(seed, "n1")
        disk.tree.make_folder("/d")
        seen: list[dict[str, bytes]] = []
        for turn in range(6):
            for name in ("a", "b", "c"):
                path = f"/d/{name}{turn}"
                put(disk, path, DATA * 3, synced=False)
            disk.crash()
            seen.append(listing(disk))
        return seen

    assert run(1) == run(1)
    assert run(1) != run(2)
