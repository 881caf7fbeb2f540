"""The engine's own process: loads one model and serves it on a private address until its parent is gone.

Run as ``python -m hansard.engines.llamacpp.child``. The first line of standard input is its
configuration; the end of standard input means that the parent has ended, however it did. One line
on standard output says "ready" or "failed". Only the standard library and the engine are imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from hansard.engines.llamacpp import gguf

DEFAULT_CONTEXT = 8192
UNKNOWN_CONTEXT = 4096
BATCH_TOKENS = 512  # also how often a prompt being read can be cancelled
PROMPT_CACHE_MIB = 256
# Beside one for each stream, which holds it to its end. The server starts more by itself, but not for what comes before
# an idle one has woken: that, and all that comes behind it, waited for the end of a stream (seen with eight at once).
SPARE_HTTP_THREADS = 4
ERRORS_ONLY = 1
LAST_WORDS_S = 0.5  # the engine's log has a thread of its own, and nobody waits for it when the process ends
FINGERPRINT_BYTES = 1024 * 1024
# In the templates of models that think aloud: "<think>", "reasoning_content", "<|channel|>".
OF_THOUGHT = ("think", "reasoning", "channel")

MISSING_LIBGOMP = (
    "The embedded engine needs the system library libgomp. Install it with `apt-get install libgomp1` "
    "(Debian, Ubuntu) or `dnf install libgomp` (Fedora, RHEL). There is no engine build for Alpine. "
    "In front of a chat server elsewhere (`hansard serve --upstream URL`) nothing needs it."
)


def main() -> NoReturn:
    """Load, say so, then wait for the end of standard input."""
    line = sys.stdin.buffer.readline()
    if not line:
        sys.exit(0)  # the parent has ended before it could say what is wanted
    configuration = json.loads(line)
    try:
        with _guarded(configuration["socket"]):
            _make_room_for(configuration["socket"])
            ready, server = _load(configuration)
    except gguf.BadModelFile as failure:
        _say({"failed": str(failure)})
        sys.exit(1)
    except ImportError as failure:
        _say({"failed": MISSING_LIBGOMP if "libgomp" in str(failure) else f"The engine cannot be loaded: {failure}."})
        sys.exit(1)
    except Exception as failure:  # noqa: BLE001 - whatever went wrong, the parent wants to hear it
        _say({"failed": None, "cause": str(failure)})
        time.sleep(LAST_WORDS_S)
        sys.exit(1)
    _say({"ready": {**ready, "address": server.listening_address}})
    while sys.stdin.buffer.read(4096):
        pass
    # Leaving the interpreter with a request in flight crashes inside the engine: skip its end.
    _remove(configuration["socket"])
    os._exit(0)


def _load(configuration: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    file = gguf.read(configuration["model_path"])
    if configuration["mmproj"]:
        gguf.read(configuration["mmproj"])
    context = configuration["ctx"] or min(file.context or UNKNOWN_CONTEXT, DEFAULT_CONTEXT)
    engine_version, server = _serve(configuration, context)
    ready = {
        "context": context,
        "control_tokens": file.control_tokens,
        "longest_token": file.longest_token,
        "vocabulary": file.vocabulary,
        "knows_developer": "developer" in file.template,
        "thinks": any(word in file.template for word in OF_THOUGHT),
        "created": int(os.path.getmtime(configuration["model_path"])),
        "fingerprint": _fingerprint(engine_version, configuration["model_path"], configuration["mmproj"]),
    }
    return ready, server


def _serve(configuration: dict[str, Any], context: int) -> tuple[str, Any]:
    import xllamacpp  # here, because a missing system library must become one clear line

    engine = xllamacpp.CommonParams()
    engine.model.path = configuration["model_path"]
    if configuration["mmproj"]:
        engine.mmproj.path = configuration["mmproj"]
    engine.n_parallel = configuration["parallel"]
    engine.n_ctx = context * configuration["parallel"]
    engine.kv_unified = False  # a seed gives the same text alone and among others
    if not configuration["flash_attention"]:
        engine.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if configuration["read_at_once_tokens"] is not None:
        engine.n_ubatch = configuration["read_at_once_tokens"]
    engine.n_batch = BATCH_TOKENS
    engine.prefill_assistant = False  # a last message of the assistant is one more turn, not the start of the next
    engine.cpuparams.n_threads = engine.cpuparams_batch.n_threads = configuration["threads"]
    if configuration["gpu_layers"] is not None:
        engine.n_gpu_layers = configuration["gpu_layers"]
    # The engine's own taste, off: what the model file says of these (general.sampling.*) goes before it.
    engine.sampling.top_k, engine.sampling.min_p = 0, 0.0
    engine.cache_ram_mib = PROMPT_CACHE_MIB
    engine.n_threads_http = configuration["parallel"] + SPARE_HTTP_THREADS
    engine.ui = False
    engine.verbosity = ERRORS_ONLY
    engine.endpoint_slots = True
    engine.api_keys = [configuration["key"]]
    if configuration["socket"]:
        engine.hostnames = [configuration["socket"]]
    else:
        engine.port = configuration["port"]
    return xllamacpp.__version__, xllamacpp.Server(engine)


def _fingerprint(engine_version: str, *paths: str | None) -> str:
    """Names the weights and the engine that runs them, from the ends of the files: whole ones can be 100 GB."""
    digest = hashlib.sha256(engine_version.encode())
    for path in filter(None, paths):
        size = os.path.getsize(path)
        digest.update(size.to_bytes(8, "big"))
        with open(path, "rb") as file:
            digest.update(file.read(FINGERPRINT_BYTES))
            file.seek(max(0, size - FINGERPRINT_BYTES))
            digest.update(file.read(FINGERPRINT_BYTES))
    return "fp_" + digest.hexdigest()[:10]


@contextlib.contextmanager
def _guarded(socket: str | None) -> Iterator[None]:
    """Loading can hold this process still for seconds: as long as it does, a second one waits for the parent's end.

    Where processes cannot fork, the parent's end is noticed after loading.
    """
    if not hasattr(os, "fork"):
        yield
        return
    loading = os.getpid()
    loaded, at_work = os.pipe()
    guard = os.fork()
    if guard == 0:
        os.close(at_work)
        _guard(loading, loaded, socket)
    os.close(loaded)
    try:
        yield
    finally:
        os.close(at_work)
        os.waitpid(guard, 0)


def _guard(loading: int, loaded: int, socket: str | None) -> NoReturn:
    """Wait for the end of standard input, or of the need to: ``loaded`` ends with the loading, however that ends."""
    os.close(1)  # whoever reads these two waits for the loading process, not for this one
    os.close(2)
    ended, _, _ = select.select([0, loaded], [], [])
    if 0 in ended:
        if os.getppid() == loading:
            os.kill(loading, signal.SIGKILL)
        os.read(loaded, 1)  # returns once it has ended, and makes nothing any more
        _remove(socket)
    os._exit(0)


def _make_room_for(socket: str | None) -> None:
    """A directory that only we can enter; what an earlier child has left there goes."""
    _remove(socket)
    if socket is not None:
        Path(socket).parent.mkdir(mode=0o700)


def _remove(socket: str | None) -> None:
    if socket is not None:
        shutil.rmtree(Path(socket).parent, ignore_errors=True)


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
