//! Nothing is lost in silence: every record that cannot be used is in the dead letters with its bytes and a reason, and
//! used + late + quarantined + undecodable + ignored = records read.

use crate::live;
use crate::live::Setup;
use crate::support;
use crate::support::{Record, Services, Signal, read_committed};
use std::collections::BTreeMap;
use std::time::Duration;

const BASE: i64 = 1_700_000_000_000;

fn tick(ms: i64, price: &str) -> Vec<u8> {
    format!("{{\"symbol\":\"BTC\",\"timestamp\":{ms},\"price\":{price},\"size\":1}}").into_bytes()
}

/// What cannot be used, by a name for messages of this test.
fn bad_records() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("no UTF-8", vec![0xff, 0xfe, b'{', 0x80, b'}']),
        ("no JSON", text("hello, world")),
        ("cut JSON", text("{\"symbol\":\"BTC\",\"timestamp\":170000")),
        ("price is a list", text("{\"symbol\":\"BTC\",\"timestamp\":1700000000000,\"price\":[1]}")),
        ("stamp is a boolean", text("{\"symbol\":\"BTC\",\"timestamp\":true,\"price\":1}")),
        ("symbol is a number", text("{\"symbol\":5,\"timestamp\":1700000000000,\"price\":1}")),
        ("price 0", tick(BASE, "0")),
        ("price that becomes 0", tick(BASE, "0.000000001")),
        ("price negative", tick(BASE, "-1")),
        ("price NaN", tick(BASE, "NaN")),
        ("price 1e400", tick(BASE, "1e400")),
        ("price absent", text("{\"symbol\":\"BTC\",\"timestamp\":1700000000000}")),
        ("stamp absent", text("{\"symbol\":\"BTC\",\"price\":1}")),
        ("before 2000", tick(946_684_799_999, "1")),
        ("after 2100", tick(4_102_444_800_000, "1")),
        ("empty", Vec::new()),
        ("900 KB of rubbish", (0..900 * 1024_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
    ]
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn each_bad_record_is_a_dead_letter_with_its_bytes_and_its_reason() {
    let services = Services::shared();
    let dead = support::unique("dead");
    let setup = Setup::new(&services, false, &format!("[dead_letter]\ntopic = \"{dead}\"\n"));
    let bad = bad_records();
    let mut records = Vec::new();
    let mut good = 0;
    let mut send = |value: Vec<u8>| records.push(Record { partition: Some(1), key: Some("BTC".to_owned()), value });
    for (number, (_, value)) in bad.iter().enumerate() {
        for second in 0..30 {
            good += 1;
            send(tick(BASE + (number as i64 * 30 + second) * 1000, "100.5"));
        }
        send(value.clone());
    }
    // Far behind the others: late.
    send(tick(BASE - 3_600_000, "99"));
    // A day ahead of the broker's clock: quarantined.
    let ahead = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64 + 86_400_000;
    send(tick(ahead, "99"));
    let total = records.len() as u64;
    support::produce(services.kafka(), &setup.ticks, records);
    support::create_topic(services.kafka(), &dead, live::PARTITIONS);

    let mut job = setup.start();
    let expected = bad.len() + 2;
    let letters = support::eventually("all dead letters", Duration::from_secs(60), || {
        let letters = read_committed(services.kafka(), &dead);
        (letters.len() >= expected).then_some(letters)
    });
    job.signal(Signal::Term);
    let finished = job.wait(Duration::from_secs(10)).expect_code(0);
    assert_eq!(letters.len(), expected);

    let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    let count = |outcome: &str| summary["records"][outcome].as_u64().unwrap();
    let outcomes = ["used", "late", "quarantined", "undecodable", "ignored"];
    assert_eq!(summary["records"].as_object().unwrap().len(), 5);
    assert_eq!(outcomes.map(count).iter().sum::<u64>(), total);
    assert_eq!(outcomes.map(count), [good, 1, 1, bad.len() as u64, 0]);

    // The topics are as their description says.
    let parsed = |value: &[u8]| serde_json::from_slice::<serde_json::Value>(value).unwrap();
    let of = |topic: &str| read_committed(services.kafka(), &format!("{}{topic}", setup.forecasts));
    let mut described = vec![("tick", "payload", parsed(&tick(BASE, "1")))];
    described.extend(letters.iter().map(|letter| ("dead_letter", "headers", serde_json::json!(letter.headers))));
    described.extend(of(".progress").iter().map(|record| ("progress", "payload", parsed(&record.value))));
    described.extend(of("").iter().take(50).map(|record| ("forecast", "payload", parsed(&record.value))));
    described.extend(of(".scores").iter().take(50).map(|record| ("score", "payload", parsed(&record.value))));
    assert!(["progress", "forecast", "score"].iter().all(|name| described.iter().any(|(of, ..)| of == name)));
    crate::asyncapi::assert_fits(&services, &described);

    let by_offset: BTreeMap<i64, _> =
        letters.iter().map(|letter| (letter.headers["source.offset"].parse::<i64>().unwrap(), letter)).collect();
    for (number, (name, value)) in bad.iter().enumerate() {
        let letter = by_offset[&(number as i64 * 31 + 30)];
        let cut = value.len().min(512 * 1024);
        assert!(letter.value == value[..cut], "{name}: the original bytes");
        assert_eq!(letter.key.as_deref(), Some("BTC"), "{name}");
        assert_eq!(letter.headers["source.topic"], setup.ticks, "{name}");
        assert_eq!(letter.headers["source.partition"], "1", "{name}");
        assert!(!letter.headers["error"].is_empty(), "{name}");
        println!("{name}: {}", letter.headers["error"]);
        assert_eq!(letter.headers.contains_key("sha256"), cut < value.len(), "{name}");
        assert_eq!(letter.headers.contains_key("truncated"), cut < value.len(), "{name}");
    }
}
