"""What clients may ask of the double, path by path, as Elasticsearch's reference describes it. Where a document really goes is the
node's business.
"""
import asyncio
import hashlib
import json
import os
import time

from cluster import EXCLUDE, excluded
from index import named, search


class Fault(Exception):
    """An error as the API has it."""

    def __init__(self, status, kind, reason):
        super().__init__(reason)
        self.status, self.kind, self.reason = status, kind, reason

    def said(self):
        cause = {"type": self.kind, "reason": self.reason}
        return {"error": {"root_cause": [cause], **cause}, "status": self.status}


def indices(node):
    return node.cluster.state["indices"]


def resolve(node, pattern, one=False):
    """Names of indices that a name, an alias or a pattern means."""
    every = indices(node)
    names = [] if pattern in ("_all", "*") else [a for a in pattern.split(",") if "*" not in a]
    found = list(every) if pattern == "_all" else named(",".join(p for p in pattern.split(",") if "*" in p) or "\0", every)
    for name in names:
        by_alias = [i for i, index in every.items() if name in index["aliases"]]
        if name not in every and not by_alias:
            raise Fault(404, "index_not_found_exception", f"no such index [{name}]")
        found += [name] if name in every else by_alias
    if one and len(found) != 1:
        raise Fault(400, "illegal_argument_exception", f"[{pattern}] is not one index")
    return sorted(set(found))


# --- the cluster ---


async def root(node, request):
    version = node.settings.get("version", "8.19.0")
    return 200, {"name": node.name, "cluster_name": "double", "cluster_uuid": node.cluster.state["uuid"],
                 "version": {"number": version, "build_flavor": "default", "lucene_version": "9.12.1",
                             "minimum_wire_compatibility_version": "7.17.0"},
                 "tagline": "You Know, for Search"}


def colour(node, names):
    worst = "green"
    for name in names:
        index = indices(node)[name]
        if not index["primary"]:
            return "red"
        if len(node.live(name)) < index["replicas"] + 1:
            worst = "yellow"
    return worst


def health_now(node, pattern):
    names = resolve(node, pattern or "_all")
    states = [indices(node)[name] for name in names]
    primaries = sum(1 for s in states if s["primary"])
    # One that is on the move counts once.
    active = sum(min(len(node.live(name)), indices(node)[name]["replicas"] + 1) if indices(node)[name]["primary"] else 0
                 for name in names)
    moving = sum(max(len(node.live(name)) - indices(node)[name]["replicas"] - 1, 0) for name in names)
    wanted = sum(s["replicas"] + 1 for s in states)
    nodes = len(node.cluster.state["nodes"])
    return {"cluster_name": "double", "status": colour(node, names), "timed_out": False, "number_of_nodes": nodes,
            "number_of_data_nodes": nodes, "active_primary_shards": primaries, "active_shards": active,
            "relocating_shards": moving, "initializing_shards": 0, "unassigned_shards": wanted - active,
            "active_shards_percent_as_number": 100.0 * active / wanted if wanted else 100.0}


async def health(node, request, pattern=None):
    order = ["green", "yellow", "red"]
    wanted = request.query.get("wait_for_status")
    loop = asyncio.get_running_loop()
    end = loop.time() + float(request.query.get("timeout", "30s").rstrip("s"))
    while True:
        # A node that has lost its master does not know.
        if node.cluster.state["master"] not in [node.name] and node.cluster.misses.get(node.cluster.state["master"], 0) >= 3:
            raise Fault(503, "master_not_discovered_exception", "no master")
        said = health_now(node, pattern)
        if not wanted or order.index(said["status"]) <= order.index(wanted):
            return 200, said
        if loop.time() >= end:
            return 408, {**said, "timed_out": True}
        await node.cluster.wait(0.1)


async def cat_nodes(node, request):
    state = node.cluster.state
    return 200, [{"name": n, "master": "*" if n == state["master"] else "-", "node.role": "dim", "ip": "127.0.0.1",
                  "http": f"127.0.0.1:{node.settings['nodes'][n]}"} for n in state["nodes"]]


async def cat_shards(node, request, pattern="_all"):
    rows = []
    for name in resolve(node, pattern):
        index = indices(node)[name]
        live = node.live(name)
        # The last copy is the newest. While there is one too many, one of them is on its way there, and both are one row.
        extra = live[-1] if len(live) > index["replicas"] + 1 else None
        leaving = next((n for n in live if excluded(node.cluster.state, n)), None) if extra else None
        for n in live:
            if n == extra:
                continue
            place = f"{n} -> 127.0.0.1 {extra} {extra}" if leaving == n else n
            rows.append({"index": name, "shard": "0", "prirep": "p" if n == index["primary"] else "r",
                         "state": "RELOCATING" if leaving == n else "STARTED", "node": place})
        missing = index["replicas"] + 1 - len(live)
        for number in range(missing):
            kind = "p" if not index["primary"] and number == 0 else "r"
            rows.append({"index": name, "shard": "0", "prirep": kind, "state": "UNASSIGNED", "node": None})
    return 200, rows


def flat(tree, before=""):
    """Settings by their whole names, however they are nested."""
    return [pair for key, value in tree.items()
            for pair in (flat(value, f"{before}{key}.") if isinstance(value, dict) else [(before + key, value)])]


def settings_said(request, settings):
    """Settings as they are answered: nested, unless they are wanted flat."""
    tree = {}
    for name, value in settings.items():
        *outer, last = [name] if request.flag("flat_settings") else name.split(".")
        inner = tree
        for word in outer:
            inner = inner.setdefault(word, {})
        inner[last] = value
    return {"persistent": tree, "transient": {}}


async def get_settings(node, request):
    return 200, settings_said(request, node.cluster.state["settings"])


async def put_settings(node, request):
    body, wanted = request.json(), {}
    for kind, tree in body.items():
        for name, value in flat(tree):
            if kind != "persistent" or name != EXCLUDE:
                raise Fault(400, "illegal_argument_exception", f"{kind} setting [{name}], not recognized")
            if not isinstance(value, (str, type(None))):
                raise Fault(400, "illegal_argument_exception", f"Failed to parse value [{value}] for setting [{name}]")
            wanted[name] = value
    if not wanted:
        raise Fault(400, "action_request_validation_exception", "Validation Failed: 1: no settings to update;")
    await node.at_master("settings", wanted)
    there = {name: value for name, value in wanted.items() if value is not None}
    return 200, {"acknowledged": True, **settings_said(request, there)}


# --- indices ---


async def create(node, request, name):
    body = request.json()
    if name != name.lower() or set(name) & set('\\/*?"<>| ,#:') or name[0] in "-_+":
        raise Fault(400, "invalid_index_name_exception", f"Invalid index name [{name}]")
    settings = body.get("settings", {})
    settings = settings.get("index", settings)
    said = await node.at_master("create", {
        "name": name, "replicas": settings.get("number_of_replicas", 1), "settings": settings,
        "mappings": body.get("mappings", {}), "aliases": body.get("aliases", {}),
    })
    if said.get("exists"):
        raise Fault(400, "resource_already_exists_exception", f"index [{name}] already exists")
    while name not in indices(node):
        await node.cluster.wait(0.1)
    return 200, {"acknowledged": True, "shards_acknowledged": bool(indices(node)[name]["primary"]), "index": name}


async def delete(node, request, name):
    for one in resolve(node, name):
        if one not in name.split(","):
            raise Fault(400, "illegal_argument_exception", "Wildcard expressions or all indices are not allowed")
        await node.at_master("delete", {"name": one})
    return 200, {"acknowledged": True}


def described(node, name):
    index = indices(node)[name]
    settings = {**index["settings"], "uuid": index["uuid"], "number_of_shards": "1",
                "number_of_replicas": str(index["replicas"])}
    return {"aliases": index["aliases"], "mappings": index["mappings"], "settings": {"index": settings}}


async def get_index(node, request, pattern):
    return 200, {name: described(node, name) for name in resolve(node, pattern)}


async def get_mapping(node, request, pattern):
    return 200, {name: {"mappings": indices(node)[name]["mappings"]} for name in resolve(node, pattern)}


async def refresh(node, request, pattern="_all"):
    names = resolve(node, pattern)
    for name in names:
        await node.at_primary(name, "refresh", {})
    return 200, {"_shards": {"total": len(names), "successful": len(names), "failed": 0}}


# --- documents ---


def target(node, request, name):
    """The index that a write goes to. One that is not there is made by the write, as by default."""
    by_alias = [i for i, index in indices(node).items() if name in index["aliases"]]
    if request.flag("require_alias") and not by_alias:
        raise Fault(404, "index_not_found_exception",
                    f"no such index [{name}] and [require_alias] request flag is [true] and [{name}] is not an alias")
    return by_alias[0] if by_alias else name


async def made(node, name):
    if name not in indices(node):
        await node.at_master("create", {"name": name, "replicas": 1, "settings": {}, "mappings": {}, "aliases": {}})
        while name not in indices(node):
            await node.cluster.wait(0.1)


async def write(node, request, name, doc_id, kind):
    name = target(node, request, name)
    await made(node, name)
    source = request.json()
    if not isinstance(source, dict):
        raise Fault(400, "mapper_parsing_exception", "failed to parse")
    status, said = await node.write(name, {"op": kind, "id": doc_id, "source": source}, request.query)
    if request.query.get("refresh") in ("true", "", "wait_for"):
        await node.at_primary(name, "refresh", {})
    return status, said


async def put_create(node, request, name, doc_id):
    return await write(node, request, name, doc_id, "create")


async def put_doc(node, request, name, doc_id):
    return await write(node, request, name, doc_id, request.query.get("op_type", "index"))


async def delete_doc(node, request, name, doc_id):
    name, = resolve(node, name, one=True)
    status, said = await node.write(name, {"op": "delete", "id": doc_id}, request.query)
    if request.query.get("refresh") in ("true", "", "wait_for"):
        await node.at_primary(name, "refresh", {})
    return status, said


async def get_doc(node, request, name, doc_id):
    name, = resolve(node, name, one=True)
    doc = (await node.at_primary(name, "get", {"id": doc_id}))["doc"]
    if doc is None:
        return 404, {"_index": name, "_id": doc_id, "found": False}
    return 200, {"_index": name, "_id": doc_id, "_version": doc["version"], "_seq_no": doc["seq_no"],
                 "_primary_term": doc["term"], "found": True, "_source": doc["source"]}


async def bulk(node, request, default=None):
    lines = [json.loads(line) for line in request.body.decode().split("\n") if line.strip()]
    items, names, number = [], set(), 0
    while number < len(lines):
        (kind, meta), = lines[number].items()
        number += 1
        op = {"op": kind, "id": meta["_id"]}
        if kind != "delete":
            op["source"], number = lines[number], number + 1
        name = target(node, request, meta.get("_index", default))
        try:
            await made(node, name)
            status, said = await node.write(name, op, request.query)
            names.add(name)
        except Fault as fault:
            status, said = fault.status, {"_index": name, "_id": op["id"], "error": fault.said()["error"]}
        items.append({kind: {**said, "status": status}})
    if request.query.get("refresh") in ("true", "", "wait_for"):
        for name in names:
            await node.at_primary(name, "refresh", {})
    return 200, {"took": 1, "errors": any(next(iter(i.values()))["status"] > 299 for i in items), "items": items}


# --- searching ---


async def open_pit(node, request, pattern):
    name, = resolve(node, pattern, one=True)
    return 200, await node.at_primary(name, "pit", {})


async def close_pit(node, request):
    pit = request.json()["id"]
    owner = pit.split(".")[0]
    if owner == node.name:
        return 200, await node.internal("close", {"id": pit})
    return await node.peers[owner].ask("POST", "/_internal/close", {"id": pit})


async def searched(node, request, pattern=None):
    body = {**request.json(), "track_total_hits": True}
    pit = (body.get("pit") or {}).get("id")
    if pit:
        owner = pit.split(".")[0]
        if owner not in node.settings["nodes"]:
            raise Fault(404, "search_context_missing_exception", "No search context found")
        if owner != node.name:
            try:
                return await node.peers[owner].ask("POST", "/_search", body, limit=10.0)
            except (OSError, asyncio.TimeoutError) as gone:
                raise Fault(503, "no_shard_available_action_exception", "the point in time is gone") from gone
        if pit not in node.pits:
            raise Fault(404, "search_context_missing_exception", "No search context found")
        name, seen = node.pits[pit]
    else:
        name, = resolve(node, pattern or "_all", one=True)
        primary = indices(node)[name]["primary"]
        if primary != node.name:
            if primary is None:
                raise Fault(503, "search_phase_execution_exception", "all shards failed")
            try:
                return await node.peers[primary].ask("POST", f"/{name}/_search", request.json(), limit=10.0)
            except (OSError, asyncio.TimeoutError) as gone:
                raise Fault(503, "search_phase_execution_exception", "all shards failed") from gone
        seen = node.copy(name).seen
    hits, total = search(name, seen, body)
    said = {"took": 1, "timed_out": False, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
            "hits": {"total": {"value": total, "relation": "eq"}, "max_score": None, "hits": hits}}
    return 200, {**said, "pit_id": pit} if pit else said


async def count(node, request, pattern):
    name, = resolve(node, pattern, one=True)
    primary = indices(node)[name]["primary"]
    if primary != node.name:
        if primary is None:
            raise Fault(503, "search_phase_execution_exception", "all shards failed")
        return await node.peers[primary].ask("POST", f"/{name}/_count", request.json(), limit=10.0)
    _, total = search(name, node.copy(name).seen, {**request.json(), "size": 0})
    return 200, {"count": total, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0}}


# --- snapshots ---


def place(node, repository, snapshot=""):
    settings = node.cluster.state["repositories"].get(repository)
    if settings is None:
        raise Fault(404, "repository_missing_exception", f"[{repository}] missing")
    return os.path.join(node.settings["repositories"], os.path.basename(settings["location"]), snapshot)


async def put_repository(node, request, name):
    body = request.json()
    if body.get("type") != "fs":
        raise Fault(400, "repository_exception", "only fs")
    await node.at_master("repository", {"name": name, "settings": body["settings"]})
    while name not in node.cluster.state["repositories"]:
        await node.cluster.wait(0.1)
    os.makedirs(place(node, name), exist_ok=True)
    return 200, {"acknowledged": True}


def summary(name, saved):
    return {"snapshot": name, "uuid": saved["sum"][:22], "state": saved["state"], "indices": sorted(saved["indices"]),
            "start_time_in_millis": saved["start"], "end_time_in_millis": saved["end"],
            "shards": {"total": len(saved["indices"]), "failed": 0, "successful": len(saved["indices"])}}


async def put_snapshot(node, request, repository, name):
    folder, body = place(node, repository), request.json()
    path = os.path.join(folder, name + ".json")
    if os.path.exists(path):
        raise Fault(400, "invalid_snapshot_name_exception", f"[{repository}:{name}] snapshot with the same name exists")
    saved = {"state": "SUCCESS", "start": int(time.time() * 1000), "indices": {}}
    wanted = body.get("indices", "_all")
    for index in resolve(node, wanted if isinstance(wanted, str) else ",".join(wanted)):
        dumped = await node.at_primary(index, "dump", {})
        saved["indices"][index] = {"described": described(node, index), "dump": dumped}
    saved["end"] = int(time.time() * 1000)
    saved["sum"] = hashlib.sha256(json.dumps(saved["indices"], sort_keys=True).encode()).hexdigest()
    with open(path + ".new", "w") as file:
        json.dump(saved, file)
    os.rename(path + ".new", path)
    return 200, {"snapshot": summary(name, saved)} if request.flag("wait_for_completion") else {"accepted": True}


def read(path, repository, name):
    try:
        with open(path) as file:
            return json.load(file)
    except OSError as gone:
        raise Fault(404, "snapshot_missing_exception", f"[{repository}:{name}] is missing") from gone


async def get_snapshot(node, request, repository, name):
    folder = place(node, repository)
    names = sorted(f[:-5] for f in os.listdir(folder) if f.endswith(".json"))
    found = names if name in ("_all", "*") else named(name, names) if "*" in name else [name]
    said = [summary(n, read(os.path.join(folder, n + ".json"), repository, n)) for n in found]
    return 200, {"snapshots": said, "total": len(said), "remaining": 0}


async def all_snapshots(node, request, repository):
    return await get_snapshot(node, request, repository, "_all")


async def restore(node, request, repository, name):
    saved = read(os.path.join(place(node, repository), name + ".json"), repository, name)
    if hashlib.sha256(json.dumps(saved["indices"], sort_keys=True).encode()).hexdigest() != saved["sum"]:
        raise Fault(500, "snapshot_restore_exception", f"[{repository}:{name}] is damaged")
    body = request.json()
    wanted = body.get("indices", "*")
    chosen = named(wanted if isinstance(wanted, str) else ",".join(wanted), saved["indices"])
    for index in chosen:
        if index in indices(node):
            raise Fault(500, "snapshot_restore_exception",
                        f"[{repository}:{name}] cannot restore index [{index}] because an open index with same name already "
                        "exists in the cluster. Either close or delete the existing index or restore the index under a different name")
    for index in chosen:
        one = saved["indices"][index]["described"]
        settings = {k: v for k, v in one["settings"]["index"].items() if k != "uuid"}
        await node.at_master("create", {"name": index, "replicas": settings.get("number_of_replicas", 1),
                                        "settings": settings, "mappings": one["mappings"], "aliases": one["aliases"]})
        while index not in indices(node):
            await node.cluster.wait(0.1)
        await node.at_primary(index, "load", saved["indices"][index]["dump"])
    shards = {"total": len(chosen), "failed": 0, "successful": len(chosen)}
    return 200, {"snapshot": {"snapshot": name, "indices": chosen, "shards": shards}} \
        if request.flag("wait_for_completion") else {"accepted": True}


WRITE, READ = ("PUT", "POST"), ("GET", "POST")
ROUTES = [
    (("GET", "HEAD"), [], "monitor", root),
    (("GET",), ["_cluster", "health"], "monitor", health),
    (("GET",), ["_cluster", "health", "*"], "monitor", health),
    (("GET",), ["_cluster", "settings"], "monitor", get_settings),
    (("PUT",), ["_cluster", "settings"], "manage", put_settings),
    (("GET",), ["_cat", "nodes"], "monitor", cat_nodes),
    (("GET",), ["_cat", "shards"], "monitor", cat_shards),
    (("GET",), ["_cat", "shards", "*"], "monitor", cat_shards),
    (("POST",), ["_search"], "read", searched),
    (("DELETE",), ["_pit"], "read", close_pit),
    (WRITE, ["_bulk"], "index", bulk),
    (WRITE, ["*", "_bulk"], "index", bulk),
    (WRITE, ["_snapshot", "*"], "manage_repository", put_repository),
    (("GET",), ["_snapshot", "*", "*"], "monitor_snapshot", get_snapshot),
    (("GET",), ["_snapshot", "*", "_all"], "monitor_snapshot", all_snapshots),
    (WRITE, ["_snapshot", "*", "*"], "create_snapshot", put_snapshot),
    (("POST",), ["_snapshot", "*", "*", "_restore"], "restore", restore),
    (("PUT",), ["*"], "create_index", create),
    (("DELETE",), ["*"], "delete_index", delete),
    (("GET", "HEAD"), ["*"], "view_index_metadata", get_index),
    (("GET",), ["*", "_mapping"], "view_index_metadata", get_mapping),
    (READ, ["*", "_refresh"], "maintenance", refresh),
    (READ, ["_refresh"], "maintenance", refresh),
    (WRITE, ["*", "_create", "*"], "index", put_create),
    (WRITE, ["*", "_doc", "*"], "index", put_doc),
    (("DELETE",), ["*", "_doc", "*"], "delete", delete_doc),
    (("GET", "HEAD"), ["*", "_doc", "*"], "read", get_doc),
    (("POST",), ["*", "_pit"], "read", open_pit),
    (READ, ["*", "_search"], "read", searched),
    (READ, ["*", "_count"], "read", count),
]
