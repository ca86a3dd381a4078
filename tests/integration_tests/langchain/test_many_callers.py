from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import select
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engine_kinds import tokens_predicted

if TYPE_CHECKING:
    from safe_llm.langchain import LlamaCpp
    from tests.engine_kinds import Kind
    from tests.integration_tests.langchain.conftest import Make

ROOT = Path(__file__).parents[3]

UNPICKLE_AND_CALL = """
import pickle, sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    llm = pickle.load(sys.stdin.buffer)
    text = llm.invoke("hello") and llm.invoke("hello")
status = llm.engine.status()
print(len(text), status.pid, status.leases, [str(one.message) for one in caught])
"""


FORK_AND_CALL = """
import os, sys, warnings
from safe_llm.langchain import LlamaCpp
llm = LlamaCpp(engine=sys.argv[1], model_path=sys.argv[2], max_tokens=5, verbose=False)
llm.invoke("hello")
before = llm.engine.status().pid
child = os.fork()
if child == 0:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        text = llm.invoke("hello") and llm.invoke("hello")
    pid = llm.engine.status().pid
    llm.close()
    print(len(text), pid, [str(one.message) for one in caught], flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(len(llm.invoke("hello")), before == llm.engine.status().pid, before)
"""


def test_two_event_loops_one_after_the_other_use_one_object(llm: LlamaCpp) -> None:
    assert len(asyncio.run(llm.ainvoke("hello"))) == 5
    assert len(asyncio.run(llm.ainvoke("hello"))) == 5


def test_eight_threads_and_three_loops_at_once_are_answered_and_each_request_is_sent_once(
    llm: LlamaCpp,
) -> None:
    async def several(loop: int) -> list[str]:
        calls = (llm.ainvoke(f"loop {loop} call {call}") for call in range(4))
        return await asyncio.gather(*calls)

    before = tokens_predicted(llm.engine)
    with ThreadPoolExecutor(11) as pool:
        threads = [pool.submit(llm.invoke, f"thread {number}") for number in range(8)]
        loops = [pool.submit(asyncio.run, several(number)) for number in range(3)]
        texts = [future.result(10) for future in threads]
        texts += [text for future in loops for text in future.result(10)]
    assert [len(text) for text in texts] == [5] * 20
    assert tokens_predicted(llm.engine) == before + 20 * 5


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_uses_the_same_process_and_closing_it_leaves_the_other(
    llm: LlamaCpp, copied: type
) -> None:
    llm.start()
    pid = llm.engine.status().pid
    with copied(llm) as other:
        assert len(other.invoke("hello")) == 5
        assert other.engine.status().pid == pid
    assert len(llm.invoke("hello")) == 5
    assert llm.engine.status().pid == pid


def test_a_pickle_in_another_process_starts_an_engine_of_its_own_and_says_so_once(
    llm: LlamaCpp,
) -> None:
    llm.start()
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", UNPICKLE_AND_CALL],
        input=pickle.dumps(llm),
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=15,
    )
    assert run.returncode == 0, run.stderr.decode()
    length, pid, leases, told = run.stdout.decode().strip().split(" ", 3)
    assert (length, leases) == ("5", "1")
    assert int(pid) not in {llm.engine.status().pid, os.getpid()}
    assert told.count("base_url") == 1
    assert not Path(f"/proc/{pid}").exists()
    assert len(llm.invoke("hello")) == 5


def test_a_fork_takes_an_engine_of_its_own_says_so_once_and_leaves_the_parents_alone(
    kind: Kind, model: Path
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FORK_AND_CALL, kind.name, str(model)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )
    assert run.returncode == 0, run.stderr
    in_child, in_parent = run.stdout.splitlines()
    length, pid, told = in_child.split(" ", 2)
    assert length == "5"
    assert told.count("base_url") == 1
    length, same, before = in_parent.split()
    assert (length, same) == ("5", "True")
    assert pid != before
    assert not Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{before}").exists()


def test_the_process_of_an_object_that_is_garbage_ends(make: Make) -> None:
    forgotten = make()
    forgotten.start()
    pid = forgotten.engine.status().pid
    assert pid is not None
    ended = os.pidfd_open(pid)
    try:
        del forgotten
        gc.collect()
        assert select.select([ended], [], [], 10)[0]
    finally:
        os.close(ended)
