"""Upstreams over TLS: whoever cannot show a certificate that holds gets no request, and no key."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from tests.engines.mock import hello, serving
from tests.test_app import running, upstream

pytestmark = pytest.mark.anyio


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """One that this process trusts, as an operator's own would be trusted."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


def server_side(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


async def test_a_certificate_of_an_authority_that_is_trusted_holds(tmp_path: Path, authority: trustme.CA) -> None:
    async with serving(hello, tls=server_side(authority.issue_cert("127.0.0.1"))) as mock:
        assert mock.base_url.startswith("https://")
        async with running(tmp_path, upstream("a", mock.base_url)) as server:
            made = await server.create()

    assert (made.status, made.json["choices"][0]["message"]["content"]) == (200, "Hello")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("wrong", ["its authority", "its name"])
async def test_any_other_is_refused_before_anything_is_said(
    tmp_path: Path, authority: trustme.CA, wrong: str, stream: bool
) -> None:
    signer, name = (trustme.CA(), "127.0.0.1") if wrong == "its authority" else (authority, "example.com")
    tls = server_side(signer.issue_cert(name))
    async with serving(hello, tls=tls) as mock, running(tmp_path, upstream("a", mock.base_url)) as server:
        refused = await server.create(stream=stream)
        ready = await server.client.get("/readyz", b"verbose")

    message = "The model server's certificate does not hold: not trusted here, for another name, or expired."
    assert (refused.status, refused.json["error"]["code"]) == (502, "upstream_unreachable")
    assert refused.json["error"]["message"] == message
    assert ready.json["reasons"] == {"a": message}
    assert mock.asked == []


async def test_a_certificate_signed_by_itself_is_refused(tmp_path: Path, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signer = trustme.CA()
    signer.private_key_pem.write_to_path(tmp_path / "key.pem")
    signer.cert_pem.write_to_path(tmp_path / "own.pem")
    context.load_cert_chain(tmp_path / "own.pem", tmp_path / "key.pem")
    async with serving(hello, tls=context) as mock, running(tmp_path, upstream("a", mock.base_url)) as server:
        refused = await server.create()

    assert (refused.status, refused.json["error"]["code"]) == (502, "upstream_unreachable")
    assert "certificate does not hold" in refused.json["error"]["message"]
    assert mock.asked == []
