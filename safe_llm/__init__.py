"""The public names of safe_llm, each loaded when it is first asked for. Importing it is cheap."""

from __future__ import annotations

__version__ = "0.1.0"
