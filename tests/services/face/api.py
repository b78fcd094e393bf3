"""Holds every answer against the API's own description, and asks wrong things: api.py URL COUNT

COUNT random queries, none of which may be answered with a 5xx, or with what the description does not know. Prints what it saw.
"""
import http.client
import json
import random
import sys
import urllib.parse

from jsonschema import Draft202012Validator
from prometheus_client.openmetrics.parser import text_string_to_metric_families

URL, COUNT = sys.argv[1].removeprefix("http://"), int(sys.argv[2])
connection = http.client.HTTPConnection(URL, timeout=30)


def ask(path):
    connection.request("GET", path, headers={"Host": URL})
    answer = connection.getresponse()
    return answer.status, answer.headers.get("content-type", ""), answer.read().decode()


DESCRIPTION = json.loads(ask("/api/openapi.json")[2])
VALIDATORS = {}


def check(path, status, kind, body):
    """An answer, against the description of its route."""
    route = urllib.parse.urlsplit(path).path
    described = DESCRIPTION["paths"][route]["get"]["responses"]
    assert str(status) in described, f"{path}: {status} is not described: {body[:300]}"
    content = described[str(status)].get("content", {})
    base = kind.split(";")[0]
    assert base in content, f"{path}: {status} {kind} is not described"
    if base.endswith("json"):
        key = (route, status)
        if key not in VALIDATORS:
            schema = content[base]["schema"]
            VALIDATORS[key] = Draft202012Validator({**schema, "components": DESCRIPTION["components"]})
        VALIDATORS[key].validate(json.loads(body))


rows = json.loads(ask("/api/symbols")[2])
symbol, horizons = rows["symbols"][0]["symbol"], rows["horizons"]
quoted = urllib.parse.quote(symbol)
good = ["/api/symbols", "/api/symbols?horizon=1m&sort=mae_ratio&order=desc&limit=1", "/api/job", "/api/openapi.json", "/livez", "/readyz", "/metrics"]
for horizon in horizons:
    good += [f"/api/{kind}?symbol={quoted}&horizon={horizon}&limit=50" for kind in ("forecasts", "scores")]
    good.append(f"/api/figures?symbol={quoted}&horizon={horizon}")
good += [f"/api/bars?symbol={quoted}&window={window}" for window in ("1m", "5m", "1h")]
for path in good:
    status, kind, body = ask(path)
    assert status == 200, f"{path}: {status} {body[:300]}"
    check(path, status, kind, body)
print(f"{len(good)} good requests: as described")

found = json.loads(ask(f"/api/forecasts?symbol={quoted}&horizon={horizons[0]}&limit=1")[2])["forecasts"][0]
explanation = "/api/explain?" + urllib.parse.urlencode({"id": found["id"]})
status, kind, body = ask(explanation)
while status == 202:
    check(explanation, status, kind, body)
    status, kind, body = ask(explanation)
assert status == 200, f"{explanation}: {status} {body[:300]}"
check(explanation, status, kind, body)
told = json.loads(body)
assert told["same"] is True and told["forecast"] == found, f"{explanation}: {body[:300]}"
print(f"{found['id']}: computed again to the same bits, as described")

families = {family.name: family for family in text_string_to_metric_families(ask("/metrics")[2])}
print(f"{len(families)} families of metrics, read by Prometheus' own reader")

randomness = random.Random(20)
routes = [route for route in DESCRIPTION["paths"] if route.startswith("/api/") and route not in ("/api/stream", "/api/openapi.json")]
names = ["symbol", "horizon", "window", "from", "to", "limit", "cursor", "search", "sort", "order", "id", "x", ""]
values = [
    symbol, "BTC", "", "0", "-1", "1", "5m", "1h", "99999999999999999999", "1e400", "NaN", "null", "2021-01-01T00:00:00Z",
    "9999999999999", "-62135596800000", "'; DROP TABLE forecasts; --", "%00", "\u0000", "a" * 70, "🙂", "1.1", "9223372036854775807.1",
    "-9223372036854775808.60000", "asc", "desc", "mae_ratio", "..", "/etc/passwd", "<script>", "0x10", "٣", "\ud7ff",
]
counted = {}
for number in range(COUNT):
    route = randomness.choice(routes)
    pairs = [(randomness.choice(names), randomness.choice(values)) for _ in range(randomness.randrange(5))]
    query = urllib.parse.urlencode(pairs)
    if randomness.random() < 0.1:
        noise = bytes(randomness.randrange(33, 127) for _ in range(randomness.randrange(40)))
        # What a client may send at all: the rest is refused before it is read.
        query += urllib.parse.quote(noise, safe="!$&'()*+,;=:@/?-._~%")
    path = f"{route}?{query}"
    status, kind, body = ask(path)
    counted[status] = counted.get(status, 0) + 1
    assert status < 500, f"{path}: {status} {body[:300]}"
    check(path, status, kind, body)
print(f"{COUNT} random queries: {dict(sorted(counted.items()))}, all as described")
