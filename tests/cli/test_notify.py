"""cli/notify: what systemd is told, over a socket of its own."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from hansard.cli.notify import READY, STOPPING, notify


@pytest.mark.parametrize("abstract", [False, True], ids=["file", "abstract"])
def test_it_is_told(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"hansard-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}" if abstract else name)
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else name)

        notify(READY)
        notify(STOPPING)

        assert [listening.recv(100) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize("address", [None, "", "vsock:1:2"])
def test_where_nobody_wants_to_know_nobody_is_told(
    address: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even who listens at what would be that address if it were a file's name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address or "None")
        listening.setblocking(False)

        notify(READY)

        with pytest.raises(BlockingIOError):
            listening.recv(100)
