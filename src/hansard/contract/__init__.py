"""What the wire says: the API's objects as msgspec structs, with no behaviour.

Two forms of one thing travel through Hansard. A *struct* is what we checked and know.
A *document* is the JSON itself, decoded: keys nobody here knows survive in it, in order.
"""

from typing import Any, TypeAlias

# Its values are Any on purpose (style rule 10, broken by rule 23): the wire may carry keys
# that we do not know and must not lose, so no narrower type is true of it.
Document: TypeAlias = dict[str, Any]
