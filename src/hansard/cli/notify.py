"""What systemd is told of a service with Type=notify: https://www.freedesktop.org/software/systemd/man/sd_notify.html"""

from __future__ import annotations

import os
import socket
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"


def notify(state: str) -> None:
    """Tell it, if this process was started by one that wants to know."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
        # A leading @ stands for the zero byte of an abstract socket.
        telling.sendto(state.encode(), f"\0{address[1:]}" if address[0] == "@" else address)
