"""What the nodes of the double agree upon: who is there, who is the master, and which copies of an index are good.

There are three nodes. The lowest that is there, by a majority, is the master when there is none; it looks at the others ten
times a second, and one that does not answer three times in a row has left. A primary that is gone is replaced by a copy that
had everything it acknowledged; copies that are missing are made anew after a while (here two seconds; Elasticsearch waits a minute).
Copies on a node that is excluded by the cluster's settings go elsewhere if there is a place for them: another copy is made
first, then the primary is handed over, and only then is the excluded one given up. One that has no other place stays.
"""
import asyncio
import fnmatch
import json
import time
import traceback
import uuid

EVERY, PATIENCE, MISSES, DELAY = 0.1, 0.5, 3, 2.0
# The only setting that there is: names of nodes, or patterns, separated by commas.
EXCLUDE = "cluster.routing.allocation.exclude._name"


def excluded(state, node):
    """Whether no copy may be on a node."""
    patterns = [part.strip() for part in state["settings"].get(EXCLUDE, "").split(",")]
    return any(fnmatch.fnmatchcase(node, pattern) for pattern in patterns if pattern)


class Unreachable(Exception):
    pass


class Cluster:
    def __init__(self, node):
        self.node = node
        self.state = None
        self.misses, self.left_at, self.recovering = {}, {}, set()
        self.changed = asyncio.Event()
        self.lock = asyncio.Lock()

    @property
    def name(self):
        return self.node.name

    def leads(self):
        return bool(self.state) and self.state["master"] == self.name

    def take(self, state):
        """A state from the master; an older one is not taken."""
        if self.state and state["version"] <= self.state["version"]:
            return state["version"] == self.state["version"] and state["master"] == self.state["master"]
        promoted = [i for i, index in state["indices"].items() if index["primary"] == self.name
                    and (not self.state or self.state["indices"].get(i, {}).get("primary") not in (None, self.name))]
        self.state = state
        self.node.follow(promoted)
        self.changed.set()
        self.changed = asyncio.Event()
        return True

    async def wait(self, seconds):
        """For another state, or until it is over."""
        try:
            await asyncio.wait_for(self.changed.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    async def run(self):
        while True:
            try:
                await self.look()
            except (OSError, asyncio.TimeoutError, Unreachable):
                pass
            except Exception:
                # Whatever it was: a node that no longer looks at the others would be worse.
                traceback.print_exc()
            await asyncio.sleep(EVERY)

    async def look(self):
        answers = await asyncio.gather(*(self.ping(peer) for peer in self.node.peers))
        there = {peer: said for peer, said in zip(self.node.peers, answers) if said is not None}
        for peer in self.node.peers:
            self.misses[peer] = 0 if peer in there else self.misses.get(peer, 0) + 1
        alive = sorted([self.name] + [p for p in self.node.peers if self.misses[p] < MISSES])
        states = [said["state"] for said in there.values() if said["state"]]
        newest = max(states, key=lambda s: s["version"], default=None)
        if newest and (not self.state or newest["version"] > self.state["version"]):
            self.take(newest)
        boots = {self.name: self.node.boot, **{peer: said["boot"] for peer, said in there.items()}}
        if len(alive) * 2 <= len(self.node.peers) + 1:
            return
        if self.state is None:
            # The first state of all is made when everybody is there and nobody has one.
            if not states and len(there) == len(self.node.peers) and self.name == alive[0]:
                await self.change(lambda state: state.update(boots=boots), fresh=True)
        elif self.leads():
            await self.tend(alive, boots)
        elif self.state["master"] not in alive:
            informed = [p for p in alive if p == self.name or (there.get(p) or {}).get("state")]
            if informed and informed[0] == self.name:
                # Who left is taken out by the new master's next look.
                await self.change(lambda state: state.update(master=self.name))

    async def ping(self, peer):
        try:
            _, said = await self.node.peers[peer].ask("GET", "/_internal/state", limit=PATIENCE)
            return said
        except (OSError, asyncio.TimeoutError, ValueError):
            return None

    async def change(self, how, fresh=False):
        """A new state, by the master: a majority must have it before it counts."""
        async with self.lock:
            old = self.state or {"version": 0, "master": self.name, "nodes": sorted([self.name, *self.node.peers]),
                                 "uuid": uuid.uuid4().hex, "boots": {}, "indices": {}, "repositories": {}, "settings": {}}
            state = json.loads(json.dumps(old))
            said = how(state)
            state["version"] = old["version"] + 1
            async def tell(peer):
                try:
                    _, answer = await self.node.peers[peer].ask("POST", "/_internal/state", state, limit=2.0)
                    return answer["taken"]
                except (OSError, asyncio.TimeoutError, ValueError):
                    return False
            taken = await asyncio.gather(*(tell(p) for p in self.node.peers if p in state["nodes"] or fresh))
            if (1 + sum(taken)) * 2 <= len(self.node.peers) + 1:
                raise Unreachable("no majority has the new state")
            self.take(state)
            return said

    async def tend(self, alive, boots):
        """Who left is taken out, and what is missing is made again."""
        now = time.monotonic()
        state = self.state
        for gone in set(state["nodes"]) - set(alive):
            self.left_at[gone] = now
        # One that was started again has nothing any more, however quickly it was.
        anew = [n for n in alive if n in boots and state["boots"].get(n) != boots[n]]
        if alive != state["nodes"] or anew:
            await self.change(lambda new: self.without(new, alive, anew, boots))
        waited = all(now - at > DELAY for at in self.left_at.values())
        for name, index in list(self.state["indices"].items()):
            if name in self.recovering:
                continue
            wanted = index["replicas"] + 1
            placed = [n for n in index["in_sync"] if not excluded(self.state, n)]
            free = [n for n in self.state["nodes"] if n not in index["in_sync"] and not excluded(self.state, n)]
            job = None
            if not index["primary"]:
                if index.get("fresh") and not index["in_sync"] and free:
                    # It was made when no node might have it.
                    job = self.begin(name, index, free[0])
            elif len(index["in_sync"]) > wanted:
                ranked = sorted(index["in_sync"], key=lambda n: (excluded(self.state, n), n != index["primary"]))
                job = self.leave(name, index, ranked[:wanted])
            elif len(placed) < wanted and free and (waited or index.get("fresh") or len(index["in_sync"]) == wanted):
                job = self.recover(name, index, free[0])
            if job:
                self.recovering.add(name)
                asyncio.create_task(self.finish(name, job))

    @staticmethod
    def without(state, alive, anew, boots):
        state["nodes"] = alive
        state["boots"].update(boots)
        for index in state["indices"].values():
            left = [n for n in index["in_sync"] if n not in anew]
            good = [n for n in left if n in alive]
            if index["primary"] not in good:
                index["primary"] = good[0] if good else None
                index["term"] += 1
            # A copy that was the last good one is waited for.
            index["in_sync"] = good or left

    async def finish(self, name, job):
        """One thing at a time for an index; what did not work is seen again by the next look."""
        try:
            await job
        except (OSError, asyncio.TimeoutError, ValueError, Unreachable):
            pass
        finally:
            self.recovering.discard(name)

    async def tell(self, target, what, asked, limit):
        """Whether a node, perhaps this one, has done what it is told."""
        if target == self.name:
            return (await self.node.internal(what, asked))["done"]
        return (await self.node.peers[target].ask("POST", f"/_internal/{what}", asked, limit=limit))[1].get("done", False)

    async def begin(self, name, index, target):
        def how(state):
            there = state["indices"].get(name)
            if there and there["uuid"] == index["uuid"] and not there["in_sync"]:
                there.update(primary=target, in_sync=[target])
        await self.change(how)

    async def recover(self, name, index, target):
        asked = {"index": name, "from": index["primary"], "uuid": index["uuid"]}
        if not await self.tell(target, "recover", asked, 30.0):
            return

        def add(state):
            there = state["indices"].get(name)
            if there and all(there[key] == index[key] for key in ("uuid", "primary")) and target not in there["in_sync"]:
                there["in_sync"].append(target)
                there["fresh"] = False
        await self.change(add)

    async def leave(self, name, index, kept):
        """The copy that is too many is given up; a primary hands over first to a copy that has everything.

        It holds new writes from when it was asked until it sees the new state, so that none is carried out by two. Should it stop
        holding them too early, its copies are those that it has to ask, the new primary among them, which refuses an older term.
        (The real one keeps the term when a primary is handed over.)
        """
        old, new = index["primary"], index["primary"]
        if old not in kept:
            new = next((n for n in kept if n in self.state["nodes"]), None)
            asked = {"index": name, "uuid": index["uuid"], "term": index["term"], "version": self.state["version"]}
            if new is None or not await self.tell(old, "hand", asked, 6.0):
                return

        def how(state):
            there = state["indices"].get(name)
            same = there and all(there[key] == index[key] for key in ("uuid", "primary", "term"))
            if not same or not set(kept) <= set(there["in_sync"]):
                return
            there["primary"] = new
            there["term"] += old != new
            there["in_sync"] = [n for n in there["in_sync"] if n in kept]
        await self.change(how)
