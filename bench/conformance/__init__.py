"""Runs the conformance suite on Hansard and on the peers that can be run here, and writes docs/conformance.md."""
