"""A double of Elasticsearch's REST API: one node of a cluster of three, a process of its own so that it can be killed.

Usage: node.py NAME SETTINGS. SETTINGS is a JSON file: {"nodes": {NAME: PORT}, "repositories": FOLDER, "users": {USER:
{"password": …, "keys": [API KEY, …], "deny": [PRIVILEGE, …]}}, "tls": [CERTIFICATE, KEY]}; "users" and "tls" may be left
out, and "version" stands for another version.

This is no Elasticsearch, and shares nothing with one: it answers what this project's adapter and the vendor's own client ask, with
one shard an index, and everything in memory. What it does on purpose wrong if it is told to (POST /_internal/violate) stands below.
"""
import asyncio
import base64
import json
import os
import ssl
import sys
import uuid

from cluster import Cluster, Unreachable, excluded
from index import Copy
from rest import ROUTES, Fault
from wire import Peer, serve

# acknowledged_early: the primary acknowledges, and copies a moment later. lost_on_promotion: who becomes primary forgets its last
# documents. duplicated: some documents are found twice. corrupted: some documents are not what was written. stale: a refresh shows
# nothing new, and reads come from an old copy.
# For how long at most a primary holds new writes so that another one can take over.
HOLD = 4.0
VIOLATIONS = ["acknowledged_early", "lost_on_promotion", "duplicated", "corrupted", "stale"]


class Node:
    def __init__(self, name, settings):
        self.name, self.settings, self.boot, self.read = name, settings, uuid.uuid4().hex, None
        self.peers = {n: Peer(p) for n, p in settings["nodes"].items() if n != name}
        self.copies, self.tracking, self.pits, self.violations = {}, {}, {}, set()
        # Operations under way here as the primary, and until when none may begin, by the index's uuid.
        self.under_way, self.held = {}, {}
        self.cluster = Cluster(self)

    # --- what the cluster tells it ---

    def follow(self, promoted):
        """The state has changed: copies of indices that are no more are dropped, and a promotion may go wrong on purpose."""
        uuids = {index["uuid"] for index in self.cluster.state["indices"].values()}
        for gone in set(self.copies) - uuids:
            del self.copies[gone]
        mine = {index["uuid"] for index in self.cluster.state["indices"].values() if index["primary"] == self.name}
        for handed in set(self.held) - mine:
            del self.held[handed]
        for name in promoted:
            copy = self.copy(name)
            if "lost_on_promotion" in self.violations:
                for doc_id in list(copy.docs)[-20:]:
                    del copy.docs[doc_id]
            copy.refresh()

    def index(self, name):
        return self.cluster.state["indices"][name]

    def copy(self, name):
        return self.copies.setdefault(self.index(name)["uuid"], Copy())

    async def recover(self, asked):
        """Makes this node's copy from the primary's."""
        target = {**asked, "target": self.name}
        if asked["from"] == self.name:
            return False
        _, said = await self.peers[asked["from"]].ask("POST", "/_internal/dump", target, limit=20.0)
        if "docs" not in said:
            return False
        copy = Copy()
        copy.load(said)
        # What came in between, by way of the primary, is newer.
        for op in self.tracking.pop(asked["uuid"], []):
            copy.apply(op)
        self.copies[asked["uuid"]] = copy
        return True

    # --- writing ---

    async def write(self, name, op, query):
        """Carries an operation out at the primary, wherever that is: a status, and what is answered."""
        limit = seconds(query.get("timeout", "1m"))
        loop = asyncio.get_running_loop()
        end = loop.time() + limit
        while True:
            version, index = self.cluster.state["version"], self.cluster.state["indices"].get(name)
            if index is None:
                raise Fault(404, "index_not_found_exception", f"no such index [{name}]")
            primary = index["primary"]
            try:
                if primary == self.name:
                    return await self.write_here(name, op, query, end)
                if primary:
                    body = {"index": name, "op": op, "query": query, "term": index["term"]}
                    status, said = await self.peers[primary].ask("POST", "/_internal/write", body, limit=max(end - loop.time(), 0.1))
                    if status != 410:
                        return status, said
            except (OSError, asyncio.TimeoutError):
                # As the real one does: the operation is tried again when there is another primary, though it may be done already.
                pass
            if loop.time() >= end:
                raise Fault(503, "unavailable_shards_exception", f"[{name}][0] primary shard is not active Timeout: [{limit}s]")
            if version == self.cluster.state["version"]:
                await self.cluster.wait(min(end - loop.time(), 0.2))

    async def write_here(self, name, op, query, end):
        index, loop = self.index(name), asyncio.get_running_loop()
        wanted = query.get("wait_for_active_shards", "1")
        wanted = index["replicas"] + 1 if wanted == "all" else int(wanted)
        while len(self.live(name)) < wanted or self.holds(index):
            if loop.time() >= end:
                raise Fault(503, "unavailable_shards_exception",
                            f"[{name}][0] Not enough active copies to meet shard count of [{wanted}]")
            await self.cluster.wait(min(max(end - loop.time(), 0), 0.2))
            index = self.index(name)
        if index["primary"] != self.name:
            raise ConnectionResetError("it is the primary no more")
        # Nothing is waited for between the look above and this, so that a handover sees all that are under way.
        self.under_way[index["uuid"]] = self.under_way.get(index["uuid"], 0) + 1
        try:
            return await self.carry_out(name, op, index)
        finally:
            self.under_way[index["uuid"]] -= 1

    def holds(self, index):
        """Whether new writes wait here for another primary."""
        return index["primary"] == self.name and self.held.get(index["uuid"], 0) > asyncio.get_running_loop().time()

    async def hand(self, asked):
        """Holds new writes to an index, and waits until those under way are done: whether another may be the primary now."""
        loop = asyncio.get_running_loop()
        end = loop.time() + HOLD / 2
        # It must know who has a copy: whoever takes over must get all that is acknowledged here.
        while self.cluster.state["version"] < asked["version"] and loop.time() < end:
            await self.cluster.wait(0.1)
        index = self.cluster.state["indices"].get(asked["index"])
        same = index and index["primary"] == self.name and all(index[key] == asked[key] for key in ("uuid", "term"))
        if not same or self.cluster.state["version"] < asked["version"]:
            return False
        self.held[asked["uuid"]] = loop.time() + HOLD
        while self.under_way.get(asked["uuid"], 0):
            if loop.time() >= end:
                self.held.pop(asked["uuid"])
                return False
            await asyncio.sleep(0.002)
        return True

    async def carry_out(self, name, op, index):
        copy = self.copy(name)
        there = copy.docs.get(op["id"])
        if op["op"] == "create" and there:
            raise Fault(409, "version_conflict_engine_exception",
                        f"[{op['id']}]: version conflict, document already exists (current version [{there['version']}])")
        if op["op"] == "delete" and not there:
            return 404, self.answer(name, op, "not_found", copy.seq_no, index, 1, 0)
        op = {**op, "seq_no": copy.seq_no + 1, "term": index["term"]}
        copy.apply(op)
        others = [n for n in self.live(name) if n != self.name]
        following = [n for n in self.tracking.get(("follow", index["uuid"]), set()) if n not in others]
        result = "deleted" if op["op"] == "delete" else "updated" if there else "created"
        if "acknowledged_early" in self.violations:
            asyncio.create_task(self.later(name, op, index, others))
            return 201, self.answer(name, op, result, op["seq_no"], index, 1 + len(others), 0)
        done = await asyncio.gather(*(self.replicate(n, name, op, index) for n in others + following))
        # One that was only following may have become a copy meanwhile.
        failed = [n for n, well in zip(others + following, done) if not well and (n in others or n in self.live(name))]
        for gone in failed:
            await self.fail(name, index, gone)
        if "corrupted" in self.violations and op["seq_no"] % 40 == 7 and "source" in op:
            # Wherever it is: the same bytes are wrong in every copy.
            spoilt = {key: value[::-1] if isinstance(value, str) and len(value) > 60 else value
                      for key, value in op["source"].items()}
            await asyncio.gather(*(self.replicate(n, name, {**op, "source": spoilt, "op": "index"}, index) for n in others))
            copy.apply({**op, "source": spoilt, "op": "index"})
        good = 1 + len(set(others) - set(failed))
        status = 201 if result == "created" else 200
        return status, self.answer(name, op, result, op["seq_no"], index, good, len(failed))

    def answer(self, name, op, result, seq_no, index, successful, failed):
        return {"_index": name, "_id": op["id"], "_version": 1, "result": result, "_seq_no": seq_no,
                "_primary_term": index["term"],
                "_shards": {"total": max(index["replicas"] + 1, successful + failed), "successful": successful, "failed": failed}}

    def live(self, name):
        """Copies that have everything, on nodes that are there."""
        index = self.index(name)
        return [n for n in index["in_sync"] if n in self.cluster.state["nodes"]]

    async def later(self, name, op, index, others):
        await asyncio.sleep(2.0)
        await asyncio.gather(*(self.replicate(n, name, op, index) for n in others))

    async def replicate(self, target, name, op, index):
        body = {"index": name, "uuid": index["uuid"], "op": op, "term": index["term"]}
        try:
            status, said = await self.peers[target].ask("POST", "/_internal/replicate", body, limit=2.0)
        except (OSError, asyncio.TimeoutError):
            return False
        if status == 410:
            raise ConnectionResetError("a later primary has taken over")
        return said.get("done", False)

    async def fail(self, name, index, gone):
        """The master takes a copy out that has not what the primary has, before anything is acknowledged."""
        body = {"index": name, "term": index["term"], "node": gone, "primary": self.name}
        for _ in range(40):
            master = self.cluster.state["master"]
            try:
                said = (await self.peers[master].ask("POST", "/_internal/fail", body))[1] if master != self.name \
                    else await self.fail_here(body)
                if said.get("stale"):
                    raise ConnectionResetError("a later primary has taken over")
                if said.get("done"):
                    return
            except ConnectionResetError:
                if self.index(name)["primary"] != self.name:
                    raise
            except (OSError, asyncio.TimeoutError, Unreachable):
                pass
            await self.cluster.wait(0.1)
        raise ConnectionResetError("no master takes the copy out")

    async def fail_here(self, body):
        if not self.cluster.leads():
            return {"done": False}

        def out(state):
            index = state["indices"].get(body["index"])
            if not index or index["primary"] != body["primary"] or index["term"] != body["term"]:
                return {"stale": True}
            index["in_sync"] = [n for n in index["in_sync"] if n != body["node"]]
            return {"done": True}
        return await self.cluster.change(out)

    # --- asking the primary, or the master ---

    async def at_primary(self, name, path, body, limit=10.0):
        for _ in range(20):
            primary = self.index(name)["primary"]
            if primary is None:
                break
            if primary == self.name:
                return await self.internal(path, {**body, "index": name})
            try:
                status, said = await self.peers[primary].ask("POST", f"/_internal/{path}", {**body, "index": name}, limit=limit)
            except (OSError, asyncio.TimeoutError) as gone:
                raise Fault(503, "no_shard_available_action_exception", f"no shard of [{name}] is available") from gone
            if status != 410:
                return said
            # One of the two has not heard yet who it is.
            await self.cluster.wait(0.1)
        raise Fault(503, "no_shard_available_action_exception", f"no shard of [{name}] is available")

    async def at_master(self, what, body):
        """A change of the cluster's state; only the master makes one."""
        for _ in range(100):
            master = self.cluster.state["master"]
            try:
                if master == self.name:
                    return await self.changes(what, body)
                return (await self.peers[master].ask("POST", "/_internal/change", {"what": what, "body": body}))[1]
            except (OSError, asyncio.TimeoutError, Unreachable):
                await self.cluster.wait(0.1)
        raise Fault(503, "master_not_discovered_exception", "no master")

    async def changes(self, what, body):
        def how(state):
            if what == "create":
                if body["name"] in state["indices"]:
                    return {"exists": True}
                nodes = [n for n in state["nodes"] if not excluded(state, n)]
                first = [nodes[len(state["indices"]) % len(nodes)]] if nodes else []
                state["indices"][body["name"]] = {
                    "uuid": uuid.uuid4().hex, "primary": first[0] if first else None, "term": 1, "in_sync": first, "fresh": True,
                    "replicas": int(body["replicas"]), "settings": body["settings"], "mappings": body["mappings"],
                    "aliases": body["aliases"],
                }
            elif what == "delete":
                state["indices"].pop(body["name"], None)
            elif what == "repository":
                state["repositories"][body["name"]] = body["settings"]
            elif what == "settings":
                kept = {**state["settings"], **body}
                state["settings"] = {key: value for key, value in kept.items() if value is not None}
            return {"done": True}
        return await self.cluster.change(how)

    # --- what nodes ask of each other ---

    async def internal(self, what, body):
        state = self.cluster.state
        if what == "state":
            return {"state": state, "boot": self.boot}
        if what == "take":
            return {"taken": self.cluster.take(body)}
        if what == "change":
            return await self.changes(body["what"], body["body"])
        if what == "fail":
            return await self.fail_here(body)
        if what == "hand":
            return {"done": await self.hand(body)}
        if what == "violate":
            self.violations = set(body["what"])
            return {"done": self.violations <= set(VIOLATIONS)}
        if what == "recover":
            self.tracking[body["uuid"]] = []
            return {"done": await self.recover(body)}
        if what == "close":
            freed = 1 if self.pits.pop(body["id"], None) else 0
            return {"succeeded": bool(freed), "num_freed": freed}
        copy = self.copy(body["index"])
        if what == "dump":
            if body.get("target"):
                self.tracking.setdefault(("follow", body["uuid"]), set()).add(body["target"])
            return copy.dump()
        if what == "load":
            copy.load(body)
            return {"done": True}
        if what == "refresh":
            if "stale" not in self.violations:
                copy.refresh()
            return {"done": True}
        if what == "get":
            docs = dict(copy.seen) if "stale" in self.violations else copy.docs
            return {"doc": docs.get(body["id"])}
        if what == "pit":
            pit = f"{self.name}.{uuid.uuid4().hex}"
            seen = copy.seen
            if "duplicated" in self.violations:
                seen = seen + [hit for number, hit in enumerate(seen) if number % 50 == 3]
            if len(self.pits) >= 500:
                raise Fault(429, "rejected_execution_exception", "too many points in time")
            self.pits[pit] = (body["index"], seen)
            return {"id": pit}
        raise KeyError(what)

    def replicated(self, body):
        """An operation from a primary: a status, and whether it is done."""
        index = self.cluster.state["indices"].get(body["index"]) if self.cluster.state else None
        if index and index["term"] > body["term"]:
            return 410, {"done": False}
        if body["uuid"] in self.tracking and isinstance(self.tracking[body["uuid"]], list):
            self.tracking[body["uuid"]].append(body["op"])
            return 200, {"done": True}
        if body["uuid"] not in self.copies and (not index or self.name not in index["in_sync"]):
            return 200, {"done": False}
        self.copies.setdefault(body["uuid"], Copy()).apply(body["op"])
        return 200, {"done": True}

    async def answer_internal(self, request):
        what = request.path[1]
        if what == "state" and request.method == "POST":
            return 200, await self.internal("take", request.json())
        if what == "replicate":
            return self.replicated(request.json())
        if what == "write":
            body = request.json()
            index = self.cluster.state["indices"].get(body["index"])
            if not index or index["primary"] != self.name or index["term"] != body["term"]:
                return 410, {}
            try:
                end = asyncio.get_running_loop().time() + seconds(body["query"].get("timeout", "1m"))
                return await self.write_here(body["index"], body["op"], body["query"], end)
            except ConnectionResetError:
                return 410, {}
        if what in ("dump", "load", "refresh", "get", "pit"):
            index = self.cluster.state["indices"].get(request.json()["index"]) if self.cluster.state else None
            if not index or index["primary"] != self.name:
                return 410, {}
        return 200, await self.internal(what, request.json())

    # --- what clients ask ---

    def user(self, request):
        # The file is read again when it changes: privileges may be taken away while it runs.
        stat = os.stat(sys.argv[2])
        if (stat.st_mtime_ns, stat.st_ino) != self.read:
            with open(sys.argv[2]) as file:
                self.read, self.settings = (stat.st_mtime_ns, stat.st_ino), json.load(file)
        users = self.settings.get("users")
        # A node that passes a request on has looked at who sent it.
        if not users or request.headers.get("x-node"):
            return {}
        kind, _, word = request.headers.get("authorization", "").partition(" ")
        for name, user in users.items():
            login = base64.b64encode(f"{name}:{user.get('password', '')}".encode()).decode()
            if (kind == "Basic" and word == login) or (kind == "ApiKey" and word in user.get("keys", [])):
                return {"name": name, **user}
        raise Fault(401, "security_exception", "unable to authenticate")

    async def respond(self, request):
        try:
            if request.path[:1] == ["_internal"]:
                # Nodes of one cluster trust each other; so does who tells it to go wrong.
                return await self.answer_internal(request)
            user = self.user(request)
            if self.cluster.state is None:
                raise Fault(503, "master_not_discovered_exception", "no master")
            for methods, pattern, privilege, handler in ROUTES:
                words = fits(pattern, request.path)
                if request.method in methods and words is not None:
                    if privilege in user.get("deny", []):
                        raise Fault(403, "security_exception",
                                    f"action [{privilege}] is unauthorized for user [{user.get('name')}]")
                    return await handler(self, request, *words)
            raise Fault(400, "illegal_argument_exception", f"no handler for [{request.method} /{'/'.join(request.path)}]")
        except Fault as fault:
            return fault.status, fault.said()
        except (KeyError, ValueError, TypeError, AttributeError) as wrong:
            return 400, Fault(400, "parsing_exception", f"unknown or malformed: {wrong!r}").said()
        except (OSError, asyncio.TimeoutError, Unreachable) as broken:
            return 500, Fault(500, "exception", str(broken)).said()


def fits(pattern, path):
    """The words of a path where the pattern has `*`; none if it is another path."""
    if len(pattern) != len(path):
        return None
    if any(p != w if p != "*" else w.startswith("_") for p, w in zip(pattern, path)):
        return None
    return [w for p, w in zip(pattern, path) if p == "*"]


def seconds(text):
    for unit, factor in (("ms", 0.001), ("s", 1), ("m", 60)):
        if text.endswith(unit):
            return float(text[:-len(unit)]) * factor
    return float(text)


async def main():
    name = sys.argv[1]
    with open(sys.argv[2]) as file:
        settings = json.load(file)
    node = Node(name, settings)
    context = None
    if "tls" in settings:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*settings["tls"])
    os.makedirs(settings["repositories"], exist_ok=True)
    server = await asyncio.start_server(lambda r, w: serve(r, w, node.respond), "127.0.0.1", settings["nodes"][name],
                                        limit=1 << 26, ssl=context)
    asyncio.create_task(node.cluster.run())
    async with server:
        await server.serve_forever()


asyncio.run(main())
