from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING

import pytest

from safe_llm.engines.spec import LlamaServerSpec, check_model_file
from safe_llm.errors import MisuseError, ModelFileInvalid

if TYPE_CHECKING:
    from pathlib import Path

GGUF = b"GGUF" + bytes(20)


@pytest.mark.parametrize("name", ["model.gguf", "a folder/with spaces.gguf", "ümläut.gguf"])
def test_a_gguf_is_accepted_and_its_path_made_absolute(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(GGUF)
    monkeypatch.chdir(tmp_path)
    assert check_model_file(name) == str(file)


def test_a_home_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.gguf").write_bytes(GGUF)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert check_model_file("~/m.gguf") == str(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it does not begin with GGUF but with b''"),
        (b"PK\x03\x04", "it does not begin with GGUF but with b'PK\\x03\\x04'"),
        (b"<html>", "it does not begin with GGUF but with b'<htm'"),
        (b"GGUF", "it ends after 4 bytes, of a header of 24"),
        (GGUF[:23], "it ends after 23 bytes, of a header of 24"),
    ],
)
def test_a_file_that_is_no_gguf_is_refused_with_what_it_is(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(ModelFileInvalid) as caught:
        check_model_file(str(file))
    assert caught.value.reason == reason
    assert caught.value.hint


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nothing.gguf", "there is no such file"),
        ("", "it is not a file"),
        ("a_fifo", "it is not a file"),
        ("model.gguf/inside", "there is no such file"),
        ("x" * 300, "File name too long"),
        ("a\0b", "there is no such file"),
    ],
)
def test_what_is_no_file_is_refused_at_once(path: str, reason: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a_fifo")
    (tmp_path / "model.gguf").write_bytes(GGUF)
    with pytest.raises(ModelFileInvalid) as caught:
        check_model_file(f"{tmp_path}/{path}")
    assert caught.value.reason == reason


def test_a_home_of_nobody_is_refused() -> None:
    with pytest.raises(ModelFileInvalid, match="home directory"):
        check_model_file("~no-such-user/model.gguf")


def test_an_empty_path_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(MisuseError, match="model_path is empty"):
        check_model_file("")


def test_a_missing_file_is_answered_with_those_that_are_there(tmp_path: Path) -> None:
    for name in ("b.gguf", "a.gguf", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelFileInvalid) as caught:
        check_model_file(str(tmp_path / "c.gguf"))
    assert caught.value.hint == f"in {tmp_path} there are: a.gguf, b.gguf"


def test_equal_specifications_are_one_and_survive_a_pickle() -> None:
    one = LlamaServerSpec(model_path="/m", parameters=(("n_ctx", 1),), env=(("A", "b"),))
    other = LlamaServerSpec(model_path="/m", parameters=(("n_ctx", 1),), env=(("A", "b"),))
    assert len({one, other, pickle.loads(pickle.dumps(one))}) == 1


def test_neither_the_key_nor_the_environment_is_shown() -> None:
    spec = LlamaServerSpec(
        model_path="/m.gguf", base_url="http://h:1", api_key="secret", env=(("TOKEN", "secret"),)
    )
    assert "secret" not in f"{spec!r} {spec} {spec.name}"


@pytest.mark.parametrize(
    ("server_args", "expected"),
    [
        ((), False),
        (("-lv", "3"), False),
        (("-lv", "4"), True),
        (("--log-verbosity", "5"), True),
        (("--verbosity", "1"), False),
        (("--metrics", "-v"), True),
        (("-lv",), False),
    ],
)
def test_an_engine_that_was_asked_for_a_debug_log_is_known(
    server_args: tuple[str, ...],
    expected: bool,
) -> None:
    spec = LlamaServerSpec(model_path="m.gguf", server_args=server_args)
    assert spec.logs_for_debugging is expected


@pytest.mark.parametrize(("level", "expected"), [(3, False), (5, True)])
def test_a_debug_log_may_be_asked_for_by_a_parameter_too(level: int, *, expected: bool) -> None:
    spec = LlamaServerSpec(model_path="m.gguf", parameters=(("verbosity", level),))
    assert spec.logs_for_debugging is expected
