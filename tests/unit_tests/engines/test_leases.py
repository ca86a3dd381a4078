from __future__ import annotations

import copy
import gc
import os
import pickle
from functools import partial

import anyio
import pytest

from safe_llm import MisuseError
from safe_llm.engines.leases import Leases
from safe_llm.langchain import LlamaCpp
from safe_llm.supervise.portal import portal


def llama(name: str = "m") -> LlamaCpp:
    return LlamaCpp(model_path=f"/nowhere/{name}-{os.getpid()}.gguf", temperature=0.3)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_has_a_lease_of_its_own_on_the_same_engine(copied: type) -> None:
    with llama() as one:
        assert one.engine.status().leases == 1
        other = copied(one)
        assert one.engine.status().leases == 2
        other.close()
        assert one.engine.status().leases == 1


def test_objects_that_want_the_same_engine_share_it() -> None:
    with llama() as one, llama() as other:
        assert one.engine is not other.engine
        assert one.engine.status().leases == other.engine.status().leases == 2


def test_a_copy_of_an_object_that_was_never_used_takes_no_lease() -> None:
    assert copy.deepcopy(llama()).client._held == {}


def test_a_pickle_holds_the_fields_and_no_engine() -> None:
    with llama() as one:
        assert one.engine.status().leases == 1
        other = pickle.loads(pickle.dumps(one))
        assert other.client._held == {}
        assert (other.model_path, other.temperature) == (one.model_path, one.temperature)
        assert one.engine.status().leases == 1


def test_an_object_gives_its_lease_up_when_it_is_garbage() -> None:
    with llama() as one:
        other = llama()
        other.engine.status()
        assert one.engine.status().leases == 2
        del other
        gc.collect()
        portal().submit(partial(anyio.sleep, 0), "whatever was posted before").result()
        assert one.engine.status().leases == 1


def test_a_call_after_close_is_a_misuse_and_a_second_close_is_not() -> None:
    one = llama()
    one.close()
    one.close()
    with pytest.raises(MisuseError, match="this LlamaCpp was closed"):
        one.invoke("hi")


@pytest.mark.asyncio
async def test_async_with_closes_at_its_end() -> None:
    async with llama() as one:
        assert one.engine.status().state == "idle"
    with pytest.raises(MisuseError, match="this LlamaCpp was closed"):
        one.invoke("hi")


def test_asking_for_the_status_starts_nothing() -> None:
    assert llama().engine.status().pid is None


def test_a_lease_in_another_process_than_the_objects_own_is_said_once() -> None:
    elsewhere = LlamaCpp(model_path="/nowhere/m.gguf")
    elsewhere.client = Leases("LlamaCpp", made_in=1)
    with pytest.warns(RuntimeWarning, match="base_url"):
        elsewhere.engine.status()
    elsewhere.engine.status()
    elsewhere.close()


def test_an_object_that_connects_may_be_used_in_any_process_without_a_word() -> None:
    elsewhere = LlamaCpp(base_url="http://localhost:1")
    elsewhere.client = Leases("LlamaCpp", made_in=1)
    elsewhere.engine.status()
    elsewhere.close()
