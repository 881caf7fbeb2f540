"""Real text to fill completions with: the prose and the code that is installed with this Python. Nothing is made up.

Prose is documentation: docstrings, the language reference that ``help()`` shows, READMEs, licences. Code is what the
modules hold beside their docstrings. What stands somewhere twice (licence headers, vendored copies, a method written
once more) is taken once, so that accidental repetition does not make a store look small.
"""

from __future__ import annotations

import ast
import os
import random
import re
import sysconfig
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from inspect import cleandoc
from math import log
from pathlib import Path
from typing import Final

_PROSE_FILES: Final = re.compile(r"(?i)(README|LICEN[CS]E|COPYING|NOTICE|METADATA|CHANGES|HISTORY|NEWS).*|.*\.(md|rst)")

# Tests have much code of one pattern and little prose; what is installed for the Python below a virtual environment is
# not ours; and tables of characters are neither prose nor code that anybody wrote.
_LEFT_OUT: Final = {"test", "tests", "idle_test", "site-packages", "encodings", "__pycache__"}
_GENERATED: Final = re.compile(r"unicode_?data|_mapping")

# A line of code or text shorter than this (``return None``) says nothing about where it comes from.
_TELLING: Final = 30

_MARGIN: Final = 1.3
_LEAST_TEXT: Final = 100_000

_LARGEST_FILE: Final = 2_000_000

# The spread of a length around its mean: two thirds of all lie between 0.53 and 1.45 of it.
SIGMA: Final = 0.5
_LEAST, _MOST = 0.15, 5.0


class Corpus:
    """Passages of ``prose`` and of ``code``, each given out once."""

    def __init__(self, documents: Iterable[tuple[str, str]], *, enough: int, seed: int) -> None:
        """Of ``documents``, each its kind and its text, no more is read than ``enough`` characters of either kind."""
        distinct = Distinct()
        self._chance = random.Random(seed)
        self._open: dict[str, deque[str]] = {"prose": deque(), "code": deque()}
        missing = dict.fromkeys(self._open, enough)
        for kind, text in documents:
            if missing[kind] > 0 and (kept := distinct.of(text)):
                self._open[kind].append(kept)
                missing[kind] -= len(kept)
            if max(missing.values()) <= 0:
                break

    def copy(self, *, seed: int) -> Corpus:
        """Another one that gives out the same text again; chance begins anew."""
        other = Corpus((), enough=0, seed=seed)
        other._open = {kind: texts.copy() for kind, texts in self._open.items()}
        return other

    def characters(self, kind: str) -> int:
        """How many are left."""
        return sum(map(len, self._open[kind]))

    def passage(self, kind: str, *, mean: int) -> str:
        """The next passage, of about as many characters as chance says; raises ``Exhausted`` when there is none.

        It never joins two documents: the end of one may be shorter than was asked for, but not by more than half.
        The passage after it comes from another document: neighbours have no words in common that their authors
        did not share.
        """
        length = self.length(mean)
        texts = self._open[kind]
        while texts:
            text = texts.popleft()
            if len(text) <= length:
                if 2 * len(text) >= length:
                    return text.strip("\n")
                continue  # too short an end to be a message of this length; it is left out
            # At the end of a line, or of a word, so that a passage reads as one.
            end = text.rfind("\n", length // 2, length) + 1 or text.rfind(" ", length // 2, length) + 1 or length
            texts.append(text[end:])
            return text[:end].strip("\n")
        raise Exhausted(f"there is no more {kind} installed with this Python")

    def length(self, mean: int) -> int:
        """A log-normal length with that mean."""
        drawn = self._chance.lognormvariate(log(mean) - SIGMA**2 / 2, SIGMA)
        return round(min(max(drawn, _LEAST * mean), _MOST * mean))


def corpus_of(characters: int, *, seed: int) -> Corpus:
    """As much of what is installed as passages of so many characters take, half of them prose and half code."""
    # Passages end where a line does, and what is left of a document may be too short for one.
    enough = max(_LEAST_TEXT, round(characters / 2 * _MARGIN))
    return Corpus(installed(seed=seed), enough=enough, seed=seed)


class Exhausted(Exception):
    """All text has been given out."""


class Distinct:
    """Leaves out paragraphs most of whose lines were seen before, in this text or in another."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def of(self, text: str) -> str:
        return "\n\n".join(each for each in re.split(r"\n[ \t]*\n", text) if self._is_new(each))

    def _is_new(self, paragraph: str) -> bool:
        lines = [line for line in (" ".join(line.split()) for line in paragraph.splitlines()) if line]
        telling = [line for line in lines if len(line) >= _TELLING] or [" ".join(lines)]
        marks = {blake2b(line.encode(errors="replace"), digest_size=8).digest() for line in telling}
        fresh = marks - self._seen
        self._seen |= marks
        return bool(lines) and 2 * len(fresh) > len(marks)


def installed(*, seed: int) -> Iterator[tuple[str, str]]:
    """("prose" or "code", text) of all there is: the standard library and what is installed beside it, shuffled."""
    roots = dict.fromkeys(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))
    files = [file for root in roots for file in _files(root)]
    random.Random(seed).shuffle(files)
    for file in files:
        yield from _texts(file)


def _files(root: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(root):
        # In a fixed order, so that the same seed means the same text.
        inner[:] = sorted(set(inner) - _LEFT_OUT)
        yield from (Path(folder, name) for name in sorted(names) if not _GENERATED.search(name))


def _texts(file: Path) -> Iterator[tuple[str, str]]:
    if file.parts[-2:] == ("pydoc_data", "topics.py"):
        yield from (("prose", text) for text in _topics(file))
    elif file.suffix == ".py":
        yield from _of_module(file)
    elif _PROSE_FILES.fullmatch(file.name) and (text := _read(file)):
        yield "prose", text


def _topics(file: Path) -> list[str]:
    assigned = ast.parse(file.read_text()).body[-1]
    assert isinstance(assigned, ast.Assign)
    return list(ast.literal_eval(assigned.value).values())


def _of_module(file: Path) -> Iterator[tuple[str, str]]:
    if (text := _read(file)) is None:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):  # some are wrong on purpose: the tests of the parser
        return
    lines: list[str | None] = list(text.splitlines())
    prose = []
    for node in _docstrings(tree):
        prose.append(cleandoc(node.value))
        for number in range(node.lineno - 1, min(node.end_lineno or node.lineno, len(lines))):
            lines[number] = None
    yield "prose", "\n\n".join(prose)
    yield "code", "\n".join(line for line in lines if line is not None)


class _Docstring(ast.Constant):
    value: str


def _docstrings(tree: ast.Module) -> Iterator[_Docstring]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            match node.body[0]:
                case ast.Expr(value=ast.Constant(value=str()) as found):
                    yield found  # type: ignore[misc]


def _read(file: Path) -> str | None:
    if file.stat().st_size > _LARGEST_FILE:
        return None
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
