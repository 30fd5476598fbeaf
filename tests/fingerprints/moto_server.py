"""moto, an S3 server, that refuses requests whose signature is not what botocore would make of them.

Usage: moto_server.py KEY SECRET TOKEN REGION [moto's own arguments]. Unsigned requests are taken for the owner's: tests
write with them.
"""
import datetime
import sys
from urllib.parse import parse_qsl, urlencode, quote
from unittest import mock

import moto.server
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

key, secret, token, region = sys.argv[1:5]


def expected(environ, query):
    """The signature for the moment that the request says it was made at."""
    when = datetime.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    rest = {name: value for name, value in query.items() if not name.startswith("X-Amz-")}
    path = environ["RAW_URI"].split("?")[0]
    url = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{path}?{urlencode(rest, quote_via=quote)}"
    request = AWSRequest(method=environ["REQUEST_METHOD"], url=url)
    with mock.patch("botocore.auth.get_current_datetime", return_value=when):
        auth = S3SigV4QueryAuth(Credentials(key, secret, token or None), "s3", region, expires=int(query["X-Amz-Expires"]))
        auth.add_auth(request)
    return dict(parse_qsl(request.url.split("?")[1]))["X-Amz-Signature"]


class Checking(moto.server.DomainDispatcherApplication):
    def __call__(self, environ, start_response):
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        if "X-Amz-Signature" in query and query["X-Amz-Signature"] != expected(environ, query):
            start_response("403 Forbidden", [("content-type", "application/xml")])
            return [b"<Error><Code>SignatureDoesNotMatch</Code></Error>"]
        if "X-Amz-Signature" not in query:
            environ["HTTP_AUTHORIZATION"] = f"AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        return super().__call__(environ, start_response)


moto.server.DomainDispatcherApplication = Checking
moto.server.main(sys.argv[5:])
