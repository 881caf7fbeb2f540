"""What is known of a child that serves, and the way to it."""

from __future__ import annotations

import msgspec

from hansard.engines.client import ChatClient, Timeouts
from hansard.engines.llamacpp.prompt import Abilities, Neutralizer
from hansard.engines.llamacpp.supervisor import Ready, Supervisor

SLOTS = "/slots"

# No chunk for this long means that the engine hangs: even while it reads a prompt it reports progress.
TIMEOUTS = Timeouts(connect_s=5.0, first_byte_s=600.0, between_chunks_s=600.0)


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded model. ``context`` is the tokens one request may use, prompt and answer together."""

    client: ChatClient
    abilities: Abilities
    context: int
    neutralizer: Neutralizer
    fingerprint: str


class _Slot(msgspec.Struct, frozen=True):
    n_ctx: int


async def running_model(ready: Ready, supervisor: Supervisor, *, sees_images: bool) -> Running:
    """The model of a child that has just said that it is ready; raises ``HansardError`` where it is gone again."""
    client = _client(ready, supervisor)
    slots = await client.get(SLOTS)
    return Running(
        client=client,
        abilities=Abilities(knows_developer=ready.knows_developer, sees_images=sees_images, thinks=ready.thinks),
        # As the engine rounds them, and no more than the model was trained on.
        context=msgspec.json.decode(slots.body, type=list[_Slot])[0].n_ctx,
        neutralizer=Neutralizer(ready.control_tokens),
        fingerprint=ready.fingerprint,
    )


def _client(ready: Ready, supervisor: Supervisor) -> ChatClient:
    """Its HTTP server ends a connection after each stream, so none are kept."""
    return ChatClient(
        base_url="http://engine" if supervisor.socket is not None else ready.address,
        unix_socket=supervisor.socket,
        headers={"Authorization": f"Bearer {supervisor.key}"},
        timeouts=TIMEOUTS,
        keep_alive=False,
    )
