"""A member of a replica set of mongod doubles: who is primary, how the oplog goes round, and when a majority has a write.

One vote each, no priorities, no arbiters, no catch-up of a new primary. Elections are as in Raft: whoever has not heard of a
primary for the election time-out asks for votes in a new term; nobody votes twice in a term, nor for whom has less than
itself. Members speak with each other over the same port and protocol as clients, by commands of the double's own (`double…`),
with the set's key. A primary that hears of no majority for the election time-out steps down.
"""

import asyncio
import random
import struct

import bson
from bson.raw_bson import RawBSONDocument
from documents import Refused

STARTUP, PRIMARY, SECONDARY, ROLLBACK = 0, 1, 2, 9
WORDS = {STARTUP: "STARTUP", PRIMARY: "PRIMARY", SECONDARY: "SECONDARY", ROLLBACK: "ROLLBACK"}
# Entries that go round at once.
BATCH = 1000


class Peer:
    """Another member: what it last said, and connections to it."""

    def __init__(self, name):
        self.name = name
        self.heard = float("-inf")
        self.state, self.last, self.wall = STARTUP, (0, 0), None
        # How far it has the primary's log, in memory and on disk.
        self.applied = self.durable = 0


async def ask(name, command, limit, kept=None):
    """One command to a member; on a connection that is kept, if there is one."""
    host, port = name.rsplit(":", 1)
    reader, writer = kept or await asyncio.wait_for(asyncio.open_connection(host, int(port)), limit)
    try:
        body = b"\0\0\0\0\0" + bson.encode({**command, "$db": "admin"})
        writer.write(struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body)
        await writer.drain()
        header = await asyncio.wait_for(reader.readexactly(16), limit)
        (length,) = struct.unpack_from("<i", header)
        reply = await asyncio.wait_for(reader.readexactly(length - 16), limit)
    finally:
        if kept is None:
            writer.close()
    return RawBSONDocument(reply[5:])


class Member:
    def __init__(self, options, log):
        self.options, self.log = options, log
        self.me = options.me
        self.peers = {name: Peer(name) for name in options.members if name != self.me}
        self.state = STARTUP
        self.primary = None
        self.violation = None
        self.frozen_until = 0.0
        self.stepping = False
        self.changed = asyncio.Event()
        self.beat = options.election / 1000 / 8
        self.deadline = 0.0
        # When a primary was heard of last.
        self.led = float("-inf")

    # --- small words ---------------------------------------------------------------------------------------------------

    def first(self):
        """Of a new set the first member stands at once, and one that is alone has nobody to wait for."""
        return not self.peers or (len(self.log) == 0 and self.options.members[0] == self.me)

    def now(self):
        return asyncio.get_running_loop().time()

    def majority(self):
        return (len(self.peers) + 1) // 2 + 1

    def notify(self):
        """Wakes everybody who waits for something."""
        self.changed.set()
        self.changed = asyncio.Event()

    async def wait(self, seconds):
        try:
            await asyncio.wait_for(self.changed.wait(), max(seconds, 0))
        except asyncio.TimeoutError:
            pass

    def put_off(self):
        """A primary was heard of: no election for a while."""
        self.deadline = self.now() + self.options.election / 1000 * random.uniform(1.0, 1.3)

    def about(self):
        """What this member says of itself to others."""
        last = self.log.last()
        return {
            "from": self.me,
            "term": self.log.term,
            "state": self.state,
            "last": list(last),
            "wall": self.log.wall(last[1]),
            "commit": self.log.commit,
        }

    def hear(self, said):
        """What another member says of itself."""
        peer = self.peers.get(said["from"])
        if peer is None:
            return
        peer.heard, peer.state = self.now(), said["state"]
        peer.last, peer.wall = tuple(said["last"]), said["wall"]
        if said["term"] > self.log.term:
            self.new_term(said["term"])
        if said["state"] == PRIMARY and said["term"] == self.log.term and self.state != PRIMARY:
            if self.primary != peer.name:
                self.primary = peer.name
                self.notify()
            self.led = self.now()
            self.put_off()

    def new_term(self, term):
        self.log.vote(term, None)
        self.primary = None
        if self.state == PRIMARY:
            self.step_down()

    def step_down(self):
        """Primary no more. Connections stay open, and whoever waits is told."""
        self.state, self.stepping = SECONDARY, False
        if self.primary == self.me:
            self.primary = None
        self.put_off()
        self.notify()

    # --- tasks ---------------------------------------------------------------------------------------------------------

    async def run(self):
        self.state = SECONDARY
        self.put_off()
        if self.first():
            self.deadline = 0.0
        tasks = [self.beats(peer) for peer in self.peers.values()]
        await asyncio.gather(*tasks, self.watch(), self.follow(), self.flushes())

    async def flushes(self):
        while True:
            await asyncio.sleep(0.05)
            self.log.flush()
            self.advance()

    async def beats(self, peer):
        kept = None
        while True:
            try:
                if kept is None:
                    host, port = peer.name.rsplit(":", 1)
                    kept = await asyncio.wait_for(asyncio.open_connection(host, int(port)), self.beat * 2)
                command = {"doubleHeartbeat": 1, "key": self.options.key, "about": self.about()}
                reply = await ask(peer.name, command, self.options.election / 2000, kept)
                self.hear(reply["about"])
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, KeyError):
                if kept is not None:
                    kept[1].close()
                kept = None
            await asyncio.sleep(self.beat)

    async def watch(self):
        """Calls an election when it is time; steps down when no majority is heard of."""
        while True:
            await asyncio.sleep(0.02)
            now = self.now()
            if self.state == PRIMARY:
                limit = now - self.options.election / 1000
                if 1 + sum(peer.heard > limit for peer in self.peers.values()) < self.majority():
                    self.step_down()
            elif self.state == SECONDARY and now > self.deadline and now > self.frozen_until:
                await self.stand(handed=False)

    async def stand(self, handed):
        """Asks for votes."""
        term, last = self.log.term + 1, self.log.last()
        self.put_off()
        command = {
            "doubleVote": 1, "key": self.options.key, "term": term, "from": self.me, "last": list(last), "handed": handed,
        }
        if self.peers:
            # Nobody who still hears of a primary votes, so whether it could be won is asked before a term is spent on it.
            dry = await self.votes({**command, "dry": True})
            if dry < self.majority():
                if self.first():
                    self.deadline = self.now() + 0.1
                return False
        if self.state != SECONDARY or self.log.term >= term:
            return False
        self.log.vote(term, self.me)
        if await self.votes(command) < self.majority() or self.log.term != term or self.state != SECONDARY:
            return False
        self.state, self.primary, self.stepping = PRIMARY, self.me, False
        for peer in self.peers.values():
            peer.applied = peer.durable = 0
            peer.heard = self.now()
        if self.violation == "lose-on-step-down":
            self.lose()
        self.log.write(term, "n", "", {"msg": "new primary"})
        self.log.flush()
        self.advance()
        self.notify()
        # Everybody is told at once, and follows.
        told = {"doubleHeartbeat": 1, "key": self.options.key, "about": self.about()}
        await asyncio.gather(*(ask(name, told, self.beat * 2) for name in self.peers), return_exceptions=True)
        return True

    async def votes(self, command):
        async def one(name):
            try:
                return bool((await ask(name, command, self.options.election / 2000))["granted"])
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, KeyError):
                return False

        return 1 + sum(await asyncio.gather(*(one(name) for name in self.peers)))

    def lose(self):
        """Deliberate violation: what was written last is silently gone when another member becomes primary."""
        gone = [entry for entry in self.log.entries[-40:] if entry["op"] == "i" and "p" in entry["o"]]
        for entry in gone[-20:]:
            self.log.write(self.log.term, "d", entry["ns"], {"_id": entry["o"]["_id"]})

    async def follow(self):
        """A secondary asks the primary for what comes next, again and again."""
        kept = whom = None
        while True:
            source = self.primary
            if self.state != SECONDARY or source in (None, self.me):
                await self.wait(0.1)
                continue
            try:
                if kept is None or whom != source:
                    if kept is not None:
                        kept[1].close()
                    host, port = source.rsplit(":", 1)
                    kept, whom = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 0.5), source
                reply = await ask(source, self.pull(), 2.0, kept)
                if self.state == SECONDARY and self.primary == source:
                    self.take(reply)
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, KeyError):
                if kept is not None:
                    kept[1].close()
                kept = None
                await asyncio.sleep(0.05)

    def pull(self):
        return {
            "doublePull": 1, "key": self.options.key, "from": self.me, "term": self.log.term,
            "after": list(self.log.last()), "durable": self.log.durable,
        }

    def take(self, reply):
        if "begins" in reply:
            self.state = ROLLBACK
            self.log.roll_back(self.log.in_common(reply["begins"], reply["length"]))
            self.state = SECONDARY
            return
        if reply.get("ok") != 1 or reply["term"] != self.log.term:
            raise KeyError("term")
        self.log.append(reply["entries"])
        self.log.flush()
        self.log.agree(reply["commit"])
        self.led = self.now()
        self.put_off()
        self.notify()

    # --- what a primary knows of the others -----------------------------------------------------------------------------

    def advance(self):
        """How far a majority has it, on disk; only what is of this term counts by itself."""
        if self.state != PRIMARY:
            return
        have = sorted([self.log.durable, *(peer.durable for peer in self.peers.values())], reverse=True)
        upto = min(have[self.majority() - 1], len(self.log))
        if upto > self.log.commit and self.log.terms[upto - 1] == self.log.term:
            self.log.agree(upto)
            self.notify()

    def copies(self, number):
        """How many members have an entry."""
        return 1 + sum(peer.applied >= number for peer in self.peers.values())

    # --- commands of other members --------------------------------------------------------------------------------------

    async def command(self, name, body):
        if body.get("key") != self.options.key:
            raise Refused(13, "Unauthorized", f"{name} is for members of the set")
        if name == "doubleHeartbeat":
            self.hear(body["about"])
            return {"about": self.about()}
        if name == "doubleVote":
            return {"granted": self.grant(body)}
        if name == "doubleElect":
            return {"won": await self.stand(handed=True)}
        return await self.serve(body)

    def grant(self, body):
        last, handed = tuple(body["last"]), body["handed"]
        hears = self.state == PRIMARY or self.now() - self.led < self.options.election / 1000
        if body["term"] <= self.log.term or last < self.log.last() or (hears and not handed):
            return False
        if body.get("dry"):
            return True
        self.new_term(body["term"])
        self.log.vote(body["term"], body["from"])
        self.put_off()
        return True

    async def serve(self, body):
        """What comes after an entry in the primary's log; waits a little if there is nothing."""
        if self.state != PRIMARY or body["term"] != self.log.term:
            raise Refused(10107, "NotWritablePrimary", "not primary")
        term, number = body["after"]
        if number > len(self.log) or (number and self.log.terms[number - 1] != term):
            return {"begins": self.log.begins(), "length": len(self.log)}
        peer = self.peers[body["from"]]
        peer.applied, peer.durable, peer.heard = number, body["durable"], self.now()
        self.advance()
        self.notify()
        commit, end = self.log.commit, self.now() + 0.3
        while len(self.log) == number and self.log.commit == commit and self.state == PRIMARY and self.now() < end:
            await self.wait(end - self.now())
        if self.state != PRIMARY:
            raise Refused(10107, "NotWritablePrimary", "not primary")
        entries = self.log.entries[number : number + BATCH]
        return {"term": self.log.term, "entries": entries, "commit": self.log.commit}

    # --- planned step-down ----------------------------------------------------------------------------------------------

    async def hand_over(self, seconds, patience, force):
        """No new writes, until a member has everything that was written; then that one is told to stand."""
        if self.state != PRIMARY:
            raise Refused(10107, "NotWritablePrimary", "not primary so can't step down")
        self.stepping = True
        self.log.flush()
        number, end = len(self.log), self.now() + patience
        while self.state == PRIMARY and self.log.commit < number and self.now() < end:
            await self.wait(end - self.now())
        if self.state != PRIMARY:
            raise Refused(189, "PrimarySteppedDown", "somebody else is primary")
        ready = [peer for peer in self.peers.values() if peer.durable >= number]
        if not (ready and self.log.commit >= number) and not force:
            self.stepping = False
            raise Refused(262, "ExceededTimeLimit", "No electable secondaries caught up")
        self.frozen_until = self.now() + seconds
        self.step_down()
        for peer in sorted(ready, key=lambda peer: -peer.heard)[:1]:
            asyncio.ensure_future(self.elect(peer.name))

    async def elect(self, name):
        try:
            await ask(name, {"doubleElect": 1, "key": self.options.key}, self.options.election / 1000)
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            # Nobody is told: an election comes by itself.
            pass
