#!/usr/bin/env python3
"""A service with two stores, as many have them: records are rows in PostgreSQL, and etcd holds an index with their hashes.

usage: service.py PORT DB_PORT ETCD_MEMBERS PASSWORD_FILE

PUT  /records/RUN/WRITER/SEQ/ATTEMPT   stores the body: the row first, then its key. 201 when both are there; 503 otherwise,
                                       with "Outcome: fail" when nothing of it was stored, and "Outcome: unknown" when it
                                       may have been, or half of it was
GET  /records/RUN/WRITER/SEQ           the body, if the row and its key agree; 404 if either is missing
GET  /records/RUN                      one line of JSON for each record whose row and key agree, in the order of the rows
POST /reconcile                        makes the keys that rows lack; answers {"made": N}
GET  /visit                            200 when both stores answer, 503 otherwise

Standard library and psycopg2 only. No row is written twice: the caller decides.
"""

import base64
import hashlib
import http.client
import json
import queue
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

PORT, DB_PORT = int(sys.argv[1]), int(sys.argv[2])
MEMBERS = sys.argv[3].split(",")
PASSWORD = open(sys.argv[4], encoding="ascii").read().strip()
PATIENCE = 2  # seconds that a store is waited for
PAGE = 1000  # keys or rows in one answer of a store
TABLE = """
create table if not exists records (
  id bigserial primary key, run text not null, writer integer not null, seq bigint not null, attempt integer not null,
  payload text not null)
"""


class Nothing(Exception):
    """The store was not reached: nothing was stored."""


class Doubt(Exception):
    """The store was asked, and what became of it is not known."""


class Index:
    """etcd by its JSON gateway, over one kept connection."""

    def __init__(self):
        self.turn, self.connection = 0, None

    def ask(self, path, question):
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(MEMBERS[self.turn % len(MEMBERS)], timeout=PATIENCE)
                self.connection.connect()
        except OSError as error:
            self.leave()
            raise Nothing(f"etcd: {type(error).__name__}") from error
        try:
            self.connection.request("POST", path, json.dumps(question), {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            said = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.leave()
            raise Doubt(f"etcd: {type(error).__name__}") from error
        if answer.status != 200:
            self.leave()
            raise Doubt(f"etcd: status {answer.status}")
        return said

    def leave(self):
        """The next question goes to the next member."""
        if self.connection is not None:
            self.connection.close()
        self.turn, self.connection = self.turn + 1, None

    def put(self, key, value):
        """Tried at each member, and once more for a connection that broke while nobody used it: it says the same each time."""
        for left in reversed(range(len(MEMBERS) + 1)):
            try:
                return self.ask("/v3/kv/put", {"key": packed(key), "value": packed(value)})
            except (Nothing, Doubt):
                if not left:
                    raise

    def get(self, key):
        found = self.ask("/v3/kv/range", {"key": packed(key)}).get("kvs", [])
        return base64.b64decode(found[0]["value"]).decode() if found else None

    def below(self, prefix):
        """All keys that begin with this, at one revision, and their values."""
        start, revision, end = prefix, None, after(prefix)
        while True:
            question = {"key": packed(start), "range_end": packed(end), "limit": PAGE}
            if revision is not None:
                question["revision"] = revision
            page = self.ask("/v3/kv/range", question)
            revision = page["header"]["revision"]
            found = page.get("kvs", [])
            for entry in found:
                yield base64.b64decode(entry["key"]).decode(), base64.b64decode(entry.get("value", "")).decode()
            if not page.get("more"):
                return
            start = base64.b64decode(found[-1]["key"]).decode() + "\0"


class Rows:
    """PostgreSQL, over one kept connection; each statement is a transaction of its own."""

    def __init__(self):
        self.connection = None

    def ask(self, statement, values):
        """The rows that the statement returned."""
        try:
            if self.connection is None:
                self.connection = psycopg2.connect(
                    host="127.0.0.1", port=DB_PORT, dbname="app", user="app", password=PASSWORD, connect_timeout=PATIENCE,
                    application_name="service", options=f"-c statement_timeout={PATIENCE * 1000}",
                    tcp_user_timeout=PATIENCE * 1000,
                )
                self.connection.autocommit = True
        except psycopg2.Error as error:
            raise Nothing(f"PostgreSQL: {type(error).__name__}") from error
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []
        except psycopg2.Error as error:
            refused = error.pgcode is not None and error.pgcode[:2] in ("22", "23", "42")
            self.connection.close()
            self.connection = None
            kind = Nothing if refused else Doubt
            raise kind(f"PostgreSQL: {type(error).__name__} {error.pgcode or ''}".rstrip()) from error


class Stores:
    """Both stores, as one visitor uses them."""

    def __init__(self):
        self.rows, self.index = Rows(), Index()

    def store(self, name, payload):
        run, writer, seq, attempt = name
        insert = "insert into records (run, writer, seq, attempt, payload) values (%s, %s, %s, %s, %s)"
        self.rows.ask(insert, (run, writer, seq, attempt, payload))
        try:
            self.index.put(key_of(name), digest(payload))
        except Nothing as error:
            # The row is there: half of it was stored, and reconciling may complete it.
            raise Doubt(str(error)) from error

    def records(self, run):
        """What is whole of a run, in the order of the rows."""
        keys = dict(self.index.below(f"index/{run}/"))
        last = 0
        while True:
            page = self.rows.ask(
                "select id, writer, seq, attempt, payload from records where run = %s and id > %s order by id limit %s",
                (run, last, PAGE),
            )
            for last, writer, seq, attempt, payload in page:
                if keys.get(key_of((run, writer, seq, attempt))) == digest(payload):
                    yield {"writer": writer, "seq": seq, "attempt": attempt, "payload": payload}
            if len(page) < PAGE:
                return

    def one(self, run, writer, seq):
        query = "select attempt, payload from records where run = %s and writer = %s and seq = %s order by id"
        for attempt, payload in self.rows.ask(query, (run, writer, seq)):
            if self.index.get(key_of((run, writer, seq, attempt))) == digest(payload):
                return payload
        return None

    def reconcile(self):
        """Keys for the rows that lack one. A key that says something else is left: which of the two is right is not known."""
        keys, last, made = dict(self.index.below("index/")), 0, 0
        while True:
            query = "select id, run, writer, seq, attempt, payload from records where id > %s order by id limit %s"
            page = self.rows.ask(query, (last, PAGE))
            for last, run, writer, seq, attempt, payload in page:
                key = key_of((run, writer, seq, attempt))
                if key not in keys:
                    self.index.put(key, digest(payload))
                    made += 1
            if len(page) < PAGE:
                return made

    def visit(self):
        self.rows.ask("select 1", ())
        self.index.get("index/nobody")


def packed(text):
    return base64.b64encode(text.encode()).decode()


def after(prefix):
    """The first key that is past all that begin with this."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def key_of(name):
    run, writer, seq, attempt = name
    return f"index/{run}/{writer}/{seq}/{attempt}"


def digest(payload):
    return hashlib.sha256(bytes.fromhex(payload)).hexdigest()


idle = queue.LifoQueue()


class Service(BaseHTTPRequestHandler):
    """The answers. A connection keeps its two stores for as long as it lives."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        try:
            self.stores = idle.get_nowait()
        except queue.Empty:
            self.stores = Stores()

    def finish(self):
        super().finish()
        idle.put(self.stores)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        parts = self.path.split("/")[2:]
        if len(parts) != 4:
            return self.answer(404, "")
        self.tried(lambda: self.stores.store((parts[0], *map(int, parts[1:])), body), 201)

    def do_POST(self):
        self.tried(lambda: json.dumps({"made": self.stores.reconcile()}), 200)

    def do_GET(self):
        parts = self.path.partition("?")[0].split("/")[1:]
        if parts == ["visit"]:
            self.tried(self.stores.visit, 200)
        elif len(parts) == 2:
            lines = lambda: "".join(json.dumps(record) + "\n" for record in self.stores.records(parts[1]))
            self.tried(lines, 200)
        elif len(parts) == 4:
            self.tried(lambda: self.stores.one(parts[1], int(parts[2]), int(parts[3])) or (404, ""), 200)
        else:
            self.answer(404, "")

    def tried(self, work, status):
        try:
            text = work()
        except Nothing as error:
            return self.answer(503, f"{error}\n", "fail")
        except Doubt as error:
            return self.answer(503, f"{error}\n", "unknown")
        if isinstance(text, tuple):
            return self.answer(*text)
        return self.answer(status, text or "")

    def answer(self, status, text, outcome=None):
        body = text.encode()
        self.send_response(status)
        if outcome:
            self.send_header("Outcome", outcome)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Silent: hundreds of requests a second."""


class Server(ThreadingHTTPServer):
    """Many callers may wait at once during an outage."""

    request_queue_size = 256
    daemon_threads = True


threading.stack_size(256 * 1024)
Rows().ask(TABLE, ())
Server(("127.0.0.1", PORT), Service).serve_forever()
