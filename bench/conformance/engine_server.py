"""The engine's own HTTP server, as its package gives it: ``python -m bench.conformance.engine_server FILE PORT``."""

from __future__ import annotations

import signal
import sys

import xllamacpp


def main() -> None:
    """Serve the model file under the name ``mock`` until told to stop; everything else is the engine's default."""
    file, port = sys.argv[1:]
    engine = xllamacpp.CommonParams()
    engine.model.path = file
    engine.model_alias = {"mock"}
    engine.port = int(port)
    engine.n_parallel = 4
    engine.n_ctx = 4 * 2048
    engine.cpuparams.n_threads = engine.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(engine)
    print(server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
