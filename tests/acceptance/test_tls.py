"""TLS by file: what is served over https, and files that cannot be used."""

from __future__ import annotations

import json
import socket
import ssl
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from .conftest import Workshop
from .server import ECHO, Server, eventually

AUTHORITY = trustme.CA()
ASKED = {"model": "echo", "messages": [{"role": "user", "content": "Order"}]}


def https(server: Server) -> str:
    """The address it announces."""
    found = eventually(lambda: server._announced(), "the address in the banner", server=server)
    assert found[1].startswith("https://127.0.0.1:")
    return found[1]


def asked(base_url: str, trust: ssl.SSLContext, method: str, path: str, document: Any = None) -> bytes:
    """The body of the reply, which is a good one."""
    address = urlsplit(base_url)
    connection = HTTPSConnection(address.hostname or "", address.port, context=trust, timeout=30)
    try:
        connection.request(method, address.path + path, None if document is None else json.dumps(document))
        reply = connection.getresponse()
        assert reply.status == 200
        return reply.read()
    finally:
        connection.close()


@pytest.mark.parametrize("apart", [True, False])
def test_a_client_that_trusts_the_authority_is_served(make_server: Workshop, tmp_path: Path, *, apart: bool) -> None:
    leaf = AUTHORITY.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    if apart:
        leaf.cert_chain_pems[0].write_to_path(certificate)
        leaf.private_key_pem.write_to_path(key)
    else:
        leaf.private_key_and_cert_chain_pem.write_to_path(certificate)
    server = make_server("--tls-cert", str(certificate), *(["--tls-key", str(key)] if apart else []), model=ECHO)
    server.spawn()
    base_url = https(server)
    trusting = ssl.create_default_context()
    AUTHORITY.configure_trust(trusting)

    made = asked(base_url, trusting, "POST", "/chat/completions", {**ASKED, "store": True})
    kept = asked(base_url, trusting, "GET", f"/chat/completions/{json.loads(made)['id']}")
    streamed = asked(base_url, trusting, "POST", "/chat/completions", {**ASKED, "stream": True})

    assert json.loads(kept)["choices"][0]["message"]["content"] == json.loads(made)["choices"][0]["message"]["content"]
    assert streamed.endswith(b"data: [DONE]\n\n")
    with pytest.raises(ssl.SSLCertVerificationError):
        asked(base_url, ssl.create_default_context(), "GET", "/models")


def test_who_does_not_begin_to_speak_tls_is_not_waited_for(make_server: Workshop, tmp_path: Path) -> None:
    certificate = tmp_path / "cert.pem"
    AUTHORITY.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    server = make_server("--tls-cert", str(certificate), "--silence-s", "0.5", model=ECHO)
    server.spawn()
    address = urlsplit(https(server))
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.settimeout(10)
        assert connection.recv(100) == b""


def test_files_that_cannot_be_used_are_told_before_anything_starts(make_server: Workshop, tmp_path: Path) -> None:
    certificate, other = tmp_path / "cert.pem", tmp_path / "other.pem"
    AUTHORITY.issue_cert("127.0.0.1").cert_chain_pems[0].write_to_path(certificate)
    AUTHORITY.issue_cert("127.0.0.1").private_key_pem.write_to_path(other)

    for arguments, said in [
        (("--tls-cert", str(certificate), "--tls-key", str(other)), "cannot be used for TLS"),
        (("--tls-key", str(other)), "--tls-cert FILE"),
        (("--tls-cert", str(tmp_path / "none.pem")), "none.pem"),
    ]:
        server = make_server(*arguments, name=said[:4], model=ECHO)
        assert server.spawn().wait(timeout=30) != 0
        assert said in server.stderr
        assert "Traceback" not in server.stderr
