"""The model that is in this package: what works offline works a second after the installation."""

from __future__ import annotations

from pathlib import Path

from safe_llm.errors import ModelFileInvalid

_FILE = Path(__file__).with_name("pocket.gguf")


def pocket_model() -> Path:
    """Return the path of the pocket model, a chat model of 3 MB that calls tools.

    It is there to try things and to test them: it greets, knows a few facts, copies values of the
    prompt into arguments of tools, and fills simple JSON schemas. It is often wrong:
    docs/reference/pocket-model.md says how often. Raises ``ModelFileInvalid`` where the
    installation has lost the file.
    """
    if not _FILE.is_file():
        raise ModelFileInvalid(
            program="the pocket model",
            path=str(_FILE),
            reason="there is no such file",
            hint="install safe-llm again: its wheel brings the file",
        )
    return _FILE
