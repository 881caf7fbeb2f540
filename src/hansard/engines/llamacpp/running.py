"""What is known of a child that serves, and the way to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hansard.contract import Document
from hansard.engines.client import ChatClient
from hansard.engines.llamacpp.length import Least
from hansard.engines.llamacpp.prompt import Abilities, Neutralizer
from hansard.engines.llamacpp.supervisor import Ready, Supervisor
from hansard.engines.patience import Timeouts

SLOTS = "/slots"
TEMPLATE = "/apply-template"
TOKENIZE = "/tokenize"

ROLES = ("user", "assistant", "system", "developer", "tool")
MEASURED = 8  # messages, so that what stands once in a prompt does not count

# No chunk for this long means that the engine hangs: even while it reads a prompt it reports progress.
TIMEOUTS = Timeouts(connect_s=5.0, first_byte_s=600.0, between_chunks_s=600.0)


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded model. ``context`` is the tokens one request may use, prompt and answer together."""

    client: ChatClient
    abilities: Abilities
    context: int
    neutralizer: Neutralizer
    fingerprint: str
    least: Least


class _Prompt(msgspec.Struct, frozen=True):
    prompt: str


class _Tokens(msgspec.Struct, frozen=True):
    tokens: list[int]


class _Slot(msgspec.Struct, frozen=True):
    n_ctx: int


async def running_model(ready: Ready, supervisor: Supervisor, *, sees_images: bool) -> Running:
    """The model of a child that has just said that it is ready; raises ``HansardError`` where it is gone again."""
    client = _client(ready, supervisor)
    slots = await client.get(SLOTS)
    return Running(
        client=client,
        abilities=Abilities(
            knows_developer=ready.knows_developer,
            sees_images=sees_images,
            thinks=ready.thinks,
            vocabulary=ready.vocabulary or None,
        ),
        # As the engine rounds them, and no more than the model was trained on.
        context=msgspec.json.decode(slots.body, type=list[_Slot])[0].n_ctx,
        neutralizer=Neutralizer(ready.control_tokens),
        fingerprint=ready.fingerprint,
        least=Least(of_message=await _of_message(client), longest_token=max(1, ready.longest_token)),
    )


async def prompt_tokens(client: ChatClient, body: bytes) -> list[int]:
    """The tokens of a prompt of text; raises ``msgspec.MsgspecError`` where the template does not take it."""
    text = msgspec.json.decode((await client.post(TEMPLATE, body)).body, type=_Prompt).prompt
    asked = msgspec.json.encode({"content": text, "add_special": True, "parse_special": True})
    return msgspec.json.decode((await client.post(TOKENIZE, asked)).body, type=_Tokens).tokens


async def _of_message(client: ChatClient) -> Mapping[str, int]:
    """The tokens that the template writes around an empty message of each role; none where that cannot be told."""

    async def tokens(roles: Sequence[str]) -> int:
        return len(await prompt_tokens(client, msgspec.json.encode({"messages": [_empty(role) for role in roles]})))

    async def more(roles: Sequence[str]) -> int:
        try:
            return max(0, await tokens(["user", *roles]) - await tokens(["user"])) // len(roles)
        except msgspec.MsgspecError:
            return 0

    found = {role: await more([role] * MEASURED) for role in ROLES}
    if not found["user"]:  # some templates want the two to take turns
        found["user"] = found["assistant"] = await more(["assistant", "user"] * MEASURED)
    return found


def _empty(role: str) -> Document:
    return {"role": role, "content": "", **({"tool_call_id": "call"} if role == "tool" else {})}


def _client(ready: Ready, supervisor: Supervisor) -> ChatClient:
    """Its HTTP server ends a connection after each stream, so none are kept."""
    return ChatClient(
        base_url="http://engine" if supervisor.socket is not None else ready.address,
        unix_socket=supervisor.socket,
        headers={"Authorization": f"Bearer {supervisor.key}"},
        timeouts=TIMEOUTS,
        keep_alive=False,
    )
