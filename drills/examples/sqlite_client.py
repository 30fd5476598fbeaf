#!/usr/bin/env python3
"""A client for `command` workloads: a ledger in an SQLite file. The protocol is in src/docs/command_workload.md.

    workload:
      orders:
        command: {argv: [python3, ./sqlite_client.py, /tmp/orders.db], rate: 50/s, writers: 2}

One request per line comes in on standard input, one answer per line goes out on standard output. Answers may come in
any order; this client simply answers one after the other. It ends when standard input ends.
"""
import json
import sqlite3
import sys


def main(path):
    database = sqlite3.connect(path, isolation_level=None, timeout=1.0)
    run = None
    for line in sys.stdin:
        ask = json.loads(line)
        if ask["op"] == "hello":
            run = ask["run"]
            answer = {"outcome": "ok", "protocol": 1}
        else:
            answer = carry_out(database, run, ask)
        say(ask["id"], answer)


def say(number, answer):
    print(json.dumps({"id": number, **answer}), flush=True)


def carry_out(database, run, ask):
    try:
        return OPERATIONS[ask["op"]](database, run, ask)
    except sqlite3.OperationalError as error:
        # SQLite says this before it changed anything ("database is locked", "no such table"): definitely not done.
        return {"outcome": "fail", "error": str(error)}
    except Exception as error:  # Anything else may have happened or not.
        return {"outcome": "unknown", "error": str(error)}


def prepare(database, run, ask):
    database.execute("create table if not exists ledger (run, writer, seq, attempt, payload)")
    return {"outcome": "ok"}


def visit(database, run, ask):
    # Reading back something of this very visit proves that the answer is no cache's.
    (found,) = database.execute("select ?", (ask["nonce"],)).fetchone()
    return {"outcome": "ok" if found == ask["nonce"] else "fail"}


def write(database, run, ask):
    row = (run, ask["writer"], ask["seq"], ask["attempt"], bytes.fromhex(ask["payload"]))
    database.execute("insert into ledger values (?, ?, ?, ?, ?)", row)
    return {"outcome": "ok"}


def read(database, run, ask):
    query = "select payload from ledger where run = ? and writer = ? and seq = ?"
    row = database.execute(query, (run, ask["writer"], ask["seq"])).fetchone()
    return {"outcome": "ok", "payload": row[0].hex() if row else None}


def read_back(database, run, ask):
    rows = 0
    query = "select writer, seq, attempt, payload from ledger where run = ? order by rowid"
    for writer, seq, attempt, payload in database.execute(query, (run,)):
        row = {"writer": writer, "seq": seq, "attempt": attempt, "payload": payload.hex()}
        say(ask["id"], {"row": row})
        rows += 1
    return {"outcome": "ok", "rows": rows}


OPERATIONS = {"prepare": prepare, "visit": visit, "write": write, "read": read, "read_back": read_back}

if __name__ == "__main__":
    main(sys.argv[1])
