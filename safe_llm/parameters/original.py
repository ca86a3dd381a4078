"""Every constructor field of the originals, and where it goes: one table, no code.

They are ``langchain_community.llms.llamacpp.LlamaCpp`` (0.4.2), read field by field, and what the
embeddings beside it have of their own, ``device``. What goes to the engine is in llama-server's
names; ``library_parameters`` has llama-cpp-python's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safe_llm.parameters.destinations import Here, Nowhere, ToBody, ToEngine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safe_llm.parameters.destinations import Destination


def if_true(value: Any) -> Any:
    """Return True, or nothing for what no engine does by itself."""
    return True if value else None


def if_false(value: Any) -> Any:
    """Return False, or nothing for what every engine does by itself."""
    return False if value is False else None


def as_text(value: Any) -> Any:
    """Return the text of a path."""
    return None if value is None else str(value)


def _cache_type(f16: Any) -> Any:
    return "f32" if f16 is False else None  # f16 is what every build does by itself


def until_the_end(max_tokens: Any) -> Any:
    """Return ``n_predict``: as in llama-cpp-python, nothing or zero means "until it ends"."""
    is_number = isinstance(max_tokens, (int, float))
    return -1 if max_tokens is None or (is_number and max_tokens <= 0) else max_tokens


def unless_random(seed: Any) -> Any:
    """Return the seed; -1 is what the server does by itself, or what its arguments say."""
    return None if seed == -1 else seed


ORIGINAL: Mapping[str, Destination] = {
    # -- the model
    "model_path": Here("the engine's model file"),
    "lora_path": ToEngine(("lora_path",), as_text),
    "lora_base": Nowhere("llama.cpp applies adapters to the model itself; give it as model_path"),
    "n_parts": Nowhere("a model in parts is found by the path of its first part", default=-1),
    "vocab_only": Nowhere("an engine always loads the weights too", default=False),
    # -- memory and speed
    "n_ctx": ToEngine(("n_ctx",)),
    "n_batch": ToEngine(("n_batch",)),
    "n_threads": ToEngine(("n_threads",)),
    "n_gpu_layers": ToEngine(("n_gpu_layers",)),
    "f16_kv": ToEngine(("cache_type_k", "cache_type_v"), _cache_type),
    "use_mlock": ToEngine(("use_mlock",), if_true),
    "use_mmap": ToEngine(("use_mmap",), if_false),
    "rope_freq_base": ToEngine(("rope_freq_base",)),
    "rope_freq_scale": ToEngine(("rope_freq_scale",)),
    # -- sampling
    "max_tokens": ToBody("n_predict", until_the_end),
    "temperature": ToBody("temperature"),
    "top_k": ToBody("top_k"),
    "top_p": ToBody("top_p"),
    "repeat_penalty": ToBody("repeat_penalty"),
    "last_n_tokens_size": ToBody("repeat_last_n"),
    "seed": ToBody("seed", unless_random),
    "logprobs": ToBody("logprobs"),
    "logits_all": Nowhere("logprobs= works without it", default=False),
    # -- what comes back
    "stop": Here("joined with the stop strings of the call"),
    "grammar": Here("sent as GBNF text"),
    "grammar_path": Here("read at the call and sent as GBNF text"),
    "suffix": Here("appended to the generated text"),
    "echo": Here("the prompt is put before the generated text"),
    "streaming": Here("callbacks get each token during invoke"),
    # -- the rest
    "model_kwargs": Here("each is sorted by its name, see llama_parameters and body"),
    "verbose": Here("the engine's lines are logged"),
    "device": Nowhere("n_gpu_layers and main_gpu say where the model runs"),
    "client": Nowhere("the model runs in a process of its own; see the property engine"),
}
