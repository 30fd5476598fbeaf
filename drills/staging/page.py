#!/usr/bin/env python3
"""A small page in front of a PostgreSQL staging, as an application would be: it keeps connections and every visit writes.

usage: page.py PORT DB_PORT PASSWORD_FILE

GET /        books a transfer (two rows that balance, in one transaction) and answers 200 "visit N"; 503 when the
             database did not take it in time
GET /health  200 as long as the page itself runs; the database is not asked

Standard library and psycopg2 only. It logs to stdout.
"""

import queue
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

PORT, DB_PORT = int(sys.argv[1]), int(sys.argv[2])
PASSWORD = open(sys.argv[3], encoding="ascii").read().strip()
KEPT = 8  # connections kept open; more visitors than that at once open their own
TRANSFER = """
with visit as (select nextval('visits') as n)
insert into entries (visit, account, amount)
select n, account, amount from visit, (values ('cash', -1), ('sales', 1)) as pair (account, amount)
returning visit
"""

idle = queue.LifoQueue()


def connect():
    """A new connection through the load balancer; libpq's shortest time-out is 2 s."""
    return psycopg2.connect(
        host="127.0.0.1", port=DB_PORT, dbname="app", user="app", password=PASSWORD, connect_timeout=2,
        application_name="page", options="-c statement_timeout=900", tcp_user_timeout=2000,
    )


def transfer(connection):
    """Books one visit and returns its number."""
    with connection, connection.cursor() as cursor:
        cursor.execute(TRANSFER)
        return cursor.fetchone()[0]


def visit():
    """One visit on a kept connection if there is one. A broken one is thrown away, and never retried: the transfer
    may have happened."""
    try:
        connection = idle.get_nowait()
    except queue.Empty:
        connection = connect()
    try:
        number = transfer(connection)
    except psycopg2.Error:
        connection.close()
        raise
    if idle.qsize() < KEPT:
        idle.put(connection)
    else:
        connection.close()
    return number


class Page(BaseHTTPRequestHandler):
    """The two answers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/health":
            return self.answer(200, "alive\n")
        try:
            return self.answer(200, f"visit {visit()}\n")
        except psycopg2.Error as error:
            # The first line only: libpq's text names host and port, never the password.
            return self.answer(503, f"no visit: {type(error).__name__}\n")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Silent: hundreds of visits a second."""


class Server(ThreadingHTTPServer):
    """Many visitors may wait at once during an outage."""

    request_queue_size = 256
    daemon_threads = True


threading.stack_size(256 * 1024)
Server(("127.0.0.1", PORT), Page).serve_forever()
