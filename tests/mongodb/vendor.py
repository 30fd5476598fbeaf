"""The double of mongod, driven by pymongo alone: it must do what a server does that pymongo was made for.

usage: vendor.py URL_OF_THE_SET URL_OF_ONE_MEMBER_AS_ROOT

Prints each thing that holds, and at the end `all of it`.
"""

import sys
import threading
import time

import bson
import pymongo
from pymongo import errors
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

SET, ROOT = sys.argv[1:]
PATIENT = {"serverSelectionTimeoutMS": 15000, "heartbeatFrequencyMS": 500}


def holds(what, condition):
    if not condition:
        sys.exit(f"does not hold: {what}")
    print(what)


def raises(kind, code, action):
    try:
        action()
    except kind as error:
        found = error.code if isinstance(error, errors.OperationFailure) else None
        return code is None or found == code
    return False


def documents(db):
    items = db.vendor
    items.drop()
    items.insert_many([{"_id": n, "n": n, "even": n % 2 == 0, "name": f"item {n}"} for n in range(250)])
    holds("a cursor goes on batch by batch", [d["_id"] for d in items.find(batch_size=100)] == list(range(250)))
    holds("what is counted", (items.count_documents({"even": True}), items.estimated_document_count()) == (125, 250))
    found = items.find({"n": {"$gte": 5, "$lt": 9}, "even": False}, {"_id": 0, "n": 1}).sort("n", -1)
    holds("a query, a projection and an order", list(found) == [{"n": 7}, {"n": 5}])
    holds("one update", items.update_one({"_id": 3}, {"$set": {"name": "x"}, "$inc": {"n": 10}}).modified_count == 1)
    holds("what it changed", items.find_one({"_id": 3}) == {"_id": 3, "n": 13, "even": False, "name": "x"})
    holds("an upsert", items.update_one({"_id": "new"}, {"$set": {"a": 1}}, upsert=True).upserted_id == "new")
    holds("many deleted", items.delete_many({"even": True}).deleted_count == 125)
    holds("a duplicate key", raises(errors.DuplicateKeyError, 11000, lambda: items.insert_one({"_id": 3})))
    groups = items.aggregate([{"$group": {"_id": "$even", "n": {"$sum": 1}}}, {"$sort": {"n": 1}}])
    holds("an aggregation", [g["n"] for g in groups] == [1, 125])
    kinds = {"_id": bson.ObjectId(), "l": bson.int64.Int64(5), "d": bson.decimal128.Decimal128("1.5"), "b": b"\0\1"}
    items.insert_one(kinds)
    back = items.find_one({"_id": kinds["_id"]})
    holds("kinds are kept", back == kinds and isinstance(back["l"], bson.int64.Int64))
    items.create_index("n")
    holds("indexes", sorted(items.index_information()) == ["_id_", "n_1"])
    holds("names of collections", "vendor" in db.list_collection_names())
    holds("what it does not know it refuses", raises(errors.OperationFailure, 2, lambda: items.find_one({"a": {"$near": 1}})))
    holds("a command that there is not", raises(errors.OperationFailure, 59, lambda: db.command("nothing")))
    one = [pymongo.InsertOne({"_id": "b1"}), pymongo.DeleteOne({"_id": "b1"}), pymongo.ReplaceOne({"_id": 3}, {"y": 1})]
    done = items.bulk_write(one)
    holds("a bulk", (done.inserted_count, done.deleted_count, done.modified_count) == (1, 1, 1))
    items.drop()


def logins(mongo):
    user, host = SET.split("@", 1)
    wrong = pymongo.MongoClient("mongodb://app:wrong@" + host, serverSelectionTimeoutMS=3000)
    holds("a wrong password", raises(errors.OperationFailure, 18, wrong.shop.stock.find_one))
    nobody = pymongo.MongoClient("mongodb://" + host, serverSelectionTimeoutMS=3000)
    holds("nobody in particular", raises(errors.OperationFailure, 13, nobody.shop.stock.find_one))
    holds("what is not granted", raises(errors.OperationFailure, 13, mongo.elsewhere.a.find_one))
    holds("who may not step it down", raises(errors.OperationFailure, 13, lambda: mongo.admin.command("replSetStepDown", 5)))


def concerns(mongo, db):
    every = db.get_collection("vendor", write_concern=WriteConcern(w=3, wtimeout=5000))
    every.insert_one({"_id": "three"})
    secondary = db.get_collection("vendor", read_preference=pymongo.ReadPreference.SECONDARY)
    holds("what three members have a secondary shows", secondary.find_one({"_id": "three"}) is not None)
    agreed = db.get_collection("vendor", read_concern=ReadConcern("majority"))
    db.get_collection("vendor", write_concern=WriteConcern(w="majority")).insert_one({"_id": "most"})
    holds("what a majority has a majority read shows", agreed.find_one({"_id": "most"}) is not None)
    four = db.get_collection("vendor", write_concern=WriteConcern(w=4, wtimeout=1000))
    holds("four of three", raises(errors.WriteConcernError, 100, lambda: four.insert_one({"_id": "four"})))
    holds("and it is written", agreed.find_one({"_id": "four"}) is not None or db.vendor.find_one({"_id": "four"}) is not None)
    unacknowledged = db.get_collection("vendor", write_concern=WriteConcern(w=0))
    unacknowledged.insert_one({"_id": "zero"})
    end = time.monotonic() + 10
    while db.vendor.find_one({"_id": "zero"}) is None and time.monotonic() < end:
        time.sleep(0.02)
    holds("w=0 is not answered and is written", db.vendor.find_one({"_id": "zero"}) is not None)
    member = pymongo.MongoClient(ROOT, **PATIENT)
    status = member.admin.command("replSetGetStatus")
    holds("the set's status", sorted(m["stateStr"] for m in status["members"]) == ["PRIMARY", "SECONDARY", "SECONDARY"])


def step_down(mongo, db):
    """Retryable writes go on over a step-down and are there once; without them, the error says that it is no primary."""
    old = mongo.primary
    names, errors_seen, stop = [], [], threading.Event()

    def write():
        plenty = db.get_collection("retried", write_concern=WriteConcern(w="majority"))
        while not stop.is_set():
            name = f"n{len(names)}"
            try:
                plenty.insert_one({"_id": bson.ObjectId(), "name": name})
                names.append(name)
            except errors.PyMongoError as error:
                errors_seen.append(repr(error))
                return

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.3)
    root = SET.replace(SET.split("//")[1].split("@")[0], ROOT.split("//")[1].split("@")[0])
    pymongo.MongoClient(root, **PATIENT).admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=5)
    before, end = len(names), time.monotonic() + 20
    while len(names) < before + 20 and not errors_seen and time.monotonic() < end:
        time.sleep(0.05)
    stop.set()
    thread.join()
    mongo.admin.command("ping")
    holds(f"writes went on without an error: {errors_seen}", not errors_seen and len(names) >= before + 20)
    holds("another member is primary", mongo.primary != old)
    found = [document["name"] for document in db.retried.find()]
    holds("each is there once", sorted(found) == sorted(names))
    direct = pymongo.MongoClient(*old, directConnection=True, **auth())
    refused = lambda: direct.shop.retried.insert_one({"_id": "direct"})
    holds("who is no primary refuses", raises(errors.NotPrimaryError, None, refused))


def auth():
    user, password = SET.split("//")[1].split("@")[0].split(":")
    return {"username": user, "password": password, "authSource": "admin"}


def main():
    mongo = pymongo.MongoClient(SET, **PATIENT)
    db = mongo.shop
    holds("hello", mongo.admin.command("hello")["setName"] == "rs0" and len(mongo.nodes) >= 1)
    documents(db)
    logins(mongo)
    concerns(mongo, db)
    step_down(mongo, db)
    print("all of it")


main()
