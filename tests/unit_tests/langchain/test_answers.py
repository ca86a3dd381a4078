from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import pytest

from safe_llm.engines.base import CompletionChunk, Usage
from safe_llm.langchain.answers import Answer, as_result
from safe_llm.limits import Limits
from safe_llm.parameters.request import Request

if TYPE_CHECKING:
    from langchain_core.outputs import GenerationChunk

END = CompletionChunk("", (), "length", Usage(4, 2, 1), {"predicted_ms": 1.5})


def token(text: str, logprob: float, **others: float) -> dict[str, Any]:
    top = [{"token": other, "logprob": value} for other, value in others.items()]
    return {"token": text, "bytes": list(text.encode()), "logprob": logprob, "top_logprobs": top}


def answer(prompt: str = "ab", **request: Any) -> Answer:
    return Answer(Request(limits=Limits(), **request), prompt)


def chunks(taking: Answer, *given: CompletionChunk) -> list[GenerationChunk]:
    return [*taking.opening(), *(taking.take(one) for one in given)]


def test_chunks_add_up_to_the_generation() -> None:
    taking = answer(echo=True, suffix="!", top_logprobs=1)
    all_of_them = chunks(
        taking,
        CompletionChunk("x", (token("x", -0.5, y=-0.1, z=-3.0),)),
        CompletionChunk("yz", (token("y", -0.2), token("z", -0.3))),
        END,
    )
    whole = reduce(add, all_of_them)
    assert whole.text == taking.generation().text == "abxyz!"
    assert whole.generation_info == taking.generation().generation_info


def test_logprobs_have_the_shape_of_the_original() -> None:
    taking = answer(prompt="abc", top_logprobs=1)
    (chunk,) = chunks(taking, CompletionChunk("x", (token("x", -0.5, y=-0.1, z=-3.0),)))
    assert chunk.generation_info == {
        "logprobs": {
            "tokens": ["x"],
            "text_offset": [3],
            "token_logprobs": [-0.5],
            "top_logprobs": [{"y": -0.1, "x": -0.5}],
        }
    }


def test_the_end_of_text_token_has_no_logprobs_and_a_token_of_half_a_letter_has() -> None:
    taking = answer(top_logprobs=0)
    ended = {"token": "", "bytes": [], "logprob": -9.0, "top_logprobs": []}
    half = {"token": "", "bytes": [0xC3], "logprob": -1.0, "top_logprobs": []}
    (chunk,) = chunks(taking, CompletionChunk("", (half, ended)))
    assert chunk.generation_info is not None
    assert chunk.generation_info["logprobs"]["token_logprobs"] == [-1.0]


@pytest.mark.parametrize(("probability", "logprob"), [(0.5, math.log(0.5)), (0.0, -math.inf)])
def test_probabilities_after_sampling_become_logprobs(probability: float, logprob: float) -> None:
    taking = answer(top_logprobs=1)
    said = {"token": "x", "bytes": [120], "prob": probability, "top_probs": []}
    taking.take(CompletionChunk("x", (said,)))
    info = taking.generation().generation_info
    assert info is not None
    assert info["logprobs"]["token_logprobs"] == [logprob]


def test_nothing_is_said_about_logprobs_that_were_not_asked_for() -> None:
    taking = answer()
    (chunk,) = chunks(taking, CompletionChunk("x", (token("x", -0.5),)))
    assert chunk.generation_info == {"logprobs": None}


def test_logprobs_that_were_asked_for_are_there_when_nothing_was_generated() -> None:
    taking = answer(top_logprobs=1)
    chunks(taking, END)
    info = taking.generation().generation_info
    assert info is not None
    assert info["logprobs"]["tokens"] == []


def test_the_last_chunk_says_why_it_ended_and_what_it_cost() -> None:
    taking = answer()
    chunk = chunks(taking, CompletionChunk("x"), END)[-1]
    assert chunk.generation_info == {
        "logprobs": None,
        "finish_reason": "length",
        "token_usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6},
        "usage_metadata": {
            "input_tokens": 4,
            "output_tokens": 2,
            "total_tokens": 6,
            "input_token_details": {"cache_read": 1},
            "output_token_details": {"reasoning": 0},
        },
        "timings": {"predicted_ms": 1.5},
    }


def test_the_result_of_several_prompts_adds_up_what_they_cost() -> None:
    answers = [answer("a"), answer("b")]
    for taking in answers:
        chunks(taking, CompletionChunk("x"), END)
    result = as_result(answers, "m.gguf")
    assert [[one.text for one in several] for several in result.generations] == [["x"], ["x"]]
    assert result.llm_output == {
        "model_name": "m.gguf",
        "token_usage": {"prompt_tokens": 8, "completion_tokens": 4, "total_tokens": 12},
    }
