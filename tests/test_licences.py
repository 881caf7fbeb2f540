"""requirements/licences.py: what may be installed, by its licence; and what the bill of materials can be made of."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
SPEC = spec_from_file_location("licences", REQUIREMENTS / "licences.py")
assert SPEC is not None
assert SPEC.loader is not None
licences = module_from_spec(SPEC)
SPEC.loader.exec_module(licences)


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("MIT AND PSF-2.0", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only OR MIT", True),
        ("AGPL-3.0-only", False),
        ("GPL-3.0-only AND MIT", False),
        ("GPL-3.0-only AND (Zlib OR MIT)", False),
        ("(Zlib OR MIT) AND ISC", True),
        ("", False),
        ("Other/Proprietary License", False),
    ],
)
def test_what_is_allowed(expression: str, allowed: bool) -> None:
    assert licences.is_allowed(expression) is allowed


def test_every_package_of_an_install_is_allowed() -> None:
    assert [*licences.refused(REQUIREMENTS / "container.txt")] == []


def test_one_that_is_not_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("rich==1.0 \\\n    --hash=sha256:0\nno-such-package==1\n", encoding="utf-8")
    monkeypatch.setattr(licences, "ALLOWED", frozenset({"ISC"}))

    assert [*licences.refused(lock)] == ["rich: MIT is not on the list in licences.py."]


@pytest.mark.parametrize(("line", "status"), [("", 1), ("License-Expression: MIT\n", 0)])
def test_the_command_fails_for_a_package_that_does_not_say(line: str, status: int, tmp_path: Path) -> None:
    installed = tmp_path / "mute-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.4\nName: mute\nVersion: 1\n{line}", encoding="utf-8")
    lock = tmp_path / "lock.txt"
    lock.write_text("mute==1\n", encoding="utf-8")

    ran = subprocess.run(
        [sys.executable, str(REQUIREMENTS / "licences.py"), str(lock)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(tmp_path)},
    )

    assert ran.returncode == status
    assert ("mute: no licence is not on the list" in ran.stderr) is bool(status)
