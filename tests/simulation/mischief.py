"""What goes wrong in a schedule, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation.plan import Fault

if TYPE_CHECKING:
    from tests.simulation.fleet import Host, Worker
    from tests.simulation.loop import Node
    from tests.simulation.world import Simulation

__all__ = ["Mischief"]


class Mischief:
    """Waits for the moments that the plan names, and lets it go wrong."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.trouble = ""
        """The vendor's, just now."""
        self.hang = 0.0
        self.troubles: list[tuple[Node, str, float]] = []
        """Of workers: whose, what, and until when."""
        self.waiting: dict[str, list[list[Any]]] = {}
        for fault in sim.plan.faults:
            if fault.at is None:
                self.waiting.setdefault(fault.after, []).append([fault.count, fault])

    def hook(self, event: str, node: Node) -> None:
        waiting = self.waiting.get(event)
        if not waiting or node not in self.sim.by_node:
            return
        for entry in list(waiting):
            entry[0] -= 1
            if entry[0] <= 0:
                waiting.remove(entry)
                fault: Fault = entry[1]
                if fault.steps == 0 or node.fuse is not None:
                    self.sim.loop.post(self.sim.director, 0.0, self.act, fault, node)
                else:
                    node.fuse = (fault.steps, lambda fault=fault: self.act(fault, node))

    def act(self, fault: Fault, node: Node | None) -> None:
        """Let it go wrong."""
        if self.sim.loop.now >= self.sim.plan.calm:
            return
        if fault.host is not None:
            node = self.sim.workers[fault.host].node if fault.host in self.sim.workers else None
        if node is not None and not node.alive:
            return
        self.sim.tally[fault.do] += 1
        self.sim.tell("FAULT", f"{fault.do} {node or ''} ({fault.seconds:g} s)")
        getattr(self, "_do_" + fault.do.replace(" ", "_"), self._do_trouble)(fault, node)

    def _later(self, seconds: float, undo: Any, *args: Any) -> None:
        self.sim.loop.post(self.sim.director, seconds, undo, *args)

    def _do_crash(self, fault: Fault, node: Node | None) -> None:
        if node is None:
            return
        worker = self.sim.by_node[node]
        self.sim.loop.kill(node)
        self.sim.judge.flying.pop(node, None)
        self.sim.workers.pop(worker.host.number, None)
        self.sim.judge.disturb(node, "its worker died", 1e9)
        if fault.seconds < 1e5:
            self._later(fault.seconds, self.restart, worker.host)

    def crash_closing(self, worker: Worker) -> None:
        self.sim.judge.disturb(worker.node, "its worker died while closing", 1e9)
        self.sim.loop.kill(worker.node)
        self.sim.judge.flying.pop(worker.node, None)
        self.sim.workers.pop(worker.host.number, None)
        self.restart(worker.host)

    def restart(self, host: Host) -> None:
        if host.number not in self.sim.workers:
            self.sim.tell(f"w{host.number}", "starts again")
            self.sim.start(host)

    def _do_close(self, fault: Fault, node: Node | None) -> None:
        """A deployment: the engine is closed, and when that is done the process ends, and another begins."""
        if node is not None and not self.sim.by_node[node].closing:
            self.sim.by_node[node].closing = True
            self.sim.loop.spawn(node, self._close(self.sim.by_node[node], fault.seconds))

    async def _close(self, worker: Worker, seconds: float) -> None:
        for task in self.sim.keepers:
            if task.get_name() == worker.node.name:
                task.cancel()
        await worker.engine.aclose()
        self.sim.tell(worker.node.name, "is closed")
        self.sim.judge.closed(worker.node)
        self.sim.loop.post(self.sim.director, 0.0, self._do_crash, Fault(do="crash", seconds=seconds), worker.node)

    def _do_commits_refused(self, fault: Fault, node: Node | None) -> None:
        self.sim.store.refuses.add("commit")
        self._later(fault.seconds, self.sim.store.refuses.discard, "commit")

    def _do_stall(self, fault: Fault, node: Node | None) -> None:
        if node is None or node.frozen:
            return
        self.sim.loop.freeze(node)
        self.sim.judge.stopped[node] = self.sim.loop.now
        self.sim.judge.disturb(node, "its worker was stopped", fault.seconds)
        self.troubles.append((node, "its worker was stopped", self.sim.loop.now + fault.seconds))
        self._later(fault.seconds, self.thaw, node)

    def thaw(self, node: Node) -> None:
        if node.frozen and node.alive:
            self.sim.tell(node.name, "goes on")
            self.sim.judge.stopped[node] = self.sim.loop.now
        self.sim.loop.thaw(node)

    def _do_sleep(self, fault: Fault, node: Node | None) -> None:
        if node is None or node.frozen:
            return
        seconds = max(0.0, min(fault.seconds, self.sim.plan.calm - self.sim.loop.now))  # everybody is woken at the calm
        self.sim.by_node[node].host.lag += max(seconds - 1e-9, 0.0)  # rounding must not set the clock back
        self.sim.loop.postpone(node, seconds)
        self.sim.judge.slept[node] = self.sim.loop.now
        self._do_stall(fault, node)

    def _do_cut_store(self, fault: Fault, node: Node | None) -> None:
        self._cut(fault, node, "store")

    def _do_cut_vendor(self, fault: Fault, node: Node | None) -> None:
        self._cut(fault, node, "vendor")

    def _cut(self, fault: Fault, node: Node | None, other: str) -> None:
        if node is None:
            return
        cut = (node.name, other)
        self.sim.net.cuts.add(cut)
        if other == "store":
            self.sim.store.disconnect(node)
            self.sim.judge.disturb(node, "its worker was cut off from the store", fault.seconds)
            if fault.seconds >= 3.0:
                self.troubles.append((node, "its worker was cut off from the store", self.sim.loop.now + fault.seconds))
        self._later(fault.seconds, self._heal, cut)

    def _heal(self, cut: tuple[str, str]) -> None:
        self.sim.net.cuts.discard(cut)
        if cut[1] == "store":
            self.sim.judge.up_at = self.sim.loop.now

    def _do_store_down(self, fault: Fault, node: Node | None) -> None:
        self.sim.net.down.add("store")
        self.sim.store.waiters.clear()
        self.sim.store.disconnect()
        self.sim.judge.disturb(None, "the store was away", fault.seconds)
        self._later(fault.seconds, self.store_up)

    def store_up(self) -> None:
        if "store" in self.sim.net.down:
            self.sim.tell("store", "is back")
            self.sim.judge.up_at = self.sim.loop.now
        self.sim.net.down.discard("store")

    def _do_store_restarted_empty(self, fault: Fault, node: Node | None) -> None:
        self.sim.store.disconnect()
        self.sim.store.lose(None)
        self.sim.store.started = self.sim.loop.now

    def _do_store_flushed(self, fault: Fault, node: Node | None) -> None:
        self.sim.store.lose(None)

    def _do_store_fails_over(self, fault: Fault, node: Node | None) -> None:
        self.sim.store.disconnect()
        self.sim.store.lose(fault.seconds)

    def _do_clock(self, fault: Fault, node: Node | None) -> None:
        if node is not None:
            self.sim.by_node[node].host.wall += fault.seconds
            if self.sim.loop.now > 0:
                self.sim.judge.stepped[node] = self.sim.loop.now

    def _do_store_clock(self, fault: Fault, _: Node | None) -> None:
        self.sim.store.wrong += fault.seconds
        self.sim.judge.set_at = self.sim.loop.now
        if fault.seconds < 0:
            self.sim.judge.set_back_at = self.sim.loop.now

    def _do_cancel_callers(self, fault: Fault, node: Node | None) -> None:
        if node is not None:
            for task in self.sim.by_node[node].callers:
                if not task.done():
                    self.sim.loop.post(node, 0.0, self.sim.callers.cancel, task)

    def _do_revoke(self, fault: Fault, node: Node | None) -> None:
        for grant in self.sim.vendor.grants.values():
            grant.revoked = True

    def _do_trouble(self, fault: Fault, node: Node | None) -> None:
        self.trouble = fault.do
        self.hang = max(fault.seconds, 12.0)
        self._later(fault.seconds, self._trouble_over)

    def _trouble_over(self) -> None:
        self.trouble = ""
