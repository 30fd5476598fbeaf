"""Copies what is new in one region to the other, again and again, until it is ended: what stands for replication here.

Usage: sync.py KEYS FROM-PORT TO-PORT SECONDS. Deletions are not copied.
"""
import sys
import time

from botocore.exceptions import BotoCoreError, ClientError

from s3 import copy, region

keys, source, target, every = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
known = {}
while True:
    try:
        copy(region(keys, source), region(keys, target), known)
    except (BotoCoreError, ClientError) as error:
        print(f"{source} to {target}: {error}", flush=True)
        known.clear()
    time.sleep(every)
