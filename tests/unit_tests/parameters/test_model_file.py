from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from safe_llm.parameters.model_file import said_by, tensors_of, trained_context
from tests.models import tiny_gguf

if TYPE_CHECKING:
    from pathlib import Path


def test_a_model_file_says_with_how_much_context_it_was_trained(tmp_path: Path) -> None:
    said = said_by(str(tiny_gguf(tmp_path, ctx=1234)))
    assert said["general.name"] == "tiny"
    assert trained_context(said) == 1234


def test_another_file_at_the_same_path_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    for ctx in (1000, 2000):
        tiny_gguf(tmp_path, ctx=ctx).rename(path)
        assert trained_context(said_by(str(path))) == ctx


@pytest.mark.parametrize("content", [None, b"", b"GGUF", b"no model at all"])
def test_of_what_cannot_be_read_nothing_is_known(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    assert said_by(str(path)) == {}
    assert tensors_of(str(path)) == frozenset()
    assert trained_context({}) is None


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert said_by(str(tmp_path / "pipe")) == {}
