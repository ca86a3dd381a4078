"""The public names of safe_llm, each loaded when it is first asked for. Importing it is cheap.

It costs what one small module costs: no framework, no HTTP client and no event loop is loaded
before a name is used that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safe_llm.engines.registry import shutdown
    from safe_llm.errors import (
        CallFailed,
        CallTimeout,
        EngineDied,
        MissingExtra,
        MisuseError,
        ModelFileInvalid,
        NoPrivateFolder,
        NotALlamaServer,
        NotReady,
        PromptTooLong,
        ProtocolViolation,
        RemoteError,
        RestartLimitReached,
        SafeLlmError,
        SpawnFailed,
        StartupFailed,
        UnsupportedPlatform,
    )
    from safe_llm.events import Event, Observer
    from safe_llm.limits import NO_LIMITS, Limits, StopPolicy, StopStep
    from safe_llm.models import pocket_model
    from safe_llm.process import spawn
    from safe_llm.process.child import Child
    from safe_llm.process.command import Command
    from safe_llm.process.exits import ExitStatus
    from safe_llm.supervise.restart import RestartPolicy

__version__ = "0.1.0"

__all__ = [
    "NO_LIMITS",
    "CallFailed",
    "CallTimeout",
    "Child",
    "Command",
    "EngineDied",
    "Event",
    "ExitStatus",
    "Limits",
    "MissingExtra",
    "MisuseError",
    "ModelFileInvalid",
    "NoPrivateFolder",
    "NotALlamaServer",
    "NotReady",
    "Observer",
    "PromptTooLong",
    "ProtocolViolation",
    "RemoteError",
    "RestartLimitReached",
    "RestartPolicy",
    "SafeLlmError",
    "SpawnFailed",
    "StartupFailed",
    "StopPolicy",
    "StopStep",
    "UnsupportedPlatform",
    "__version__",
    "pocket_model",
    "shutdown",
    "spawn",
]

_HOMES = {
    "Child": "safe_llm.process.child",
    "Command": "safe_llm.process.command",
    "Event": "safe_llm.events",
    "ExitStatus": "safe_llm.process.exits",
    "Limits": "safe_llm.limits",
    "NO_LIMITS": "safe_llm.limits",
    "Observer": "safe_llm.events",
    "RestartPolicy": "safe_llm.supervise.restart",
    "StopPolicy": "safe_llm.limits",
    "StopStep": "safe_llm.limits",
    "pocket_model": "safe_llm.models",
    "shutdown": "safe_llm.engines.registry",
    "spawn": "safe_llm.process",
}
_HOME_OF_THE_REST = "safe_llm.errors"


def __getattr__(name: str) -> object:
    """Load the module in which a public name lives, once."""
    if name not in __all__:
        # The very text of the interpreter, so that `hasattr` and `import` behave as everywhere.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES.get(name, _HOME_OF_THE_REST)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted(__all__)
