"""Which kind of engine a model object runs on: the one that it names, or the one that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safe_llm.engines.choice import KINDS, Choice, choose_engine
from safe_llm.errors import MisuseError
from safe_llm.parameters.library_parameters import LIBRARY
from safe_llm.parameters.llama_parameters import LLAMA
from safe_llm.parameters.original import ORIGINAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.engines.spec import EngineKind
    from safe_llm.parameters.destinations import Destination

_CHOOSE = "auto"

DESTINATIONS: Mapping[EngineKind, Mapping[str, Destination]] = {
    "llama-server": {**ORIGINAL, **LLAMA},
    "llama-cpp-python": LIBRARY,
}
"""Where each parameter of the original and of ``llama_cpp.Llama`` goes, on each kind of engine."""


def engine_choice(wanted: str, of_a_server: Mapping[str, object]) -> Choice:
    """Return the kind of engine.

    ``of_a_server`` are the fields that only a llama-server can have: where one is given, ``"auto"``
    is that. Raises ``MisuseError`` for a kind that does not exist, and for such a field on another.
    """
    given = sorted(name for name, value in of_a_server.items() if value)
    if wanted == _CHOOSE:
        return Choice("llama-server") if given else choose_engine()
    kind = next((one for one in KINDS if one == wanted), None)
    if kind is None:
        known = ", ".join(repr(one) for one in (_CHOOSE, *KINDS))
        raise MisuseError(reason=f"engine={wanted!r} is not known", hint=f"there are {known}")
    if given and kind != "llama-server":
        raise MisuseError(
            reason=f"{', '.join(given)} cannot be given to {kind}",
            hint="leave engine= out, or say engine='llama-server'",
        )
    return Choice(kind)
