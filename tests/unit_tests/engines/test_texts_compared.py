"""What a llama-server answers about vectors and ranks, and how it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.exceptions import ModelInvalidRequestError

from safe_llm.engines.base import Ranked
from safe_llm.engines.http import remote_error
from safe_llm.engines.llama_server_answers import read_ranks
from safe_llm.errors import PromptTooLong, ProtocolViolation
from safe_llm.langchain.model_errors import as_model_error


def scores(*pairs: tuple[int, float]) -> dict[str, Any]:
    return {"results": [{"index": index, "relevance_score": score} for index, score in pairs]}


def test_the_best_comes_first_and_of_equals_the_one_that_was_given_first() -> None:
    found = read_ranks(scores((2, 0.5), (0, 0.5), (1, 0.9)), 3, peer="engine")
    assert found == (Ranked(1, 0.9), Ranked(0, 0.5), Ranked(2, 0.5))


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        scores((0, 1.0)),
        scores((0, 1.0), (0, 2.0)),
        scores((0, 1.0), (2, 2.0)),
        scores((0, 1.0), (1, 2.0), (2, 3.0)),
        {"results": [{"index": 0, "relevance_score": None}, {"index": 1, "relevance_score": 1.0}]},
        {"results": [{"index": 0}, {"index": 1}]},
        {"results": 7},
    ],
)
def test_each_document_has_one_score_or_it_is_no_answer(answer: object) -> None:
    with pytest.raises(ProtocolViolation, match="/v1/rerank gave "):
        read_ranks(answer, 2, peer="engine")


def refused(status: int, message: str) -> Any:
    body = {"error": {"code": status, "message": message, "type": "server_error"}}
    return remote_error("engine", status, json.dumps(body).encode())


def test_a_text_that_is_larger_than_a_batch_is_too_long_by_a_number() -> None:
    error = refused(
        500,
        "input (553 tokens) is too large to process. increase the physical batch size"
        " (current batch size: 512)",
    )
    assert isinstance(error, PromptTooLong)
    assert (error.prompt_tokens, error.context_tokens, error.status) == (553, 512, 400)
    assert "n_ubatch" in error.hint


def test_a_server_that_does_not_rank_says_what_would() -> None:
    error = refused(501, "This server does not support reranking. Start it with `--reranking`")
    assert error.status == 501
    assert "LlamaCppRerank" in error.hint
    assert isinstance(as_model_error(error), ModelInvalidRequestError)  # which nobody retries
