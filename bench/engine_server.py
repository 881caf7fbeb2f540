"""The engine's own HTTP server on a port, set up as Hansard sets up its child: the peer of the measurement."""

from __future__ import annotations

import argparse
import signal

import xllamacpp


def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("--ctx", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    asked = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = asked.model
    params.n_ctx = asked.ctx * asked.parallel
    params.n_parallel = asked.parallel
    params.kv_unified = False
    params.n_batch = 512
    params.cache_ram_mib = 256
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = asked.threads
    params.port = asked.port
    params.ui = False
    params.verbosity = 0
    server = xllamacpp.Server(params)
    assert server.listening_address
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
