"""What the scripts of this staging ask of a region, by boto3.

Usage: s3.py --keys FILE PORT make|whole|lost|keys|spoil|undo|delete-locked|copy [ARGUMENT…]
"""
import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKET, VAULT = "data", "vault"
SHOP = [(f"shop/{number:04}", f"item-{number}".encode()) for number in range(1, 61)]
CONTRACT = "contracts/2026-001"


def region(keys, port):
    with open(keys) as file:
        (key_id, key), = ((k, v) for k, v in json.load(file).items() if not v.get("deny"))
    config = Config(retries={"max_attempts": 2}, connect_timeout=5, read_timeout=30, s3={"addressing_style": "path"})
    return boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="eu-central-1", aws_access_key_id=key_id,
        aws_secret_access_key=key["secret"], config=config,
    )


def listed(s3, prefix="", bucket=BUCKET):
    """Objects by key: their ETag."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {o["Key"]: o["ETag"] for page in pages for o in page.get("Contents", [])}


def versions(s3, prefix):
    """All versions and marks of deletion by key, the newest first: (time, id, is it latest, is it a mark)."""
    found = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=prefix):
        for kind in ("Versions", "DeleteMarkers"):
            for v in page.get(kind, []):
                entry = (v["LastModified"], v["VersionId"], v["IsLatest"], kind == "DeleteMarkers")
                found.setdefault(v["Key"], []).append(entry)
    # Servers give times in whole seconds: what is latest decides between two of the same second.
    return {key: sorted(all_of, key=lambda v: (v[0], v[2]), reverse=True) for key, all_of in found.items()}


def copy(source, target, known):
    """Brings to the target what it has not: how many. `known` holds what was seen to be there."""
    there, copied = listed(source), 0
    if not known:
        known.update(listed(target))
    # The application's own objects first, for they matter more than a drill's.
    for key, etag in sorted(there.items(), reverse=True):
        if known.get(key) != etag:
            try:
                body = source.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            except source.exceptions.NoSuchKey:
                continue
            target.put_object(Bucket=BUCKET, Key=key, Body=body)
            known[key], copied = etag, copied + 1
    return copied


def make(s3, stocked="", *_):
    """The buckets of a region that is new, with a contract that must be kept, and the application's objects if asked."""
    have = [b["Name"] for b in s3.list_buckets()["Buckets"]]
    place = {"LocationConstraint": "eu-central-1"}
    if BUCKET not in have:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    if VAULT not in have:
        s3.create_bucket(Bucket=VAULT, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=True)
        until = time.time() + 86_400
        s3.put_object(Bucket=VAULT, Key=CONTRACT, Body=b"signed", ObjectLockMode="COMPLIANCE",
                      ObjectLockRetainUntilDate=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until)))
    for key, body in SHOP if stocked else []:
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)



def whole(s3, *_):
    missing = [k for k, body in SHOP if k not in (have := listed(s3, "shop/"))]
    if missing:
        sys.exit(f"{len(missing)} of the application's objects are missing, {missing[0]} for one")
    wrong = [k for k, body in SHOP if s3.get_object(Bucket=BUCKET, Key=k)["Body"].read() != body]
    if wrong or len(have) != len(SHOP):
        sys.exit(f"{len(wrong)} of the application's objects are not what they were, and there are {len(have)}")
    print(f"all {len(SHOP)} of the application's objects")


def lost(s3, *_):
    """Succeeds when some of the application's objects are gone."""
    have = listed(s3, "shop/")
    print(f"{len(SHOP) - len(have)} missing")
    if len(have) >= len(SHOP):
        sys.exit("none of the application's objects is missing")


def keys(s3, prefix, *_):
    print("\n".join(listed(s3, prefix)))


def spoil(s3, *prefixes):
    """A job gone wrong, soon stopped: of the first that it finds, it deletes every second and writes over every third."""
    for prefix in prefixes:
        for number, key in enumerate(sorted(listed(s3, prefix))[:120]):
            if number % 2 == 0:
                s3.delete_object(Bucket=BUCKET, Key=key)
            elif number % 3 == 0:
                s3.put_object(Bucket=BUCKET, Key=key, Body=b"null")


def undo(s3, *prefixes):
    """Takes back what was done to objects after they were written: marks of deletion and versions over the first one.

    What clients wrote meanwhile has one version, and stays. An application that writes over its own objects needs the
    moment of the mistake as well, and keeps the last version before that.
    """
    undone = 0
    for prefix in prefixes:
        for key, all_of in versions(s3, prefix).items():
            objects = [v for v in all_of if not v[3]]
            for when, version, _, mark in all_of:
                if mark or version != objects[-1][1]:
                    s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version)
                    undone += 1
    print(f"undone={undone}")


def delete_locked(s3, *_):
    """Succeeds when nobody can delete the contract: neither the version nor, by a mark, what is there."""
    version = s3.head_object(Bucket=VAULT, Key=CONTRACT)["VersionId"]
    try:
        s3.delete_object(Bucket=VAULT, Key=CONTRACT, VersionId=version)
    except ClientError as refused:
        code = refused.response["Error"]["Code"]
        if code != "AccessDenied":
            raise
        if s3.get_object(Bucket=VAULT, Key=CONTRACT, VersionId=version)["Body"].read() != b"signed":
            sys.exit("the contract is not what it was")
        print(f"refused: {code}")
        return
    sys.exit("the contract was deleted")


def main():
    words = sys.argv[1:]
    keys_file, port, what, rest = words[1], words[2], words[3], words[4:]
    s3 = region(keys_file, port)
    try:
        if what == "copy":
            print(f"copied={copy(s3, region(keys_file, rest[0]), {})}")
        else:
            {"make": make, "whole": whole, "lost": lost, "keys": keys, "spoil": spoil, "undo": undo,
             "delete-locked": delete_locked}[what](s3, *rest)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"port {port}: {error}")


if __name__ == "__main__":
    main()
