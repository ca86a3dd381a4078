"""The constructors of the originals, field by field, so that no test has to install them.

Where one is installed, ``tests/docs/test_parameters.py`` compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUIRED = object()
"""In place of a default, where there is none."""

LLAMA_CPP: Mapping[str, Any] = {
    "client": None,
    "model_path": REQUIRED,
    "lora_base": None,
    "lora_path": None,
    "n_ctx": 512,
    "n_parts": -1,
    "seed": -1,
    "f16_kv": True,
    "logits_all": False,
    "vocab_only": False,
    "use_mlock": False,
    "n_threads": None,
    "n_batch": 8,
    "n_gpu_layers": None,
    "suffix": None,
    "max_tokens": 256,
    "temperature": 0.8,
    "top_p": 0.95,
    "logprobs": None,
    "echo": False,
    "stop": [],
    "repeat_penalty": 1.1,
    "top_k": 40,
    "last_n_tokens_size": 64,
    "use_mmap": True,
    "rope_freq_scale": 1.0,
    "rope_freq_base": 10000.0,
    "model_kwargs": {},
    "streaming": True,
    "grammar_path": None,
    "grammar": None,
    "verbose": True,
}
"""langchain_community 0.4.2, llms/llamacpp.py."""

CHAT_LLAMA_CPP: Mapping[str, Any] = {**LLAMA_CPP, "stop": None}
"""The same, chat_models/llamacpp.py."""

LLAMA_CPP_EMBEDDINGS: Mapping[str, Any] = {
    "client": None,
    "model_path": "",
    "n_ctx": 512,
    "n_parts": -1,
    "seed": -1,
    "f16_kv": False,
    "logits_all": False,
    "vocab_only": False,
    "use_mlock": False,
    "n_threads": None,
    "n_batch": 512,
    "n_gpu_layers": None,
    "verbose": True,
    "device": None,
}
"""The same, embeddings/llamacpp.py."""

LLAMA_INDEX_LLAMA_CPP: Mapping[str, Any] = {
    "model_url": None,
    "model_path": None,
    "temperature": 0.1,
    "max_new_tokens": 256,
    "context_window": 3900,
    "callback_manager": None,
    "generate_kwargs": None,
    "model_kwargs": None,
    "verbose": True,
    "system_prompt": None,
    "messages_to_prompt": None,
    "completion_to_prompt": None,
    "pydantic_program_mode": "default",
    "output_parser": None,
}
"""llama-index-llms-llama-cpp 0.7.0, the constructor of base.py."""
