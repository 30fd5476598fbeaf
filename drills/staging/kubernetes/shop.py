"""A page as a pod would serve it: it reads its settings once, when it starts, as most programs do.

Environment: POD_IP, POD_NAME, NODE_NAME, SETTINGS (JSON with a `greeting`; without one it does not start), PORT (8080).

GET /        200 "<greeting> from <pod> on <node>"
GET /health  200 while it takes visitors, 503 once it was told to end

Told to end (SIGTERM), it says so by /health, serves on for DRAIN seconds (2) until nobody is sent to it any more, and ends.
Standard library only.
"""

import json
import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

try:
    GREETING = json.loads(os.environ["SETTINGS"])["greeting"]
except (KeyError, TypeError, ValueError) as error:
    sys.exit(f"the settings cannot be read: {type(error).__name__}")
ending = threading.Event()


class Page(BaseHTTPRequestHandler):
    """The two answers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/health"):
            return self.answer(503 if ending.is_set() else 200, "health\n")
        return self.answer(200, f"{GREETING} from {os.environ['POD_NAME']} on {os.environ['NODE_NAME']}\n")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if ending.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Silent: hundreds of visits a second."""


class Server(ThreadingHTTPServer):
    """Many visitors may come at once; IPv6 where the pod has such an address."""

    request_queue_size = 256
    daemon_threads = True
    address_family = socket.AF_INET6 if ":" in os.environ["POD_IP"] else socket.AF_INET


def end(*_):
    """Ends after the time that load balancers need to notice."""
    ending.set()
    timer = threading.Timer(float(os.environ.get("DRAIN", "2")), os._exit, [0])
    timer.daemon = True
    timer.start()


signal.signal(signal.SIGTERM, end)
threading.stack_size(256 * 1024)
Server((os.environ["POD_IP"], int(os.environ.get("PORT", "8080"))), Page).serve_forever()
