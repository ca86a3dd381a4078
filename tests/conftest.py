"""What holds for every test: no skip goes unnoticed, and nothing is judged by the clock."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings

from tests.skip_audit import SkipAudit, is_strict, parse_permitted

if TYPE_CHECKING:
    import pytest

_PERMITTED = Path(__file__).with_name("permitted_skips.txt")

settings.register_profile("safe_llm", deadline=None)  # a busy machine is no reason to fail
settings.load_profile("safe_llm")


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what runs in the background with SIGINT ignored, and every child inherits
    # that: then the tests of Ctrl-C would test nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    permitted = parse_permitted(_PERMITTED.read_text(encoding="utf-8"))
    config.pluginmanager.register(SkipAudit(permitted, strict=is_strict(os.environ)))
