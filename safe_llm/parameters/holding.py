"""A model object's hold on its engine: taken at the first call, given up by ``close()``."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import model_validator

from safe_llm.engines.leases import Leases
from safe_llm.engines.notebook import as_html
from safe_llm.errors import MisuseError
from safe_llm.observers.watching import follow_the_caller
from safe_llm.parameters.destinations import warn_of_the_meaningless
from safe_llm.parameters.fields import EngineFields
from safe_llm.parameters.kinds import DESTINATIONS

if TYPE_CHECKING:
    from safe_llm.engines.lease import Lease


class EngineHolder(EngineFields):
    """What all model objects do with their engine.

    The process is started by the first call, or by ``start()``. Objects that want the same engine
    share it; the last one that gives it up stops it.
    """

    frames_to_the_user: ClassVar[int] = 4
    """This validator and pydantic's ``__init__`` stand below the user's line."""

    @model_validator(mode="after")
    def _take_hold(self) -> Self:
        is_copy = isinstance(self.client, Leases)  # made by configurable_fields, for one call
        if not is_copy:
            known = DESTINATIONS[self._choice().kind]
            warn_of_the_meaningless(self._given(), known, self.frames_to_the_user)
            self.client = Leases(type(self).__name__)
        return self

    @property
    def engine(self) -> Lease:
        """The engine that this object has a share in; ``engine.status()`` never starts it."""
        leases: Leases = self.client
        return leases.get(self._engine_spec(), self._settings())

    def start(self) -> None:
        """Return when the engine is ready to answer at once."""
        follow_the_caller(verbose=self.verbose)
        with self._framework_errors():
            self.engine.start(self._call_limits())

    async def astart(self) -> None:
        """As ``start()``, for a task."""
        follow_the_caller(verbose=self.verbose)
        with self._framework_errors():
            await self.engine.start_async(self._call_limits())

    def close(self) -> None:
        """Give up this object's share; the engine stops if it was the last. Idempotent."""
        leases: Leases = self.client
        for lease in leases.give_up():
            lease.close()

    async def aclose(self) -> None:
        """As ``close()``, for a task."""
        leases: Leases = self.client
        for lease in leases.give_up():
            await lease.close_async()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __copy__(self) -> Self:
        # pydantic's own copy would hand over the very same leases: closing one would close both.
        copied = super().__copy__()
        copied.__dict__["client"] = self.client.another()
        return copied

    def _repr_html_(self) -> str:
        name = type(self).__name__
        try:
            return as_html(name, self.engine.status())
        except MisuseError as error:
            return f"<div><b>{name}</b>: {error.reason}</div>"

    def _framework_errors(self) -> AbstractContextManager[None]:
        """Within it our errors leave as what the framework knows; an adapter says how."""
        return nullcontext()
