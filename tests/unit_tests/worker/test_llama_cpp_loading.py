"""What a worker loads, and what it refuses to, in a process of its own each time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import pytest

from tests.models import EMBEDDING_WIDTH, tiny_gguf, truncated_gguf
from tests.unit_tests.worker.llama_cpp_peer import ROOT, Peer, loaded, started

if TYPE_CHECKING:
    from collections.abc import Callable

GREEDY = {"prompt": "Once upon a time", "max_tokens": 20, "temperature": 0}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("model"))


def refused(model: Path, env: dict[str, str] | None = None, **wanted: Any) -> tuple[str, str]:
    with started(**(env or {})) as peer:
        return peer.refusal("load", model_path=str(model), **wanted)


# -- files


def unknown_architecture(folder: Path) -> Path:
    path = folder / "unknown.gguf"
    writer = gguf.GGUFWriter(path, "perceptron")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def text(folder: Path) -> Path:
    path = folder / "text.gguf"
    path.write_text("Once upon a time there was a file that is no GGUF")
    return path


BAD_FILES = [
    pytest.param(lambda folder: folder / "missing.gguf", "there is no file", id="missing"),
    pytest.param(text, "invalid magic characters: 'Once'", id="a text"),
    pytest.param(unknown_architecture, "unknown model architecture: 'perceptron'", id="unknown"),
    pytest.param(truncated_gguf, "is not within the file bounds", id="truncated"),
]


@pytest.mark.parametrize("parameters", [{}, {"n_ctx": 64}])
@pytest.mark.parametrize(("make", "reason"), BAD_FILES)
def test_a_file_that_is_no_model_is_told_in_the_words_of_llama_cpp(
    make: Callable[[Path], Path], reason: str, parameters: dict[str, int], tmp_path: Path
) -> None:
    kind, message = refused(make(tmp_path), parameters=parameters)
    assert kind == "bad_model"
    assert reason in message


# -- parameters

BAD_PARAMETERS = [
    ({"n_cxt": 1}, "no parameter 'n_cxt'; there is n_ctx"),
    ({"n_ctx": -1}, "n_ctx=-1 is no whole number from 0 to 2,147,483,647"),
    ({"n_ctx": 2**32 + 512}, "n_ctx=4294967808 is no whole number"),
    ({"n_ctx": "abc"}, "n_ctx='abc' is no whole number"),
    ({"n_ctx": 3.5}, "n_ctx=3.5 is no whole number"),
    ({"n_batch": 0}, "n_batch=0 is no whole number from 1"),
    ({"n_threads": 1_000_000}, "n_threads=1000000 is no whole number from .* to 512"),
    ({"tokenizer": "x"}, "tokenizer is an object, which no process can be sent"),
    ({"type_v": 8}, "quantized V cache requires flash_attn"),
    ({"lora_path": "/nowhere"}, "lora_path='/nowhere': .*No such file"),
    ({"split_mode": "x"}, "split_mode|integer"),
]


@pytest.mark.parametrize(("parameters", "reason"), BAD_PARAMETERS)
def test_a_parameter_that_cannot_be_is_refused_with_a_reason(
    model: Path, parameters: dict[str, Any], reason: str
) -> None:
    kind, message = refused(model, parameters={"n_ctx": 512, **parameters})
    assert kind == "bad_parameter"
    assert re.search(reason, message), message


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"chat_handler": ["Llava16Handler", {}]}, "no chat handler 'Llava16Handler'.*Llava16Chat"),
        ({"parameters": {"chat_format": "chatlm"}}, "no chat format 'chatlm'; there.*chatml"),
        ({"parameters": {"chat_format": "chat_template.x"}}, "brings no chat format.*default"),
    ],
)
def test_a_handler_of_chats_that_does_not_exist_is_told_with_those_that_do(
    model: Path, wanted: dict[str, Any], reason: str
) -> None:
    kind, message = refused(model, **wanted)
    assert kind == "no_chat_handler"
    assert re.search(reason, message), message


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"chat_handler": ["Llava16ChatHandler", {"clip_model_path": "/nowhere"}]}, "/nowhere"),
        ({"chat_handler": ["Llava16ChatHandler", {"clip": 1}]}, "unexpected keyword argument"),
        ({"draft": {"max_tokens": 1}}, "LlamaPromptLookupDecoding: .*unexpected keyword"),
    ],
)
def test_what_a_part_cannot_be_made_of_is_refused_in_its_words(
    model: Path, wanted: dict[str, Any], reason: str
) -> None:
    kind, message = refused(model, **wanted)
    assert kind == "bad_parameter"
    assert re.search(reason, message), message


# -- memory


def in_use_bytes(worker: Peer, name: str) -> int:
    lines = Path(f"/proc/{worker.process.pid}/status").read_text().splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(value) * 1024


def data_limit(worker: Peer) -> str:
    lines = Path(f"/proc/{worker.process.pid}/limits").read_text().splitlines()
    (limit,) = [line.split()[3] for line in lines if line.startswith("Max data size")]
    return limit


def test_a_context_that_cannot_fit_is_refused_before_it_takes_any_memory(model: Path) -> None:
    with started() as peer:
        wanted = {"model_path": str(model), "parameters": {"n_ctx": 10**9}}
        kind, message = peer.refusal("load", **wanted)
        assert in_use_bytes(peer, "VmHWM") < 500 * MIB
    assert kind == "no_memory"
    assert "no room for a context of 1,000,000,000 tokens; " in message
    assert "bytes of memory were free" in message


def test_the_bound_for_memory_holds_for_the_loading_only(model: Path) -> None:
    with started() as fresh, loaded(model) as worker:
        assert data_limit(worker) == data_limit(fresh)


# -- what was wished for


@pytest.mark.parametrize(
    ("trained", "parameters", "n_ctx"),
    [
        (131_072, {}, 8192),
        (131_072, {"n_ctx": None}, 8192),
        (131_072, {"n_ctx": 16_384}, 16_384),
        (131_072, {"embedding": True}, 2048),
        (1024, {}, 1024),
        (1024, {"embedding": True}, 1024),
        (1024, {"n_ctx": 0}, 1024),
    ],
)
def test_the_context_is_the_models_own_but_no_more_than_a_machine_can_bear(
    trained: int, parameters: dict[str, Any], n_ctx: int, tmp_path: Path
) -> None:
    with started() as peer:
        path = tiny_gguf(tmp_path, ctx=trained)
        done = peer.hear_all(peer.ask("load", model_path=str(path), parameters=parameters))[-1]
    assert (done.data["n_ctx"], done.data["n_ctx_train"]) == (n_ctx, trained)


def lora(folder: Path) -> Path:
    """An adapter that turns one matrix of the tiny model upside down."""
    path = folder / "lora.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 4.0)
    rng = np.random.default_rng(0)
    for half, shape in {"a": (4, EMBEDDING_WIDTH), "b": (EMBEDDING_WIDTH, 4)}.items():
        values = rng.standard_normal(shape, dtype=np.float32)
        writer.add_tensor(f"blk.0.ffn_down.weight.lora_{half}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_an_adapter_changes_what_is_said_as_much_as_its_scale(model: Path, tmp_path: Path) -> None:
    adapter = str(lora(tmp_path))
    said = []
    for parameters in ({}, {"lora_path": adapter, "lora_scale": 0.0}, {"lora_path": adapter}):
        with loaded(model, parameters=parameters) as worker:
            said.append(worker.text(**GREEDY))
    assert said[0] == said[1] != said[2]


def test_drafts_change_nothing_but_the_speed_beyond_one_batch_too(model: Path) -> None:
    asked = {**GREEDY, "prompt": "ab" * 400, "max_tokens": 100}  # the library's batch is 512
    with loaded(model) as worker:
        plain = worker.text(**asked)
    with loaded(model, draft={"num_pred_tokens": 5}) as worker:
        assert worker.text(**asked) == plain


@pytest.mark.parametrize(
    ("wanted", "is_logged"), [({}, True), ({"verbose": True}, True), ({"verbose": False}, False)]
)
def test_its_log_is_written_unless_it_is_not_wanted(
    model: Path, wanted: dict[str, Any], is_logged: bool
) -> None:
    with loaded(model, **wanted) as worker:
        worker.answer("complete", **GREEDY)
        assert (b"llama_model_loader" in worker.printed(2)) is is_logged
        assert (b"llama_perf_context_print" in worker.printed(2)) is is_logged


# -- the library


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("sys.modules['llama_cpp'] = None", "llama_cpp cannot be imported: "),
        ("sys.meta_path.insert(0, Broken())", "llama_cpp cannot be imported: no libgomp.so.1"),
    ],
    ids=["absent", "broken"],
)
def test_a_library_that_cannot_be_imported_is_told(
    model: Path, tmp_path: Path, program: str, reason: str
) -> None:
    broken = """
class Broken:
    def find_spec(self, name, path, target=None):
        if name == 'llama_cpp':
            raise RuntimeError('no libgomp.so.1')
"""
    (tmp_path / "sitecustomize.py").write_text(f"import sys\n{broken}\n{program}\n")
    kind, message = refused(model, env={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    assert kind == "not_installed"
    assert message.startswith(reason)
