#!/usr/bin/env python3
"""What the scripts of this staging say to a MongoDB, by pymongo; it works with any MongoDB.

usage: mongo.py SET HOSTS USER PASSWORD_FILE WORD…     (SET `-`: one server by itself; USER `-`: nobody)

user NAME PASSWORD_FILE ROLE@DB…  makes a user
primary                           prints HOST:PORT of the primary
whole                             succeeds when there is a primary, all others are secondaries, and none is behind
step-down SECONDS                 the primary steps down, when another member has everything; prints the new one
stock COUNT                       makes the application's collection
has-stock COUNT                   succeeds when it is there
dump FOLDER                       writes the application's and the ledger's database, as a backup would
sound FOLDER                      prints which of the dumps in a folder are whole, the newest first
restore FOLDER                    reads a dump into a server that has nothing of it; refuses one that has
"""

import hashlib
import json
import pathlib
import sys
import time

import bson
import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

DATABASE = "shop"
BATCH = 1000


def client(name, hosts, user, password_file):
    options = {"serverSelectionTimeoutMS": 5000, "connectTimeoutMS": 2000, "socketTimeoutMS": 20000, "heartbeatFrequencyMS": 500}
    options |= {"directConnection": True} if name == "-" else {"replicaSet": name}
    if user != "-":
        password = pathlib.Path(password_file).read_text(encoding="ascii").strip()
        options |= {"username": user, "password": password, "authSource": "admin"}
    return pymongo.MongoClient(hosts.split(","), **options)


def create_user(mongo, name, password_file, *roles):
    password = pathlib.Path(password_file).read_text(encoding="ascii").strip()
    roles = [dict(zip(("role", "db"), role.split("@"))) for role in roles]
    mongo.admin.command("createUser", name, pwd=password, roles=roles)


def primary(mongo):
    mongo.admin.command("ping")
    host, port = mongo.primary
    print(f"{host}:{port}")


def whole(mongo):
    status = mongo.admin.command("replSetGetStatus")
    states = sorted(member["stateStr"] for member in status["members"] if member["health"] == 1)
    expected = ["PRIMARY"] + ["SECONDARY"] * (len(status["members"]) - 1)
    if states != expected:
        sys.exit(f"members are {states}")
    # A write that every member must have.
    everybody = WriteConcern(w=len(states), wtimeout=3000)
    mongo[DATABASE].get_collection("whole", write_concern=everybody).delete_one({"_id": "nobody"})


def step_down(mongo, seconds):
    mongo.admin.command("ping")
    old, end = mongo.primary, time.monotonic() + 25
    mongo.admin.command("replSetStepDown", int(seconds), secondaryCatchUpPeriodSecs=10)
    while time.monotonic() < end:
        mongo.admin.command("ping")
        if mongo.primary not in (None, old):
            host, port = mongo.primary
            print(f"{host}:{port}")
            return
        time.sleep(0.05)
    sys.exit("no other member became primary within 25 s")


def stock(mongo, count):
    everybody = mongo[DATABASE].get_collection("stock", write_concern=WriteConcern(w="majority"))
    items = ({"_id": f"item-{n:05d}", "name": f"item {n}", "pieces": n % 100, "price": n / 8} for n in range(int(count)))
    everybody.insert_many(list(items))
    everybody.create_index("pieces")


def has_stock(mongo, count):
    found = mongo[DATABASE].get_collection("stock", read_concern=ReadConcern("majority")).count_documents({})
    if found != int(count):
        sys.exit(f"{found} items of {count}")


class Unsound(Exception):
    """A dump that is not what it was, or was never whole."""


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def dump(mongo, folder):
    """A file of documents for each collection, and at the end a list of all with their digests."""
    folder = pathlib.Path(folder)
    folder.mkdir(mode=0o700)
    contents = {}
    database = mongo[DATABASE]
    for name in sorted(database.list_collection_names()):
        raw = bson.codec_options.CodecOptions(document_class=RawBSONDocument)
        collection = database.get_collection(name, codec_options=raw, read_concern=ReadConcern("majority"))
        count = 0
        with open(folder / f"{name}.bson", "wb") as file:
            for document in collection.find({}, batch_size=BATCH).sort("_id", 1):
                file.write(document.raw)
                count += 1
        indexes = [dict(index) for index in database[name].list_indexes()]
        contents[name] = {"documents": count, "sha256": digest(folder / f"{name}.bson"), "indexes": indexes}
    (folder / "contents.json").write_text(json.dumps(contents, default=dict), encoding="utf-8")


def contents_of(folder):
    contents = json.loads((folder / "contents.json").read_text(encoding="utf-8"))
    for name, said in contents.items():
        if digest(folder / f"{name}.bson") != said["sha256"]:
            raise Unsound(f"{name}.bson is not what it was")
    if "stock" not in contents:
        raise Unsound("the application's collection is not in it")
    return contents


def sound(_, folder):
    names = [path.name for path in pathlib.Path(folder).iterdir() if path.name.isdigit()]
    for name in sorted(names, key=int, reverse=True):
        try:
            contents_of(pathlib.Path(folder) / name)
        except (Unsound, OSError, ValueError):
            continue
        print(name)


def restore(mongo, folder):
    folder = pathlib.Path(folder)
    contents, database = contents_of(folder), mongo[DATABASE]
    there = [name for name in database.list_collection_names() if database[name].find_one() is not None]
    if there:
        sys.exit(f"the database is not empty: {', '.join(sorted(there))}; what is restored must not mix with it")
    for name, said in contents.items():
        target = database.get_collection(name, write_concern=WriteConcern(w="majority"))
        documents = bson.decode_all((folder / f"{name}.bson").read_bytes(), bson.codec_options.CodecOptions(RawBSONDocument))
        if not documents:
            database.create_collection(name)
        for at in range(0, len(documents), BATCH):
            target.insert_many(documents[at : at + BATCH])
        for index in said["indexes"]:
            if index["name"] != "_id_":
                target.create_index(list(index["key"].items()), name=index["name"])
        found = database.get_collection(name, read_concern=ReadConcern("majority")).count_documents({})
        if found != said["documents"]:
            sys.exit(f"{name}: {found} documents of {said['documents']}")
        print(f"{name}={found}")


COMMANDS = {
    "user": create_user, "primary": primary, "whole": whole, "step-down": step_down, "stock": stock,
    "has-stock": has_stock, "dump": dump, "sound": sound, "restore": restore,
}

if __name__ == "__main__":
    NAME, HOSTS, USER, PASSWORD_FILE, WORD, *ARGUMENTS = sys.argv[1:]
    try:
        with client(NAME, HOSTS, USER, PASSWORD_FILE) as connected:
            COMMANDS[WORD](connected, *ARGUMENTS)
    except (pymongo.errors.PyMongoError, Unsound, OSError, ValueError) as error:
        # Of several lines the first; none holds a password.
        sys.exit(f"{WORD}: {str(error).splitlines()[0][:300]}")
