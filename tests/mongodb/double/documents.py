"""Documents of a mongod double: collections, what a query matches, what an update makes of a document, and aggregations.

What it does not know it refuses, with the error that a server has for it; it never guesses. Nothing is sent or kept on
disk here.
"""

import bisect
import datetime

import bson
from bson.binary import Binary
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp


class Refused(Exception):
    """A command that is answered with `ok: 0`."""

    def __init__(self, code, name, words):
        super().__init__(words)
        self.code, self.name, self.words = code, name, words


def bad(words):
    return Refused(2, "BadValue", words)


def order(value):
    """A key by which values of all kinds compare as a server compares them."""
    if value is None:
        return (5, 0)
    if isinstance(value, bool):
        return (40, value)
    if isinstance(value, (int, float)):
        return (10, value)
    if isinstance(value, str):
        return (15, value.encode())
    if isinstance(value, ObjectId):
        return (35, value.binary)
    if isinstance(value, Binary):
        return (30, (len(value), value.subtype, bytes(value)))
    if isinstance(value, bytes):
        return (30, (len(value), 0, value))
    if isinstance(value, datetime.datetime):
        return (45, value)
    if isinstance(value, Timestamp):
        return (47, (value.time, value.inc))
    if isinstance(value, list):
        return (25, bson.encode({"": value}))
    if isinstance(value, RawBSONDocument):
        return (20, value.raw)
    if isinstance(value, dict):
        return (20, bson.encode(value))
    raise bad(f"the double cannot compare a {type(value).__name__}")


def field(document, name):
    """A field, also of a document within; None and whether it is there."""
    for part in name.split("."):
        if not isinstance(document, (dict, RawBSONDocument)) or part not in document:
            return None, False
        document = document[part]
    return document, True


def plain(document):
    """A document as a dictionary that can be changed; its values keep their types."""
    return bson.decode(document.raw if isinstance(document, RawBSONDocument) else bson.encode(document))


def _holds(operator, value, there, wanted):
    if operator == "$exists":
        return there == bool(wanted)
    if operator == "$in":
        return any(order(value) == order(one) for one in wanted)
    if operator in ("$eq", "$ne"):
        return (order(value) == order(wanted)) == (operator == "$eq")
    # Values of different kinds are never greater or less than each other.
    if not there or order(value)[0] != order(wanted)[0]:
        if operator in ("$gt", "$gte", "$lt", "$lte"):
            return False
    else:
        left, right = order(value), order(wanted)
        compared = {"$gt": left > right, "$gte": left >= right, "$lt": left < right, "$lte": left <= right}
        if operator in compared:
            return compared[operator]
    raise bad(f"unknown operator: {operator}")


def is_operators(value):
    return isinstance(value, (dict, RawBSONDocument)) and any(key.startswith("$") for key in value)


def matches(document, query):
    for name, wanted in query.items():
        if name == "$and":
            if not all(matches(document, part) for part in wanted):
                return False
        elif name == "$or":
            if not any(matches(document, part) for part in wanted):
                return False
        elif name == "$comment":
            continue
        elif name.startswith("$"):
            raise bad(f"unknown top level operator: {name}")
        else:
            value, there = field(document, name)
            asked = wanted.items() if is_operators(wanted) else [("$eq", wanted)]
            if not all(_holds(operator, value, there, operand) for operator, operand in asked):
                return False
    return True


class Collection:
    """Documents by `_id`, in its order; and indexes, which are only remembered."""

    def __init__(self):
        self.documents = {}
        self.keys = []
        self.indexes = [{"v": 2, "key": {"_id": 1}, "name": "_id_"}]

    def put(self, document):
        key = order(document["_id"])
        if key not in self.documents:
            if self.keys and key < self.keys[-1]:
                bisect.insort(self.keys, key)
            else:
                self.keys.append(key)
        self.documents[key] = document

    def remove(self, identifier):
        key = order(identifier)
        if self.documents.pop(key, None) is not None:
            del self.keys[bisect.bisect_left(self.keys, key)]

    def has(self, identifier):
        return order(identifier) in self.documents

    def find(self, query):
        """What matches, in the order of identifiers."""
        keys = self.keys
        wanted = query.get("_id")
        if "_id" in query and not is_operators(wanted):
            key = order(wanted)
            keys = [key] if key in self.documents else []
        elif "_id" in query:
            low, high = 0, len(keys)
            for operator, operand in wanted.items():
                if operator in ("$gt", "$gte"):
                    low = max(low, bisect.bisect_left(keys, order(operand)))
                elif operator in ("$lt", "$lte"):
                    high = min(high, bisect.bisect_right(keys, order(operand)))
            keys = keys[low:high]
        return [document for document in (self.documents[key] for key in keys) if matches(document, query)]


def sort(documents, by):
    for name, direction in reversed(list(by.items())):
        if name == "$natural":
            continue
        if direction not in (1, -1):
            raise bad(f"bad sort specification for {name}")
        documents = sorted(documents, key=lambda document: order(field(document, name)[0]), reverse=direction == -1)
    return documents


def project(document, projection):
    if not projection:
        return document
    wanted = {name: bool(flag) for name, flag in projection.items() if isinstance(flag, (bool, int, float))}
    if len(wanted) != len(projection) or any("." in name or name.startswith("$") for name in wanted):
        raise bad("the double only includes and excludes whole fields")
    including = any(flag for name, flag in wanted.items() if name != "_id")
    keep = lambda name: wanted.get(name, name == "_id") if including else wanted.get(name, True)
    return {name: value for name, value in document.items() if keep(name)}


def updated(document, update):
    """What an update makes of a document."""
    if not is_operators(update):
        new = {"_id": document["_id"]} if "_id" in document else {}
        new.update(plain(update))
        return new
    new = plain(document)
    for operator, fields in update.items():
        for name, value in plain(fields).items():
            if "." in name:
                raise bad("the double updates whole fields")
            if operator == "$set":
                new[name] = value
            elif operator == "$unset":
                new.pop(name, None)
            elif operator == "$inc":
                new[name] = new.get(name, 0) + value
            elif operator == "$setOnInsert":
                pass
            else:
                raise Refused(9, "FailedToParse", f"Unknown modifier: {operator}")
    return new


def _operand(document, operand):
    if isinstance(operand, str) and operand.startswith("$"):
        return field(document, operand[1:])[0]
    return operand


def _group(documents, stage):
    groups = {}
    for document in documents:
        identifier = _operand(document, stage["_id"])
        group = groups.setdefault(order(identifier), {"_id": identifier})
        for name, accumulator in stage.items():
            if name == "_id":
                continue
            ((operator, operand),) = accumulator.items()
            value = _operand(document, operand)
            if operator == "$sum":
                group[name] = group.get(name, 0) + (value if isinstance(value, (int, float)) else 0)
            elif operator in ("$min", "$max"):
                pick = min if operator == "$min" else max
                group[name] = pick(group.get(name, value), value, key=order)
            else:
                raise Refused(15952, "Location15952", f"unknown group operator '{operator}'")
    return list(groups.values())


def aggregate(documents, pipeline):
    for step in pipeline:
        ((name, stage),) = step.items()
        if name == "$match":
            documents = [document for document in documents if matches(document, stage)]
        elif name == "$group":
            documents = _group(documents, stage)
        elif name == "$count":
            documents = [{stage: len(documents)}] if documents else []
        elif name == "$sort":
            documents = sort(documents, stage)
        elif name == "$skip":
            documents = documents[stage:]
        elif name == "$limit":
            documents = documents[:stage]
        elif name == "$project":
            documents = [project(document, stage) for document in documents]
        else:
            raise Refused(40324, "Location40324", f"Unrecognized pipeline stage name: '{name}'")
    return documents


class Data:
    """All collections at one point of the oplog, and what of each session was carried out."""

    def __init__(self):
        self.collections = {}
        self.sessions = {}

    def collection(self, namespace):
        return self.collections.get(namespace) or Collection()

    def apply(self, entry):
        """One entry of the oplog. Applying what was applied before changes nothing."""
        kind, namespace, what = entry["op"], entry["ns"], entry["o"]
        if "lsid" in entry:
            self.note(entry)
        if kind == "n":
            return
        if kind == "c":
            self._command(namespace, what)
            return
        collection = self.collections.setdefault(namespace, Collection())
        if kind == "i":
            collection.put(what)
        elif kind == "u":
            collection.remove(entry["o2"]["_id"])
            collection.put(what)
        elif kind == "d":
            collection.remove(what["_id"])

    def note(self, entry):
        key, number = bytes(entry["lsid"]), entry["txn"]
        known = self.sessions.get(key)
        if known is None or known[0] != number:
            known = self.sessions[key] = (number, {})
        known[1][entry["stmt"]] = True

    def done(self, session, number, statement):
        known = self.sessions.get(session)
        return known is not None and known[0] == number and statement in known[1]

    def _command(self, database, what):
        if "create" in what:
            self.collections.setdefault(what["create"], Collection())
        elif "drop" in what:
            self.collections.pop(what["drop"], None)
        elif "dropDatabase" in what:
            for name in [name for name in self.collections if name.split(".")[0] == database]:
                del self.collections[name]
        elif "createIndexes" in what:
            collection = self.collections.setdefault(what["createIndexes"], Collection())
            index = plain(what["index"])
            if all(known["name"] != index["name"] for known in collection.indexes):
                collection.indexes.append(index)
        elif "dropIndexes" in what:
            collection = self.collections.setdefault(what["dropIndexes"], Collection())
            collection.indexes = [index for index in collection.indexes if index["name"] != what["index"]]
