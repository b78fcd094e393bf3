use super::*;

fn split(header: &str, line: &str) -> Result<Vec<String>, &'static str> {
    let columns = Columns::new(header.as_bytes(), &Naming::default()).unwrap();
    let mut fields = Fields::default();
    columns.split(line.as_bytes(), &mut fields).map_err(|e| e.reason)?;
    let show = |field| match fields.get(field) {
        Raw::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    };
    Ok([Field::Symbol, Field::Timestamp, Field::Price, Field::Size].map(show).to_vec())
}

#[test]
fn finds_columns_in_any_order_and_case() {
    for (header, line) in [
        ("symbol,timestamp,price,size", "BTC,1,2,3"),
        ("Volume,PRICE_USD,Pair,Date\r", "3,2,BTC,1\r"),
        ("\u{feff}\"ticker\", \"ts_ms\",price , qty,note", "\"BTC\", \"1\" ,2 , 3,\"a, \"\"b\"\"\""),
        ("time,price,amount,ticker,date", "1,2,3,BTC,9"),
        ("symbol;datetime;last;Qty.", "BTC;1;2;3"),
        ("Pair\tUnix\tRate\tBase Volume", "BTC\t1\t2\t3"),
        ("pair|epoch|price|size", "BTC|1|2|3"),
    ] {
        assert_eq!(split(header, line).unwrap(), ["BTC", "1", "2", "3"], "{header}");
    }
    assert_eq!(split("symbol,ts,price,size", ",,,").unwrap(), ["", "Absent", "Absent", "Absent"]);
    assert_eq!(split("symbol,ts,price,size", "-,null,NaN,N/A").unwrap(), ["-", "Absent", "Absent", "Absent"]);
}

#[test]
fn a_line_needs_as_many_fields_as_the_header() {
    for line in ["", "1", "1,2,3", "1,2,3,4,5", "1,2,3,\"4", "1,2,\"3\"x,4"] {
        assert_eq!(split("symbol,ts,price,size", line), Err("wrong_columns"), "{line}");
    }
}

#[test]
fn headers_that_cannot_be_used_say_why() {
    let error = |header: &str| Columns::new(header.as_bytes(), &Naming::default()).unwrap_err().to_string();
    assert!(error("price,size").contains("timestamp, ts, ts_ms, time, date"));
    assert!(error("ts,size").contains("price, price_usd"));
    assert!(error("ts,open,high,low").contains("no column for the close"));
    assert!(error("ts,price,Price").contains("`price` twice"));
    assert!(error("\"ts,price").contains("quotes"));
    assert!(error("Bitcoin since 2010").contains("is no header: CSV files need one"));
    assert!(error("symbol,timestamp,is_snapshot,side,price,amount").contains("order book"));
    assert_eq!(Columns::new(b"ts,price,note,note", &Naming::default()).map(|columns| columns.slots.len()), Ok(4));
}

#[test]
fn records_without_a_header_are_told_what_to_name() {
    let error = |line: &str| Columns::new(line.as_bytes(), &Naming::default()).unwrap_err().to_string();
    for (line, expected) in [
        (
            "1617321600,58720.45,0.5",
            "record of 3 columns: say what they are, as in --set 'source.files.columns=[\"timestamp\",\"price\",\"size\"]'",
        ),
        (
            "1672531200,20000.0,20002.54,19991.86,19994.15,1.3498,3",
            "[\"timestamp\",\"open\",\"high\",\"low\",\"close\",\"volume\",\"count\"]",
        ),
        ("2023-01-01 00:00:00;19994,15;1,5;buy", "4 columns"),
        ("a\t1\t2\t3\t4\t5\t6\t7\t8", "9 columns"),
    ] {
        assert!(error(line).contains(expected), "{}", error(line));
    }
}

#[test]
fn names_stand_in_for_a_header() {
    let naming = Naming::of_list(["timestamp", "_", "price", "size"]).unwrap();
    for line in ["1,x,2,3", "1;x;2,5;3", "1\tx\t2\t3", "1|x|2|3\r"] {
        let columns = Columns::new(line.as_bytes(), &naming).unwrap();
        let mut fields = Fields::default();
        columns.split(line.as_bytes(), &mut fields).unwrap();
        assert_eq!(fields.get(Field::Size), Raw::Text(b"3"), "{line}");
        assert!(columns.headless);
    }
    let error = Columns::new(b"1,2,3", &naming).unwrap_err().to_string();
    assert!(error.contains("has 3 columns") && error.contains("names 4"), "{error}");
}

#[test]
fn words_of_the_configuration_win_over_names() {
    let naming = Naming::of_words([("price", "Close"), ("size", "_")]).unwrap();
    let columns = Columns::new(b"time;last;close;volume", &naming).unwrap();
    let expected = [Some(Field::Timestamp), None, Some(Field::Price), None];
    assert_eq!((columns.delimiter, columns.slots().collect::<Vec<_>>()), (b';', expected.to_vec()));
    let error = Columns::new(b"time,last", &naming).unwrap_err().to_string();
    assert!(error.contains("no column `Close`, which source.files.columns names for the price"), "{error}");
}
