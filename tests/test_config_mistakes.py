"""config/: all mistakes of a TOML file are told in one go, what cannot be read and what contradicts the rest alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hansard.config import resolve
from hansard.errors import StartupError


def told(directory: Path, text: str) -> list[tuple[int, str]]:
    """The line and the text of every mistake in this file, by line."""
    (directory / "hansard.toml").write_text(text)
    with pytest.raises(StartupError) as raised:
        resolve({}, {}, config_dir=directory, data_dir=directory)
    found = [re.fullmatch(r".*?\(line (\d+)\).*?: (.*)", problem) for problem in raised.value.problems]
    return sorted((int(match[1]), match[2]) for match in found if match is not None)


UNSET = "the variable NOT_SET is not set; put the upstream's key in it."


def test_names_are_compared_although_something_else_is_wrong(tmp_path: Path) -> None:
    text = """[[upstreams]]
name = "a"
base_url = "http://x/v1"
[[upstreams]]
name = "a"
base_url = "http://y/v1"
headers = { "X" = { env = "NOT_SET" } }
[[models]]
name = "chat"
targets = [ { upstream = "zz", model = "m" } , { model = "nolocal", weight = 0 } ]
[[models]]
name = "chat"
path = "echo"
targets = [ { upstream = "a", model = "m" } ]
[aliases]
one = 1
two = "two"
"""
    assert told(tmp_path, text) == [
        (4, "two upstreams are called a; name them apart with --upstream NAME=URL."),
        (7, UNSET),
        (10, "0 is not a number above 0."),
        (10, "no model here is called nolocal; name its upstream, or add it under [[models]]."),
        (10, "no upstream is called zz; these are there: a."),
        (11, "two models are called chat; name them apart with --model NAME=FILE."),
        (13, "has no place beside targets; a model is a file or a name for others."),
        (16, "1 is not a text."),
        (17, "two stands for itself; name another model, or leave it out."),
    ]


def test_every_header_and_the_second_authorization_are_told(tmp_path: Path) -> None:
    text = """[[upstreams]]
base_url = "http://x/v1"
headers = { "A" = 1, "b c" = "x", authorization = { env = "NOT_SET" } }
key_env = "NOT_SET"
"""
    assert told(tmp_path, text) == [
        (3, """'b c' is not the name of a header."""),
        (3, """1 is not the value of a header; write a text or { env = "VARIABLE" }."""),
        (3, "both set Authorization; keep one."),
        (3, UNSET),
        (4, UNSET),
    ]


@pytest.mark.parametrize(
    ("upstream", "target", "mistakes"),
    [
        # The name that cannot be read may be the one that is meant.
        ("name = 1", 'upstream = "a", model = "m"', ["1 is not a text."]),
        ('name = "a"', 'upstream = 1, model = "m"', ["1 is not a text."]),
        ('name = "a"', 'upstream = "b"', ["missing.", "no upstream is called b; these are there: a, y, z."]),
        # A key that cannot be read is a key all the same, a pause is not the usual one.
        ('name = "a"\nkey_env = "NOT_SET"', 'upstream = "a", model = "m"', [UNSET]),
        (
            'name = "a"\nretry_pause_s = "x"\nretry_longest_pause_s = 0',
            'upstream = "a", model = "m"',
            ["'x' is not a number of seconds, 0 or more."],
        ),
    ],
)
def test_what_could_not_be_read_is_told_once(tmp_path: Path, upstream: str, target: str, mistakes: list[str]) -> None:
    (tmp_path / "KEY").write_text("sk-x")
    text = f"""upstream_key_file = "KEY"
[[upstreams]]
base_url = "http://x/v1"
{upstream}
[[upstreams]]
base_url = "http://y/v1"
key = "client"
[[upstreams]]
base_url = "http://z/v1"
{'key = "client"' if "key_env" not in upstream else ""}
[[models]]
name = "chat"
targets = [ {{ {target} }} ]
"""
    assert [text for _, text in told(tmp_path, text)] == mistakes


def test_every_row_of_a_list_has_its_own_line(tmp_path: Path) -> None:
    text = """[[upstreams]]
name = "a"  # a row may hold commas and brackets: [{,
base_url = "http://x/v1"
unsupported = [
  "n",
  "nn",
]
[[models]]
name = "chat"
targets = [ { upstream = "a", model = "}],#" },  # ] {
  # nothing, { here
  { upstream = "zz", model = 'm"' }, { upstream = "a", model = "m", weight = 0 },

  { upstream = "a", model = 3 },
  { model = "none" } ]
"""
    assert told(tmp_path, text) == [
        (6, "nn is no field of a request that can be left out; did you mean n?"),
        (12, "0 is not a number above 0."),
        (12, "no upstream is called zz; these are there: a."),
        (14, "3 is not a text."),
        (15, "no model here is called none; name its upstream, or add it under [[models]]."),
    ]
