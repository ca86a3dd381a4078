from __future__ import annotations

import os
import time

from tests.benchmarks.footprint import memory_of, processor_time


def test_the_processor_time_of_a_process_is_the_one_that_it_sees_itself() -> None:
    before = time.process_time()
    seen = processor_time(os.getpid())
    assert before <= seen <= time.process_time()


def test_what_is_shared_adds_to_what_is_private() -> None:
    memory = memory_of(os.getpid())
    assert 0 < memory.private <= memory.proportional
