"""One region: an S3 server (moto) that refuses what is not signed as the protocol says, or not granted.

Usage: server.py PORT KEYS [moto's own arguments]. KEYS is a JSON file, {"KEY ID": {"secret": …, "deny": [ACTION, …]}}.
The file is read again when it changes: rights may be taken away while it runs.
moto keeps everything in memory: when this process is killed, all of it is gone, as a lost region is.
"""
import hashlib
import hmac
import json
import os
import sys
from urllib.parse import parse_qsl, quote

import moto.server
from werkzeug.serving import WSGIRequestHandler

port, keys_file = sys.argv[1:3]
# Of a request without a key, by the part of the query that says what is meant.
OF_BUCKET = {
    "versions": "ListBucketVersions", "versioning": "BucketVersioning", "object-lock": "BucketObjectLockConfiguration",
}


class Keys:
    """What the file says now."""

    def __init__(self):
        self.seen, self.keys = None, {}

    def get(self, key_id):
        stat = os.stat(keys_file)
        if (stat.st_mtime_ns, stat.st_ino) != self.seen:
            with open(keys_file) as file:
                self.seen, self.keys = (stat.st_mtime_ns, stat.st_ino), json.load(file)
        return self.keys.get(key_id)


KEYS = Keys()


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Wrong(Exception):
    """The protocol's word for why."""


def action(environ, query):
    """The right that a request needs."""
    method, path = environ["REQUEST_METHOD"], environ["RAW_URI"].split("?")[0].strip("/")
    if "/" not in path:
        for name, meaning in OF_BUCKET.items():
            if name in query:
                return meaning if name == "versions" else ("Get" if method == "GET" else "Put") + meaning
        return {"GET": "ListBucket", "HEAD": "ListBucket", "PUT": "CreateBucket"}.get(method, method)
    version = "Version" if "versionId" in query else ""
    return {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}[method] + version


def check(environ):
    """Version 4 of the signature, in the URL or in a header."""
    query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    said = dict(query)
    header = environ.get("HTTP_AUTHORIZATION", "")
    if "X-Amz-Signature" in said:
        credential, names, given = said["X-Amz-Credential"], said["X-Amz-SignedHeaders"], said["X-Amz-Signature"]
        date, payload = said["X-Amz-Date"], "UNSIGNED-PAYLOAD"
    elif header.startswith("AWS4-HMAC-SHA256 "):
        parts = dict(part.strip().split("=", 1) for part in header[17:].split(","))
        credential, names, given = parts["Credential"], parts["SignedHeaders"], parts["Signature"]
        date, payload = environ["HTTP_X_AMZ_DATE"], environ["HTTP_X_AMZ_CONTENT_SHA256"]
    else:
        raise Wrong("AccessDenied")
    key_id, scope = credential.split("/", 1)
    key = KEYS.get(key_id)
    if key is None:
        raise Wrong("InvalidAccessKeyId")

    def of(name):
        plain = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
        value = environ.get(plain.get(name, "HTTP_" + name.upper().replace("-", "_")), "")
        return f"{name}:{' '.join(value.split())}\n"

    pairs = sorted((quote(n, safe="-_.~"), quote(v, safe="-_.~")) for n, v in query if n != "X-Amz-Signature")
    request = "\n".join([
        environ["REQUEST_METHOD"], environ["RAW_URI"].split("?")[0], "&".join(f"{n}={v}" for n, v in pairs),
        "".join(of(name) for name in names.split(";")), names, payload,
    ])
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(request.encode()).hexdigest()])
    signing = ("AWS4" + key["secret"]).encode()
    for part in scope.split("/"):
        signing = digest(signing, part)
    if not hmac.compare_digest(digest(signing, text).hex(), given):
        raise Wrong("SignatureDoesNotMatch")
    if action(environ, said) in key.get("deny", []):
        raise Wrong("AccessDenied")


class Region(moto.server.DomainDispatcherApplication):
    def __call__(self, environ, start_response):
        try:
            # A server's own questions, "is it there" for one, are nobody's.
            if not environ["RAW_URI"].startswith("/moto-api/"):
                check(environ)
        except Wrong as wrong:
            body = f"<Error><Code>{wrong}</Code></Error>".encode()
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            headers = [("content-type", "application/xml"), ("content-length", str(len(body)))]
            start_response("403 Forbidden", headers)
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
        # What moto itself looks at is a header, and only which service is meant.
        environ["HTTP_AUTHORIZATION"] = (
            "AWS4-HMAC-SHA256 Credential=drill/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        )
        return super().__call__(environ, start_response)


# A line for every request would fill the disk.
WSGIRequestHandler.log_request = lambda *_: None
moto.server.DomainDispatcherApplication = Region
moto.server.main(["-H", "127.0.0.1", "-p", port, *sys.argv[3:]])
