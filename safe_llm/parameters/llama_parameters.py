"""Further parameters of ``llama_cpp.Llama``, and where they go when a llama-server runs the model.

What bears the same name in ``llama_server_flags`` and needs no translation is not listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safe_llm.engines.llama_server_flags import FLAGS
from safe_llm.errors import MisuseError
from safe_llm.parameters.destinations import Nowhere, ToEngine
from safe_llm.parameters.original import if_false

if TYPE_CHECKING:
    from safe_llm.parameters.destinations import Destination

# Numbers of ggml's and llama.cpp's enums (ggml.h, llama.h), which llama-cpp-python hands through.
CACHE_TYPES = dict(
    zip(
        (0, 1, 2, 3, 6, 7, 8, 20, 30),
        ("f32", "f16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", "bf16"),
        strict=True,
    )
)
_SPLIT_MODES = {0: "none", 1: "layer", 2: "row", 3: "tensor"}
_ROPE_SCALINGS = {-1: None, 0: "none", 1: "linear", 2: "yarn"}
_NUMA = {0: None, 1: "distribute", 2: "isolate", 3: "numactl"}  # False is 0 and True is 1


def _named(name: str, words: Mapping[Any, str | None]) -> Any:
    def convert(value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        if value not in words:
            raise MisuseError(
                reason=f"{name}={value!r} is no value of llama.cpp's enum",
                hint=f"one of {', '.join(f'{number} ({word})' for number, word in words.items())}",
            )
        return words[value]

    return convert


def _texts(values: Any) -> Any:
    return None if values is None else tuple(str(value) for value in values)


def _overrides(values: Any) -> Any:
    if not isinstance(values, Mapping):
        return _texts(values)
    return tuple(f"{key}={_typed(value)}" for key, value in values.items())


def _typed(value: Any) -> str:
    kinds = {bool: "bool", int: "int", float: "float"}
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{kinds.get(type(value), 'str')}:{text}"


_EMBEDDINGS = "this class completes text; embeddings are another class's work"
_PYTHON_OBJECT = "an object of this process cannot work inside the engine's"
_CHAT = "a ChatLlamaCpp applies a chat template, and has chat_format= of its own"
_OLD_FORMAT = "a GGUF file says it itself"

LLAMA: Mapping[str, Destination] = {
    "type_k": ToEngine(("cache_type_k",), _named("type_k", CACHE_TYPES)),
    "type_v": ToEngine(("cache_type_v",), _named("type_v", CACHE_TYPES)),
    "split_mode": ToEngine(("split_mode",), _named("split_mode", _SPLIT_MODES)),
    "rope_scaling_type": ToEngine(("rope_scaling",), _named("rope_scaling_type", _ROPE_SCALINGS)),
    "numa": ToEngine(("numa",), _named("numa", _NUMA)),
    "tensor_split": ToEngine(("tensor_split",), _texts),
    "kv_overrides": ToEngine(("kv_overrides",), _overrides),
    "offload_kqv": ToEngine(("offload_kqv",), if_false),
    "op_offload": ToEngine(("op_offload",), if_false),
    "lora_scale": ToEngine(("lora_scale",)),
    "no_perf": Nowhere("timings come with every answer and cost nothing", default=False),
    "pooling_type": Nowhere(_EMBEDDINGS, default=-1),
    "attention_type": Nowhere(_EMBEDDINGS, default=-1),
    "embedding": Nowhere(_EMBEDDINGS, default=False),
    "chat_format": Nowhere(_CHAT),
    "chat_handler": Nowhere(f"{_PYTHON_OBJECT}; a ChatLlamaCpp takes images with mmproj="),
    "draft_model": Nowhere(f"{_PYTHON_OBJECT}; server_args takes llama-server's --model-draft"),
    "tokenizer": Nowhere(f"{_PYTHON_OBJECT}; the model's own tokenizer is used"),
    "spm_infill": Nowhere("suffix is appended; nothing is filled in between", default=False),
    # -- of older versions
    "n_gqa": Nowhere(_OLD_FORMAT),
    "rms_norm_eps": Nowhere(_OLD_FORMAT),
    "mul_mat_q": Nowhere("it is always on", default=True),
    "low_vram": Nowhere("n_gpu_layers says it", default=False),
}

_OF_THE_ENGINE = ("model", "alias", "host", "port", "verbosity", "slots", "ui", "metrics")
_FOR_OTHER_WORK = ("embedding", "rerank", "pooling", "lora_base")

ENGINE_NAMES = frozenset(FLAGS).difference(_OF_THE_ENGINE, _FOR_OTHER_WORK)
"""Parameters of the engine that ``model_kwargs`` may name as they are."""
