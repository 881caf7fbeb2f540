"""Keys: who comes without one, or with a wrong one. Only for servers that ask for one."""

from __future__ import annotations

from hansard.conformance import expect
from hansard.conformance.checks import RECORDED, REPORTED, check, decision
from hansard.conformance.outcome import NotApplicable
from hansard.conformance.probe import Probe
from hansard.conformance.wire import Reply

NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the "
    "API from your browser and are prompted for a username and password. You can obtain an API key from "
)
WRONG_KEY = "sk-conformance-0123456789-wrong-key"


def _without_key(probe: Probe) -> Reply:
    return _closed(probe.create(headers={"Authorization": None}))


def _with_wrong_key(probe: Probe) -> Reply:
    _without_key(probe)
    return probe.create(headers={"Authorization": f"Bearer {WRONG_KEY}"})


def _closed(reply: Reply) -> Reply:
    if reply.status == 200:
        raise NotApplicable("this server asks for no key (decision 34)")
    return reply


@check("http", REPORTED, decision(34))
def without_key_is_401(probe: Probe) -> None:
    """A request without a key is 401 with param and code null."""
    expect.refusal(_without_key(probe), 401, param=None, code=None)


@check("http", REPORTED)
def without_key_says_how_to_send_one(probe: Probe) -> None:
    """Who comes without a key is told how to send one, in the live API's words."""
    message = _without_key(probe).error["message"]

    expect.that(message.startswith(NO_KEY), f"{NO_KEY}…", message)


@check("http", RECORDED, decision(34))
def a_wrong_key_is_401(probe: Probe) -> None:
    """A wrong key is 401 invalid_api_key."""
    expect.refusal(_with_wrong_key(probe), 401, param=None, code="invalid_api_key")


@check("http", RECORDED)
def a_wrong_key_is_shown_masked(probe: Probe) -> None:
    """The reply to a wrong key shows its first 8 and last 4 characters, and nothing between."""
    message = _with_wrong_key(probe).error["message"]

    start = f"Incorrect API key provided: {WRONG_KEY[:8]}"
    expect.that(message.startswith(start) and WRONG_KEY[-4:] in message, f"{start}*…*{WRONG_KEY[-4:]}", message)
    expect.that(WRONG_KEY not in message, "a masked key", message)


@check("http", RECORDED, needs=("list",))
def the_list_asks_for_a_key(probe: Probe) -> None:
    """The list is as closed as create."""
    _without_key(probe)

    expect.refusal(probe.send("GET", "/chat/completions", headers={"Authorization": None}), 401, param=None, code=None)
