"""Atheris on the request parser: any bytes are a request or a mistake in ours, and nothing else is ever raised."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["hansard"]):
    from hansard.core import normalize
    from hansard.core.validate import parse_create, parse_update
    from hansard.errors import HansardError


def parse(data: bytes) -> None:
    for takes_unknown, refuses_nulls in ((True, False), (False, True)):
        try:
            received = parse_create(data, takes_unknown=lambda _, so=takes_unknown: so, refuses_nulls=refuses_nulls)
        except HansardError as mistake:
            if mistake.status >= 500:
                raise
        else:
            normalize.metadata(received.request)
    try:
        parse_update(data)
    except HansardError as mistake:
        if mistake.status >= 500:
            raise


if __name__ == "__main__":
    atheris.Setup(sys.argv, parse)
    atheris.Fuzz()
