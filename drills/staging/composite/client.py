#!/usr/bin/env python3
"""A client of the service for `command` workloads: a ledger whose records the service keeps in two stores.

usage: client.py URL

One request per line comes in on standard input, one answer per line goes out on standard output. Each writer has a thread
and a connection of its own; reads go over one more. No write is tried twice: one whose answer was lost is unknown.
"""

import http.client
import json
import queue
import sys
import threading
from urllib.parse import urlsplit

PLACE = urlsplit(sys.argv[1]).netloc
out = threading.Lock()


def say(number, answer):
    with out:
        print(json.dumps({"id": number, **answer}), flush=True)


class Caller(threading.Thread):
    """Asks the service one question after another."""

    def __init__(self, run, patience):
        super().__init__(daemon=True)
        self.run_id, self.patience = run, patience
        self.questions, self.connection = queue.Queue(), None
        self.start()

    def run(self):
        while True:
            ask = self.questions.get()
            say(ask["id"], self.carry_out(ask))

    def call(self, method, path, body=None):
        """Status, the service's own word on the outcome, and the body; an outcome instead of a status if there is none."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(PLACE, timeout=self.patience)
                self.connection.connect()
        except OSError as error:
            self.connection = None
            return "fail", type(error).__name__, ""
        try:
            self.connection.request(method, path, body)
            answer = self.connection.getresponse()
            return answer.status, answer.headers.get("Outcome"), answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            return "unknown", type(error).__name__, ""

    def carry_out(self, ask):
        operation = {"visit": self.visit, "write": self.write, "read": self.read, "read_back": self.read_back}[ask["op"]]
        return operation(ask)

    def visit(self, ask):
        return judged(*self.call("GET", f"/visit?{ask['nonce']}"), 200)

    def write(self, ask):
        path = f"/records/{self.run_id}/{ask['writer']}/{ask['seq']}/{ask['attempt']}"
        return judged(*self.call("PUT", path, ask["payload"]), 201)

    def read(self, ask):
        status, word, body = self.call("GET", f"/records/{self.run_id}/{ask['writer']}/{ask['seq']}")
        if status == 404:
            return {"outcome": "ok", "payload": None}
        judgement = judged(status, word, body, 200)
        return {**judgement, "payload": body} if judgement["outcome"] == "ok" else judgement

    def read_back(self, ask):
        status, word, body = self.call("GET", f"/records/{self.run_id}")
        judgement = judged(status, word, body, 200)
        if judgement["outcome"] != "ok":
            return judgement
        rows = body.splitlines()
        for row in rows:
            say(ask["id"], {"row": json.loads(row)})
        return {"outcome": "ok", "rows": len(rows)}


def judged(status, word, body, wanted):
    if status == wanted:
        return {"outcome": "ok"}
    if isinstance(status, str):
        return {"outcome": status, "error": word}
    # A service that does not say what became of it leaves it open.
    return {"outcome": word or "unknown", "error": f"status {status}: {body.strip()[:200]}"}


def main():
    callers, run, patience = {}, None, 3.0
    for line in sys.stdin:
        ask = json.loads(line)
        if ask["op"] == "hello":
            run, patience = ask["run"], ask["timeout_ms"] / 1000
            say(ask["id"], {"outcome": "ok", "protocol": 1})
        elif ask["op"] == "prepare":
            say(ask["id"], {"outcome": "ok"})
        else:
            name = ask["writer"] if ask["op"] == "write" else ask["op"]
            if name not in callers:
                callers[name] = Caller(run, patience)
            callers[name].questions.put(ask)


if __name__ == "__main__":
    main()
