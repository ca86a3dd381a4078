from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_llm.protocol.llama_log import level_of

MEASURED = (
    ("0.00.000.327 I srv          init: initializing ...", logging.INFO),
    ("0.00.003.734 W srv          init: security: no API key is set", logging.WARNING),
    ("0.00.005.496 E gguf_init_from_reader: invalid magic characters", logging.ERROR),
    ("0.00.107.038 D init_tokenizer: initializing tokenizer for type 2", logging.DEBUG),
    ("\x1b[0m0.00.428.133 D \x1b[1m\x1b[38;5;214mPhase 1", logging.DEBUG),
    ("\x1b[0m0.00.428.999 D ", logging.DEBUG),
    ("12.34.428.999 E", logging.ERROR),
    ("error: invalid argument: --bogus", logging.ERROR),
    ('error while handling argument "-c": stoi', logging.ERROR),
    ("terminate called after throwing an instance of 'std::bad_alloc'", logging.ERROR),
    ("/src/ggml.c:123: GGML_ASSERT(a->ne[0] == 1) failed", logging.ERROR),
    ("warning: no usable GPU found", logging.WARNING),
)


@pytest.mark.parametrize(("line", "level"), MEASURED)
def test_a_line_has_the_level_that_its_prefix_says(line: str, level: int) -> None:
    assert level_of(line, previous=logging.CRITICAL) == level


@pytest.mark.parametrize("line", ["<|im_start|>user", "", "I am a prompt", "E = mc2", "0.5 D"])
def test_a_line_without_a_prefix_has_the_level_of_the_message_it_belongs_to(line: str) -> None:
    assert level_of(line, previous=logging.DEBUG) == logging.DEBUG
    assert level_of(line) == logging.INFO


@given(st.text())
def test_any_text_has_a_level(line: str) -> None:
    assert level_of(line) in {logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR}
