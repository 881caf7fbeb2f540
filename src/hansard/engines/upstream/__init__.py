"""An engine elsewhere: any OpenAI-compatible server, spoken to in the client's own words."""

from hansard.engines.upstream.engine import UpstreamEngine

__all__ = ["UpstreamEngine"]
