//! What is said of the topics is so: real records against schemas/asyncapi.json.

use crate::support::{Services, project, run_to_end, temp_dir};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// Reads the description and `[[message, part, value]]`, follows all references, and says what does not fit.
const CHECK: &str = r##"
import json, sys
from pathlib import Path
from jsonschema import Draft202012Validator
path = Path(sys.argv[1])
board = json.loads(path.read_text())

def at(reference):
    if not reference.startswith("#/"):
        return json.loads((path.parent / reference).read_text())
    found = board
    for name in reference[2:].split("/"):
        found = found[name]
    return found

def follow(value):
    if isinstance(value, list):
        return [follow(one) for one in value]
    if isinstance(value, dict):
        return at(value["$ref"]) if "$ref" in value else {name: follow(one) for name, one in value.items()}
    return value

assert board["asyncapi"] == "3.0.0" and {one["action"] for one in board["operations"].values()} == {"send", "receive"}
told = {one["channel"]["$ref"].rsplit("/", 1)[1] for one in board["operations"].values()}
assert told == set(board["channels"]), told
messages = follow(board)["components"]["messages"]
assert {name for one in board["channels"].values() for name in one["messages"]} == set(messages)
seen = set()
for name, part, value in json.load(open(sys.argv[2])):
    schema = messages[name][part]
    schema = schema.get("schema", schema)
    Draft202012Validator.check_schema(schema)
    for error in Draft202012Validator(schema).iter_errors(value):
        sys.exit(f"{name} {part} {value}: {error.message} at {error.json_path}")
    assert not Draft202012Validator(schema).is_valid({**value, schema["required"][0]: []}), name
    seen.add(name)
for name, message in messages.items():
    for example in message.get("examples", []):
        Draft202012Validator(message["payload"]).validate(example["payload"])
print(sorted(seen))
"##;

/// Records by message and part (`payload` or `headers`).
pub fn assert_fits(services: &Services, records: &[(&str, &str, Value)]) {
    let dir = temp_dir();
    let file = dir.path().join("records.json");
    std::fs::write(&file, json!(records).to_string()).unwrap();
    let mut command = Command::new(services.python());
    command.args(["-c", CHECK]).arg(project().join("schemas/asyncapi.json")).arg(&file);
    run_to_end(command, Duration::from_secs(60)).expect_code(0);
}
