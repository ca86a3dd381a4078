from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from safe_llm.supervise.portal import portal
from safe_llm.supervise.silence import silence_here

if TYPE_CHECKING:
    import pytest


def test_a_library_is_heard_on_every_thread_but_ours(caplog: pytest.LogCaptureFixture) -> None:
    library = logging.getLogger("a.library")
    silence_here("a.library")
    silence_here("a.library")  # said twice, it is still one filter

    async def on_the_portal() -> None:
        library.error("on the portal")

    with caplog.at_level(logging.DEBUG):
        library.error("here")
        portal().submit(on_the_portal, "test").result()
    assert [one.message for one in caplog.records] == ["here"]
    assert len(library.filters) == 1


def test_the_event_loop_of_the_portal_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def on_the_portal() -> None:
        logging.getLogger("asyncio").error("something that nobody retrieved")

    portal().submit(on_the_portal, "test").result()
    logging.getLogger("asyncio").error("here")
    assert [one.message for one in caplog.records] == ["here"]
