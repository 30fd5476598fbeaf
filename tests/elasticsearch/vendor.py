"""The vendor's own client against a cluster: what it can do there, and what became of what it wrote.

Usage: vendor.py PORT,PORT,PORT PASSWORD-FILE|- suite|drain|write NUMBER|verify NUMBER|keys INDEX. `verify` ends with one of the words
lost, duplicated, corrupted when that is what it finds.
"""
import itertools
import sys
import threading
import time

from elasticsearch import ApiError, AuthenticationException, ConflictError, Elasticsearch, NotFoundError, TransportError, helpers

ports, password_file, what, *rest = sys.argv[1:]
login = {}
if password_file != "-":
    with open(password_file) as file:
        login = {"basic_auth": ("drill", file.read().strip())}
es = Elasticsearch([f"http://127.0.0.1:{port}" for port in ports.split(",")], request_timeout=20, retry_on_timeout=False,
                   max_retries=3, **login)


def refused(kind, status, call):
    try:
        call()
    except ApiError as error:
        assert error.status_code == status and error.body["error"]["type"] == kind, error
        return
    raise AssertionError(f"not refused: {kind}")


def every(index, size=100):
    """Every document at one point in time, in pages."""
    es.indices.refresh(index=index)
    pit = es.open_point_in_time(index=index, keep_alive="1m")["id"]
    after, found = None, []
    while True:
        page = es.search(size=size, pit={"id": pit, "keep_alive": "1m"}, sort=[{"name": "asc"}], search_after=after,
                         track_total_hits=True)
        hits = page["hits"]["hits"]
        if not hits:
            break
        found, after = found + hits, hits[-1]["sort"]
    assert page["hits"]["total"]["value"] == len(found)
    es.close_point_in_time(id=pit)
    return found


def source(number):
    return {"name": f"{number:06}", "text": f"{number}-" * 30}


def suite():
    assert es.info()["version"]["number"] == "8.19.0"
    assert es.cluster.health(wait_for_status="green", timeout="20s")["number_of_nodes"] == 3
    nodes = es.cat.nodes(format="json")
    assert sorted(n["name"] for n in nodes) == ["e1", "e2", "e3"] and [n["master"] for n in nodes].count("*") == 1
    es.indices.create(index="suite", settings={"number_of_replicas": 1}, aliases={"suite-w": {}},
                      mappings={"_meta": {"of": "suite"}, "properties": {"name": {"type": "keyword"}}})
    refused("resource_already_exists_exception", 400, lambda: es.indices.create(index="suite"))
    refused("invalid_index_name_exception", 400, lambda: es.indices.create(index="Suite"))
    assert es.indices.get_mapping(index="sui*")["suite"]["mappings"]["_meta"] == {"of": "suite"}
    assert es.cluster.health(index="suite", wait_for_status="green", timeout="20s")["status"] == "green"
    # Each node answers by what it has heard, and this may be another one.
    shards, end = [], time.monotonic() + 20
    while sorted(shards) != [("p", "STARTED"), ("r", "STARTED")]:
        assert time.monotonic() < end, shards
        shards = [(s["prirep"], s["state"]) for s in es.cat.shards(index="suite", format="json")]
    # One document, by its name, once.
    said = es.create(index="suite", id="a", document=source(1), wait_for_active_shards=2)
    assert (said["result"], said["_shards"]) == ("created", {"total": 2, "successful": 2, "failed": 0})
    try:
        es.index(index="suite", id="a", op_type="create", document=source(2))
        raise AssertionError("created twice")
    except ConflictError as error:
        assert error.body["error"]["type"] == "version_conflict_engine_exception"
    assert es.get(index="suite", id="a")["_source"] == source(1)
    refused("unavailable_shards_exception", 503,
            lambda: es.options(max_retries=0).create(index="suite", id="b", document={}, wait_for_active_shards=3, timeout="300ms"))
    refused("index_not_found_exception", 404,
            lambda: es.create(index="nothing", id="a", document={}, require_alias=True))
    assert es.create(index="suite-w", id="b", document=source(2), require_alias=True)["_index"] == "suite"
    # Not seen by a search until it is shown.
    assert es.count(index="suite")["count"] == 0
    es.indices.refresh(index="suite")
    assert es.count(index="suite")["count"] == 2
    assert es.delete(index="suite", id="b")["result"] == "deleted"
    try:
        es.delete(index="suite", id="b")
        raise AssertionError("deleted twice")
    except NotFoundError as error:
        assert error.body["result"] == "not_found"
    # Many, and all of them at one moment.
    done, failed = helpers.bulk(es, [{"_op_type": "create", "_index": "suite", "_id": str(n), "_source": source(n)}
                                     for n in range(10, 260)], stats_only=True)
    assert (done, failed) == (250, 0)
    assert [hit["_source"]["name"] for hit in every("suite", 60)] == [source(n)["name"] for n in [1, *range(10, 260)]]
    found = es.search(index="suite", query={"term": {"name": source(17)["name"]}})
    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["17"]
    # A point in time stays what it was.
    pit = es.open_point_in_time(index="suite", keep_alive="1m")["id"]
    es.create(index="suite", id="late", document=source(999), refresh=True)
    assert es.search(pit={"id": pit}, size=0, track_total_hits=True)["hits"]["total"]["value"] == 251
    # A snapshot, and what it does not do.
    es.snapshot.create_repository(name="suite", repository={"type": "fs", "settings": {"location": "suite"}})
    es.snapshot.create(repository="suite", snapshot="one", indices="suite", wait_for_completion=True)
    assert es.snapshot.get(repository="suite", snapshot="_all")["snapshots"][0]["state"] == "SUCCESS"
    refused("snapshot_restore_exception", 500, lambda: es.snapshot.restore(repository="suite", snapshot="one"))
    refused("snapshot_missing_exception", 404, lambda: es.snapshot.restore(repository="suite", snapshot="two"))
    es.indices.delete(index="suite")
    assert not es.indices.exists(index="suite")
    said = es.snapshot.restore(repository="suite", snapshot="one", indices="suite", wait_for_completion=True)
    assert said["snapshot"]["shards"] == {"total": 1, "failed": 0, "successful": 1}
    assert len(every("suite")) == 252 and es.create(index="suite-w", id="c", document=source(3), require_alias=True)
    es.indices.delete(index="suite")
    if login:
        try:
            Elasticsearch(f"http://127.0.0.1:{ports.split(',')[0]}", basic_auth=("drill", "wrong")).info()
            raise AssertionError("anybody may")
        except AuthenticationException:
            pass


NAME = "cluster.routing.allocation.exclude._name"


def allocated(index):
    """Where its copies are, the primary first, once none is missing or on its way."""
    end = time.monotonic() + 20
    while True:
        shards = sorted(es.cat.shards(index=index, format="json"), key=lambda s: s["prirep"])
        if all(s["state"] == "STARTED" for s in shards):
            return [s["node"] for s in shards]
        assert time.monotonic() < end, shards
        time.sleep(0.05)


def moved(index, names):
    """Excludes nodes, and waits until no copy is there: where they are."""
    said = es.cluster.put_settings(persistent={NAME: names}, flat_settings=True)
    assert said["acknowledged"] and said["persistent"] == ({} if names is None else {NAME: names}), said
    end = time.monotonic() + 20
    while True:
        nodes = allocated(index)
        if not set(nodes) & set((names or "").split(",")):
            return nodes
        assert time.monotonic() < end, nodes
        time.sleep(0.05)


def drain():
    """Every node in turn is taken out of the allocation under load: each write is told to be done, once, and is there."""
    other = {"cluster.routing.allocation.enable": "none"}
    for settings in ({"persistent": other}, {"transient": {NAME: "e1"}}, {"persistent": {NAME: 1}}):
        refused("illegal_argument_exception", 400, lambda: es.cluster.put_settings(**settings))
    refused("action_request_validation_exception", 400, lambda: es.cluster.put_settings(persistent={}))
    assert es.cluster.get_settings() == {"persistent": {}, "transient": {}}
    es.indices.create(index="drain", settings={"number_of_replicas": 1},
                      mappings={"properties": {"name": {"type": "keyword"}}})
    es.cluster.health(index="drain", wait_for_status="green", timeout="20s")
    numbers, stop, trouble, given = itertools.count(), threading.Event(), [], []

    def load(port):
        # A client of its own that tries nothing twice: what is refused or said to be there already is trouble.
        own = Elasticsearch(f"http://127.0.0.1:{port}", request_timeout=20, max_retries=0, **login)
        while not stop.is_set():
            try:
                number = next(numbers)
                said = own.create(index="drain", id=str(number), document=source(number))
                assert said["result"] == "created" and said["_shards"]["failed"] == 0, said
                given.append(said["_seq_no"])
            except Exception as error:
                trouble.append(error)

    writers = [threading.Thread(target=load, args=(port,)) for port in ports.split(",") * 2]
    for writer in writers:
        writer.start()
    try:
        for _ in range(6):
            first = allocated("drain")
            now = moved("drain", first[0])
            assert len(set(now)) == 2 and first[0] not in now, (first, now)
            settings = es.cluster.get_settings()["persistent"]
            assert settings == {"cluster": {"routing": {"allocation": {"exclude": {"_name": first[0]}}}}}
            assert es.cluster.health(wait_for_status="green", timeout="20s")["number_of_nodes"] == 3
        # Two copies have no place on one node: one goes there, the other stays where it is, and nothing is missing.
        now, end = allocated("drain"), time.monotonic() + 20
        free, = {"e1", "e2", "e3"} - set(now)
        es.cluster.put_settings(persistent={NAME: ",".join(now)})
        while free not in allocated("drain"):
            assert time.monotonic() < end, "nothing moves"
            time.sleep(0.05)
        assert len(set(allocated("drain"))) == 2 and es.cluster.health()["status"] == "green"
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not trouble, trouble[:3]
    assert len(set(given)) == len(given), "two primaries at a time have numbered writes"
    moved("drain", None)
    assert es.cluster.get_settings(flat_settings=True)["persistent"] == {}
    written = next(numbers)
    assert written > 100 and sorted(int(hit["_id"]) for hit in every("drain", 1000)) == list(range(written))
    es.indices.delete(index="drain")


def write(number):
    es.indices.create(index=f"vendor-{number}", mappings={"properties": {"name": {"type": "keyword"}}})
    es.cluster.health(index=f"vendor-{number}", wait_for_status="green", timeout="20s")
    for n in range(number):
        said = es.create(index=f"vendor-{number}", id=str(n), document=source(n))
        assert said["_shards"]["failed"] == 0, said


def verify(number):
    end = time.monotonic() + 20
    while True:
        try:
            found = every(f"vendor-{number}")
            break
        except (ApiError, TransportError):
            assert time.monotonic() < end, "no primary"
            time.sleep(0.1)
    names = [hit["_id"] for hit in found]
    if len(set(names)) < len(names):
        sys.exit("duplicated")
    if sorted(map(int, names)) != list(range(number)):
        sys.exit("lost")
    if any(hit["_source"] != source(int(hit["_id"])) for hit in found):
        sys.exit("corrupted")


def keys(index):
    print("\n".join(hit["_id"] for hit in every(index, 1000)))


if what in ("suite", "drain"):
    {"suite": suite, "drain": drain}[what]()
else:
    {"write": lambda n: write(int(n)), "verify": lambda n: verify(int(n)), "keys": keys}[what](*rest)
