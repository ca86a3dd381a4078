"""The engines that one model object holds leases on. Starts none: the first call on a lease does.

One of these belongs to a model object and to the short-lived copies that LangChain's
``configurable_fields`` makes of it for each call: such a copy must not be the last to hold it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from safe_llm.engines.lease import lease, warn_of_second_engine
from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from safe_llm.engines.lease import Lease
    from safe_llm.engines.settings import EngineSettings
    from safe_llm.engines.spec import EngineSpec


class Leases:
    """Leases, each taken when it is first asked for, all given up together.

    No lock: a lock that some thread holds during ``os.fork`` would never be free in the child.
    Copies, deep or not, lease the same engines; pickles hold none. A lease that nobody refers to
    any more gives itself up.
    """

    def __init__(self, owner: str, made_in: int | None = None) -> None:
        self._owner = owner
        self._made_in = os.getpid() if made_in is None else made_in
        self._held: dict[EngineSpec, tuple[Lease, EngineSettings]] = {}
        self._closed = False

    def get(self, spec: EngineSpec, settings: EngineSettings) -> Lease:
        """Return the lease on this engine. Raises ``MisuseError`` after ``give_up()``."""
        if self._closed:
            raise MisuseError(
                reason=f"this {self._owner} was closed",
                hint="make another one; engines are shared, so it costs nothing while others live",
            )
        held = self._held.get(spec)
        return held[0] if held else self._take(spec, settings)

    def give_up(self) -> list[Lease]:
        """Refuse from now on, and return the leases that are to be closed."""
        self._closed = True
        taken = [self._held.pop(spec, None) for spec in list(self._held)]
        return [held[0] for held in taken if held]

    def another(self) -> Leases:
        """Return leases of their own on the engines that are held here now."""
        other = Leases(self._owner)
        for spec, (_, settings) in list(self._held.items()):
            other.get(spec, settings)
        return other

    def __copy__(self) -> Leases:
        return self.another()

    def __deepcopy__(self, memo: dict[int, object]) -> Leases:
        return self.another()

    def __reduce__(self) -> tuple[Callable[[str, int], Leases], tuple[str, int]]:
        return Leases, (self._owner, self._made_in)

    def _take(self, spec: EngineSpec, settings: EngineSettings) -> Lease:
        if self._made_in != os.getpid() and not spec.base_url:
            self._made_in = os.getpid()  # said once
            warn_of_second_engine(spec)
        # Two threads may both get here; what the slower one took gives itself up.
        return self._held.setdefault(spec, (lease(spec, settings), settings))[0]
