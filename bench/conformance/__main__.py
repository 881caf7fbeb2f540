"""``python -m bench.conformance [NAME ...]``: judge these servers, or all, and write docs/conformance.md.

What each run found is kept as JSON in ``.bench/conformance``; ``--page`` writes the page from there alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.conformance.page import page
from bench.conformance.subjects import SUBJECTS, UPSTREAM_MODEL, Subject, engine_server
from bench.processes import OURS, ROOT, CannotRun, Server, alive, free_port, running, unwind_at_sigterm
from bench.proxy.peers import CannotInstall, Place

FOLDER = ROOT / ".bench"
RESULTS = FOLDER / "conformance"
DOCUMENT = ROOT / "docs" / "conformance.md"
FIRST_ANSWER_S = 180.0
SUITE_S = 1800.0


def main() -> None:
    """Judge, keep what was found, write the page."""
    names = [subject.name for subject in SUBJECTS]
    parser = argparse.ArgumentParser(prog="python -m bench.conformance", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {'; '.join(names)}")
    parser.add_argument("--page", action="store_true", help="run nothing, write the page from the last results")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(names):
        parser.error(f"nobody is called {', '.join(sorted(unknown))}; there are: {'; '.join(names)}")
    unwind_at_sigterm()
    RESULTS.mkdir(parents=True, exist_ok=True)
    failed = []
    for subject in () if asked.page else SUBJECTS:
        if not asked.names or subject.name in asked.names:
            try:
                judge(subject)
            except (CannotInstall, CannotRun) as failure:
                failed.append(f"{subject.name}: {failure}")
    found = [json.loads(file.read_text()) for subject in SUBJECTS if (file := _file(subject)).exists()]
    DOCUMENT.write_text(page(found))
    print(f"written to {DOCUMENT.relative_to(ROOT)}")
    if failed:
        raise SystemExit("\n".join(["These could not be judged:", *failed]))


def judge(subject: Subject) -> None:
    """Run the suite on it, and keep the result with name and version."""
    version = subject.install(FOLDER)
    with tempfile.TemporaryDirectory() as scratch, _engine(subject, Path(scratch)) as upstream_port:
        place = Place(free_port(), upstream_port, Path(scratch), FOLDER)
        with _subject(subject, place) as server:
            _wait_for_an_answer(server, subject, place.folder / "log")
            _run_suite(server, subject, Path(scratch) / "run.json")
        document = json.loads((Path(scratch) / "run.json").read_text())
    kept = {"name": subject.name, "version": version, "how": subject.how, **document}
    _file(subject).write_text(json.dumps(kept, indent=1) + "\n")
    print(f"{subject.name} {version}: {document['totals']}", flush=True)


@contextmanager
def _engine(subject: Subject, folder: Path) -> Iterator[int]:
    """The engine's own server for those that relay to one; its port, 0 for the others."""
    if not subject.before_engine:
        yield 0
        return
    port = free_port()
    log = folder / "engine.log"
    with running("engine", engine_server(port), port=port, log=log, environment=OURS) as server:
        _wait_for(server, UPSTREAM_MODEL, None, log)
        yield port


@contextmanager
def _subject(subject: Subject, place: Place) -> Iterator[Server]:
    own = {"HOME": str(place.folder), "XDG_CONFIG_HOME": str(place.folder), **OURS, **subject.environment}
    log = place.folder / "log"
    with running(subject.name, subject.command(place), port=place.port, log=log, environment=own) as server:
        yield server


def _wait_for_an_answer(server: Server, subject: Subject, log: Path) -> None:
    _wait_for(server, subject.model, subject.key, log)


def _wait_for(server: Server, model: str, key: str | None, log: Path) -> None:
    """Until it answers a plain question; CannotRun with the end of its log if it does not."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {key or 'none'}"}
    request = urllib.request.Request(f"{server.url}/v1/chat/completions", body, headers)
    problem = ""
    while time.perf_counter() < server.started + FIRST_ANSWER_S and alive(server):
        try:
            with urllib.request.urlopen(request, timeout=60):
                return
        except urllib.error.HTTPError as error:
            problem = f"{error.code} {error.read()[:300]!r}"
        except OSError as error:
            problem = str(error)
        time.sleep(0.2)
    raise CannotRun(f"it gives no answer: {problem}\n{log.read_text(errors='replace')[-800:]}")


def _run_suite(server: Server, subject: Subject, file: Path) -> None:
    command = [sys.executable, "-m", "hansard", "conformance", "--base-url", f"{server.url}/v1"]
    command += ["--model", subject.model, "--json", str(file)]
    environ = {**os.environ, "OPENAI_API_KEY": subject.key or "none"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=SUITE_S, check=False)
    if not file.exists():
        raise CannotRun(f"the suite did not finish: {ended.stderr[-800:]}")


def _file(subject: Subject) -> Path:
    return RESULTS / f"{subject.name.lower().replace(', ', '-')}.json"


if __name__ == "__main__":
    main()
