"""Times that a user gives by a name of ours, as limits. Starts no clock."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from safe_llm.limits import Limits


def check_seconds(name: str, value: Any) -> None:
    """Raise ``MisuseError`` unless ``value`` is None or a time that can be waited for."""
    if value is None:
        return
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not (value >= 0 and math.isfinite(value)):
        raise MisuseError(
            reason=f"{name}={value!r} is not a non-negative, finite number of seconds",
            hint=f"{name}=None sets no such limit",
        )


def with_timeout(limits: Limits, timeout: float | None) -> Limits:
    """Return the limits with another bound for the whole call, a start of the engine included."""
    check_seconds("timeout", timeout)
    return limits.with_changes(call=timeout)
