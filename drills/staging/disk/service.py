#!/usr/bin/env python3
"""A service that needs its disk, as a small database would.

usage: service.py PORT DATA [reopen]

GET /          writes a record to DATA/visits, syncs it, and answers 200 "visit N"; 503 with the error if it cannot
GET /settings  reads DATA/settings.json anew; 200 when its items add up to its sum, 503 with the reason if not
GET /health    200 as long as the process runs; the disk is not asked

Standard library only. It keeps its file open, and opens it again after an error; with `reopen`, for each visit.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, DATA = int(sys.argv[1]), sys.argv[2]
REOPEN = sys.argv[3:] == ["reopen"]
RECORD = 4096
MOST = 256  # records; then it begins again in the same place

lock = threading.Lock()
state = {"file": None, "visits": 0}


def visit():
    """Writes one record and returns its number once it is on the disk."""
    with lock:
        number = state["visits"] + 1
        try:
            if state["file"] is None:
                state["file"] = os.open(os.path.join(DATA, "visits"), os.O_RDWR | os.O_CREAT, 0o644)
            if number % MOST == 0:
                os.ftruncate(state["file"], 0)
            record = f"visit {number}\n".encode().ljust(RECORD, b".")
            os.pwrite(state["file"], record, number % MOST * RECORD)
            os.fsync(state["file"])
        except OSError:
            if state["file"] is not None:
                try:
                    os.close(state["file"])
                except OSError:
                    pass
                state["file"] = None
            raise
        if REOPEN:
            os.close(state["file"])
            state["file"] = None
        state["visits"] = number
        return number


def settings():
    """The settings, if they hold together."""
    with open(os.path.join(DATA, "settings.json"), encoding="utf-8") as file:
        read = json.load(file)
    if sum(read["items"]) != read["sum"]:
        raise ValueError("the items do not add up")
    return read["greeting"]


class Service(BaseHTTPRequestHandler):
    """Its answers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("?")[0]
        try:
            if path == "/health":
                return self.answer(200, "alive\n")
            if path == "/settings":
                return self.answer(200, f"{settings()}\n")
            return self.answer(200, f"visit {visit()}\n")
        except (OSError, ValueError, KeyError, TypeError) as error:
            return self.answer(503, f"{type(error).__name__}: {error}\n")

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


Server(("127.0.0.1", PORT), Service).serve_forever()
