from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from safe_llm.engines import llama_program as programs
from safe_llm.engines.binary import Binary
from safe_llm.engines.llama_program import LlamaProgram, refuse_changed_address
from safe_llm.engines.llama_server_flags import parse_help
from safe_llm.engines.spec import LlamaServerSpec
from safe_llm.errors import MisuseError
from safe_llm.supervise.portal import portal
from tests.llama_engine import temporary_files_of_its_own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safe_llm.process.command import Command

HELP = Path(__file__).parents[2] / "data" / "llama_server_b10434_help.txt"
KNOWN = parse_help(HELP.read_text())


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(996))
    return str(path)


@pytest.fixture(autouse=True)
def _files() -> Iterator[None]:
    with temporary_files_of_its_own() as folder:
        yield
        assert list(folder.iterdir()) == []


def _command(
    spec: LlamaServerSpec,
    monkeypatch: pytest.MonkeyPatch,
    *,
    known: frozenset[str] = KNOWN,
    sockets: bool = True,
) -> Command:
    async def found(_: str | None) -> Binary:
        return Binary(("/bin/llama-server",), (("FROM", "binary"),), "test", known, sockets)

    async def prepared() -> Command:
        monkeypatch.setattr(programs, "find_binary", found)
        program = LlamaProgram(spec, 1, partial(anyio.sleep, 0))
        try:
            return await program.prepare()
        finally:
            await program.clean_up()

    return portal().submit(prepared, "test").result()


def _arguments(spec: LlamaServerSpec, monkeypatch: pytest.MonkeyPatch, **more: Any) -> list[str]:
    return list(_command(spec, monkeypatch, **more).argv)


def _follows(arguments: list[str], *words: str) -> bool:
    return " ".join(words) in " ".join(arguments)


def test_it_is_told_where_to_listen_what_to_load_and_how_much_to_say(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _arguments(LlamaServerSpec(model_path=model), monkeypatch)
    assert found[:2] == ["/bin/llama-server", "--host"]
    assert found[2].endswith("/s.sock")
    assert found[3:] == [
        "--model", model, "--log-verbosity", "3", "--cache-ram", "512",
    ]  # fmt: skip


def test_parameters_become_flags_and_arguments_follow_as_they_are(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = LlamaServerSpec(
        model_path=model, parameters=(("n_ctx", 512),), server_args=("--metrics", "--foo=1")
    )
    found = _arguments(spec, monkeypatch)
    assert _follows(found, "--ctx-size", "512")
    assert found[-2:] == ["--metrics", "--foo=1"]


@pytest.mark.parametrize(
    "given", [("-lv", "5"), ("-v",), ("--verbose",), ("--verbosity", "1"), ("--log-verbosity", "0")]
)
def test_a_verbosity_that_was_asked_for_is_left_alone(
    given: tuple[str, ...], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = LlamaServerSpec(model_path=model, server_args=given)
    assert not _follows(_arguments(spec, monkeypatch), "--log-verbosity", "3")


def test_a_build_without_a_prompt_cache_in_memory_is_not_asked_for_a_small_one(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = KNOWN - {"--cache-ram", "-cram"}
    found = _arguments(LlamaServerSpec(model_path=model), monkeypatch, known=known)
    assert "--cache-ram" not in found


def test_the_environment_is_the_binarys_then_the_users(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = LlamaServerSpec(model_path=model, env=(("FROM", "user"), ("GGML_X", "1")))
    assert _command(spec, monkeypatch).env == {"FROM": "user", "GGML_X": "1"}


def test_the_key_of_a_port_stands_in_the_environment_and_nowhere_else(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = _command(LlamaServerSpec(model_path=model), monkeypatch, sockets=False)
    assert len(command.env["LLAMA_API_KEY"]) >= 32
    assert command.env["LLAMA_API_KEY"] not in " ".join(command.argv)
    assert _follows(list(command.argv), "--host", "127.0.0.1", "--port")


def test_an_unknown_parameter_is_refused_with_the_known_ones(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = LlamaServerSpec(model_path=model, parameters=(("n_cxt", 512),))
    with pytest.raises(MisuseError, match="'n_cxt' is no parameter of llama-server") as caught:
        _command(spec, monkeypatch)
    assert "n_ctx" in caught.value.hint


@pytest.mark.parametrize(
    "given",
    ["--host", "--port", "-m", "--model", "--api-key", "--api_key", "--api-key-file"],
)
def test_arguments_that_would_move_it_out_of_reach_are_refused(given: str) -> None:
    with pytest.raises(MisuseError, match="which safe_llm sets itself"):
        refuse_changed_address(("--metrics", given, "x"))


def test_a_value_that_looks_like_a_flag_is_none_of_ours() -> None:
    refuse_changed_address(("--alias", "host", "--threads-http", "2"))


@pytest.mark.parametrize(
    ("lines", "levels"),
    [
        (["0.00.010.398 I srv  load: x", "0.00.011.000 E srv  y: z", " and more"], [20, 40, 40]),
        (["no prefix at all"], [20]),
    ],
)
def test_a_line_without_a_level_continues_the_one_before(
    lines: list[str], levels: list[int], model: str
) -> None:
    program = LlamaProgram(LlamaServerSpec(model_path=model), 1, partial(anyio.sleep, 0))
    assert [program.level_of(one) for one in lines] == levels
