#!/usr/bin/env python3
"""Dumps a database as CouchDB's own backup tool does (every document with its revision, over HTTP), says whether a dump is
whole, and writes one into an empty database.

    dump.py make URL NETRC FILE       prints documents=N
    dump.py whole FOLDER              prints the names of the whole dumps there, the newest first
    dump.py restore URL NETRC FILE    prints documents=N; refuses a database that is not empty

URL is that of the database, without a login: it is read from NETRC. A dump is one document a line, revisions in conflict
too, and a last line with their number and the SHA-256 of all before. What is written while a dump is made may be in it or
not: CouchDB has no snapshot.
"""
import base64
import hashlib
import json
import netrc
import os
import re
import sys
import urllib.parse
import urllib.request

PAGE = 500


class Database:
    def __init__(self, url, login):
        self.url = url
        user, _, word = netrc.netrc(login).authenticators(urllib.parse.urlsplit(url).hostname)
        self.login = "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path, body=None):
        headers = {"authorization": self.login, "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with self.opener.open(urllib.request.Request(self.url + path, data, headers), timeout=30) as answer:
            return json.load(answer)

    def pages(self, more=""):
        last = None
        while True:
            start = "" if last is None else "&startkey=" + urllib.parse.quote(json.dumps(last))
            rows = self.ask(f"/_all_docs?limit={PAGE}{start}{more}")["rows"]
            rows = [row for row in rows if row["id"] != last]
            if not rows:
                return
            yield rows
            last = rows[-1]["id"]

    def documents(self):
        for rows in self.pages("&include_docs=true&conflicts=true"):
            for row in rows:
                others = row["doc"].pop("_conflicts", [])
                yield row["doc"]
                for rev in others:
                    yield self.ask(f"/{urllib.parse.quote(row['id'], safe='')}?rev={rev}")


def lines(file):
    """The documents of a dump, after all of it was found to be whole and not empty."""
    documents, digest = [], hashlib.sha256()
    with open(file, "rb") as dump:
        for line in dump:
            entry = json.loads(line)
            if "end" in entry:
                if entry["end"] != len(documents) or entry["sha256"] != digest.hexdigest() or dump.read():
                    sys.exit(f"{file}: damaged")
                if not documents:
                    sys.exit(f"{file}: there is nothing in it")
                return documents
            digest.update(line)
            documents.append(entry)
    sys.exit(f"{file}: cut off after {len(documents)} documents")


def make(url, login, file):
    count, digest = 0, hashlib.sha256()
    with open(file, "wb") as dump:
        for document in Database(url, login).documents():
            line = json.dumps(document, sort_keys=True).encode() + b"\n"
            dump.write(line)
            digest.update(line)
            count += 1
        dump.write(json.dumps({"end": count, "sha256": digest.hexdigest()}).encode() + b"\n")
    return count


def restore(url, login, file):
    documents, database = lines(file), Database(url, login)
    there = database.ask("")["doc_count"]
    if there:
        sys.exit(f"{url} is not empty: it has {there} documents; restore into an empty database")
    for first in range(0, len(documents), PAGE):
        answer = database.ask("/_bulk_docs", {"docs": documents[first:first + PAGE], "new_edits": False})
        if any("error" in one for one in answer):
            sys.exit(f"{url}: {answer}")
    # What was answered is not believed: everything must be there.
    wanted = {(one["_id"], one["_rev"]) for one in documents}
    found = {(row["id"], row["value"]["rev"]) for rows in database.pages() for row in rows}
    if not found <= wanted or {one for one, _ in found} != {one for one, _ in wanted}:
        sys.exit(f"{url}: {len(found)} documents are there, and not those of the dump")
    return len(documents)


def whole(folder):
    names = [name for name in os.listdir(folder) if re.fullmatch(r"[0-9]+\.jsonl", name)]
    for name in sorted(names, key=lambda name: int(name[:-6]), reverse=True):
        try:
            lines(os.path.join(folder, name))
        except (SystemExit, OSError, ValueError):
            continue
        print(name, flush=True)


def counted(verb):
    return lambda *words: print(f"documents={verb(*words)}")


VERBS = {"make": counted(make), "whole": whole, "restore": counted(restore)}
try:
    VERBS[sys.argv[1]](*sys.argv[2:])
except BrokenPipeError:
    # Whoever wanted the first alone has it.
    os._exit(0)
except (OSError, ValueError) as error:
    sys.exit(f"dump.py: {error}")
