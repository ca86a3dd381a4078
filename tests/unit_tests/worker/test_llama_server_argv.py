from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.worker.llama_server_argv import InvalidArgument, parse, render_help
from safe_llm.worker.llama_server_options import OPTIONS, SERVER_DEFAULTS
from safe_llm.worker.llama_server_values import Adapter, EnumMember

if TYPE_CHECKING:
    from pathlib import Path


def _changed(argv: list[str], env: dict[str, str] | None = None) -> dict[str, Any]:
    defaults = dict(SERVER_DEFAULTS)
    return {
        key: value for key, value in parse(argv, env or {}).items() if defaults.get(key) != value
    }


def test_without_arguments_the_defaults_are_those_of_the_binary() -> None:
    assert parse([], {}) == {"n_parallel": -1, "port": 8080}


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("-c 512", {"n_ctx": 512}),
        ("--ctx_size 512", {"n_ctx": 512}),
        ("-c 1 -c 2", {"n_ctx": 2}),
        ("-m a.gguf", {"model.path": "a.gguf"}),
        ("-t 3 -tb 4", {"cpuparams.n_threads": 3, "cpuparams_batch.n_threads": 4}),
        ("--host /tmp/a.sock --port 0", {"hostnames": ["/tmp/a.sock"], "port": 0}),
        ("-ngl auto", {"n_gpu_layers": -1}),
        ("-ngl all", {"n_gpu_layers": -2}),
        ("-ngl 7", {"n_gpu_layers": 7}),
        ("--no-warmup", {"warmup": False}),
        ("--no-slots", {"endpoint_slots": False}),
        ("-v", {"verbosity": 2147483647}),
        ("--seed -1", {"sampling.seed": 0xFFFFFFFF}),
        ("--rope-scale 4", {"rope_freq_scale": 0.25}),
        ("--timeout 9", {"timeout_read": 9, "timeout_write": 9}),
        ("--alias a,b", {"model_alias": {"a", "b"}}),
        ("--fit-target 1,2", {"fit_params_target": [1 << 20, 2 << 20]}),
        ("--lora a,b --lora-scaled c:0.5", {
            "lora_adapters": [Adapter("a", 1.0), Adapter("b", 1.0), Adapter("c", 0.5)]
        }),
        ("--load-mode mmap+mlock", {
            "load_mode": EnumMember("llama_load_mode", "LLAMA_LOAD_MODE_MMAP_MLOCK")
        }),
        ("--rerank", {
            "embedding": True,
            "pooling_type": EnumMember("llama_pooling_type", "LLAMA_POOLING_TYPE_RANK"),
        }),
        ('--chat-template-kwargs {"a":true}', {"default_template_kwargs": {"a": "true"}}),
    ],
)  # fmt: skip
def test_a_flag_sets_its_attribute(argv: str, expected: Any) -> None:
    assert _changed(argv.split()) == expected


@pytest.mark.parametrize("argv", [["--bogus"], ["-m", "x", "--bogus"], ["stray"], ["--mlock"]])
def test_an_unknown_flag_is_refused_in_the_binarys_words(argv: list[str]) -> None:
    with pytest.raises(InvalidArgument, match=f"^error: invalid argument: {argv[-1]}$"):
        parse(argv, {})


@pytest.mark.parametrize(
    "argv",
    ["-c", "-c abc", "-ngl some", "-fa maybe", "-ctk f64", "--chat-template-file /nonexistent/t",
     "--rope-scale 0", "--chat-template-kwargs []", "--lora-scaled a", "--reasoning maybe"],
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_refused_and_its_flag_explained(argv: str) -> None:
    flag = argv.split(maxsplit=1)[0]
    with pytest.raises(
        InvalidArgument, match=rf'error while handling argument "{flag}": [^\n]+\n\nusage:\n'
    ):
        parse(argv.split(), {})


def test_the_environment_sets_what_no_flag_sets() -> None:
    env = {"LLAMA_ARG_CTX_SIZE": "256", "LLAMA_ARG_JINJA": "off", "HOME": "/"}
    assert _changed([], env) == {"n_ctx": 256, "use_jinja": False}
    assert _changed(["-c", "512"], env) == {"n_ctx": 512, "use_jinja": False}


def test_the_key_comes_from_the_environment_and_not_from_the_arguments() -> None:
    assert _changed([], {"LLAMA_API_KEY": "one,two"}) == {"api_keys": ["one", "two"]}
    with pytest.raises(InvalidArgument, match="invalid argument: --api-key"):
        parse(["--api-key", "one"], {})


def test_keys_can_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# mine\none\n\ntwo\n")
    assert _changed(["--api-key-file", str(file)]) == {"api_keys": ["one", "two"]}


def test_no_spelling_belongs_to_two_options() -> None:
    names = [name for option in OPTIONS for name in (*option.names, *option.off)]
    assert len(names) == len(set(names))


def test_help_has_the_two_columns_of_the_binary() -> None:
    lines = render_help().splitlines()
    assert "-h,    --help, --usage                  print usage and exit" in lines
    row = next(line for line in lines if line.startswith("-c,"))
    assert row[:40] == "-c,    --ctx-size N                     "
    assert row[40] != " "
