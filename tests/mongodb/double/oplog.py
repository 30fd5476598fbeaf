"""The oplog of a mongod double: its entries in order, on disk and in memory, and the data that they come to.

As with a server, an entry is on disk when the journal was flushed, which happens every 50 ms by itself (a server: 100 ms) and
at once when somebody waits for it; a killed process loses what was not flushed. Entries that were rolled back are kept in
files of their own. There is no checkpoint: whoever starts reads all of it.
"""

import datetime
import json
import os
import time

import bson
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from documents import Data


class Oplog:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(os.path.join(folder, "rollback"), exist_ok=True)
        self.entries = []
        self.terms = []
        self.durable = 0
        # How far a majority has it.
        self.commit = 0
        self.now = Data()
        self.agreed = Data()
        self.buffer = []
        self.file = open(os.path.join(folder, "oplog.bson"), "ab+")
        self._read()
        self.term, self.voted = 0, None
        try:
            with open(os.path.join(folder, "vote.json"), encoding="ascii") as file:
                self.term, self.voted = json.load(file)
        except FileNotFoundError:
            pass

    def _read(self):
        self.file.seek(0)
        content = self.file.read()
        at = 0
        while at + 4 <= len(content):
            length = int.from_bytes(content[at : at + 4], "little")
            # Torn by a kill: it was never on disk.
            if length < 5 or at + length > len(content):
                break
            self._keep(RawBSONDocument(content[at : at + length]))
            at += length
        self.file.truncate(at)
        self.file.seek(0, os.SEEK_END)
        self.durable = len(self.entries)

    def _keep(self, entry):
        self.entries.append(entry)
        self.terms.append(entry["t"])
        self.now.apply(entry)

    def __len__(self):
        return len(self.entries)

    def last(self):
        """Term and number of the last entry."""
        return (self.terms[-1] if self.terms else 0, len(self.entries))

    def stamp(self, number):
        """Where an entry stands, as servers say it."""
        if number == 0:
            return {"ts": Timestamp(0, 0), "t": bson.int64.Int64(-1)}
        entry = self.entries[number - 1]
        return {"ts": entry["ts"], "t": bson.int64.Int64(entry["t"])}

    def wall(self, number):
        return self.entries[number - 1]["wall"] if number else datetime.datetime.fromtimestamp(0, datetime.timezone.utc)

    def vote(self, term, whom):
        """Remembers for whom this member voted, before anybody is told."""
        self.term, self.voted = term, whom
        path = os.path.join(self.folder, "vote.json")
        with open(path + ".new", "w", encoding="ascii") as file:
            json.dump([term, whom], file)
        os.replace(path + ".new", path)

    def write(self, term, kind, namespace, what, **more):
        """A new entry of a primary."""
        seconds = int(time.time())
        last = self.entries[-1]["ts"] if self.entries else Timestamp(0, 0)
        if last.time >= seconds:
            stamp = Timestamp(last.time, last.inc + 1)
        else:
            stamp = Timestamp(seconds, 1)
        wall = datetime.datetime.now(datetime.timezone.utc)
        entry = {"ts": stamp, "t": term, "wall": wall, "op": kind, "ns": namespace, "o": what, **more}
        self.append([RawBSONDocument(bson.encode(entry))])

    def append(self, entries):
        for entry in entries:
            self._keep(entry)
            self.buffer.append(entry.raw)

    def flush(self):
        if self.buffer:
            self.file.write(b"".join(self.buffer))
            self.file.flush()
            self.buffer = []
        self.durable = len(self.entries)

    def agree(self, upto):
        """A majority has everything up to this entry."""
        while self.commit < min(upto, len(self.entries)):
            self.agreed.apply(self.entries[self.commit])
            self.commit += 1

    def begins(self):
        """Where each term begins: enough to find what two logs have in common."""
        found = []
        for number, term in enumerate(self.terms, 1):
            if not found or found[-1][0] != term:
                found.append([term, number])
        return found

    def in_common(self, begins, length):
        """The last entry that a log with these terms and this length has too."""
        ends = [start for _, start in begins[1:]] + [length + 1]
        theirs = {term: end - 1 for (term, _), end in zip(begins, ends)}
        mine = self.begins()
        my_ends = [start for _, start in mine[1:]] + [len(self) + 1]
        common = 0
        for (term, start), end in zip(mine, my_ends):
            if term in theirs and [term, start] in [list(pair) for pair in begins]:
                common = max(common, min(end - 1, theirs[term]))
        return common

    def roll_back(self, upto):
        """Forgets every entry after this one; what they wrote is kept in a file beside."""
        if upto < self.commit:
            raise SystemExit(f"a majority had entry {self.commit}, and it is to be rolled back to {upto}")
        gone = self.entries[upto:]
        name = os.path.join(self.folder, "rollback", f"{len(self.entries)}-{int(time.time() * 1000)}.bson")
        with open(name, "wb") as file:
            file.write(b"".join(entry["o"].raw for entry in gone if entry["op"] == "i"))
        kept = self.entries[:upto]
        self.entries, self.terms, self.buffer, self.now = [], [], [], Data()
        self.file.truncate(0)
        self.append(kept)
        self.flush()
        return len(gone)
