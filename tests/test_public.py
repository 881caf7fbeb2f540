"""hansard/__init__.py: what others may build on."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hansard


def test_the_public_surface() -> None:
    assert hansard.__all__ == ["Engine", "Settings", "__version__", "create_app", "errors"]


@pytest.mark.parametrize(
    ("name", "home"),
    [("Engine", "hansard.engines.base"), ("Settings", "hansard.config.settings"), ("create_app", "hansard.app")],
)
def test_each_name_is_the_one_that_lives_in_its_room(name: str, home: str) -> None:
    assert getattr(hansard, name).__module__ == home


def test_errors_are_the_tree() -> None:
    assert hansard.errors.HansardError.status == 500


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match=r"module 'hansard' has no attribute 'nothing'"):
        hansard.nothing  # noqa: B018 (asking is the act)


def test_importing_it_imports_nothing_else_of_ours() -> None:
    program = "import sys, hansard; sys.exit(any(name.startswith('hansard.') for name in sys.modules))"

    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
