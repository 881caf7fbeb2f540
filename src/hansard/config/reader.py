"""Where values come from: flags, variables and a TOML file, as layers asked in turn.

The reader knows no setting by name. It takes each from the first layer that has it, remembers
where that was, and gathers what is wrong instead of stopping at it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from hansard.config.lines import Spot
from hansard.errors import StartupError

DEFAULT = "default"
NO_PLACE_FOR_A_KEY = "a key does not belong in this file; put it in a file of its own and name that"

T = TypeVar("T")
D = TypeVar("D")


class Secret(str):
    """A key, as a plain string that does not show itself when looked at."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(...)"


class Given(NamedTuple):
    """A value somebody gave: where, as they spell it, and what its relative paths start from."""

    value: object
    where: str
    base: Path
    spot: Spot = Spot()

    @property
    def place(self) -> str:
        """Where, with the line in a file."""
        return f"{self.where}{self.spot}"


class Layer(NamedTuple):
    """One source of values by setting. ``plain_secrets``: whether a key itself may stand here."""

    values: Mapping[str, object]
    spell: Callable[[str], str]
    base: Path
    plain_secrets: bool = False
    spot: Spot = Spot()

    def given(self, name: str) -> Given:
        return Given(self.values[name], self.spell(name), self.base, self.spot.under(name))

    def place(self, name: str) -> str:
        """Where the name is or would be, with the line in a file."""
        return f"{self.spell(name)}{self.spot.under(name)}"


class SettingError(ValueError):
    """What is wrong with a value and what to do; the reader says where."""


class Flawed(StartupError):
    """Something with mistakes, and as much of it as could be read: what contradicts the rest is told with them."""

    def __init__(self, readable: Any, *problems: str) -> None:
        super().__init__(*problems)
        self.readable = readable


class Reader:
    """Takes settings one by one. ``failed`` names those with a problem, ``origins`` says where each was found."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = list(layers)
        self.problems: list[str] = []
        self.failed: set[str] = set()
        self.origins: dict[str, str] = {}
        self._known: set[str] = set()

    def take(self, name: str, parse: Callable[[Given], T], default: D) -> T | D:
        """The value, or the default where nobody gave one or what they gave is refused; of a flawed one what it has."""
        self._known.add(name)
        self.origins[name] = DEFAULT
        given = next((layer.given(name) for layer in self.layers if name in layer.values), None)
        if given is None:
            return default
        self.origins[name] = given.where
        try:
            return parse(given)
        except Flawed as wrong:
            self._refuse(name, *wrong.problems)
            readable: T = wrong.readable
            return readable
        except SettingError as wrong:
            self._refuse(name, f"{given.place}: {wrong}")
        return default

    def require(self, name: str, parse: Callable[[Given], T], otherwise: T) -> T:
        """As ``take``, and its absence is a problem."""
        if name not in self._known and all(name not in layer.values for layer in self.layers):
            self._refuse(name, f"{self.layers[-1].place(name)}: missing.")
        return self.take(name, parse, otherwise)

    def take_each(self, name: str, parse: Callable[[Given], T]) -> tuple[T, ...]:
        """A list: of flags, of comma-separated words in a variable, or of TOML values."""
        return self.take(name, lambda given: each(given, parse), ())

    def take_secret(self, name: str) -> Secret | None:
        """A key from ``name`` where a layer may hold it plainly, or from the file that ``name_file`` names."""
        file = f"{name}_file"
        self._known |= {name, file}
        self.origins[name] = DEFAULT
        for layer in self.layers:
            plain, named = name in layer.values, file in layer.values
            if plain and not layer.plain_secrets:
                self._refuse(name, f"{layer.place(name)}: {NO_PLACE_FOR_A_KEY}: {file}.")
                return None
            if plain and named:
                self._refuse(name, f"{layer.spell(name)} and {layer.spell(file)}: both are set; keep one.")
                return None
            if plain or named:
                return self._secret(name, layer.given(name if plain else file), from_file=named)
        return None

    def take_at_most_one(self, *names: str) -> None:
        """Complain if more than one of these was given in the same place."""
        for layer in self.layers:
            if sum(name in layer.values for name in names) > 1:
                self.contradict(*names, why="only one of them can hold; keep one.")

    def contradict(self, *names: str, why: str) -> None:
        """Complain of those of these that were given: each is fine, and together they are not."""
        given = [layer.place(name) for layer in self.layers for name in names if name in layer.values]
        self.problems.append(f"{' and '.join(given)}: {why}")

    def place(self, name: str, *path: str | int) -> str:
        """Where a setting was found, or what ``path`` leads to in it, with the line in a file; numbers count from 1."""
        layer = next((one for one in self.layers if name in one.values or f"{name}_file" in one.values), None)
        if layer is None:
            return DEFAULT
        name = name if name in layer.values else f"{name}_file"
        where, spot, value = layer.spell(name), layer.spot.under(name), layer.values[name]
        for part in path:
            if isinstance(part, int) and isinstance(value, list) and isinstance(value[part - 1], Mapping):
                where, value = f"{where}, number {part}", value[part - 1]
            elif isinstance(part, str) and isinstance(value, Mapping) and part in value:
                where, value = f"{part} of {where}", value[part]
            else:  # a word of a list has no place of its own
                break
            spot = spot.under(part)
        return f"{where}{spot}"

    def reject_unknown(self) -> None:
        """Complain about what no setting was taken for, and guess what was meant."""
        for layer in self.layers:
            for name in layer.values:
                if name not in self._known:
                    self.problems.append(f"{layer.place(name)}: unknown{_guess(name, self._known, spell=layer.spell)}")

    def is_given(self, *names: str) -> bool:
        """Whether somebody gave one of these, be it right or wrong."""
        return any(self.origins[name] != DEFAULT for name in names)

    def finish(self, made: T) -> T:
        """What was made of the values, or ``Flawed`` with it where something is wrong, unknown names included."""
        self.reject_unknown()
        if self.problems:
            raise Flawed(made, *self.problems)
        return made

    def _secret(self, name: str, given: Given, *, from_file: bool) -> Secret | None:
        self.origins[name] = given.where
        try:
            return read_secret(given) if from_file else check_secret(str(given.value))
        except SettingError as wrong:
            self._refuse(name, f"{given.place}: {wrong}")
            return None

    def _refuse(self, name: str, *lines: str) -> None:
        self.failed.add(name)
        self.problems.extend(lines)


def read_secret(given: Given) -> Secret:
    """The key in the file that a setting names; white space around it does not count."""
    path = absolute(given)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingError(f"cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is not a text file; put the key in it, alone.") from error
    return check_secret(text.strip())


def check_secret(text: str) -> Secret:
    """The key itself: it travels in a header, so only visible ASCII can be part of it."""
    if not re.fullmatch(r"[!-~]+", text):
        raise SettingError("a key is one word of visible ASCII characters; this is empty or has others.")
    return Secret(text)


def absolute(given: Given) -> Path:
    """The path it names, seen from where it was written."""
    if not isinstance(given.value, str | Path) or not str(given.value).strip():
        raise SettingError(f"{given.value!r} is not a path.")
    return given.base / Path(given.value).expanduser()


def each(given: Given, parse: Callable[[Given], T]) -> tuple[T, ...]:
    """Every item of a list, parsed; what is wrong with any is raised together, with all that could be read."""
    parsed: list[T] = []
    lines: list[str] = []
    for item in _items(given):
        try:
            parsed.append(parse(item))
        except Flawed as wrong:
            parsed.append(wrong.readable)
            lines.extend(wrong.problems)
        except SettingError as wrong:
            lines.append(f"{item.place}: {wrong}")
    if lines:
        raise Flawed(tuple(parsed), *lines)
    return tuple(parsed)


def each_named(given: Given, parse: Callable[[str, Given], T]) -> dict[str, T]:
    """Every value of a table that is one setting, parsed; what is wrong with any is raised as by ``each``."""
    assert isinstance(given.value, Mapping)
    parsed: dict[str, T] = {}
    lines: list[str] = []
    for name, value in given.value.items():
        item = given._replace(value=value, spot=given.spot.under(name))
        try:
            parsed[name] = parse(name, item)
        except SettingError as wrong:
            lines.append(f"{item.place}: {wrong}")
    if lines:
        raise Flawed(parsed, *lines)
    return parsed


def table_of(given: Given) -> Reader:
    """A reader of one TOML table, which says where each of its keys is."""
    assert isinstance(given.value, Mapping)
    return Reader(Layer(given.value, lambda key: f"{key} of {given.where}", given.base, spot=given.spot))


def named(word: str, *, name: str) -> tuple[str, str]:
    """``NAME=VALUE`` in two; without a name, "" and the whole."""
    match = re.fullmatch(rf"({name})=(.+)", word)
    return (match[1].strip(), match[2].strip()) if match else ("", word)


def _items(given: Given) -> Iterator[Given]:
    if isinstance(given.value, str):
        words = [word.strip() for word in given.value.split(",")]
        yield from (given._replace(value=word) for word in words if word)
    elif isinstance(given.value, list | tuple):
        for number, value in enumerate(given.value, 1):
            where = given.where if isinstance(value, str) else f"{given.where}, number {number}"
            yield given._replace(value=value, where=where, spot=given.spot.under(number))
    else:
        yield given


def _guess(name: str, known: set[str], *, spell: Callable[[str], str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {spell(close[0])}?" if close else "."
