"""The flags of ``llama-server`` that our program knows, as one table. Parses and applies nothing.

Spellings, defaults and meaning are those of llama.cpp's ``common/arg.cpp`` (b11549); the target
is an attribute of ``xllamacpp.CommonParams``. Missing on purpose: what the wheel does not expose
(devices, CPU masks, key-value overrides), the router mode, downloads, and ``--api-key``, because
every user of the machine can read an argv: the key comes from ``LLAMA_API_KEY``.
"""

# ruff: noqa: E501 - a table: one row, one line
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safe_llm.worker import llama_server_values as as_

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Option:
    """One flag: its spellings, and what its value does to which attribute.

    ``off`` are the spellings that set a switch to its opposite; ``takes`` is the placeholder of
    the value and empty for a switch. ``convert`` raises ``ValueError`` or ``OSError`` for a value that it
    does not understand. Several attributes get the same value. ``env`` sets it unless a flag does.
    """

    names: tuple[str, ...]
    targets: tuple[str, ...]
    convert: Callable[[str], Any]
    help: str
    takes: str = ""
    off: tuple[str, ...] = ()
    env: str = ""


# What llama-server's own main() sets and CommonParams' defaults do not.
SERVER_DEFAULTS: tuple[tuple[str, Any], ...] = (("n_parallel", -1), ("port", 8080))

# Attributes that are lists which every further flag extends.
COLLECTED = frozenset({"lora_adapters"})


def _switch(
    names: tuple[str, ...], target: str, text: str, env: str = "", off: tuple[str, ...] = ()
) -> Option:
    return Option(names, (target,), as_.switched, text, "", off, env)


def _value(  # noqa: PLR0917 - the columns of the table below
    names: tuple[str, ...],
    takes: str,
    target: str | tuple[str, ...],
    convert: Callable[[str], Any],
    text: str,
    env: str = "",
) -> Option:
    targets = (target,) if isinstance(target, str) else target
    return Option(names, targets, convert, text, takes, (), env)


# fmt: off
OPTIONS: tuple[Option, ...] = (
    _value(("-m", "--model"), "FNAME", "model.path", str, "model path to load", "LLAMA_ARG_MODEL"),
    _value(("-a", "--alias"), "STRING", "model_alias", as_.aliases, "model name aliases, comma-separated", "LLAMA_ARG_ALIAS"),
    _value(("-t", "--threads"), "N", "cpuparams.n_threads", int, "CPU threads during generation (default: -1)", "LLAMA_ARG_THREADS"),
    _value(("-tb", "--threads-batch"), "N", "cpuparams_batch.n_threads", int, "CPU threads during batch and prompt processing"),
    _value(("--poll",), "<0...100>", "cpuparams.poll", int, "polling level to wait for work (default: 50)"),
    _value(("-c", "--ctx-size"), "N", "n_ctx", int, "size of the prompt context (default: 0, 0 = loaded from model)", "LLAMA_ARG_CTX_SIZE"),
    _value(("-n", "--predict", "--n-predict"), "N", "n_predict", int, "tokens to predict (default: -1, -1 = infinity)", "LLAMA_ARG_N_PREDICT"),
    _value(("-b", "--batch-size"), "N", "n_batch", int, "logical maximum batch size (default: 2048)", "LLAMA_ARG_BATCH"),
    _value(("-ub", "--ubatch-size"), "N", "n_ubatch", int, "physical maximum batch size (default: 512)", "LLAMA_ARG_UBATCH"),
    _value(("--keep",), "N", "n_keep", int, "tokens to keep from the initial prompt (default: 0, -1 = all)"),
    _switch(("--swa-full",), "swa_full", "use full-size SWA cache", "LLAMA_ARG_SWA_FULL"),
    _value(("-fa", "--flash-attn"), "[on|off|auto]", "flash_attn_type", as_.FLASH, "Flash Attention (default: auto)", "LLAMA_ARG_FLASH_ATTN"),
    _value(("--rope-scaling",), "{none,linear,yarn}", "rope_scaling_type", as_.ROPE, "RoPE frequency scaling method", "LLAMA_ARG_ROPE_SCALING_TYPE"),
    _value(("--rope-scale",), "N", "rope_freq_scale", as_.inverse, "RoPE context scaling factor", "LLAMA_ARG_ROPE_SCALE"),
    _value(("--rope-freq-base",), "N", "rope_freq_base", float, "RoPE base frequency (default: loaded from model)", "LLAMA_ARG_ROPE_FREQ_BASE"),
    _value(("--rope-freq-scale",), "N", "rope_freq_scale", float, "RoPE frequency scaling factor", "LLAMA_ARG_ROPE_FREQ_SCALE"),
    _value(("--yarn-orig-ctx",), "N", "yarn_orig_ctx", int, "YaRN: original context size of model", "LLAMA_ARG_YARN_ORIG_CTX"),
    _value(("--yarn-ext-factor",), "N", "yarn_ext_factor", float, "YaRN: extrapolation mix factor", "LLAMA_ARG_YARN_EXT_FACTOR"),
    _value(("--yarn-attn-factor",), "N", "yarn_attn_factor", float, "YaRN: attention magnitude", "LLAMA_ARG_YARN_ATTN_FACTOR"),
    _value(("--yarn-beta-slow",), "N", "yarn_beta_slow", float, "YaRN: high correction dim", "LLAMA_ARG_YARN_BETA_SLOW"),
    _value(("--yarn-beta-fast",), "N", "yarn_beta_fast", float, "YaRN: low correction dim", "LLAMA_ARG_YARN_BETA_FAST"),
    _switch(("-nkvo", "--no-kv-offload"), "no_kv_offload", "keep the KV cache off the GPU"),
    _value(("-ctk", "--cache-type-k"), "TYPE", "cache_type_k", as_.CACHE_TYPE, "KV cache data type for K (default: f16)", "LLAMA_ARG_CACHE_TYPE_K"),
    _value(("-ctv", "--cache-type-v"), "TYPE", "cache_type_v", as_.CACHE_TYPE, "KV cache data type for V (default: f16)", "LLAMA_ARG_CACHE_TYPE_V"),
    _value(("-lm", "--load-mode"), "MODE", "load_mode", as_.LOAD_MODE, "auto, none, mmap, mlock, mmap+mlock or dio (default: auto)", "LLAMA_ARG_LOAD_MODE"),
    _value(("--numa",), "TYPE", "numa", as_.NUMA, "distribute, isolate or numactl", "LLAMA_ARG_NUMA"),
    _value(("-ot", "--override-tensor"), "PATTERN=TYPE,...", "tensor_buft_overrides", str, "override tensor buffer type", "LLAMA_ARG_OVERRIDE_TENSOR"),
    _value(("-ngl", "--gpu-layers", "--n-gpu-layers"), "N", "n_gpu_layers", as_.layers, "layers to store in VRAM: a number, 'auto' or 'all' (default: auto)", "LLAMA_ARG_N_GPU_LAYERS"),
    _value(("-sm", "--split-mode"), "{none,layer,row,tensor}", "split_mode", as_.SPLIT, "how to split the model across GPUs", "LLAMA_ARG_SPLIT_MODE"),
    _value(("-ts", "--tensor-split"), "N0,N1,...", "tensor_split", as_.tensor_split, "fraction of the model for each GPU", "LLAMA_ARG_TENSOR_SPLIT"),
    _value(("-mg", "--main-gpu"), "INDEX", "main_gpu", int, "the GPU for the model or for intermediate results", "LLAMA_ARG_MAIN_GPU"),
    _value(("-fit", "--fit"), "[on|off]", "fit_params", as_.switched, "adjust unset arguments to fit in device memory (default: on)", "LLAMA_ARG_FIT"),
    _value(("-fitt", "--fit-target"), "MiB0,MiB1,...", "fit_params_target", as_.mebibytes, "target margin per device for --fit", "LLAMA_ARG_FIT_TARGET"),
    _value(("-fitc", "--fit-ctx"), "N", "fit_params_min_ctx", int, "minimum ctx size that --fit can set (default: 4096)", "LLAMA_ARG_FIT_CTX"),
    _switch(("--check-tensors",), "check_tensors", "check model tensor data for invalid values"),
    _switch(("--no-op-offload",), "no_op_offload", "do not offload host tensor operations to device"),
    _value(("--lora",), "FNAME", "lora_adapters", as_.adapters, "path to LoRA adapter (comma-separated for several)"),
    _value(("--lora-scaled",), "FNAME:SCALE,...", "lora_adapters", as_.scaled_adapters, "path to LoRA adapter with scaling"),
    _switch(("--lora-init-without-apply",), "lora_init_without_apply", "load LoRA adapters without applying them"),
    _value(("-lv", "--verbosity", "--log-verbosity"), "N", "verbosity", int, "0 generic output, 1 error, 2 warning, 3 info, 4 trace, 5 debug (default: 3)", "LLAMA_ARG_LOG_VERBOSITY"),
    Option(("-v", "--verbose", "--log-verbose"), ("verbosity",), lambda _: 2**31 - 1, "log all messages"),
    _value(("-s", "--seed"), "SEED", "sampling.seed", as_.seed, "RNG seed (default: -1, random)"),
    _value(("-ctxcp", "--ctx-checkpoints", "--swa-checkpoints"), "N", "n_ctx_checkpoints", int, "context checkpoints per slot (default: 32)", "LLAMA_ARG_CTX_CHECKPOINTS"),
    _value(("-cram", "--cache-ram"), "N", "cache_ram_mib", int, "maximum prompt cache in MiB (default: 8192, -1 - no limit, 0 - disable)", "LLAMA_ARG_CACHE_RAM"),
    _switch(("-kvu", "--kv-unified"), "kv_unified", "one KV buffer shared across all sequences", "LLAMA_ARG_KV_UNIFIED", ("-no-kvu", "--no-kv-unified")),
    _switch(("--context-shift",), "ctx_shift", "context shift on infinite text generation (default: disabled)", "LLAMA_ARG_CONTEXT_SHIFT", ("--no-context-shift",)),
    _switch(("-sp", "--special"), "special", "special tokens output enabled"),
    _switch(("--warmup",), "warmup", "perform warmup with an empty run (default: enabled)", "", ("--no-warmup",)),
    _value(("--pooling",), "{none,mean,cls,last,rank}", "pooling_type", as_.POOLING, "pooling type for embeddings", "LLAMA_ARG_POOLING"),
    _value(("-np", "--parallel"), "N", "n_parallel", int, "number of server slots (default: -1, -1 = auto)", "LLAMA_ARG_N_PARALLEL"),
    _switch(("-cb", "--cont-batching"), "cont_batching", "continuous batching (default: enabled)", "LLAMA_ARG_CONT_BATCHING", ("-nocb", "--no-cont-batching")),
    _value(("-mm", "--mmproj"), "FILE", "mmproj.path", str, "path to a multimodal projector file", "LLAMA_ARG_MMPROJ"),
    _switch(("--mmproj-offload",), "mmproj_use_gpu", "GPU offloading for the multimodal projector (default: enabled)", "LLAMA_ARG_MMPROJ_OFFLOAD", ("--no-mmproj-offload",)),
    _value(("--host",), "HOST", "hostnames", as_.commas, "ip address to listen, or a UNIX socket if it ends with .sock (default: 127.0.0.1)", "LLAMA_ARG_HOST"),
    _value(("--port",), "PORT", "port", int, "port to listen (default: 8080, 0 = any)", "LLAMA_ARG_PORT"),
    _switch(("--reuse-port",), "reuse_port", "allow multiple sockets to bind to the same port", "LLAMA_ARG_REUSE_PORT"),
    _value(("--api-prefix",), "PREFIX", "api_prefix", str, "prefix path the server serves from", "LLAMA_ARG_API_PREFIX"),
    _switch(("--ui", "--webui"), "ui", "Web UI (default: enabled)", "LLAMA_ARG_UI", ("--no-ui", "--no-webui")),
    _switch(("--embedding", "--embeddings"), "embedding", "restrict to only support embeddings", "LLAMA_ARG_EMBEDDINGS"),
    Option(("--rerank", "--reranking"), ("embedding", "pooling_type"), as_.rerank, "enable reranking endpoint", env="LLAMA_ARG_RERANKING"),
    _value(("--embd-normalize",), "N", "embd_normalize", int, "normalisation for embeddings (default: 2)"),
    _value(("--api-key-file",), "FNAME", "api_keys", as_.keys_of, "file with API keys, one per line; or LLAMA_API_KEY in the environment", "LLAMA_ARG_API_KEY_FILE"),
    _value(("--chat-template",), "JINJA_TEMPLATE", "chat_template", str, "custom jinja chat template", "LLAMA_ARG_CHAT_TEMPLATE"),
    _value(("--chat-template-file",), "FILE", "chat_template", as_.text_of, "file with a custom jinja chat template", "LLAMA_ARG_CHAT_TEMPLATE_FILE"),
    _value(("--chat-template-kwargs",), "STRING", "default_template_kwargs", as_.template_kwargs, "JSON object for the template", "LLAMA_ARG_CHAT_TEMPLATE_KWARGS"),
    _value(("-to", "--timeout"), "N", ("timeout_read", "timeout_write"), int, "read/write timeout in seconds (default: 3600)", "LLAMA_ARG_TIMEOUT"),
    _value(("--sse-ping-interval",), "N", "sse_ping_interval", int, "SSE ping interval in seconds (-1 = disabled, default: 30)", "LLAMA_ARG_SSE_PING_INTERVAL"),
    _value(("--threads-http",), "N", "n_threads_http", int, "threads used to process HTTP requests (default: -1)", "LLAMA_ARG_THREADS_HTTP"),
    _switch(("--cache-prompt",), "cache_prompt", "prompt caching (default: enabled)", "LLAMA_ARG_CACHE_PROMPT", ("--no-cache-prompt",)),
    _value(("--cache-reuse",), "N", "n_cache_reuse", int, "min chunk size to reuse from the cache via KV shifting", "LLAMA_ARG_CACHE_REUSE"),
    _switch(("--metrics",), "endpoint_metrics", "prometheus compatible metrics endpoint", "LLAMA_ARG_ENDPOINT_METRICS"),
    _switch(("--props",), "endpoint_props", "changing global properties via POST /props", "LLAMA_ARG_ENDPOINT_PROPS"),
    _switch(("--slots",), "endpoint_slots", "slots monitoring endpoint (default: enabled)", "LLAMA_ARG_ENDPOINT_SLOTS", ("--no-slots",)),
    _value(("--slot-save-path",), "PATH", "slot_save_path", str, "path to save slot kv cache (default: disabled)"),
    _value(("-sps", "--slot-prompt-similarity"), "SIMILARITY", "slot_prompt_similarity", float, "prompt match needed to reuse a slot (default: 0.10)"),
    _switch(("--jinja",), "use_jinja", "jinja template engine for chat (default: enabled)", "LLAMA_ARG_JINJA", ("--no-jinja",)),
    _value(("--reasoning-format",), "FORMAT", "reasoning_format", as_.REASONING_FORMAT, "none, auto, deepseek or deepseek-legacy", "LLAMA_ARG_THINK"),
    _value(("-rea", "--reasoning"), "[on|off|auto]", "enable_reasoning", as_.REASONING, "use reasoning in the chat (default: auto)", "LLAMA_ARG_REASONING"),
    _value(("--reasoning-budget",), "N", "sampling.reasoning_budget_tokens", int, "token budget for thinking (default: -1, unrestricted)", "LLAMA_ARG_THINK_BUDGET"),
    _switch(("--prefill-assistant",), "prefill_assistant", "prefill the assistant's response (default: enabled)", "LLAMA_ARG_PREFILL_ASSISTANT", ("--no-prefill-assistant",)),
)
# fmt: on
