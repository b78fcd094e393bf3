"""Holds dashboard and alert rules against real scrapes: watch.py DASHBOARD ALERTS SETTINGS URL...

Prometheus' own reader reads the scrapes, a parser of PromQL each expression; every metric that they name has to be in one of them,
and every setting in SETTINGS (docs/configuration.md).
"""
import json
import re
import sys
import urllib.request
from pathlib import Path

import promql_parser
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

DASHBOARD, ALERTS, SETTINGS, *URLS = sys.argv[1:]

samples = set()
for url in URLS:
    with urllib.request.urlopen(url + "/metrics", timeout=10) as answer:
        scrape = answer.read().decode()
    samples |= {sample.name for family in text_string_to_metric_families(scrape) for sample in family.samples}

board = json.loads(Path(DASHBOARD).read_text())
panels = [panel for panel in board["panels"] if panel["type"] != "row"]
expressions = {f"panel {panel['title']!r} {target['refId']}": target["expr"] for panel in panels for target in panel["targets"]}
assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]), "ids of panels differ"
for panel in panels:
    place = panel["gridPos"]
    assert place["x"] + place["w"] <= 24, panel["title"]
rules = [rule for group in yaml.safe_load(Path(ALERTS).read_text())["groups"] for rule in group["rules"]]
for rule in rules:
    assert rule["labels"]["severity"] in ("page", "look") and rule["annotations"].keys() == {"summary", "mend"}, rule
settings = Path(SETTINGS).read_text()
for rule in rules:
    for key in re.findall(r"\b(?:job|time|model|source|sink|checkpoint|cluster|http|dead_letter)\.[a-z_.]*[a-z]", rule["annotations"]["mend"]):
        table, name = key.rsplit(".", 1)
        part = settings.split(f"`[{table}]`", 1)[-1].split("\n## ", 1)[0]
        assert f"| `{name}` |" in part, f"{rule['alert']} names a setting that is none: {key}"
expressions |= {f"alert {rule['alert']}": rule["expr"] for rule in rules}

named = set()
for place, text in expressions.items():
    text = text.replace("$__rate_interval", "1m")
    try:
        promql_parser.parse(text)
    except ValueError as error:
        raise SystemExit(f"{place}: {error}: {text}")
    named |= set(re.findall(r"\btickcast_\w+", text))
missing = named - samples
assert not missing, f"not in the scrape: {sorted(missing)}"
shown = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in samples}
hidden = {name for name in shown if name.startswith("tickcast_")} - {re.sub(r"_bucket$", "", name) for name in named}
print(f"{len(expressions)} expressions name {len(named)} metrics, all of them in a scrape of {len(samples)}; shown nowhere: {sorted(hidden)}")
