"""Which llama-cpp-python a model object wants: its fields as a ``LlamaCppPythonSpec``.

Opens no file, and imports no library.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_llm.engines.spec import LlamaCppPythonSpec
from safe_llm.errors import MisuseError
from safe_llm.parameters.library_parameters import LIBRARY
from safe_llm.parameters.llama_parameters import ENGINE_NAMES
from safe_llm.parameters.specification import to_engine

if TYPE_CHECKING:
    from collections.abc import Mapping


def library_spec(
    fields: Mapping[str, Any],
    *,
    owner: str,
    model_path: str,
    n_parallel: int | None,
    for_the_work: Mapping[str, Any],
) -> LlamaCppPythonSpec:
    """Return the specification by which objects share an engine.

    ``n_parallel`` contexts are in as many processes; ``for_the_work`` are parameters of the library
    that the ``owner`` cannot do without. Raises ``MisuseError`` for a parameter that
    only a llama-server has.
    """
    if not model_path:
        raise MisuseError(
            reason=f"{owner} has no model_path", hint="model_path= is the path of a .gguf file"
        )
    foreign = sorted(name for name in fields if name not in LIBRARY and name in ENGINE_NAMES)
    if foreign:
        raise MisuseError(
            reason=f"llama-cpp-python has no {', '.join(foreign)}",
            hint="engine='llama-server' has: pip install 'safe-llm[llama-server]'",
        )
    parameters = to_engine(fields, LIBRARY.get)
    if fields.get("logprobs") is not None:  # without the logits of all tokens it refuses them
        parameters["logits_all"] = True
    parameters |= for_the_work
    draft = parameters.pop("draft", None)
    handler = parameters.pop("chat_handler", None)
    return LlamaCppPythonSpec.of(
        # Two ways to write a path mean one engine; this asks nobody whether the file exists.
        str(Path(model_path).expanduser().absolute()),
        parameters,
        n_workers=n_parallel or 1,
        draft=draft,
        chat_handler=handler,
    )
