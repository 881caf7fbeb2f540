"""The power fails: what was acknowledged before is there, from what had been synced alone.

The page cache outlives a killed process, so ``kill -9`` cannot see a sync that is missing. Here what a store writes and
syncs is recorded (``shim``), the files are made anew as a disk may have them after a cut at some moment (``disk``), and
the store opens them. That this would find a missing sync is shown by leaving it out.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from hansard.core.paging import ListQuery
from hansard.errors import HansardError, StartupError
from hansard.store import maintenance
from hansard.store.base import Record
from hansard.store.sql import SqlStore
from hansard.store.sqlite import Sqlite
from tests.durability import shim
from tests.durability.counts import CUTS, SEED
from tests.durability.disk import Disk
from tests.durability.histories import PROJECT, History, history
from tests.durability.shim import BROKEN, Control, Kind, Operation

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60 + CUTS)]

ROOT = Path(__file__).parents[2]

# So that the log of a short run is folded into the file, and begun anew, many times.
OFTEN = "wal_autocheckpoint = 40"

DELAY_US = 300

# How many completions each start of the store takes through their histories.
STARTS = (40, 60, 40)


class Recorded(NamedTuple):
    """What became of a database's directory, and where its main file was."""

    log: Path
    file: Path


class Findings:
    """What was wrong after a cut, and how much was looked at."""

    def __init__(self) -> None:
        self.cuts = self.acknowledged = self.found = 0
        self.lost: list[str] = []
        self.unsound: list[str] = []

    def __str__(self) -> str:
        return (
            f"cuts={self.cuts} acknowledged={self.acknowledged} found={self.found} "
            f"lost={len(self.lost)} unsound={len(self.unsound)}"
        )


@pytest.fixture(scope="module")
def shared_object(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shim.needed(shim.compiled(tmp_path_factory.mktemp("shim")))


@pytest.fixture
def control(tmp_path: Path) -> Control:
    """Of a disk that takes its time: who does not wait for it is ahead of it."""
    control = Control(tmp_path / "control")
    control.slow_down(DELAY_US)
    return control


def recorded(shared_object: Path, control: Control, *pragmas: str) -> Recorded:
    """Start a store, use it and stop it, three times."""
    directory = control.file.parent
    log, data = directory / "log", directory / "data"
    log.touch()
    data.mkdir()
    file = data / "hansard.sqlite3"
    environment = {
        **os.environ,
        **shim.environment(shared_object, data, control=control, log=log),
        "PYTHONPATH": str(ROOT),
    }
    first = 0
    for count in STARTS:
        command = [sys.executable, "-m", "tests.durability.storing", str(file), str(log)]
        numbers = (str(first), str(first + count))
        done = subprocess.run(
            [*command, *numbers, *pragmas], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        first += count
    return Recorded(log, file)


async def cut(record: Recorded, directory: Path, *, count: int) -> Findings:
    """Cut the power at so many moments of the record, and look at what a store then finds."""
    print(f"HANSARD_DURABILITY_SEED={SEED}")
    chance = random.Random(SEED)
    log = list(shim.entries(record.log))
    # Half of them right after an acknowledgement, where one that comes too early is caught.
    marks = [number for number, entry in enumerate(log) if entry.kind is Kind.MARKED]
    moments = {*chance.choices(marks, k=count // 2), *chance.choices(range(len(log)), k=count - count // 2)}
    disk, findings = Disk(record.file.parent, chance), Findings()
    acknowledged: dict[str, int] = {}
    for number, entry in enumerate(log):
        disk.feed(entry)
        if entry.kind is Kind.MARKED:
            name, step = entry.content.decode().split()
            acknowledged[name] = int(step)
        if number in moments:
            place = directory / f"cut-{number}"
            for path, content in disk.after_cut().items():
                made = place / Path(path).relative_to(record.file.parent)
                made.parent.mkdir(parents=True, exist_ok=True)
                made.write_bytes(content)
            await look(place / record.file.name, acknowledged, findings, where=f"entry {number}")
            shutil.rmtree(place, ignore_errors=True)  # some megabytes, hundreds of times
    assert disk.syncs > 0, "the shim saw no sync"
    return findings


async def look(path: Path, acknowledged: dict[str, int], findings: Findings, *, where: str) -> None:
    """Open what the cut left, as a server would."""
    findings.cuts += 1
    findings.acknowledged += len(acknowledged)
    store = SqlStore(Sqlite(path))
    try:
        await store.start()
    except StartupError as error:
        findings.unsound.append(f"{where}: {error}")
        return
    try:
        found = await everything(store)
        findings.found += len(found)
        findings.lost += [f"{where}: {what}" for what in await wrong(store, found, acknowledged)]
    except HansardError as error:  # what a damaged file holds is anybody's guess
        findings.unsound.append(f"{where}: {error}")
    finally:
        await store.stop()
    report = maintenance.examine(path, tell=lambda *_: None)
    findings.unsound += [f"{where}: {finding}" for finding in report.findings]


async def everything(store: SqlStore) -> dict[str, Record]:
    """All that is listed, by name; each once."""
    found: dict[str, Record] = {}
    cursor = None
    while page := await store.page(PROJECT, ListQuery(), after=cursor, limit=100, whole=True):
        for each in page:
            assert each.metadata["name"] not in found, f"{each.id} is listed twice"
            found[each.metadata["name"]] = each
        cursor = await store.locate(PROJECT, page[-1].id)
    return found


async def wrong(store: SqlStore, found: dict[str, Record], acknowledged: dict[str, int]) -> list[str]:
    """What is not as its history says: the state of the last acknowledged step, or of the one after it."""
    return [
        f"{name} after step {acknowledged.get(name, 0)}"
        for name in {*found, *acknowledged}
        if not await is_as_told(store, history(name), found.get(name), acknowledged.get(name, 0))
    ]


async def is_as_told(store: SqlStore, told: History, found: Record | None, steps: int) -> bool:
    if found not in told.states[steps : steps + 2]:
        return False
    if found is None or told.outcome is None:
        return True
    return await store.recall(PROJECT, told.outcome.key, now=told.outcome.created) == told.outcome


async def test_nothing_acknowledged_is_lost_with_the_power(
    shared_object: Path, control: Control, tmp_path: Path
) -> None:
    findings = await cut(recorded(shared_object, control, OFTEN), tmp_path, count=CUTS)
    print(f"power loss: {findings}")
    assert not findings.lost, findings.lost
    assert not findings.unsound, findings.unsound
    assert findings.acknowledged > 0


@pytest.mark.parametrize("in_a_row", [1, 3])
async def test_nothing_acknowledged_is_lost_with_the_power_after_syncs_that_failed(
    shared_object: Path, control: Control, tmp_path: Path, in_a_row: int
) -> None:
    """A sync that fails takes what it was to write with it, and the next one does not bring that back."""
    control.fail(BROKEN, Operation.SYNC, spared=20, every=12 + in_a_row, in_a_row=in_a_row)
    findings = await cut(recorded(shared_object, control, OFTEN), tmp_path, count=CUTS)
    print(f"power loss after failed syncs: {findings}")
    assert control.failed > 0
    assert not findings.lost, findings.lost
    assert not findings.unsound, findings.unsound


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
async def test_a_commit_that_does_not_wait_for_the_disk_is_found_out(
    shared_object: Path, control: Control, tmp_path: Path, synchronous: str
) -> None:
    """That the test above can fail: the same, with what it is there to find."""
    written = recorded(shared_object, control, OFTEN, f"synchronous = {synchronous}")
    findings = await cut(written, tmp_path, count=40)
    print(f"power loss with synchronous = {synchronous}: {findings}")
    assert findings.lost or findings.unsound
