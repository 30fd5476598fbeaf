"""Reads what lies in a folder (CASE.metrics.txt, CASE.trace.json, CASE.intoto.jsonl) with the formats' own readers, and
prints what was read as one JSON object: case by case and format by format."""

import base64
import json
import pathlib
import shlex
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus


def samples(families):
    return [[s.name, s.labels, s.value] for family in families for s in family.samples]


def metrics(text):
    """By both readers; the older one knows neither units nor the end."""
    families = list(openmetrics(text))
    return {
        "openmetrics": samples(families),
        "prometheus": samples(prometheus(text)),
        "units": {family.name: family.unit for family in families},
        "types": sorted({family.type for family in families}),
        # GitLab takes a line apart as a shell would: the metric with its labels, and its value.
        "odd": [line for line in text.splitlines() if not line.startswith("#") and len(shlex.split(line)) != 2],
        "helpless": [family.name for family in families if not family.documentation],
    }


def to_base64(node):
    """OTLP writes ids in hexadecimal, protobuf's own JSON in base64."""
    if isinstance(node, list):
        return [to_base64(child) for child in node]
    if not isinstance(node, dict):
        return node
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        key: base64.b64encode(bytes.fromhex(child)).decode() if key in ids else to_base64(child)
        for key, child in node.items()
    }


def trace(text):
    """Strict: a field that the protocol does not know is an error."""
    request = ExportTraceServiceRequest()
    json_format.ParseDict(to_base64(json.loads(text)), request, ignore_unknown_fields=False)
    spans = [span for r in request.resource_spans for s in r.scope_spans for span in s.spans]
    return {
        "lines": text.count("\n"),
        "service": [a.value.string_value for a in request.resource_spans[0].resource.attributes if a.key == "service.name"],
        "spans": [
            {
                "trace": span.trace_id.hex(),
                "id": span.span_id.hex(),
                "parent": span.parent_span_id.hex(),
                "name": span.name,
                "from": str(span.start_time_unix_nano),
                "to": str(span.end_time_unix_nano),
                "status": span.status.code,
                "events": [event.name for event in span.events],
            }
            for span in spans
        ],
    }


def intoto(text):
    """The statement, and what would be signed of it, as the protocol builds it."""
    envelope = json.loads(text)
    payload = base64.b64decode(envelope["payload"], validate=True)
    kind = envelope["payloadType"].encode()
    signed = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    return {"statement": json.loads(payload), "signatures": envelope["signatures"], "signed": signed.decode()}


READERS = {"metrics.txt": metrics, "trace.json": trace, "intoto.jsonl": intoto}
read = {}
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    case, name = path.name.split(".", 1)
    # Line breaks as they are: a carriage return is no line break in these formats.
    text = path.read_bytes().decode()
    try:
        read.setdefault(case, {})[name] = READERS[name](text)
    except Exception as error:
        sys.exit(f"{path.name}: {type(error).__name__}: {error}")
print(json.dumps(read))
