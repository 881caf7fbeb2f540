"""Images on their way to the engine, which names none when it cannot read one: are they images at all?"""

from __future__ import annotations

import binascii
import re

from hansard.errors import InvalidRequest

# What the engine's decoder (stb_image) reads, by its first bytes. WebP is not among them.
_FORMATS = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff", "gif": b"GIF8", "bmp": b"BM"}
_DATA_URL = re.compile(r"data:image/[^;,]+;base64,")


def check(url: str, *, where: str) -> None:
    """Whether the address has an image in it; raises ``InvalidRequest`` with ``where`` it stands."""
    head = _DATA_URL.match(url)
    if head is None:
        text = f"Unsupported value: '{where}' has to be a data URL ('data:image/...;base64,...'): nothing is fetched."
        raise InvalidRequest(text, param=where, code="unsupported_value")
    try:
        image = binascii.a2b_base64(url[head.end() :].encode(), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as failure:
        raise InvalidRequest(f"Invalid value: '{where}' is not valid base64.", param=where, code="invalid_value") from (
            failure
        )
    if not image.startswith(tuple(_FORMATS.values())):
        text = f"Invalid value: '{where}' is no image of a format that is read here: {', '.join(_FORMATS)}."
        raise InvalidRequest(text, param=where, code="invalid_image_format")
