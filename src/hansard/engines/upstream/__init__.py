"""An engine elsewhere: any OpenAI-compatible server, spoken to in the client's own words."""

from hansard.engines.upstream.breaker import Breaker
from hansard.engines.upstream.engine import UpstreamEngine
from hansard.engines.upstream.retries import Budget, Pauses

__all__ = ["Breaker", "Budget", "Pauses", "UpstreamEngine"]
