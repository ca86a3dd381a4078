from __future__ import annotations

from tests.engine_fixtures import hub_with_its_watchdog, kind, model

__all__ = ["hub_with_its_watchdog", "kind", "model"]
