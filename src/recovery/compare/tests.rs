use super::*;

fn json(text: &str) -> Content {
    Content::Json(text.as_bytes().to_vec())
}

const FORECAST: &str = r#"{"id":"btc/BTC/1m/1611239700000","symbol":"BTC","horizon":"1m","issued_at":"2021-01-21T14:34:00.000Z","target_at":"2021-01-21T14:35:00.000Z","price":31573.02,"interval":{"lower":1,"upper":2.5},"reasons":[],"model":{"loss":null}}"#;

#[test]
fn records_are_known_by_their_fields() {
    let (kind, place) = json(FORECAST).place();
    assert_eq!((kind, place.at), (Kind::Forecasts, 1_611_239_640_000));
    assert!(place.name.ends_with("btc/BTC/1m/1611239700000"), "{}", place.name);
    let score = r#"{"id":"a","symbol":"BTC","horizon":"1m","target_at":"2021-01-21T14:35:00.000Z"}"#;
    assert_eq!(json(score).place().0, Kind::Scores);
    assert_eq!(json(r#"{"symbol":"BTC","end":1611239670000,"windows":{}}"#).place().0, Kind::Features);
    let letter = r#"{"topic":"t","partition":1,"offset":7,"error":"no","value":"x"}"#;
    assert_eq!(json(letter).place(), (Kind::DeadLetters, Place { at: 7, name: "t/1/7".to_owned() }));
    for other in ["{}", "not JSON", "[1]", r#"{"a":1"#, ""] {
        assert_eq!(json(other).place().0, Kind::Other, "{other}");
    }
}

#[test]
fn a_digest_is_that_of_the_records_not_of_their_order() {
    let mut records = [json(FORECAST), json(&FORECAST.replace("31573.02", "31573.03")), json("x")];
    let total = |records: &[Content]| {
        let mut totals = Totals::new(false);
        records.iter().for_each(|record| totals.add(record));
        (totals.of(Kind::Forecasts), totals.of(Kind::Other))
    };
    let before = total(&records);
    records.reverse();
    assert_eq!(total(&records), before);
    assert_eq!((before.0.records, before.1.records), (2, 1));
    assert_ne!(total(&records[..2]).0, before.0);
    // One byte of a number, and one record twice instead of another.
    assert_ne!(total(&[json(FORECAST), json(FORECAST)]).0, before.0);
}

#[test]
fn a_database_holds_values_and_a_file_bytes() {
    let fields = json(FORECAST).fields().unwrap();
    assert_eq!(fields["issued_at"], Scalar::Number(1_611_239_640_000.0));
    assert_eq!((&fields["interval.upper"], &fields["model.loss"]), (&Scalar::Number(2.5), &Scalar::Null));
    assert_eq!(fields["reasons"], Scalar::Empty);
    let stored = Content::Fields(fields);
    assert_eq!(stored.place(), json(FORECAST).place());
    assert_eq!(digest_of(&stored, true), digest_of(&json(FORECAST), true));
    assert_ne!(digest_of(&stored, true), digest_of(&json(&FORECAST.replace("2.5", "2.6")), true));
    // The same values in other bytes.
    let spaced = json(&FORECAST.replace(":31573.02", ": 3.157302e4"));
    assert_eq!(digest_of(&spaced, true), digest_of(&json(FORECAST), true));
    assert_ne!(digest_of(&spaced, false), digest_of(&json(FORECAST), false));
}

#[test]
fn the_first_difference_is_named() {
    let index = |records: &[&str]| {
        let mut index = Index::new(false);
        for record in records {
            let content = json(record);
            index.add(content.place().1, &content);
        }
        index
    };
    let later = FORECAST.replace("14:34", "14:36").replace("btc/BTC/1m/1611239700000", "later");
    let changed = FORECAST.replace("31573.02", "31573.021");
    let first = |one: &[&str], two: &[&str]| index(one).first_difference(&mut index(two));
    assert_eq!(first(&[FORECAST, &later], &[&later, FORECAST]), None);
    let (place, differs) = first(&[FORECAST, &later], &[&changed]).unwrap();
    assert_eq!((place.at, differs), (1_611_239_640_000, Differs::Content));
    assert_eq!(first(&[FORECAST, &later], &[FORECAST]).unwrap().1, Differs::OnlyFirst(1));
    assert_eq!(first(&[FORECAST], &[FORECAST, FORECAST]).unwrap().1, Differs::OnlySecond(1));
    let (path, one, two) = first_field(&json(FORECAST), &json(&changed)).unwrap();
    assert_eq!((path.as_str(), one.as_str(), two.as_str()), ("price", "31573.02", "31573.021"));
    let shorter = FORECAST.replace(r#","upper":2.5"#, "");
    let (path, one, two) = first_field(&json(FORECAST), &json(&shorter)).unwrap();
    assert_eq!((path.as_str(), one.as_str(), two.as_str()), ("interval.upper", "2.5", "nothing"));
}
