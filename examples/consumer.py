#!/usr/bin/env python3
"""Reads forecasts from Kafka as a user would: read_committed, keyed, each checked against the JSON Schema.

    python3 -m venv .venv && .venv/bin/pip install -r examples/requirements.txt
    .venv/bin/python examples/consumer.py --brokers localhost:9092 --topic btc.forecasts --from-beginning

Ends after --max forecasts, or when none came for --timeout seconds (0: never). Exits with 1 at the first record that does
not fit, with 2 when it was called wrongly.
"""
import argparse
import json
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException
from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).resolve().parent.parent / "schemas/forecast.schema.json"
# The client connects again by itself.
AWAY = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)


class Unfit(Exception):
    """A record that is not as promised."""


def check(record, validator):
    """One line about a forecast that is as promised."""
    if record.value() is None:
        raise Unfit("no value")
    try:
        forecast = json.loads(record.value())
    except ValueError as error:
        raise Unfit(f"no JSON: {error}") from error
    for error in validator.iter_errors(forecast):
        raise Unfit(f"does not fit the schema at `{error.json_path}`: {error.message}")
    if record.key() != forecast["symbol"].encode():
        raise Unfit("the key is not the symbol")
    headers = {name: value.decode() for name, value in record.headers() or []}
    promised = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": forecast["id"],
        "ce_subject": forecast["symbol"],
    }
    for name, value in promised.items():
        if headers.get(name) != value:
            raise Unfit(f"header {name}: {headers.get(name)}")
    for name in ("ce_type", "ce_source", "ce_time"):
        if not headers.get(name):
            raise Unfit(f"no header {name}")
    interval = forecast["interval"]
    return (
        f"{forecast['symbol']} {forecast['horizon']} {forecast['issued_at']} -> {forecast['target_at']}: "
        f"{forecast['price']} [{interval['lower']}, {interval['upper']}] naive {forecast['naive_price']} {forecast['status']}"
    )


def main():
    parser = argparse.ArgumentParser(description="Prints the forecasts of a topic, each checked against the JSON Schema.")
    parser.add_argument("--brokers", default="localhost:9092")
    parser.add_argument("--topic", default="btc.forecasts")
    parser.add_argument("--group", default="tickcast-example-py")
    parser.add_argument("--from-beginning", action="store_true", help="where the group has read nothing yet")
    parser.add_argument("--max", type=int, help="end after this many forecasts")
    parser.add_argument("--timeout", type=float, default=0, help="end when none came for this many seconds; 0: never")
    options = parser.parse_args()

    validator = Draft202012Validator(
        json.loads(SCHEMA.read_text()), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    consumer = Consumer(
        {
            "bootstrap.servers": options.brokers,
            "group.id": options.group,
            # Without it, forecasts of a transaction that was aborted would be read too.
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest" if options.from_beginning else "latest",
        }
    )
    consumer.subscribe([options.topic])
    seen, last = 0, time.monotonic()
    try:
        while options.max is None or seen < options.max:
            if options.timeout and time.monotonic() - last >= options.timeout:
                break
            record = consumer.poll(0.2)
            if record is None:
                continue
            if record.error():
                if record.error().code() in AWAY:
                    continue
                raise KafkaException(record.error())
            try:
                print(check(record, validator), flush=True)
            except Unfit as error:
                print(f"{record.topic()}/{record.partition()}/{record.offset()}: {error}", file=sys.stderr)
                return 1
            seen, last = seen + 1, time.monotonic()
    except KeyboardInterrupt:
        pass
    except KafkaException as error:
        print(f"{options.topic} on {options.brokers}: {error}", file=sys.stderr)
        return 1
    finally:
        consumer.close()
    print(f"{seen} forecasts, all of them fit the schema")
    return 0


if __name__ == "__main__":
    sys.exit(main())
