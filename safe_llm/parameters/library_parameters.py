"""Where the same parameters go when llama-cpp-python runs the model: mostly to it, as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safe_llm.errors import MisuseError
from safe_llm.parameters.destinations import ToEngine
from safe_llm.parameters.llama_parameters import CACHE_TYPES, LLAMA
from safe_llm.parameters.original import ORIGINAL, as_text, if_false, if_true

if TYPE_CHECKING:
    from safe_llm.parameters.destinations import Destination

_F32 = 0  # GGML_TYPE_F32


def _cache_type(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    numbers = {name: number for number, name in CACHE_TYPES.items()}
    if value not in numbers:
        raise MisuseError(
            reason=f"{value!r} is no type of a cache", hint=f"one of {', '.join(numbers)}"
        )
    return numbers[value]


def _keys_and_values(f16: Any) -> Any:
    return _F32 if f16 is False else None  # f16 is what the library does by itself


def _prompt_lookup(model: Any) -> Any:
    """Take the library's own draft model apart: an object of this process, but of two numbers."""
    if model is None or isinstance(model, Mapping):
        return model
    try:
        return {name: int(getattr(model, name)) for name in ("max_ngram_size", "num_pred_tokens")}
    except (AttributeError, TypeError, ValueError) as error:
        raise MisuseError(
            reason=f"draft_model is a {type(model).__name__}, which cannot be sent to a process",
            hint="LlamaPromptLookupDecoding can, or {'max_ngram_size': 2, 'num_pred_tokens': 10}",
        ) from error


_SAME = (
    *("n_ctx", "n_batch", "n_ubatch", "n_threads", "n_threads_batch", "n_gpu_layers"),
    *("main_gpu", "split_mode", "tensor_split", "kv_overrides", "rope_scaling_type"),
    *("rope_freq_base", "rope_freq_scale", "yarn_ext_factor", "yarn_attn_factor"),
    *("yarn_beta_fast", "yarn_beta_slow", "yarn_orig_ctx", "offload_kqv", "flash_attn"),
    *("op_offload", "swa_full", "no_perf", "lora_scale", "numa"),
)

LIBRARY: Mapping[str, Destination] = {
    **{name: one for name, one in {**LLAMA, **ORIGINAL}.items() if not isinstance(one, ToEngine)},
    **{name: ToEngine((name,)) for name in _SAME},
    "lora_path": ToEngine(("lora_path",), as_text),
    "f16_kv": ToEngine(("type_k", "type_v"), _keys_and_values),
    "type_k": ToEngine(("type_k",), _cache_type),
    "type_v": ToEngine(("type_v",), _cache_type),
    "use_mlock": ToEngine(("use_mlock",), if_true),
    "use_mmap": ToEngine(("use_mmap",), if_false),
    "logits_all": ToEngine(("logits_all",), if_true),
    "vocab_only": ToEngine(("vocab_only",), if_true),
    "draft_model": ToEngine(("draft",), _prompt_lookup),
}
"""Every parameter of the original and of ``llama_cpp.Llama`` (0.3.36): the library has no other."""
