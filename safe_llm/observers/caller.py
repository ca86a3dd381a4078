"""Shows an observer's output where its cause stands: in the notebook cell that made the call.

Events are dispatched on a thread of ours, and a notebook sends what a thread writes to a cell that
it chooses by itself. What was found in ipykernel's source and by running notebooks with nbclient:

- ipykernel 7.4 keeps the request that a cell came with in context variables, one for each of
  ``sys.stdout``, ``sys.stderr`` and the display publisher (``_parent_header`` in ``iostream.py``
  and ``zmqshell.py``). A new thread has an empty context, so its output goes to whatever cell runs
  last. A copy of the caller's context, entered on our thread, sends it to the caller's cell.
- ipykernel 6.31 does the same for the streams (a thread that does not, writes into the cell that
  *started the thread*), but its display publisher has one global request: there, a progress bar
  appears in the cell that runs at that moment, usually the same.
- Output for a cell that has ended is dropped by nbclient (other frontends differ), so whoever ends
  a call in a notebook should ``flush`` the dispatcher for a moment before it returns.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safe_llm.events import Event, Observer


class InCallerContext:
    """Calls ``observer`` in the context of the code that created this object, or moved it last.

    Not only notebooks profit: all context variables of the caller (a request id in a log filter)
    are the caller's. The context must not be entered twice at once, and it is not: the dispatcher
    never calls an observer while it is still in a call.
    """

    def __init__(self, observer: Observer) -> None:
        """Remember the context of this very line."""
        self._observer = observer
        self.move_here()

    def move_here(self) -> None:
        """Follow the code that calls this from now on: a later cell uses the same engine."""
        self._context = contextvars.copy_context()  # one pointer, whatever the context holds

    def __call__(self, event: Event) -> None:
        """Pass ``event`` on."""
        self._context.run(self._observer, event)
