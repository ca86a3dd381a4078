"""Many threads count on one tally and none is lost."""

from __future__ import annotations

import threading

from safe_llm.observers.counters import Tally


def test_no_count_is_lost_between_threads() -> None:
    tally = Tally()

    def count_many() -> None:
        for _ in range(5_000):
            tally.add()

    threads = [threading.Thread(target=count_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert tally.total == 40_000
