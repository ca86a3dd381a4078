"""How an engine is looked after, as data. Says nothing of what it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from safe_llm.limits import Limits, StopPolicy
from safe_llm.supervise.restart import RestartPolicy

if TYPE_CHECKING:
    from safe_llm.events import Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How an engine is looked after. Of objects that share one, the first one's count.

    ``idle_timeout`` seconds without a call stop it until the next; ``max_engines`` stops the least
    recently used engines that have no call in flight, before another one is started. Where it was
    chosen for somebody who named none, ``chosen_because`` is told to the observers.
    """

    limits: Limits = field(default_factory=Limits)
    stop_policy: StopPolicy = field(default_factory=StopPolicy)
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)
    idle_timeout: float | None = None
    max_engines: int | None = None
    observers: tuple[Observer, ...] = ()
    chosen_because: str = ""
