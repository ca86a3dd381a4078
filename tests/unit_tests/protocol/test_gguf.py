"""The head of a GGUF file, against what the gguf package writes; and files that are none."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from safe_llm.protocol.gguf import NoGguf, read_metadata, read_tensor_names
from tests.models import CHAT_TEMPLATE, tiny_gguf, tiny_reranker

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tiny_gguf(tmp_path_factory.mktemp("gguf"), ctx=1234)
    return path.read_bytes()


def test_a_model_says_what_it_is(written: bytes) -> None:
    said = read_metadata(io.BytesIO(written).read)
    assert said["general.architecture"] == "llama"
    assert said["llama.context_length"] == 1234
    assert said["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-5)
    assert said["tokenizer.ggml.add_bos_token"] is True
    assert said["tokenizer.chat_template"] == CHAT_TEMPLATE
    assert said["tokenizer.ggml.tokens"] is None


def test_a_model_says_what_it_has_weights_for(tmp_path: Path, written: bytes) -> None:
    names = read_tensor_names(io.BytesIO(written).read)
    assert {"token_embd.weight", "blk.0.attn_q.weight", "output.weight"} < names
    with tiny_reranker(tmp_path).open("rb") as file:
        further = read_tensor_names(file.read) - names
    assert further == {"cls.output.weight", "blk.0.attn_q_norm.weight", "blk.0.attn_k_norm.weight"}


def test_a_file_that_ends_too_early_is_none(written: bytes) -> None:
    for length in (0, 3, 4, 7, 23, 30, 100, 1000):
        with pytest.raises(NoGguf):
            read_metadata(io.BytesIO(written[:length]).read)


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"GGML" + bytes(20), "does not begin with GGUF"),
        (b"GGUF\x01\0\0\0" + bytes(16), "version 1"),
        (b"GGUF\x03\0\0\0" + bytes(8) + b"\x01" + bytes(7) + b"\xff" * 8, "a text of"),
        (
            b"GGUF\x03\0\0\0" + bytes(8) + b"\x01" + bytes(7) + bytes(8) + b"\x63\0\0\0",
            "there is no type 99",
        ),
    ],
)
def test_what_is_no_gguf_says_why(head: bytes, text: str) -> None:
    with pytest.raises(NoGguf, match=text):
        read_metadata(io.BytesIO(head).read)
