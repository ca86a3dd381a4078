"""What the text of a flag's value means. Imports no wheel: members of its enums go by name.

Every converter takes the text and raises ``ValueError``, ``KeyError`` or ``OSError`` when it
cannot be meant.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class EnumMember:
    """A member of an enum of xllamacpp, by name: the table must not import the wheel."""

    enum: str
    member: str


@dataclass(frozen=True, slots=True)
class Together:
    """One value for each of an option's targets, where they differ."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter file and how strongly it is applied."""

    path: str
    scale: float


def switched(text: str) -> bool:
    """A switch as the environment spells it: 1/0, true/false, on/off, yes/no, enabled/disabled."""
    if text in ("1", "true", "on", "yes", "enabled"):
        return True
    if text in ("0", "false", "off", "no", "disabled"):
        return False
    raise ValueError(text)


def one_of(enum: str, prefix: str, *words: str, **other: str) -> Callable[[str], EnumMember]:
    """A converter that knows these words and no others; ``other`` maps a word to its member."""
    members = {word: prefix + word.upper() for word in words}
    members |= {word: prefix + member for word, member in other.items()}

    def convert(text: str) -> EnumMember:
        if text not in members:
            raise ValueError(f"one of {', '.join(members)}")
        return EnumMember(enum, members[text])

    return convert


def commas(text: str) -> list[str]:
    """Parts between commas; empty ones do not count."""
    return [part for part in text.split(",") if part]


def aliases(text: str) -> set[str]:
    """A set of names between commas."""
    return {part.strip() for part in commas(text)}


def layers(text: str) -> int:
    """A number of layers, ``auto`` or ``all``."""
    return {"auto": -1, "all": -2}.get(text) or int(text)


def seed(text: str) -> int:
    """A seed as the unsigned number that the sampler keeps."""
    return int(text) & 0xFFFF_FFFF  # -1 is 0xFFFFFFFF: a random seed


def inverse(text: str) -> float:
    """One over a number."""
    return 1.0 / float(text)


def tensor_split(text: str) -> list[float]:
    """Proportions between commas, for as many devices as xllamacpp has room for."""
    parts = [float(part) for part in commas(text.replace("/", ","))]
    return [*parts, *[0.0] * (128 - len(parts))]  # xllamacpp takes exactly 128 numbers


def mebibytes(text: str) -> list[int]:
    """MiB between commas, as bytes."""
    return [int(part) << 20 for part in commas(text)]


def adapters(text: str) -> list[Adapter]:
    """Paths between commas, each applied fully."""
    return [Adapter(path, 1.0) for path in commas(text)]


def scaled_adapters(text: str) -> list[Adapter]:
    """``PATH:SCALE`` between commas."""
    pairs = [part.rpartition(":") for part in commas(text)]
    return [Adapter(path, float(scale)) for path, _, scale in pairs]


def text_of(path: str) -> str:
    """The content of a file."""
    return Path(path).read_text(encoding="utf-8")


def keys_of(path: str) -> list[str]:
    """The keys in a file, one a line; lines that start with a hash are comments."""
    lines = (line.strip() for line in text_of(path).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def template_kwargs(text: str) -> dict[str, str]:
    """A JSON object, each value as JSON text: what the template engine takes."""
    return {key: json.dumps(value) for key, value in json.loads(text).items()}


CACHE_TYPE = one_of(
    "ggml_type",
    "GGML_TYPE_",
    *("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"),
)
FLASH = one_of(
    "llama_flash_attn_type", "LLAMA_FLASH_ATTN_TYPE_", "auto", on="ENABLED", off="DISABLED"
)
POOLING = one_of("llama_pooling_type", "LLAMA_POOLING_TYPE_", "none", "mean", "cls", "last", "rank")
POOLING_OF_THE_MODEL = EnumMember("llama_pooling_type", "LLAMA_POOLING_TYPE_UNSPECIFIED")
LOAD_MODE = one_of(
    "llama_load_mode",
    "LLAMA_LOAD_MODE_",
    *("auto", "none", "mmap", "mlock"),
    **{"mmap+mlock": "MMAP_MLOCK", "dio": "DIRECT_IO"},
)
ROPE = one_of("llama_rope_scaling_type", "LLAMA_ROPE_SCALING_TYPE_", "none", "linear", "yarn")
SPLIT = one_of("llama_split_mode", "LLAMA_SPLIT_MODE_", "none", "layer", "row", "tensor")
NUMA = one_of("ggml_numa_strategy", "GGML_NUMA_STRATEGY_", "distribute", "isolate", "numactl")
REASONING_FORMAT = one_of(
    "common_reasoning_format",
    "COMMON_REASONING_FORMAT_",
    *("none", "auto", "deepseek"),
    **{"deepseek-legacy": "DEEPSEEK_LEGACY"},
)
REASONING = {"on": 1, "off": 0, "auto": -1}.__getitem__


def rerank(text: str) -> Together:
    """Reranking is embedding with the pooling of a ranker."""
    on = switched(text)
    return Together((on, POOLING("rank") if on else POOLING_OF_THE_MODEL))
