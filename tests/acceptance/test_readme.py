"""README.md: its Python runs as it stands, but for the port."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from .server import Server

README = Path(__file__).parent.parent.parent / "README.md"


def test_the_readmes_python_runs_from_top_to_bottom(hansard: Server) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    script = "\n".join([*blocks, "print('gone:', gone.deleted, 'labelled:', labelled.metadata, 'asked:', len(asked))"])

    ran = subprocess.run(
        [sys.executable, "-c", script.replace("http://127.0.0.1:8000/v1", hansard.base_url)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert len(blocks) == 2
    assert ran.stdout.splitlines()[-1] == "gone: True labelled: {'team': 'a', 'quality': 'gold'} asked: 1"
