use super::super::stamp;
use super::*;
use proptest::prelude::*;

fn read_in(zone: &str, text: &str) -> Result<String, String> {
    stamp::read(text.as_bytes(), &zone.parse().unwrap()).map(|stamp| match stamp {
        Stamp::Moment(at) => at.to_string(),
        Stamp::Day(date) => date.to_string(),
    })
}

#[test]
fn every_way_of_writing_is_read() {
    for (text, expected) in [
        ("2023-01-31T12:30:05", "2023-01-31T12:30:05.000Z"),
        ("2023-01-31 12:30", "2023-01-31T12:30:00.000Z"),
        ("2023-01-31 2:30", "2023-01-31T02:30:00.000Z"),
        ("2023-01-31 12:30:05.123456", "2023-01-31T12:30:05.123Z"),
        ("2023-01-31 12:30:05,25", "2023-01-31T12:30:05.250Z"),
        ("2023-01-31D12:30:05.250999999", "2023-01-31T12:30:05.250Z"),
        ("2023/01/31 12:30:05", "2023-01-31T12:30:05.000Z"),
        ("2023.01.31 12:30", "2023-01-31T12:30:00.000Z"),
        ("2023-1-3 4:05", "2023-01-03T04:05:00.000Z"),
        (" 2023-01-31 12:30:05 UTC ", "2023-01-31T12:30:05.000Z"),
        ("2023-01-31 12:30:05UTC", "2023-01-31T12:30:05.000Z"),
        ("2023-01-31 12:30:05 gmt", "2023-01-31T12:30:05.000Z"),
        ("2023-01-31 12:30Z", "2023-01-31T12:30:00.000Z"),
        ("2023-01-31 12:30:05+01:00", "2023-01-31T11:30:05.000Z"),
        ("2023-01-31 12:30:05 -0530", "2023-01-31T18:00:05.000Z"),
        ("2023-01-31 12:30:05+02", "2023-01-31T10:30:05.000Z"),
        ("01/31/2023 12:30", "2023-01-31T12:30:00.000Z"),
        ("1/2/2023 3:04:05 PM", "2023-01-02T15:04:05.000Z"),
        ("1/2/2023, 12:00 am", "2023-01-02T00:00:00.000Z"),
        ("2018-01-31 12-PM", "2018-01-31T12:00:00.000Z"),
        ("2018-01-31 12-AM", "2018-01-31T00:00:00.000Z"),
        ("31-Jan-2023 12:30", "2023-01-31T12:30:00.000Z"),
        ("31 january 2023 12:30", "2023-01-31T12:30:00.000Z"),
        ("2023-Jan-31 12:30", "2023-01-31T12:30:00.000Z"),
        ("Sept 3, 2023 12:30", "2023-09-03T12:30:00.000Z"),
        ("1.6725312600e+12", "2023-01-01T00:01:00.000Z"),
        ("1.67253126025E9", "2023-01-01T00:01:00.250Z"),
        ("1.672531260123456e+15", "2023-01-01T00:01:00.123Z"),
        ("1.672531260123456789e18", "2023-01-01T00:01:00.123Z"),
        ("2023-01-31", "2023-01-31"),
        ("20230131", "2023-01-31"),
        ("01/31/2023", "2023-01-31"),
        ("Jan 31, 2023", "2023-01-31"),
        ("31 Jan 2023", "2023-01-31"),
        ("2024-02-29", "2024-02-29"),
        ("1672531260", "2023-01-01T00:01:00.000Z"),
        ("2023-01-31T12:30:05+01:00", "2023-01-31T11:30:05.000Z"),
    ] {
        assert_eq!(read_in("UTC", text), Ok(expected.to_owned()), "{text}");
    }
}

#[test]
fn clocks_are_those_of_the_zone() {
    let new_york = |text| read_in("America/New_York", text);
    assert_eq!(new_york("2023-01-31 12:30"), Ok("2023-01-31T17:30:00.000Z".to_owned()));
    assert_eq!(new_york("2023-07-31 12:30"), Ok("2023-07-31T16:30:00.000Z".to_owned()));
    assert_eq!(new_york("2023-07-31 12:30 UTC"), Ok("2023-07-31T12:30:00.000Z".to_owned()), "it names its own");
    assert_eq!(new_york("1672531260"), Ok("2023-01-01T00:01:00.000Z".to_owned()), "an epoch has none");
    assert!(new_york("2023-03-12 02:30").unwrap_err().contains("go forward"));
    assert!(new_york("2023-11-05 01:30").unwrap_err().contains("twice"));
    assert_eq!(new_york("2023-11-05 01:30-05:00"), Ok("2023-11-05T06:30:00.000Z".to_owned()));
}

#[test]
fn what_is_not_clear_is_refused_with_the_way_out() {
    for (text, why) in [
        ("31/01/2023 12:30", "month/day/year"),
        ("01-02-2023 12:30", "month or day first"),
        ("01.02.2023", "month or day first"),
        ("2023-01-31 12:30 EST", "by letters"),
        ("2023-01-31 12", "minutes"),
        ("2023-02-30", "calendar"),
        ("2023-01-31 25:00", "time of the day"),
        ("2023-01-31 13:00 PM", "from 1 to 12"),
        ("1999-12-31", "2000 to 2099"),
        ("12/31/1999 23:00", "2000 to 2099"),
        ("19991231", "2000 to 2099"),
        ("1e30", "2000 to 2099"),
        ("yesterday", "RFC 3339"),
        ("", "RFC 3339"),
        ("2023-01-31 12:30 +99:00", "RFC 3339"),
        ("2023-01-31 12:30 UTC x", "RFC 3339"),
        ("2023-01-31x", "RFC 3339"),
        ("5", "2000 to 2099"),
    ] {
        let said = read_in("UTC", text).expect_err(text);
        assert!(said.contains(why), "{text}: {said}");
    }
}

proptest! {
    /// Against the standard form of the same moment.
    #[test]
    fn the_same_moment_in_every_order(
        ms in TIMESTAMP_MIN.millis()..TIMESTAMP_END.millis(),
        way in 0_usize..6,
    ) {
        let whole = ms / 1000 * 1000;
        let at = jiff::Timestamp::from_millisecond(whole).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
        let way = ["%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%Y-%m-%dD%H:%M:%S", "%d-%b-%Y %I:%M:%S %p", "%B %d, %Y %H:%M:%S UTC", "%Y/%m/%d %H:%M:%S%z"][way];
        let text = at.strftime(way).to_string();
        prop_assert_eq!(read_in("UTC", &text), Ok(Timestamp::from_millis(whole).to_string()), "{}", text);
    }

    #[test]
    fn any_text_is_answered(text in "[-0-9:/., TDZeapmPMJn+]{0,40}") {
        let _ = read_in("Europe/Berlin", &text);
    }
}
