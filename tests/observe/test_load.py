"""observe/load.py: who waits and who runs now."""

from __future__ import annotations

from hansard.observe.load import Load


def test_each_waits_runs_and_is_gone() -> None:
    load = Load()

    load.waits("m")
    load.waits("m")
    load.begins("m")
    assert (load.waiting, load.running) == ({"m": 1}, {"m": 1})

    load.ends("m", had_begun=True)
    load.ends("m", had_begun=False)
    assert (load.waiting, load.running) == ({"m": 0}, {"m": 0})
