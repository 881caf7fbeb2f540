"""Images on their way to the engine, which names none when it cannot read one: are they images at all?"""

from __future__ import annotations

import binascii
import re
import struct

from hansard.errors import InvalidRequest

# What the engine's decoder (stb_image) reads, by its first bytes. WebP is not among them.
_FORMATS = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff", "gif": b"GIF8", "bmp": b"BM"}
_DATA_URL = re.compile(r"data:image/[^;,]+;base64,")


_PNG_CHUNK = struct.Struct(">I4s")  # its length, without this and a checksum, and its name
_CHECKSUM_BYTES = 4


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
    if image.startswith(_FORMATS["png"]) and not _is_whole_png(image):
        text = f"Invalid value: '{where}' is a PNG image that breaks off."
        raise InvalidRequest(text, param=where, code="invalid_image_format")


def _is_whole_png(image: bytes) -> bool:
    """Whether its chunks go on to the last one: the engine takes no other; of BMP and GIF it takes a part (seen)."""
    place = len(_FORMATS["png"])
    while place + _PNG_CHUNK.size <= len(image):
        length, name = _PNG_CHUNK.unpack_from(image, place)
        if name == b"IEND":
            return True
        place += _PNG_CHUNK.size + length + _CHECKSUM_BYTES
    return False
