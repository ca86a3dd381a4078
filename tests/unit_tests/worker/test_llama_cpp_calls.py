"""What a worker answers: the very texts of the library, and a typed error for all that it refuses.

The control is the library itself, used as its users do, in a process of its own.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.models import smollm2_path, tiny_gguf
from tests.unit_tests.worker.llama_cpp_peer import BOUND, ROOT, Peer, loaded

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTROL = Path(__file__).with_name("llama_cpp_control.py")
GREEDY: dict[str, Any] = {"prompt": "Once upon a time", "max_tokens": 20, "temperature": 0}
THREADS = {"n_threads": 1, "n_threads_batch": 1}
HELLO = [{"role": "user", "content": "Hello, who are you?"}]
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}
CALL_ADD = {"tools": [ADD], "tool_choice": {"type": "function", "function": {"name": "add"}}}


def controls(
    folder: Path, model: Path, parameters: dict[str, Any], calls: list[tuple[str, dict[str, Any]]]
) -> list[Any]:
    """What the library says to the same calls in the same order, in the user's own process."""
    job = {"model": str(model), "parameters": {**THREADS, **parameters}, "calls": calls}
    results = folder / "results.json"
    subprocess.run(
        [sys.executable, str(CONTROL), str(results)],
        input=json.dumps(job), text=True, cwd=ROOT, timeout=4 * BOUND, check=True,
    )  # fmt: skip
    heard: list[Any] = json.loads(results.read_text(encoding="utf-8"))
    return heard


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def worker(model: Path) -> Iterator[Peer]:
    with loaded(model, parameters={"n_ctx": 512}) as one:
        yield one


@pytest.fixture(scope="module")
def exact(model: Path) -> Iterator[Peer]:
    """One that can tell how probable each token was."""
    with loaded(model, parameters={"logits_all": True}) as one:
        yield one


@pytest.fixture(scope="module")
def embedder(model: Path) -> Iterator[Peer]:
    with loaded(model, parameters={"embedding": True, "n_ctx": 256}) as one:
        yield one


def said(worker: Peer, **arguments: Any) -> tuple[str, str, dict[str, Any]]:
    """The text of a completion, why it ended, and what it cost."""
    *chunks, done = worker.hear_all(worker.ask("complete", **arguments))
    assert done.kind == "done", done
    assert all(chunk.data["text"] for chunk in chunks)
    return (
        "".join(chunk.data["text"] for chunk in chunks),
        done.data["finish_reason"],
        done.data["usage"],
    )


# -- the same as in the user's own process

COMPLETIONS: list[dict[str, Any]] = [
    GREEDY,
    {**GREEDY, "prompt": ""},
    {**GREEDY, "prompt": [1, 300, 301, 302]},
    {**GREEDY, "prompt": "Once upon"},
    {**GREEDY, "max_tokens": 1},
    {**GREEDY, "max_tokens": None},
    {**GREEDY, "stop": [":"]},
    {**GREEDY, "stop": "j", "max_tokens": 60},
    {**GREEDY, "repeat_penalty": 1.3},
    {**GREEDY, "logit_bias": {"300": 50.0}},
    {**GREEDY, "grammar": 'root ::= [a-z]+ "." [0-9]'},
    {"prompt": "dice", "max_tokens": 30, "temperature": 1.5, "seed": 7},
    {"prompt": "dice", "max_tokens": 30, "temperature": 1.5},
    {"prompt": "dice", "max_tokens": 30, "mirostat_mode": 2, "seed": 7},
    GREEDY,
]


@pytest.mark.timeout(60)  # the library is imported and loaded twice
def test_a_completion_is_the_text_that_the_library_gives(model: Path, tmp_path: Path) -> None:
    calls = [("create_completion", one) for one in COMPLETIONS]
    expected = [one["choices"][0] for one in controls(tmp_path, model, {"n_ctx": 512}, calls)]
    with loaded(model, parameters={"n_ctx": 512}) as fresh:
        heard = [said(fresh, **one)[:2] for one in COMPLETIONS]
    assert heard == [(one["text"], one["finish_reason"]) for one in expected]
    assert len(set(heard)) > 8


MANY_BYTES = ["Emoji: 😀😃😄😁", "日本語の文章:", "Привет, как дела? ", "été, élève,"]


@pytest.mark.smollm2
@pytest.mark.timeout(60)  # a real model, loaded three times
@pytest.mark.parametrize("logprobs", [None, 2])
def test_a_real_model_says_what_it_says_in_the_users_process_of_whatever_bytes(
    logprobs: int | None, tmp_path: Path
) -> None:
    prompts = ["The capital of France is", *MANY_BYTES]
    asked = [
        {"prompt": one, "max_tokens": 24, "temperature": 0, "stop": ["\n\n"]} for one in prompts
    ]
    parameters = {"n_ctx": 512, "logits_all": logprobs is not None}
    calls = [("create_completion", one) for one in asked]
    expected = controls(tmp_path, smollm2_path(), parameters, calls)
    with loaded(smollm2_path(), parameters=parameters) as worker:
        heard = [said(worker, **one, logprobs=logprobs) for one in asked]
    assert [text for text, _, _ in heard] == [one["choices"][0]["text"] for one in expected]
    assert any(not text.isascii() for text, _, _ in heard)
    assert [usage["prompt_tokens"] for _, _, usage in heard] == [
        one["usage"]["prompt_tokens"] for one in expected
    ]


@pytest.mark.smollm2
@pytest.mark.timeout(60)  # a real model, loaded twice
def test_a_chat_is_the_message_that_the_library_gives(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = [
        {"messages": HELLO, "max_tokens": 16, "temperature": 0},
        {"messages": HELLO, "max_tokens": 200, "temperature": 0, "stop": ["."]},
        {"messages": HELLO, "max_tokens": 60, "temperature": 0, **CALL_ADD},
        {"messages": HELLO, "max_tokens": 16, "temperature": 0, "tools": [ADD]},
    ]
    calls = [("create_chat_completion", one) for one in asked]
    expected = controls(tmp_path, smollm2_path(), {"n_ctx": 512}, calls)
    with loaded(smollm2_path(), parameters={"n_ctx": 512}) as worker:
        for arguments, control in zip(asked, expected, strict=True):
            message, reason = spoken(worker, **arguments)
            choice = control["choices"][0]
            assert reason == choice["finish_reason"]
            assert message["content"] == (choice["message"]["content"] or "")
            called = [one["function"] for one in choice["message"].get("tool_calls", ())]
            assert [one["function"] for one in message["tool_calls"]] == called


def spoken(worker: Peer, **arguments: Any) -> tuple[dict[str, Any], str]:
    """The message that the pieces of a chat make, as a client of OpenAI's puts it together."""
    *chunks, done = worker.hear_all(worker.ask("chat", **arguments))
    assert done.kind == "done", done
    message: dict[str, Any] = {"content": "", "tool_calls": []}
    for chunk in chunks:
        delta = chunk.data["delta"]
        assert set(delta) <= {"role", "content", "tool_calls"}
        message["role"] = delta.get("role", message.get("role"))
        message["content"] += delta.get("content", "")
        for call in delta.get("tool_calls", ()):
            if call["index"] == len(message["tool_calls"]):
                message["tool_calls"].append(call)
            else:
                assert set(call) == {"index", "function"}
                whole = message["tool_calls"][call["index"]]["function"]
                whole["arguments"] += call["function"]["arguments"]
    assert message["role"] == "assistant"
    return message, done.data["finish_reason"]


@pytest.mark.timeout(60)  # the library is imported and loaded twice
def test_log_probabilities_are_the_librarys(exact: Peer, model: Path, tmp_path: Path) -> None:
    asked = {**GREEDY, "logprobs": 3}
    calls = [("create_completion", {**asked, "stream": True})]
    (pieces,) = controls(tmp_path, model, {"logits_all": True, "n_ctx": 2048}, calls)
    expected = [one["choices"][0]["logprobs"] for one in pieces if one["choices"][0]["text"]]
    chunks = exact.hear_all(exact.ask("complete", **asked))[:-1]
    heard = [entry for chunk in chunks for entry in chunk.data["logprobs"]]
    assert len(heard) == len(expected) == 20
    for entry, control in zip(heard, expected, strict=True):
        assert [entry["token"]] == control["tokens"]
        assert entry["logprob"] == pytest.approx(control["token_logprobs"][0])
        top = {one["token"]: one["logprob"] for one in entry["top_logprobs"]}
        assert top == pytest.approx(control["top_logprobs"][0])


@pytest.mark.timeout(60)  # the library is imported and loaded twice
@pytest.mark.parametrize("pooling", [0, 1, 3], ids=["none", "mean", "last"])
def test_vectors_are_the_librarys(model: Path, tmp_path: Path, pooling: int) -> None:
    texts = [f"text {number} " * (1 + number % 7) for number in range(40)]
    parameters = {"embedding": True, "n_ctx": 256, "n_batch": 256, "pooling_type": pooling}
    if pooling == 0:  # the library mixes up the texts of a batch, and the mean of tokens is ours
        calls = [("embed", {"input": text}) for text in texts]
        each = controls(tmp_path, model, parameters, calls)
        expected = [[sum(one) / len(text) for one in zip(*text, strict=True)] for text in each]
    else:
        (expected,) = controls(tmp_path, model, parameters, [("embed", {"input": texts})])
    with loaded(model, parameters=parameters) as embedder:
        done = embedder.answer("embed", texts=texts)
    assert done.data["vectors"] == [pytest.approx(one) for one in expected]


# -- what is said of it


def test_what_a_call_cost_is_counted(model: Path) -> None:
    with loaded(model) as fresh:
        first = fresh.answer("complete", **GREEDY).data
        again = fresh.answer("complete", **GREEDY).data
        longer = fresh.answer("complete", **{**GREEDY, "prompt": "Once upon a time."}).data
    assert first["usage"] == {"prompt_tokens": 17, "completion_tokens": 20, "cached_tokens": 0}
    assert again["usage"]["cached_tokens"] == 16  # the last one is evaluated for its logits
    assert longer["usage"] == {"prompt_tokens": 18, "completion_tokens": 20, "cached_tokens": 17}
    for data in (first, again, longer):
        usage, timings = data["usage"], data["timings"]
        assert timings["cache_n"] == usage["cached_tokens"]
        assert timings["prompt_n"] == usage["prompt_tokens"] - usage["cached_tokens"]
        assert timings["predicted_n"] == usage["completion_tokens"]
        assert timings["prompt_ms"] > 0
        rate = 1000 * timings["predicted_n"] / timings["predicted_ms"]
        assert timings["predicted_per_second"] == pytest.approx(rate)


def test_a_prompt_that_is_not_to_be_cached_is_evaluated_as_a_whole(worker: Peer) -> None:
    for _ in range(2):
        done = worker.answer("complete", **GREEDY, cache_prompt=False)
        assert done.data["usage"]["cached_tokens"] == 0


def test_a_text_is_sent_while_it_is_made(worker: Peer) -> None:
    chunks = worker.hear_all(worker.ask("complete", **GREEDY))[:-1]
    assert [len(chunk.data["text"]) for chunk in chunks] == [1] * 20


@pytest.mark.smollm2
def test_a_call_of_a_tool_that_was_cut_off_is_told_as_that() -> None:
    with loaded(smollm2_path(), parameters={"n_ctx": 512}) as worker:
        asked = {"messages": HELLO, "temperature": 0, **CALL_ADD}
        assert spoken(worker, **asked, max_tokens=4)[1] == "length"
        message, reason = spoken(worker, **asked, max_tokens=60)
        assert reason == "tool_calls"
        assert set(json.loads(message["tool_calls"][0]["function"]["arguments"])) == {"a", "b"}


def test_tools_of_a_handler_that_cannot_stream_them_come_as_a_whole(model: Path) -> None:
    with loaded(model, parameters={"chat_format": "chatml-function-calling"}) as worker:
        message, reason = spoken(worker, messages=HELLO, max_tokens=9, temperature=0, **CALL_ADD)
        assert reason == "tool_calls"
        assert message["tool_calls"][0]["function"]["name"] == "add"


SCHEMA = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}


@pytest.mark.parametrize(
    "response_format",
    [
        {"type": "json_object", "schema": SCHEMA},
        {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
    ],
)
def test_a_schema_is_obeyed_in_either_form_of_asking(
    worker: Peer, response_format: dict[str, Any]
) -> None:
    message, reason = spoken(worker, messages=HELLO, response_format=response_format)
    assert reason == "stop"
    assert json.loads(message["content"])["a"] in (1, 2)


def test_a_schema_of_a_completion_is_obeyed(worker: Peer) -> None:
    text, reason, _ = said(worker, prompt="", json_schema=SCHEMA)
    assert reason == "stop"
    assert json.loads(text)["a"] in (1, 2)


@pytest.mark.parametrize("bias", [{"300": 100.0}, [[300, 100.0]], [["300", 100]]])
def test_a_bias_may_be_given_in_each_form_that_json_has(worker: Peer, bias: Any) -> None:
    assert set(worker.text(**GREEDY, logit_bias=bias)) == {chr(300 - 259 + 0x20)}


def test_a_bias_of_false_is_never(worker: Peer) -> None:
    usual = said(worker, **GREEDY)[0]
    (token,) = worker.answer("tokenize", text=usual[0]).data["tokens"]
    assert usual[0] not in said(worker, **GREEDY, logit_bias=[[token, False]])[0]


def test_the_end_of_a_text_can_be_ignored(tmp_path: Path) -> None:
    asked = {"prompt": "x", "max_tokens": 400, "temperature": 2.0, "seed": 1}
    with loaded(tiny_gguf(tmp_path, stops=True)) as worker:
        assert said(worker, **asked)[1] == "stop"
        _, reason, usage = said(worker, **asked, ignore_eos=True)
        assert (reason, usage["completion_tokens"]) == ("length", 400)


def test_how_far_a_penalty_looks_back_is_for_one_call_only(model: Path) -> None:
    asked = {**GREEDY, "repeat_penalty": 2.0, "max_tokens": 60}
    with loaded(model, parameters={"last_n_tokens_size": 8}) as worker:
        near = said(worker, **asked)
        far = [said(worker, **asked, repeat_last_n=number)[0] for number in (-1, 2048, 10**12)]
        assert far[0] == far[1] == far[2] != near[0]
        assert said(worker, **asked)[0] == near[0]


# -- how probable it was


def test_the_probabilities_of_a_chat_are_in_the_same_form(exact: Peer) -> None:
    asked = {"messages": HELLO, "max_tokens": 3, "temperature": 0, "logprobs": True}
    for top, asked_for in ((0, {}), (2, {"top_logprobs": 2})):
        chunks = exact.hear_all(exact.ask("chat", **asked, **asked_for))[:-1]
        entries = [entry for chunk in chunks for entry in chunk.data["logprobs"]]
        assert len(entries) == 3
        for entry in entries:
            assert set(entry) == {"token", "logprob", "top_logprobs"}
            assert len(entry["top_logprobs"]) == top


def test_the_probabilities_of_all_tokens_are_those_of_one_distribution(exact: Peer) -> None:
    chunk = exact.hear(exact.ask("complete", **GREEDY, logprobs=10**9))
    (entry,) = chunk.data["logprobs"]
    values = [one["logprob"] for one in entry["top_logprobs"]]
    assert len(values) == 354
    assert math.fsum(map(math.exp, values)) == pytest.approx(1)
    assert all(more >= less for more, less in pairwise(values))


@pytest.mark.smollm2
def test_each_piece_of_a_text_comes_with_its_own_tokens() -> None:
    asked = {**GREEDY, "prompt": MANY_BYTES[2], "max_tokens": 40}
    with loaded(smollm2_path(), parameters={"n_ctx": 512, "logits_all": True}) as worker:
        *chunks, done = worker.hear_all(worker.ask("complete", **asked, logprobs=1))
    assert sum(len(chunk.data["logprobs"]) for chunk in chunks) == 40
    assert done.data["usage"]["completion_tokens"] == 40
    for chunk in chunks:
        tokens = "".join(entry["token"] for entry in chunk.data["logprobs"])
        if len(chunk.data["logprobs"]) == 1:
            assert tokens == chunk.data["text"]
        else:  # a character that several tokens make up is in none of them
            assert len(chunk.data["text"].encode()) > len(tokens.encode())


def test_tokens_that_a_stop_cut_off_have_no_probability(exact: Peer) -> None:
    whole = said(exact, **GREEDY)[0]
    *chunks, _ = exact.hear_all(exact.ask("complete", **GREEDY, logprobs=0, stop=[whole[5:8]]))
    text = "".join(chunk.data["text"] for chunk in chunks)
    entries = [entry["token"] for chunk in chunks for entry in chunk.data["logprobs"]]
    assert text == whole[: whole.index(whole[5:8])]
    assert "".join(entries) == text


# -- numbers


def test_tokens_are_counted_without_what_the_model_adds(worker: Peer) -> None:
    assert len(worker.answer("tokenize", text="hello").data["tokens"]) == 5
    assert worker.answer("tokenize", text="").data["tokens"] == []
    assert worker.answer("tokenize", text="<s>", special=True).data["tokens"] == [1]
    assert len(worker.answer("tokenize", text="<s>").data["tokens"]) == 3


@pytest.mark.parametrize("count", [0, 1, 2, 255, 256, 257, 700])
def test_there_are_as_many_vectors_as_texts(embedder: Peer, count: int) -> None:
    texts = [f"text {number}" for number in range(count)]
    done = embedder.answer("embed", texts=texts, normalize=True)
    assert len(done.data["vectors"]) == count
    assert all(math.hypot(*vector) == pytest.approx(1) for vector in done.data["vectors"])
    assert done.data["usage"]["prompt_tokens"] == sum(len(text) + 1 for text in texts)


@pytest.mark.parametrize("pooling", [0, 1, 3], ids=["none", "mean", "last"])
def test_a_text_has_the_same_vector_in_any_company(model: Path, pooling: int) -> None:
    texts = ["hello", "x" * 255, "a", "world", "a"]
    parameters = {"embedding": True, "n_ctx": 256, "pooling_type": pooling}
    with loaded(model, parameters=parameters) as embedder:
        together = embedder.answer("embed", texts=texts).data["vectors"]
        for text, vector in zip(texts, together, strict=True):
            (alone,) = embedder.answer("embed", texts=[text]).data["vectors"]
            assert vector == pytest.approx(alone, rel=1e-3, abs=1e-4)


def test_a_text_is_embedded_as_a_whole_or_not_at_all(embedder: Peer) -> None:
    assert embedder.answer("embed", texts=["x" * 255]).kind == "done"
    done = embedder.answer("embed", texts=["a", "x" * 256])
    assert done.data == {
        "kind": "context_exceeded",
        "message": "text 1 has 257 tokens, and at most 256 are embedded",
        "prompt_tokens": 257,
        "context_tokens": 256,
    }


def test_embedding_is_interrupted_between_two_batches(embedder: Peer) -> None:
    number = embedder.ask("embed", texts=["x" * 255] * 20_000)
    embedder.wait_busy()
    embedder.cancel(number)
    assert embedder.hear_all(number)[-1].data["kind"] == "cancelled"
    assert embedder.answer("embed", texts=["a"]).kind == "done"


def test_an_embedder_can_also_write(embedder: Peer, worker: Peer) -> None:
    assert said(embedder, **GREEDY)[0] == said(worker, **GREEDY)[0]


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["a", ""], "text 1 is empty"),
        ("hello", "no list of texts"),
        ([1], "no list of texts"),
        (None, "no list of texts"),
    ],
)
def test_what_cannot_be_embedded_is_refused(embedder: Peer, texts: Any, reason: str) -> None:
    kind, message = embedder.refusal("embed", texts=texts)
    assert kind == "bad_request"
    assert reason in message


def test_a_model_that_was_not_loaded_for_it_does_not_embed(worker: Peer, model: Path) -> None:
    assert worker.refusal("embed", texts=["a"]) == (
        "bad_request",
        "this engine was made without embedding=True",
    )
    with loaded(model, parameters={"embedding": True, "pooling_type": 4}) as ranker:
        assert (
            ranker.refusal("embed", texts=["a"])[1]
            == "this model ranks texts, it does not embed them"
        )


# -- refusals

BAD_REQUESTS: list[tuple[str, dict[str, Any], str]] = [
    ("sing", {}, "there is no 'sing'; there are complete, chat, count, embed, tokenize"),
    ("complete", {}, "prompt"),
    ("complete", {"prompt": None}, "NoneType"),
    ("complete", {"prompt": []}, "the prompt is empty"),
    ("complete", {"prompt": [1, 354]}, "[354] are no tokens of this model"),
    ("complete", {"prompt": [1, -1]}, "[-1] are no tokens of this model"),
    ("complete", {"prompt": [1, 2.5]}, "float"),
    ("complete", {"prompt": ["a"]}, "str"),
    ("complete", {"prompt": "\ud800"}, "surrogates not allowed"),
    ("complete", {**GREEDY, "nonsense": 1}, "unexpected keyword argument 'nonsense'"),
    ("complete", {**GREEDY, "stream": False}, "stream cannot be chosen"),
    ("complete", {**GREEDY, "logits_processor": [1]}, "logits_processor cannot be chosen"),
    ("complete", {**GREEDY, "temperature": 1, "top_k": "x"}, "ArgumentError: argument 1"),
    ("complete", {**GREEDY, "stop": [1]}, "encode"),
    ("complete", {**GREEDY, "logprobs": 1}, "logits_all=True"),
    ("complete", {**GREEDY, "logit_bias": {"354": 1}}, "[354] are no tokens of this model"),
    ("complete", {**GREEDY, "logit_bias": {"x": 1}}, "invalid literal"),
    ("complete", {**GREEDY, "grammar": "root ::= (((("}, "the grammar cannot be parsed"),
    ("complete", {**GREEDY, "grammar": 'leaf ::= "a"'}, "the grammar cannot be parsed"),
    ("complete", {**GREEDY, "grammar": 'root ::= root "a"'}, "the grammar cannot be parsed"),
    ("complete", {**GREEDY, "grammar": "root ::= " + "(" * 100_000}, "5,000 nested parentheses"),
    ("complete", {**GREEDY, "grammar": "r ::= r\n" * 100_000}, "20,000 rules"),
    ("complete", {**GREEDY, "json_schema": {"type": "nonsense"}}, "Unrecognized schema"),
    (
        "complete",
        {**GREEDY, "json_schema": {"$ref": "https://x.invalid/"}},
        "json_schema: Fetching",
    ),
    ("complete", {**GREEDY, "json_schema": [1]}, "json_schema: "),
    ("complete", {**GREEDY, "json_schema": {"type": "string", "maxLength": 10**9}}, "repetitions"),
    ("complete", {**GREEDY, "json_schema": {"pattern": "^a{1,1000000000}$"}}, "repetitions"),
    ("chat", {}, "messages"),
    ("chat", {"messages": HELLO, "response_format": {"type": "yaml"}}, "no response_format 'yaml'"),
    ("chat", {"messages": HELLO, "response_format": "json"}, "string indices"),
    ("chat", {"messages": HELLO, "logprobs": True}, "logits_all=True"),
    ("chat", {"messages": HELLO, "tools": [ADD], "tool_choice": {"type": "function"}}, "function"),
    ("tokenize", {}, "text"),
]


@pytest.mark.parametrize(("do", "arguments", "reason"), BAD_REQUESTS)
def test_a_bad_request_is_refused_with_a_reason_and_costs_nobody_else_anything(
    worker: Peer, do: str, arguments: dict[str, Any], reason: str
) -> None:
    before = worker.text(**GREEDY)
    kind, message = worker.refusal(do, **arguments)
    assert (kind, reason in message) == ("bad_request", True), message
    assert worker.text(**GREEDY) == before


@pytest.mark.parametrize(
    ("do", "arguments", "count"),
    [
        ("complete", {"prompt": "x" * 600}, 601),
        ("complete", {"prompt": "x" * 511}, 512),
        ("chat", {"messages": [{"role": "user", "content": "x" * 600}]}, 618),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused_with_both_counts(
    worker: Peer, do: str, arguments: dict[str, Any], count: int
) -> None:
    error = worker.answer(do, **arguments).data
    assert error["kind"] == "context_exceeded"
    assert (error["prompt_tokens"], error["context_tokens"]) == (count, 512)


def test_the_grammar_of_a_handler_is_looked_at_too(model: Path) -> None:
    deep: dict[str, Any] = {"type": "integer"}
    for _ in range(8):
        deep = {"type": "array", "items": deep, "maxItems": 2001}
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}
    choice = {"type": "function", "function": {"name": "f"}}
    with loaded(model) as worker:
        kind, message = worker.refusal("chat", messages=HELLO, tools=[tool], tool_choice=choice)
        assert kind == "bad_request"
        assert "the grammar cannot be parsed" in message


def test_a_text_that_fills_the_context_ends_there(worker: Peer) -> None:
    _, reason, usage = said(worker, prompt="x" * 500, max_tokens=None, temperature=0)
    assert reason == "length"
    assert usage["prompt_tokens"] + usage["completion_tokens"] == 512
