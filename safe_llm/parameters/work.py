"""What a class needs of its engine for its work, in the words of each kind of engine.

One vocabulary for both: ``chat_format``, ``chat_template``, ``mmproj``, ``embedding``, ``pooling``,
``kv_unified``, ``n_threads_batch``, ``rerank``. Opens no file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SERVERS_WORDS = {"chat_format": "chat_template"}
_AS_THE_LIBRARY_DOES = ("kv_unified",)
_AS_A_SERVER_DOES = ("n_threads_batch",)  # it is n_threads, unless it is given
_ONLY_A_SERVER_HAS = ("chat_template", "rerank")
_POOLINGS = {
    "none": 0,
    "mean": 1,
    "cls": 2,
    "last": 3,
    "rank": 4,
}  # LLAMA_POOLING_TYPE_… of llama.h


def for_a_server(work: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters as ``llama_server_flags`` names them."""
    wanted = {name: value for name, value in work.items() if name not in _AS_A_SERVER_DOES}
    return {_SERVERS_WORDS.get(name, name): value for name, value in wanted.items()}


def for_the_library(work: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of ``llama_cpp.Llama``, and ``chat_handler`` as the worker takes it.

    Raises ``MisuseError`` for what only a llama-server has.
    """
    foreign = [name for name in _ONLY_A_SERVER_HAS if name in work]
    if foreign:
        raise MisuseError(
            reason=f"llama-cpp-python has no {', '.join(foreign)}",
            hint="engine='llama-server' has: pip install 'safe-llm[llama-server]'",
        )
    wanted = {name: value for name, value in work.items() if name not in _AS_THE_LIBRARY_DOES}
    if "mmproj" in wanted:
        wanted["chat_handler"] = ("MTMDChatHandler", {"clip_model_path": wanted.pop("mmproj")})
    if "pooling" in wanted:
        wanted["pooling_type"] = _POOLINGS[wanted.pop("pooling")]
    return wanted
