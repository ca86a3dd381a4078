"""Parameters of ours as flags of the llama-server at hand. Pure: runs no binary.

Flags come and go between builds (``--mlock`` became ``--load-mode``): each parameter has its
spellings in order of preference, and the first that the binary's own ``--help`` lists is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safe_llm.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SPELLING = re.compile(r"(--?[A-Za-z][\w.-]*)(,\s+)?")
ALL_LAYERS = 999  # more than any model has; builds before 2026 take no word for "all"


def parse_help(text: str) -> frozenset[str]:
    """Return all spellings of all flags that a ``--help`` lists, short ones too.

    Empty when the text is no help of llama-server: then the program is something else.
    """
    return frozenset(name for line in text.splitlines() for name in _spellings(line))


def _spellings(line: str) -> Iterable[str]:
    # Flags stand at the start of a line, apart by commas; what follows the last is its value.
    position = 0
    while match := _SPELLING.match(line, position):
        yield match[1]
        if not match[2]:
            return
        position = match.end()


def unknown_flags(arguments: Sequence[str], known: frozenset[str]) -> tuple[str, ...]:
    """Return what looks like a flag among the arguments and is none of the binary's.

    Negative numbers are values. As in the binary, ``--ctx_size`` is ``--ctx-size``.
    """
    flags = [argument for argument in arguments if re.match(r"--?[A-Za-z]", argument)]
    return tuple(flag for flag in flags if _dashed(flag) not in known)


def _dashed(flag: str) -> str:
    return flag.replace("_", "-") if flag.startswith("--") else flag


@dataclass(frozen=True, slots=True)
class Value:
    """A flag that takes the parameter's value; once an item where the parameter is a list."""

    spellings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Switch:
    """A flag for yes and one for no. No spellings: that is what the binary does anyway."""

    on: tuple[str, ...] = ()
    off: tuple[str, ...] = ()


FLAGS: Mapping[str, Value | Switch] = {
    "model": Value(("--model", "-m")),
    "host": Value(("--host",)),
    "port": Value(("--port",)),
    "verbosity": Value(("--log-verbosity", "--verbosity", "-lv")),
    "alias": Value(("--alias", "-a")),
    "n_ctx": Value(("--ctx-size", "-c")),
    "n_batch": Value(("--batch-size", "-b")),
    "n_ubatch": Value(("--ubatch-size", "-ub")),
    "n_threads": Value(("--threads", "-t")),
    "n_threads_batch": Value(("--threads-batch", "-tb")),
    "n_threads_http": Value(("--threads-http",)),
    "n_gpu_layers": Value(("--n-gpu-layers", "--gpu-layers", "-ngl")),
    "main_gpu": Value(("--main-gpu", "-mg")),
    "split_mode": Value(("--split-mode", "-sm")),
    "tensor_split": Value(("--tensor-split", "-ts")),
    "n_parallel": Value(("--parallel", "-np")),
    "n_keep": Value(("--keep",)),
    "seed": Value(("--seed", "-s")),
    "rope_freq_base": Value(("--rope-freq-base",)),
    "rope_freq_scale": Value(("--rope-freq-scale",)),
    "rope_scaling": Value(("--rope-scaling",)),
    "yarn_orig_ctx": Value(("--yarn-orig-ctx",)),
    "yarn_ext_factor": Value(("--yarn-ext-factor",)),
    "yarn_attn_factor": Value(("--yarn-attn-factor",)),
    "yarn_beta_slow": Value(("--yarn-beta-slow",)),
    "yarn_beta_fast": Value(("--yarn-beta-fast",)),
    "lora_path": Value(("--lora",)),
    "lora_scaled": Value(("--lora-scaled",)),
    "lora_base": Value(("--lora-base",)),
    "load_mode": Value(("--load-mode", "-lm")),
    "numa": Value(("--numa",)),
    "cache_ram_mib": Value(("--cache-ram", "-cram")),
    "cache_type_k": Value(("--cache-type-k", "-ctk")),
    "cache_type_v": Value(("--cache-type-v", "-ctv")),
    "flash_attn": Value(("--flash-attn", "-fa")),
    "pooling": Value(("--pooling",)),
    "chat_template": Value(("--chat-template",)),
    "chat_template_file": Value(("--chat-template-file",)),
    "reasoning_format": Value(("--reasoning-format",)),
    "mmproj": Value(("--mmproj", "-mm")),
    "slot_save_path": Value(("--slot-save-path",)),
    "embedding": Switch(on=("--embedding", "--embeddings")),
    "rerank": Switch(on=("--rerank", "--reranking")),
    "metrics": Switch(on=("--metrics",)),
    "swa_full": Switch(on=("--swa-full",)),
    "check_tensors": Switch(on=("--check-tensors",)),
    "slots": Switch(on=("--slots",), off=("--no-slots",)),
    "jinja": Switch(on=("--jinja",), off=("--no-jinja",)),
    "kv_unified": Switch(on=("--kv-unified", "-kvu"), off=("--no-kv-unified", "-no-kvu")),
    "context_shift": Switch(on=("--context-shift",), off=("--no-context-shift",)),
    "warmup": Switch(off=("--no-warmup",)),
    "ui": Switch(off=("--no-ui", "--no-webui")),
    "offload_kqv": Switch(off=("--no-kv-offload", "-nkvo")),
    "op_offload": Switch(off=("--no-op-offload",)),
    "use_mlock": Switch(on=("--mlock",)),
    "use_mmap": Switch(off=("--no-mmap",)),
}
"""Every parameter that can become a flag."""


def has_flag(name: str, known: frozenset[str]) -> bool:
    """Whether a binary which knows these flags can be given this parameter."""
    flag = FLAGS[name]
    return isinstance(flag, Value) and not known.isdisjoint(flag.spellings)


_LOAD_MODES = {
    # (use_mmap, use_mlock): mapping is what every build does unless it is told not to
    (True, True): "mmap+mlock",
    (False, True): "mlock",
    (False, False): "none",
    (True, False): "mmap",
}


def flags_for(
    parameters: Mapping[str, Any], known: frozenset[str], *, program: str = "llama-server"
) -> list[str]:
    """Return the arguments that give these parameters to a binary which knows these flags.

    ``None`` means "the binary's default" and gives no flag. Raises ``MisuseError`` for a
    parameter that is not in ``FLAGS``, or for which this binary has no flag.
    """
    arguments: list[str] = []
    for name, value in _with_load_mode(parameters, known).items():
        if value is not None:
            arguments += _arguments(name, value, known, program)
    return arguments


def _with_load_mode(parameters: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    rest = {name: value for name, value in parameters.items() if name not in _MEMORY}
    mmap, mlock = (parameters.get(name) for name in _MEMORY)
    if known.isdisjoint(("--load-mode", "-lm")):
        return rest | {"use_mmap": mmap, "use_mlock": mlock}
    if mmap is not None or mlock:
        rest.setdefault("load_mode", _LOAD_MODES[mmap is not False, bool(mlock)])
    return rest


_MEMORY = ("use_mmap", "use_mlock")


def _arguments(name: str, value: Any, known: frozenset[str], program: str) -> list[str]:
    flag = FLAGS.get(name)
    if flag is None:
        raise MisuseError(
            reason=f"{name!r} is no parameter of {program}",
            hint=f"known parameters: {', '.join(sorted(FLAGS))}",
        )
    if isinstance(flag, Switch):
        spellings = flag.on if value else flag.off
        return [_first(name, spellings, known, program)] if spellings else []
    spelling = _first(name, flag.spellings, known, program)
    values = value if isinstance(value, (list, tuple)) and name in _REPEATED else (value,)
    return [part for one in values for part in (spelling, _text(name, one))]


_REPEATED = frozenset({"lora_path", "lora_scaled"})


def _first(name: str, spellings: tuple[str, ...], known: frozenset[str], program: str) -> str:
    for spelling in spellings:
        if spelling in known:
            return spelling
    raise MisuseError(
        reason=f"{program} has no flag for {name}: its --help lists none of {', '.join(spellings)}",
        hint=f"leave {name} out, or use another build of llama-server",
    )


def _text(name: str, value: Any) -> str:
    if name == "n_gpu_layers" and isinstance(value, int) and value < 0:
        return str(ALL_LAYERS)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (list, tuple)):
        return ",".join(str(one) for one in value)
    return str(value)
