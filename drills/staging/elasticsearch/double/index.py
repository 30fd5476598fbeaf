"""One copy of an index in the double: its documents, what searches see of them, and searching. One shard an index.

A search sees what was there at the last refresh. Nothing here knows of other nodes.
"""
import copy
import fnmatch


class Copy:
    def __init__(self):
        self.docs, self.seen, self.seq_no = {}, [], -1

    def apply(self, op):
        """An operation as the primary numbered it."""
        self.seq_no = max(self.seq_no, op["seq_no"])
        if op["op"] == "delete":
            self.docs.pop(op["id"], None)
        else:
            version = self.docs.get(op["id"], {}).get("version", 0) + 1
            self.docs[op["id"]] = {"source": op["source"], "seq_no": op["seq_no"], "term": op["term"], "version": version}

    def dump(self):
        return {"docs": self.docs, "seq_no": self.seq_no}

    def load(self, dumped):
        self.docs, self.seq_no = dumped["docs"], dumped["seq_no"]
        self.refresh()

    def refresh(self):
        # Documents are never changed in place, so that a list of them is a moment.
        self.seen = [(doc_id, doc) for doc_id, doc in self.docs.items()]


def matches(query, source, doc_id):
    """The part of the query language that is needed; a KeyError for any other."""
    (kind, what), = (query or {"match_all": {}}).items()
    if kind == "match_all":
        return True
    if kind == "bool":
        clauses = [what.get(name, []) for name in ("filter", "must")]
        every = [c for clause in clauses for c in (clause if isinstance(clause, list) else [clause])]
        if set(what) - {"filter", "must"}:
            raise KeyError("bool")
        return all(matches(clause, source, doc_id) for clause in every)
    if kind == "ids":
        return doc_id in what["values"]
    (field, wanted), = what.items()
    value = source.get(field)
    plain = wanted.get("value") if isinstance(wanted, dict) and "value" in wanted else wanted
    if kind == "term":
        return value == plain
    if kind == "prefix":
        return isinstance(value, str) and value.startswith(plain)
    if kind == "range":
        tests = {"gte": lambda a, b: a >= b, "gt": lambda a, b: a > b, "lte": lambda a, b: a <= b, "lt": lambda a, b: a < b}
        return value is not None and all(tests[name](value, bound) for name, bound in wanted.items())
    raise KeyError(kind)


def search(name, seen, body):
    """A page of hits, and how many there are."""
    found = [(number, doc_id, doc) for number, (doc_id, doc) in enumerate(seen)
             if matches(body.get("query"), doc["source"], doc_id)]
    orders = []
    for entry in body.get("sort", []):
        field, how = (entry, "asc") if isinstance(entry, str) else next(iter(entry.items()))
        orders.append((field, how if isinstance(how, str) else how.get("order", "asc")))
    # A search at a point in time breaks ties by where a document lies.
    if "pit" in body and orders and orders[-1][0] not in ("_shard_doc", "_doc"):
        orders.append(("_shard_doc", "asc"))

    def key(hit):
        number, _, doc = hit
        # What has no such field comes last.
        return [number if field in ("_shard_doc", "_doc") else doc["source"].get(field, "\U0010ffff") for field, _ in orders]

    if any(order != "asc" for _, order in orders):
        raise KeyError("desc")
    if orders:
        found.sort(key=key)
    after = body.get("search_after")
    page = [hit for hit in found if after is None or key(hit) > after]
    hits = [{"_index": name, "_id": doc_id, "_score": None, "_source": copy.deepcopy(doc["source"]), "sort": key(hit)}
            for hit in page[:body.get("size", 10)] for _, doc_id, doc in [hit]]
    return hits, len(found)


def named(pattern, names):
    """Names that a list of patterns means."""
    return [name for name in names if any(fnmatch.fnmatchcase(name, part) for part in pattern.split(","))]
