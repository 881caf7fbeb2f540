"""What each built-in pattern of redaction finds and leaves."""

from __future__ import annotations

from hypothesis import strategies as st

FOUND = {
    "email": [
        *("ada@example.com", "a.b+c@mail.example.co.uk", "jürgen@müller.example"),
        # https://data.iana.org/TLD/tlds-alpha-by-domain.txt has 150 that begin with xn--.
        *("x@example.xn--p1ai", "x@example.XN--VERMGENSBERATUNG-PWB", "o'brien@example.com", "ada%40example.com"),
    ],
    # Test numbers of the schemes: https://docs.stripe.com/testing
    "credit_card": ["4242424242424242", "4242 4242 4242 4242", "3782-822463-10005", "6011111111111117"]
    + [
        f"4242{gap}4242{gap}4242{gap}4242"
        for gap in "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{NON-BREAKING HYPHEN}"
    ],
    # The examples of the registry: https://www.swift.com/standards/data-standards/iban
    "iban": [
        *("DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "NO9386011117947", "de89 3704 0044 0532 0130 00"),
        "GB29 NWBK 6016 1331 9268 19".replace(" ", "\N{NO-BREAK SPACE}"),
    ],
    "phone": [
        *("+49 30 901820", "+1 (202) 456-1111", "+442079460000", "(202) 456-1111", "202-456-1111", "202.456.1111"),
        *("1-202-456-1111", "1 (202) 456-1111", "1.202.456.1111", "1 202 456 1111", "(202)456-1111", "202/456-1111"),
        *("(202).456.1111", "202-456-1111x55", "202-456-1111 ext. 55", "+49 30 901820x12", "+(49) 30 901820"),
        *("+49(0)30/901820", "+49.30.901820", "+49\N{NO-BREAK SPACE}30\N{NO-BREAK SPACE}901820", "0049 30 901820"),
    ],
    # RFC 5737 and RFC 3849 keep these for documents.
    "ip": [
        *("192.0.2.1", "203.0.113.255", "192.000.002.001", "2001:db8::1", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"),
        *("::1", "fe80::1", "::ffff:192.0.2.1", "2001:db8::"),
    ],
    "secret": [
        "sk-hansard-abcdefghijklmnopqrstuvwxyz",
        "ghp_" + "a1" * 18,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\ncut off",
        # Vendors' own pages show the beginnings; the rest is made up.
        *(f"{begins}{'a1B2' * 9}" for begins in ("gsk_", "xai-", "nvapi-", "pplx-", "r8_", "csk-", "npm_", "pypi-")),
        *("sk-ant-api03-" + "a1B2" * 9, "sk_live_" + "a1B2" * 6, "glpat-" + "a1B2" * 5, "xapp-1-" + "A1B2" * 9),
        "ya29." + "a1B2" * 9,
    ],
}
LEFT = {
    "email": ["@ada", "a@b", "5 @ 3.50", "def f(a): @property"],
    "credit_card": ["4242424242424241", "1234567890123456", "0000000000000000", "2026-11-28 12:00:00", "1 2 3 4 5 6"],
    "iban": ["DE00370400440532013000", "in 24 hours it will be done", "GB29"],
    "phone": [
        *("2026-11-28", "3.14159265358979", "+1", "12345678901234567890", "version 1.2.3", "hotel: 20261128"),
        *("3-202-456-1111", "x1-202-456-1111", "202-456-1111-3", "1-102-456-1111"),
    ],
    "ip": [
        *("1.2.3", "999.1.1.1", "std::vector", "12:30:45", "1.2.3.4.5", "::", "a: b", "at:12:30:45: go"),
        *("v1.2.3.4", "foo::1", "Foo::Bar::Baz", "a::foo", "2001:db8:1::2::3", "1:2:3:4:5:6:7:8:9:10"),
        # The address of a network card, and fingerprints of keys.
        *("mac:00:1A:2B:3C:4D:5E", "AA:" * 15 + "AA", "x:" + "AA:" * 19 + "AA", "MD5:" + "0a:" * 15 + "0a"),
    ],
    "secret": ["sk-short", "risk-assessment", "task_management_is_what_we_do_here", "bearer of news", "BEARER BONDS"],
}
TEXTS = st.text() | st.sampled_from([text for texts in FOUND.values() for text in texts])
