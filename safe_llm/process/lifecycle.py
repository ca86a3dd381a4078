"""The life of one child from launch to the last closed pipe. Everything here runs on the hub."""

from __future__ import annotations

import errno
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from safe_llm.diagnose.procfs import oom_kills
from safe_llm.events import (
    DescendantSwept,
    LayerTripped,
    PipeLeaked,
    ProcessExited,
    ProcessStarted,
    StreamFailed,
)
from safe_llm.process import exits, orphans
from safe_llm.process.flood import FloodGauge
from safe_llm.process.loop import DATA, EXITS, WRITES
from safe_llm.process.pipe import Pipe
from safe_llm.process.stop import Stopping, without_asking
from safe_llm.process.sweeper import Leftovers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from safe_llm.events import Event
    from safe_llm.limits import StopPolicy
    from safe_llm.process.child import Child
    from safe_llm.process.hub import Hub
    from safe_llm.process.launch import Launched
    from safe_llm.process.loop import Watch
    from safe_llm.process.output import Output
    from safe_llm.process.timers import Timer

_LAST_READS = 16  # a pipe holds at most 1 MiB for an unprivileged writer
_SWEEP_RETRY = 0.1  # when no thread can be started: the dying make room for one
_SWEEP_GRACE = 2.0  # a /proc that cannot be read must not keep a child from being closed


class Lifecycle:
    """Pipes, exit, stopping, sweeping of one child, as callbacks of the hub's loop."""

    def __init__(self, hub: Hub, child: Child, launched: Launched) -> None:
        self._hub = hub
        self._loop = hub.loop
        self._child = child
        self._pid = launched.pid
        self._start_ticks = orphans.start_ticks(launched.pid) or 0
        self._pidfd = exits.open_pidfd(launched.pid)
        self._oom_kills = oom_kills()
        self._exit_watch: Watch | None = None
        self._outputs: dict[Output, Watch] = {}
        self._input: Watch | None = None
        self._stopping: Stopping | None = None
        self._deadlines: list[Timer] = []
        self._swept = False
        self._closed = False
        self._flood = self._flood_gauge()
        child.pid = launched.pid
        child.started_at = self._loop.clock.now()
        child.stdin.fd = launched.stdin
        if launched.stdin < 0:
            child.stdin.fail("there is none (stdin='null')")
        self._watch(launched)
        if child.limits.job is not None:
            self._set_deadline(child.limits.job, self._job_overran)
        self._emit(ProcessStarted(source=child.name, pid=self._pid, argv=child.argv))

    def _watch(self, launched: Launched) -> None:
        """Start watching: the exit first, then the pipes."""
        if self._pidfd is not None:
            self._exit_watch = self._loop.watch(
                self._pidfd, EXITS, self._exited_by_pidfd, self._fail_hard
            )
        else:
            exits.watch_by_thread(self._pid, self._report_exit)
        self._watch_output(self._child.stdout, launched.stdout)
        self._watch_output(self._child.stderr, launched.stderr)
        if launched.replies >= 0:
            self._watch_output(self._child.replies, launched.replies)

    @property
    def record(self) -> bytes:
        """What the orphan watchdog has to know about this child."""
        return orphans.record_line(self._pid, self._pid, self._start_ticks, self._child.cookie)

    @property
    def _policy(self) -> StopPolicy:
        """The policy by which it is being stopped, or would be."""
        return self._child.stop_policy if self._stopping is None else self._stopping.policy

    def _emit(self, event: Event) -> None:
        self._hub.emit(self._child, event)

    # -- stopping

    def stop(self, policy: StopPolicy, reason: str) -> None:
        """Begin to stop; the same policy again changes nothing, another one takes over."""
        if self._child.exit_status is not None:
            return
        if self._stopping is not None:
            if self._stopping.policy == policy:
                return
            self._stopping.cancel()
        self._child.stop_reason = self._child.stop_reason or reason
        self._stopping = Stopping(self, policy, self._loop.call_later)
        self._stopping.advance()

    def close_stdin(self) -> bool:
        """Close our end at once, dropping what waits; False when there never was one.

        One that its owner closed a moment ago has its grace all the same.
        """
        self._close_input("closed")
        return self._child.command.stdin == "pipe"

    def signal_group(self, number: int) -> None:
        """Signal the whole group, never by a number that may belong to a stranger."""
        if self._child.exit_status is not None or not exits.is_unreaped(self._pid):
            return
        try:
            os.killpg(self._pid, number)
        except ProcessLookupError:  # not yet in its session, or all gone: the exit will tell
            return
        except PermissionError as error:  # a set-uid program: it cannot be known what happened
            self._loop.errors.append(f"{self._child.name}: killpg: {error.strerror}")

    def give_up(self) -> None:
        """Report a process that survived its whole stop policy."""
        self._conclude(exits.UNKILLABLE)

    # -- limits

    def _flood_gauge(self) -> FloodGauge | None:
        limits = self._child.limits
        if limits.flood_bytes is None:
            return None
        return FloodGauge(limits.flood_bytes, limits.flood_window)

    def _job_overran(self) -> None:
        self._trip("L4 job", f"it ran for {self._child.limits.job:.3g} s", kill=True)

    def _gauge_flood(self, count: int) -> None:
        gauge, limits = self._flood, self._child.limits
        if gauge is None or not gauge.add(count, self._loop.now):
            return
        self._flood = None  # said once
        detail = (
            f"{gauge.recent_bytes} bytes of stderr within {limits.flood_window:.3g} s,"
            f" allowed are {limits.flood_bytes}"
        )
        self._trip("L5 flood", detail, kill=limits.flood_action != "warn")

    def _trip(self, layer: str, detail: str, *, kill: bool) -> None:
        action = "stop" if kill else "warn"
        self._emit(
            LayerTripped(
                source=self._child.name, pid=self._pid, layer=layer, detail=detail, action=action
            )
        )
        if kill:
            self.stop(without_asking(self._child.stop_policy), f"{layer}: {detail}")

    # -- pipes

    def pump_input(self) -> None:
        """Write what waits; watch for writability only while the pipe is full."""
        stdin = self._child.stdin
        if stdin.fd < 0:
            return
        more = stdin.pump()
        if stdin.failure or (stdin.wants_close and not more):
            self._close_input(stdin.failure or "closed")
        elif more and self._input is None:
            self._input = self._loop.watch(stdin.fd, WRITES, self.pump_input, self._abandon_input)
        elif not more and self._input is not None:
            self._loop.unwatch(self._input)
            self._input = None

    def _abandon_input(self, error: BaseException) -> None:
        self._close_input(repr(error))

    def _close_input(self, reason: str) -> None:
        stdin = self._child.stdin
        if self._input is not None:
            self._loop.unwatch(self._input)
            self._input = None
        if stdin.fd >= 0:
            fd, stdin.fd = stdin.fd, -1  # in this order: a fork closes what it finds here
            os.close(fd)
        stdin.fail(reason)

    def _watch_output(self, output: Output, fd: int) -> None:
        pipe = Pipe(fd)

        def ready() -> None:
            self._read(output, pipe)

        def abandon(error: BaseException) -> None:
            self._end_output(output, failure=repr(error))

        self._outputs[output] = self._loop.watch(fd, DATA, ready, abandon)

    def _read(self, output: Output, pipe: Pipe) -> bool:
        """Take what one read gives; False when there is nothing (more) to be read."""
        try:
            chunk = pipe.read()
        except BlockingIOError:
            return False
        except OSError as error:
            # EIO is how a terminal says that its last user has gone (tty_ioctl(4), Linux).
            is_end = error.errno == errno.EIO and os.isatty(pipe.fd)
            self._end_output(output, failure="" if is_end else str(error.strerror))
            return False
        if not chunk:
            self._end_output(output)
            return False
        output.receive(chunk, self._loop.now)
        if output is self._child.stderr:
            self._gauge_flood(len(chunk))
        return True

    def _end_output(self, output: Output, failure: str = "") -> None:
        watch = self._outputs.pop(output, None)
        if watch is None:
            return
        self._loop.unwatch(watch)
        os.close(watch.fd)  # the child gets EPIPE: better than a block for ever
        output.end(failure)
        if failure:
            self._emit(
                StreamFailed(
                    source=self._child.name, pid=self._pid, stream=output.name, reason=failure
                )
            )
        if not self._outputs:
            self._child.drained.set()
            self._close_if_done()

    # -- the end

    def _exited_by_pidfd(self) -> None:
        mine = exits.is_unreaped(self._pid)
        if mine and self._policy.sweep != "none":
            # The leader is a zombie now: until it is reaped, its group's id cannot be reused.
            self.signal_group(signal.SIGKILL)
        status = exits.reap(self._pid)
        if status is not None:
            self._close_pidfd()
            self._conclude(status)

    def _report_exit(self, status: exits.ExitStatus) -> None:
        self._loop.post(lambda: self._conclude(status))

    def _fail_hard(self, error: BaseException) -> None:
        self._conclude(exits.ExitStatus(note=f"lost sight of it: {error!r}"))

    def _conclude(self, status: exits.ExitStatus) -> None:
        child = self._child
        if child.exit_status is not None:
            return
        status = self._explained(status)
        self._forget_timers()
        self._read_last_words()
        self._close_input(status.describe())
        child.ended_at = self._loop.clock.now()
        child.exit_status = status
        child.exited.set()
        self._emit(
            ProcessExited(
                source=child.name,
                pid=self._pid,
                status=status.describe(),
                wanted=bool(child.stop_reason),
            )
        )
        self._set_deadline(self._policy.pipe_grace, self._close_leaked_pipes)
        self._sweep()

    def _explained(self, status: exits.ExitStatus) -> exits.ExitStatus:
        """Name the OOM killer, whose SIGKILL looks like anybody's, where it was at work."""
        asked_for = self._stopping is not None
        if status.signal != signal.SIGKILL or asked_for or oom_kills() == self._oom_kills:
            return status
        return replace(status, note=exits.OUT_OF_MEMORY)

    def _set_deadline(self, delay: float, action: Callable[[], None]) -> None:
        self._deadlines.append(self._loop.call_later(delay, action))

    def _forget_timers(self) -> None:
        if self._stopping is not None:
            self._stopping.cancel()
        for timer in self._deadlines:
            timer.cancel()
        self._deadlines.clear()

    def _read_last_words(self) -> None:
        """Empty the pipes first: an exit without its last words explains nothing."""
        for output, watch in list(self._outputs.items()):
            pipe = Pipe(watch.fd)
            for _ in range(_LAST_READS):
                if not self._read(output, pipe):
                    break

    def _close_pidfd(self) -> None:
        if self._exit_watch is not None:
            self._loop.unwatch(self._exit_watch)
            os.close(self._exit_watch.fd)
            self._exit_watch = None

    def _close_leaked_pipes(self) -> None:
        for output in list(self._outputs):
            self._emit(PipeLeaked(source=self._child.name, pid=self._pid, stream=output.name))
            self._child.leaked_streams.append(output.name)
            self._end_output(output)
        self._close_if_done()

    def _sweep(self) -> None:
        if self._policy.sweep != "all" or sys.platform != "linux":
            self._swept = True
            self._close_if_done()
            return
        self._set_deadline(_SWEEP_GRACE, self._conclude_sweep)
        leftovers = Leftovers(self._child.cookie, self._pid, self._start_ticks, self._report_swept)
        if not self._hub.sweeper.request(leftovers):
            self._loop.call_later(_SWEEP_RETRY, self._insist_on_sweep)

    def _insist_on_sweep(self) -> None:
        if not self._hub.sweeper.attend():
            self._loop.call_later(_SWEEP_RETRY, self._insist_on_sweep)

    def _report_swept(self, victims: Sequence[orphans.Victim], failure: str) -> None:
        for victim in victims:
            self._emit(
                DescendantSwept(
                    source=self._child.name,
                    pid=self._pid,
                    victim=victim.pid,
                    command=victim.command,
                )
            )
        if failure:
            self._loop.post(lambda: self._loop.errors.append(f"sweep: {failure}"))
        self._loop.post(self._conclude_sweep)

    def _conclude_sweep(self) -> None:
        self._swept = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._closed or self._child.exit_status is None or self._outputs or not self._swept:
            return
        self._closed = True
        self._forget_timers()
        self._hub.forget(self._child)
        self._child.closed.set()
