"""The commands of a mongod double, as the manual has them (mongodb.com/docs/manual/reference/command), and what its users may.

Deliberate violations (`doubleViolate`, for root) make it a server that lies, so that tests can show that a drill finds out:
ack-early, lose-on-step-down, duplicate, corrupt, forget, stale-reads.
"""

import asyncio
import base64
import datetime
import hashlib
import hmac
import os

import bson
from bson.binary import Binary
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from documents import Collection, Refused, aggregate, bad, is_operators, matches, order, plain, project, sort, updated
from members import PRIMARY, SECONDARY, WORDS

VIOLATIONS = ("ack-early", "lose-on-step-down", "duplicate", "corrupt", "forget", "stale-reads")
ROUNDS = 4096
# What each role may; root may all.
READS = {"find", "getMore", "killCursors", "count", "aggregate", "distinct", "listCollections", "listIndexes"}
WRITES = {"insert", "update", "delete", "create", "drop", "createIndexes", "dropIndexes"}
MONITORS = {"replSetGetStatus", "replSetGetConfig", "serverStatus", "listDatabases"}
MANAGES = {"replSetStepDown"}
ROLES = {"read": READS, "readWrite": READS | WRITES, "clusterMonitor": MONITORS, "clusterManager": MONITORS | MANAGES}
FREE = {
    "hello", "isMaster", "ismaster", "ping", "buildInfo", "buildinfo", "saslStart", "saslContinue", "logout",
    "endSessions", "connectionStatus", "getParameter",
}
NEED_PRIMARY = WRITES | {"createUser", "grantRolesToUser", "dropDatabase"}


def not_primary():
    return Refused(10107, "NotWritablePrimary", "not primary")


def hashed(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def credentials(password):
    salt = os.urandom(28)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)
    stored = hashlib.sha256(hashed(salted, b"Client Key")).digest()
    text = lambda data: base64.b64encode(data).decode()
    server = text(hashed(salted, b"Server Key"))
    return {"iterationCount": ROUNDS, "salt": text(salt), "storedKey": text(stored), "serverKey": server}


class Conversation:
    """SCRAM-SHA-256, the server's side (RFC 5802)."""

    def __init__(self, user, first):
        self.user = user
        bare = first.split(",", 2)[2]
        client = dict(part.split("=", 1) for part in bare.split(","))
        self.nonce = client["r"] + base64.b64encode(os.urandom(18)).decode()
        known = user["credentials"]["SCRAM-SHA-256"]
        self.stored, self.server = (base64.b64decode(known[name]) for name in ("storedKey", "serverKey"))
        self.answer = f"r={self.nonce},s={known['salt']},i={known['iterationCount']}"
        self.said = f"{bare},{self.answer},"

    def finish(self, second):
        """The server's signature; None if the password was another one."""
        without, proof = second.rsplit(",p=", 1)
        said = (self.said + without).encode()
        key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), hashed(self.stored, said)))
        if f"r={self.nonce}" not in without.split(",") or hashlib.sha256(key).digest() != self.stored:
            return None
        return "v=" + base64.b64encode(hashed(self.server, said)).decode()


class Client:
    """What is known of one connection."""

    def __init__(self):
        self.user = None
        self.conversation = None


class Commands:
    def __init__(self, options, member, log):
        self.options, self.member, self.log = options, member, log
        self.cursors = {}
        self.next_cursor = 1
        self.writes = 0
        self.stale = None

    # --- who may ---------------------------------------------------------------------------------------------------------

    def user(self, database, name):
        return self.log.now.collection("admin.system.users").documents.get(order(f"{database}.{name}"))

    def allowed(self, client, name, database, body):
        if name in FREE:
            return
        users = self.log.now.collection("admin.system.users")
        # As on a new server: whoever is first may make a user.
        if not users.documents and name in ("createUser", "replSetGetStatus"):
            return
        what = f"not authorized on {database} to execute command {{ {name}: ... }}"
        if client.user is None:
            raise Refused(13, "Unauthorized", f"Command {name} requires authentication")
        for role in users.documents[client.user]["roles"]:
            here = role["db"] == database or role["role"].startswith("cluster")
            if role["role"] == "root" or (here and name in ROLES.get(role["role"], ())):
                return
        raise Refused(13, "Unauthorized", what)

    # --- one command -----------------------------------------------------------------------------------------------------

    async def run(self, client, name, database, body):
        if name.startswith("double") and name != "doubleViolate":
            return await self.member.command(name, body)
        handler = getattr(self, "do_" + name, None)
        if handler is None:
            raise Refused(59, "CommandNotFound", f"no such command: '{name}'")
        self.allowed(client, name, database, body)
        if self.member.state not in (PRIMARY, SECONDARY) and name not in FREE:
            raise Refused(13436, "NotPrimaryOrSecondary", "node is not in primary or recovering state")
        if name in NEED_PRIMARY:
            if self.member.state != PRIMARY or self.member.stepping:
                raise not_primary()
            return await self.write(handler, client, database, body)
        if name in READS and self.member.state != PRIMARY:
            mode = (body.get("$readPreference") or {}).get("mode", "primary")
            if mode == "primary" and name not in ("getMore", "killCursors"):
                raise Refused(13435, "NotPrimaryNoSecondaryOk", "not primary and secondaryOk=false")
        reply = handler(client, database, body)
        return await reply if asyncio.iscoroutine(reply) else reply

    async def write(self, handler, client, database, body):
        """A write, and then what its write concern asks for."""
        term = self.log.term
        reply = handler(client, database, body)
        self.member.notify()
        error = await self.concern(body.get("writeConcern") or {}, len(self.log), term)
        if error is not None:
            reply["writeConcernError"] = error
        return reply

    async def concern(self, asked, number, term):
        member, log = self.member, self.log
        # Of a set the default is majority (5.0 and later).
        w = asked.get("w", "majority" if self.options.set else 1)
        if w == 0:
            return None
        if isinstance(w, str) and w != "majority":
            return {"code": 79, "codeName": "UnknownReplWriteConcern", "errmsg": f"No write concern mode named '{w}'"}
        total = len(member.peers) + 1
        if isinstance(w, (int, float)) and w > total:
            return {"code": 100, "codeName": "UnsatisfiableWriteConcern", "errmsg": "Not enough data-bearing nodes"}
        if asked.get("j") or w == "majority":
            log.flush()
            member.advance()
        limit = asked.get("wtimeout", 0) / 1000
        end = member.now() + limit if limit else float("inf")
        if member.violation == "ack-early":
            return None
        met = lambda: log.commit >= number if w == "majority" else member.copies(number) >= w
        while not met():
            if log.term != term or member.state != PRIMARY:
                words = "Primary stepped down while waiting for replication"
                return {"code": 189, "codeName": "PrimarySteppedDown", "errmsg": words}
            left = end - member.now()
            if left <= 0:
                info = {"wtimeout": True, "writeConcern": plain_concern(asked)}
                words = "waiting for replication timed out"
                return {"code": 64, "codeName": "WriteConcernFailed", "errmsg": words, "errInfo": info}
            await member.wait(min(left, 1.0))
        # It may be met because another primary's entries were taken over.
        if log.term != term and w == "majority":
            return {"code": 189, "codeName": "PrimarySteppedDown", "errmsg": "Primary stepped down"}
        return None

    # --- about itself ----------------------------------------------------------------------------------------------------

    def do_hello(self, client, database, body):
        return self._hello(body, "isWritablePrimary")

    def do_isMaster(self, client, database, body):
        return self._hello(body, "ismaster")

    do_ismaster = do_isMaster

    def _hello(self, body, word):
        member, log = self.member, self.log
        primary = member.state == PRIMARY and not member.stepping
        reply = {
            "helloOk": True, word: primary or not self.options.set, "maxBsonObjectSize": 16777216,
            "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000,
            "localTime": datetime.datetime.now(datetime.timezone.utc), "logicalSessionTimeoutMinutes": 30,
            "connectionId": 1, "minWireVersion": 0, "maxWireVersion": self.options.wire, "readOnly": False,
        }
        if "saslSupportedMechs" in body:
            name = body["saslSupportedMechs"].split(".", 1)
            if len(name) == 2 and self.user(*name):
                reply["saslSupportedMechs"] = ["SCRAM-SHA-256"]
        if not self.options.set:
            return reply
        last = len(log)
        reply.update({
            "hosts": self.options.members, "setName": self.options.set, "setVersion": 1,
            "secondary": member.state == SECONDARY, "me": member.me,
            "lastWrite": {
                "opTime": log.stamp(last), "lastWriteDate": log.wall(last),
                "majorityOpTime": log.stamp(log.commit), "majorityWriteDate": log.wall(log.commit),
            },
        })
        if member.primary:
            reply["primary"] = member.primary
        if primary:
            reply["electionId"] = ObjectId(bytes([0x7F, 0xFF, 0xFF, 0xFF]) + log.term.to_bytes(8, "big"))
        return reply

    def do_ping(self, client, database, body):
        return {}

    do_endSessions = do_ping

    def do_buildInfo(self, client, database, body):
        version = [int(part) for part in self.options.version.split(".")] + [0]
        return {"version": self.options.version, "versionArray": version, "gitVersion": "mongod-double", "bits": 64}

    do_buildinfo = do_buildInfo

    def do_serverStatus(self, client, database, body):
        return {"process": "mongod-double", "version": self.options.version, "pid": Int64(os.getpid())}

    def do_getParameter(self, client, database, body):
        return {}

    def do_replSetGetConfig(self, client, database, body):
        self._in_a_set()
        members = [{"_id": number, "host": name, "votes": 1} for number, name in enumerate(self.options.members)]
        settings = {"electionTimeoutMillis": self.options.election}
        return {"config": {"_id": self.options.set, "version": 1, "members": members, "settings": settings}}

    def _in_a_set(self):
        if not self.options.set:
            raise Refused(76, "NoReplicationEnabled", "not running with --replSet")

    def do_replSetGetStatus(self, client, database, body):
        self._in_a_set()
        member, log = self.member, self.log
        limit = member.now() - self.options.election / 1000
        members = []
        for number, name in enumerate(self.options.members):
            last, wall, state, health = len(log), log.wall(len(log)), member.state, 1
            if name != member.me:
                peer = member.peers[name]
                health = int(peer.heard > limit)
                last, wall, state = peer.last[1], peer.wall or log.wall(0), peer.state if health else 8
            members.append({
                "_id": number, "name": name, "health": float(health), "state": state,
                "stateStr": WORDS.get(state, "(not reachable/healthy)"), "self": name == member.me,
                "optimeDate": wall.replace(microsecond=0), "lastAppliedWallTime": wall, "applied": last,
            })
        return {"set": self.options.set, "myState": member.state, "term": Int64(log.term), "members": members}

    async def do_replSetStepDown(self, client, database, body):
        self._in_a_set()
        patience = body.get("secondaryCatchUpPeriodSecs", 10)
        await self.member.hand_over(body["replSetStepDown"], patience, bool(body.get("force")))
        return {}

    def do_doubleViolate(self, client, database, body):
        name = body["doubleViolate"]
        if name is not None and name not in VIOLATIONS:
            raise bad(f"no violation {name}")
        self.member.violation = name
        self.stale = Frozen(self.log.agreed) if name == "stale-reads" else None
        return {"violation": name}

    # --- logging in ------------------------------------------------------------------------------------------------------

    def do_saslStart(self, client, database, body):
        if body["mechanism"] != "SCRAM-SHA-256":
            raise Refused(334, "MechanismUnavailable", f"Unsupported mechanism {body['mechanism']}")
        first = bytes(body["payload"]).decode()
        name = first.split(",")[2][2:].replace("=2C", ",").replace("=3D", "=")
        user = self.user(database, name)
        if user is None:
            raise Refused(18, "AuthenticationFailed", "Authentication failed.")
        client.conversation = Conversation(user, first)
        return {"conversationId": 1, "done": False, "payload": client.conversation.answer.encode()}

    def do_saslContinue(self, client, database, body):
        conversation, client.conversation = client.conversation, None
        signature = conversation and conversation.finish(bytes(body["payload"]).decode())
        if not signature:
            raise Refused(18, "AuthenticationFailed", "Authentication failed.")
        client.user = order(conversation.user["_id"])
        return {"conversationId": 1, "done": True, "payload": signature.encode()}

    def do_logout(self, client, database, body):
        client.user = None
        return {}

    def do_connectionStatus(self, client, database, body):
        return {"authInfo": {"authenticatedUsers": [] if client.user is None else [{"user": client.user[1].decode()}]}}

    def _roles(self, database, roles):
        return [{"role": role, "db": database} if isinstance(role, str) else plain(role) for role in roles]

    def do_createUser(self, client, database, body):
        identifier = f"{database}.{body['createUser']}"
        if self.user(database, body["createUser"]):
            raise Refused(51003, "Location51003", f"User \"{identifier}\" already exists")
        user = {
            "_id": identifier, "user": body["createUser"], "db": database,
            "credentials": {"SCRAM-SHA-256": credentials(body["pwd"])}, "roles": self._roles(database, body["roles"]),
        }
        self.log.write(self.log.term, "i", "admin.system.users", user)
        return {}

    def do_grantRolesToUser(self, client, database, body):
        user = self.user(database, body["grantRolesToUser"])
        if user is None:
            raise Refused(11, "UserNotFound", f"Could not find user {body['grantRolesToUser']}")
        new = plain(user)
        new["roles"] += self._roles(database, body["roles"])
        self.log.write(self.log.term, "u", "admin.system.users", new, o2={"_id": new["_id"]})
        return {}

    # --- reading ---------------------------------------------------------------------------------------------------------

    def read(self, database, name, body):
        level = (body.get("readConcern") or {}).get("level", "local")
        if level not in ("local", "majority", "available", "linearizable", "snapshot"):
            raise bad(f"readConcern.level '{level}' is not a valid enumeration value")
        namespace = f"{database}.{name}"
        if self.stale is not None:
            return self.stale.collection(namespace)
        agreed = level in ("majority", "linearizable", "snapshot")
        return (self.log.agreed if agreed else self.log.now).collection(namespace)

    def cursor(self, namespace, documents, batch, single):
        """The first batch, and a cursor for the rest."""
        first, rest = documents[:batch], documents[batch:]
        identifier = 0
        if rest and not single:
            identifier, self.next_cursor = self.next_cursor, self.next_cursor + 1
            self.cursors[identifier] = (namespace, rest)
        return {"cursor": {"id": Int64(identifier), "ns": namespace, "firstBatch": first}}

    def do_find(self, client, database, body):
        collection = self.read(database, body["find"], body)
        found = collection.find(body.get("filter") or {})
        found = sort(found, body.get("sort") or {})
        skip, limit = body.get("skip", 0), body.get("limit", 0)
        found = found[skip : skip + abs(limit)] if limit else found[skip:]
        found = [project(document, body.get("projection")) for document in found]
        single = bool(body.get("singleBatch")) or limit < 0
        return self.cursor(f"{database}.{body['find']}", found, body.get("batchSize", 101), single)

    def do_getMore(self, client, database, body):
        namespace, rest = self.cursors.pop(body["getMore"], (None, None))
        if namespace != f"{database}.{body['collection']}":
            raise Refused(43, "CursorNotFound", f"cursor id {body['getMore']} not found")
        batch = body.get("batchSize") or 10000
        identifier = body["getMore"] if len(rest) > batch else 0
        if identifier:
            self.cursors[identifier] = (namespace, rest[batch:])
        return {"cursor": {"id": Int64(identifier), "ns": namespace, "nextBatch": rest[:batch]}}

    def do_killCursors(self, client, database, body):
        killed = [number for number in body["cursors"] if self.cursors.pop(number, None) is not None]
        return {"cursorsKilled": killed, "cursorsNotFound": [], "cursorsAlive": [], "cursorsUnknown": []}

    def do_count(self, client, database, body):
        return {"n": len(self.read(database, body["count"], body).find(body.get("query") or {}))}

    def do_aggregate(self, client, database, body):
        pipeline = list(body["pipeline"])
        documents = self.read(database, body["aggregate"], body)
        first = pipeline[0].get("$match") if pipeline else None
        found = aggregate(documents.find(first or {}), pipeline)
        batch = (body.get("cursor") or {}).get("batchSize", 101)
        return self.cursor(f"{database}.{body['aggregate']}", found, batch, False)

    def do_distinct(self, client, database, body):
        found = self.read(database, body["distinct"], body).find(body.get("query") or {})
        values = {order(document[body["key"]]): document[body["key"]] for document in found if body["key"] in document}
        return {"values": [values[key] for key in sorted(values)]}

    def do_listCollections(self, client, database, body):
        names = sorted(name for name in self.log.now.collections if name.split(".", 1)[0] == database)
        found = [{"name": name.split(".", 1)[1], "type": "collection", "options": {}} for name in names]
        found = [document for document in found if matches(document, body.get("filter") or {})]
        return self.cursor(f"{database}.$cmd.listCollections", found, 10000, True)

    def do_listIndexes(self, client, database, body):
        name = f"{database}.{body['listIndexes']}"
        if name not in self.log.now.collections:
            raise Refused(26, "NamespaceNotFound", f"ns does not exist: {name}")
        return self.cursor(name, list(self.log.now.collections[name].indexes), 10000, True)

    def do_listDatabases(self, client, database, body):
        names = sorted({name.split(".", 1)[0] for name in self.log.now.collections})
        return {"databases": [{"name": name, "sizeOnDisk": Int64(1), "empty": False} for name in names]}

    # --- writing ---------------------------------------------------------------------------------------------------------

    def session(self, body, statement):
        """What an entry says of the retryable write that it is part of; None if there is none."""
        if "txnNumber" not in body:
            return None
        key = bson.encode(plain(body["lsid"]))
        return {"lsid": Binary(key), "txn": body["txnNumber"], "stmt": statement}

    def was_done(self, session):
        known = session and self.log.now.done(bytes(session["lsid"]), session["txn"], session["stmt"])
        return bool(known)

    def do_insert(self, client, database, body):
        namespace, done, errors = f"{database}.{body['insert']}", 0, []
        for number, document in enumerate(body["documents"]):
            session = self.session(body, number)
            if self.was_done(session):
                done += 1
                continue
            if "_id" not in document:
                document = RawBSONDocument(bson.encode({"_id": ObjectId(), **plain(document)}))
            if self.log.now.collection(namespace).has(document["_id"]):
                words = f"E11000 duplicate key error collection: {namespace} index: _id_"
                key = {"_id": document["_id"]}
                errors.append({"index": number, "code": 11000, "errmsg": words, "keyPattern": {"_id": 1}, "keyValue": key})
                if body.get("ordered", True):
                    break
                continue
            self.insert_one(namespace, document, session or {})
            done += 1
        return {"n": done, "writeErrors": errors} if errors else {"n": done}

    def insert_one(self, namespace, document, session):
        violation = self.member.violation
        counts = violation in ("duplicate", "corrupt", "forget") and "p" in document
        self.writes += counts
        hit = counts and self.writes % 10 == 0
        if hit and violation == "forget":
            return
        if hit and violation == "corrupt":
            changed = plain(document)
            changed["p"] = bytes([changed["p"][0] ^ 1]) + changed["p"][1:]
            document = RawBSONDocument(bson.encode(changed))
        self.log.write(self.log.term, "i", namespace, document, **session)
        if hit and violation == "duplicate":
            again = {**plain(document), "_id": ObjectId()}
            self.log.write(self.log.term, "i", namespace, RawBSONDocument(bson.encode(again)))

    def do_update(self, client, database, body):
        namespace, matched, modified, upserted = f"{database}.{body['update']}", 0, 0, []
        for number, statement in enumerate(body["updates"]):
            session = self.session(body, number)
            if self.was_done(session):
                matched += 1
                continue
            found = self.log.now.collection(namespace).find(statement["q"])
            if not found and statement.get("upsert"):
                new = self.upsert(namespace, statement, session or {})
                upserted.append({"index": number, "_id": new["_id"]})
                matched += 1
            for document in found if statement.get("multi") else found[:1]:
                new = updated(document, statement["u"])
                matched += 1
                if bson.encode(new) != bson.encode(plain(document)):
                    modified += 1
                    key = {"_id": document["_id"]}
                    self.log.write(self.log.term, "u", namespace, new, o2=key, **(session or {}))
        reply = {"n": matched, "nModified": modified}
        return {**reply, "upserted": upserted} if upserted else reply

    def upsert(self, namespace, statement, session):
        new = {name: value for name, value in plain(statement["q"]).items() if not name.startswith("$")}
        new = {name: value for name, value in new.items() if not is_operators(value)}
        if is_operators(statement["u"]):
            new.update(plain(statement["u"].get("$setOnInsert") or {}))
        new = updated(new, statement["u"])
        new = new if "_id" in new else {"_id": ObjectId(), **new}
        self.log.write(self.log.term, "i", namespace, new, **session)
        return new

    def do_delete(self, client, database, body):
        namespace, done = f"{database}.{body['delete']}", 0
        for number, statement in enumerate(body["deletes"]):
            session = self.session(body, number)
            if self.was_done(session):
                done += 1
                continue
            found = self.log.now.collection(namespace).find(statement["q"])
            for document in found[:1] if statement.get("limit") else found:
                self.log.write(self.log.term, "d", namespace, {"_id": document["_id"]}, **(session or {}))
                done += 1
        return {"n": done}

    def command_entry(self, database, what):
        self.log.write(self.log.term, "c", database, what)

    def do_create(self, client, database, body):
        name = f"{database}.{body['create']}"
        if name in self.log.now.collections:
            raise Refused(48, "NamespaceExists", f"Collection {name} already exists.")
        self.command_entry(database, {"create": name})
        return {}

    def do_drop(self, client, database, body):
        name = f"{database}.{body['drop']}"
        if name not in self.log.now.collections:
            raise Refused(26, "NamespaceNotFound", "ns not found")
        self.command_entry(database, {"drop": name})
        return {"ns": name, "nIndexesWas": 1}

    def do_dropDatabase(self, client, database, body):
        self.command_entry(database, {"dropDatabase": 1})
        return {"dropped": database}

    def do_createIndexes(self, client, database, body):
        name = f"{database}.{body['createIndexes']}"
        before = len(self.log.now.collections.get(name, Collection()).indexes)
        for index in body["indexes"]:
            if index.get("unique"):
                raise Refused(67, "CannotCreateIndex", "the double keeps no unique index but that of _id")
            self.command_entry(database, {"createIndexes": name, "index": {"v": 2, **plain(index)}})
        after = len(self.log.now.collections[name].indexes)
        return {"numIndexesBefore": before, "numIndexesAfter": after, "createdCollectionAutomatically": False}

    def do_dropIndexes(self, client, database, body):
        name = f"{database}.{body['dropIndexes']}"
        self.command_entry(database, {"dropIndexes": name, "index": body["index"]})
        return {}


class Frozen:
    """Deliberate violation: what was there at one moment, for ever."""

    def __init__(self, data):
        self.collections = {}
        for name, collection in data.collections.items():
            copy = Collection()
            copy.documents, copy.keys = dict(collection.documents), list(collection.keys)
            copy.indexes = list(collection.indexes)
            self.collections[name] = copy

    def collection(self, namespace):
        return self.collections.get(namespace) or Collection()


def plain_concern(asked):
    return {name: asked[name] for name in asked}
