from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safe_llm.engines.llama_server_flags import FLAGS, flags_for, parse_help, unknown_flags
from safe_llm.errors import MisuseError
from safe_llm.worker.llama_server_argv import parse, render_help

DATA = Path(__file__).parents[2] / "data"
BINARY = parse_help((DATA / "llama_server_b10434_help.txt").read_text())
OURS = parse_help(render_help())
BEFORE_LOAD_MODE = BINARY - {"--load-mode", "-lm"}


def test_every_spelling_in_a_row_of_the_binarys_help_is_a_flag() -> None:
    assert {"-kvo", "--kv-offload", "-nkvo", "--no-kv-offload"} <= BINARY
    assert {"--spec-draft-ngl", "-ngld", "--gpu-layers-draft", "--n-gpu-layers-draft"} <= BINARY
    assert {"--metrics", "--embedding", "--embeddings", "--pooling", "-sm", "-fa"} <= BINARY


@pytest.mark.parametrize("listed", [BINARY, OURS])
def test_what_is_no_flag_in_a_help_is_none_here(listed: frozenset[str]) -> None:
    assert all(flag.startswith("-") and not flag.startswith("---") for flag in listed)
    assert not {"-", "--", "-common", "--load-mode`"} & listed


@pytest.mark.parametrize(
    "text", ["", "usage: cat [FILE]...", "----- title -----", "  -x, indented"]
)
def test_a_text_that_is_no_help_of_llama_server_lists_nothing(text: str) -> None:
    assert parse_help(text) == frozenset()


def test_our_program_lists_every_flag_that_its_parser_knows() -> None:
    for flag in ("--ctx-size", "-c", "--host", "--no-kv-unified", "-no-kvu", "--swa-checkpoints"):
        assert flag in OURS
    assert parse_help("-kvu,  --kv-unified, -no-kvu, --no-kv-unified\n") <= OURS


def test_a_parameter_becomes_the_first_spelling_that_is_known() -> None:
    assert flags_for({"n_gpu_layers": 3}, BINARY) == ["--n-gpu-layers", "3"]
    assert flags_for({"n_gpu_layers": 3}, frozenset({"-ngl"})) == ["-ngl", "3"]


@pytest.mark.parametrize("listed", [BINARY, OURS])
@pytest.mark.parametrize(
    ("mmap", "mlock", "expected"),
    [
        (None, None, []),
        (None, False, []),
        (True, None, ["--load-mode", "mmap"]),
        (None, True, ["--load-mode", "mmap+mlock"]),
        (False, True, ["--load-mode", "mlock"]),
        (False, False, ["--load-mode", "none"]),
    ],
)
def test_memory_parameters_become_a_load_mode_where_there_is_one(
    listed: frozenset[str], mmap: bool | None, mlock: bool | None, expected: Any
) -> None:
    assert flags_for({"use_mmap": mmap, "use_mlock": mlock}, listed) == expected


def test_memory_parameters_become_switches_in_an_older_build() -> None:
    both = {"use_mmap": False, "use_mlock": True}
    assert sorted(flags_for(both, BEFORE_LOAD_MODE)) == ["--mlock", "--no-mmap"]
    assert flags_for({"use_mmap": True}, BEFORE_LOAD_MODE) == []


def test_a_negative_number_of_gpu_layers_means_all_of_them() -> None:
    assert flags_for({"n_gpu_layers": -1}, BINARY) == ["--n-gpu-layers", "999"]


def test_none_leaves_the_default_of_the_binary() -> None:
    assert flags_for(dict.fromkeys(FLAGS), frozenset()) == []


def test_several_adapters_become_several_flags() -> None:
    assert flags_for({"lora_path": ["a", "b"]}, BINARY) == ["--lora", "a", "--lora", "b"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("flash_attn", True, ["--flash-attn", "on"]),
        ("flash_attn", False, ["--flash-attn", "off"]),
        ("flash_attn", "auto", ["--flash-attn", "auto"]),
        ("tensor_split", [3, 1], ["--tensor-split", "3,1"]),
        ("warmup", True, []),
        ("warmup", False, ["--no-warmup"]),
        ("embedding", False, []),
        ("embedding", True, ["--embedding"]),
        ("jinja", False, ["--no-jinja"]),
        ("rope_freq_base", 1e6, ["--rope-freq-base", "1000000.0"]),
    ],
)
def test_a_value_becomes_what_the_flag_takes(name: str, value: Any, expected: Any) -> None:
    assert flags_for({name: value}, OURS) == expected


def test_a_parameter_without_a_flag_is_refused_by_name() -> None:
    with pytest.raises(MisuseError, match=r"no flag for lora_base: .*--lora-base"):
        flags_for({"lora_base": "x"}, BINARY)


def test_an_unknown_parameter_is_refused_and_the_known_are_listed() -> None:
    with pytest.raises(MisuseError, match=r"(?s)'n_ctxx' is no parameter.*n_ctx"):
        flags_for({"n_ctxx": 1}, BINARY)


def test_flags_that_a_binary_does_not_list_are_found_among_arguments() -> None:
    arguments = ["--ctx_size", "512", "--bogus", "-1", "--top-k", "-x"]
    assert unknown_flags(arguments, OURS) == ("--bogus", "--top-k", "-x")


# Where the flag does not take a 1.
_SAMPLES: dict[str, Any] = {
    "split_mode": "row",
    "rope_scaling": "yarn",
    "lora_scaled": "a:1",
    "load_mode": "mmap",
    "numa": "isolate",
    "cache_type_k": "f16",
    "cache_type_v": "q8_0",
    "flash_attn": "on",
    "pooling": "mean",
    "reasoning_format": "none",
    "chat_template_file": __file__,
}
_GONE = {"lora_base", "use_mlock", "use_mmap"}


@pytest.mark.parametrize("name", sorted(FLAGS.keys() - _GONE))
def test_our_program_takes_every_flag_of_the_table(name: str) -> None:
    for value in (_SAMPLES.get(name, 1), _SAMPLES.get(name, 0)):
        assert isinstance(parse(flags_for({name: value}, OURS), {}), dict)
