"""Has the page about engines measured anew: ``python -m tests.measured_page``. Takes minutes.

Each block of the page that begins with ``$ safe-llm …`` is run and gets the output that it gave.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.models import tiny_gguf

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "engines.md"
BLOCK = re.compile(
    r"^```console\n\$ safe-llm (?P<arguments>.*)\n(?P<output>(?:.*\n)*?)```$", re.MULTILINE
)

MODELS = {"1-layer.gguf": 1, "16-layers.gguf": 16, "32-layers.gguf": 32}
"""The models that stand in the folder where the commands are run, and their layers."""

_OLDER_MCP = "mcp<2"  # the last major version of the SDK that logs each request
_OLDER_SERVER = "./mcp-1-server"
_BOUND = 1800.0  # seconds for one table, which takes a few minutes


def main() -> None:
    """Rewrite the page."""
    with tempfile.TemporaryDirectory() as folder:
        for name, layers in MODELS.items():
            (Path(folder) / name).symlink_to(tiny_gguf(Path(folder), layers=layers))
        _make_older_server(Path(folder))
        page = BLOCK.sub(
            lambda block: _measured(block["arguments"], folder), PAGE.read_text("utf-8")
        )
    PAGE.write_text(page, "utf-8")


def _make_older_server(folder: Path) -> None:
    """Write a program that serves with the older SDK, at the level of its argument."""
    python = str(folder / "older" / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", folder / "older"], check=True, timeout=_BOUND)
    install = [python, "-m", "pip", "install", "-q", _OLDER_MCP]
    subprocess.run(install, check=True, timeout=_BOUND)
    program = folder / _OLDER_SERVER
    path = shlex.quote(str(ROOT))
    serve = f"PYTHONPATH={path} exec {python} -m safe_llm.worker.measured_mcp_server"
    program.write_text(f'#!/bin/sh\n{serve} "$@"\n', "utf-8")
    program.chmod(0o755)


def _measured(arguments: str, folder: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "safe_llm", *shlex.split(arguments)],
        check=True,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=_BOUND,
    )
    return f"```console\n$ safe-llm {arguments}\n{done.stdout}```"


if __name__ == "__main__":
    main()
