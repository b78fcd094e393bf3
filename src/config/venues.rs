//! Values of `collect.venues` and `collect.markets`: lists of tables, or as short texts.

use super::kind::is_http_url;
use std::collections::BTreeSet;
use toml::{Table, Value};

/// The exchanges whose trades are collected.
pub const VENUES: &[&str] = &["binance", "bitstamp", "bybit", "coinbase", "coinbase_advanced", "kraken", "okx"];
/// Names of [`TradeStream`](super::TradeStream).
const STREAMS: [&str; 2] = ["trade", "aggTrade"];
/// The venue that has the second of them, too.
const AGGREGATES: &str = "binance";
/// The most markets, over all of them.
pub const MARKETS_MAX: usize = 2000;
/// The longest name of a market in bytes.
const MARKET_BYTES_MAX: usize = 32;

/// What is allowed, for people.
pub(super) fn allowed_venues() -> String {
    format!(
        "a list of tables, as in [{{ venue = \"binance\", symbols = [\"BTCUSDT\"] }}], or binance:BTCUSDT,kraken:BTC/USD; venues \
         are {}; stream_url and api_url may name other addresses, and stream = \"aggTrade\" asks {AGGREGATES} for aggregate trades",
        VENUES.join(", ")
    )
}

/// What is allowed, for people.
pub(super) fn allowed_names() -> String {
    "a table of names and the markets that each is made of, as in { BTC = [\"BTCUSDT\", \"kraken:BTC/USD\"] }"
        .to_owned()
}

/// Words that stand for parts of an archive's address.
pub const TEMPLATE_WORDS: &[&str] =
    &["market", "span", "kind", "symbol", "interval", "date", "year", "month", "day", "exchange"];

/// What is allowed, for people.
pub(super) fn allowed_template() -> String {
    format!("http:// or https://, a host and a path, in which any of {{{}}} may stand", TEMPLATE_WORDS.join("}, {"))
}

/// Whether it is an address once its words in braces are filled in.
pub(super) fn is_template(text: &str) -> bool {
    let filled = TEMPLATE_WORDS.iter().fold(text.to_owned(), |text, word| text.replace(&format!("{{{word}}}"), "x"));
    !filled.contains(['{', '}']) && is_http_url(&filled)
}

/// `venue:market` with commas, as a list of tables: one per venue, in the order in which they come first.
pub(super) fn venues_of_text(text: &str) -> Option<Value> {
    let mut venues: Vec<(&str, Vec<Value>)> = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (venue, market) = item.split_once(':')?;
        match venues.iter_mut().find(|(known, _)| *known == venue) {
            Some((_, markets)) => markets.push(Value::from(market)),
            None => venues.push((venue, vec![Value::from(market)])),
        }
    }
    let table = |(venue, markets): (&str, Vec<Value>)| {
        let pairs = [("venue", Value::from(venue)), ("symbols", Value::Array(markets))];
        Value::Table(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    Some(Value::Array(venues.into_iter().map(table).collect()))
}

pub(super) fn is_market(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MARKET_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_/.".contains(&b))
}

/// What is wrong with a list of venues.
pub(super) fn check_venues(value: &Value) -> Result<(), String> {
    let list = value.as_array().ok_or("no list")?;
    let (mut count, mut seen) = (0, BTreeSet::new());
    for item in list {
        let table = item.as_table().ok_or_else(|| format!("{item} is no table"))?;
        if let Some(key) =
            table.keys().find(|key| !["venue", "symbols", "stream", "stream_url", "api_url"].contains(&key.as_str()))
        {
            return Err(format!("`{key}` is no key of a venue"));
        }
        let name = table.get("venue").and_then(Value::as_str).ok_or("a venue has no name")?;
        if !VENUES.contains(&name) {
            let nearest = VENUES.iter().max_by_key(|known| (strsim::jaro_winkler(known, name) * 1000.0) as u32);
            return Err(format!("`{name}` is no venue, did you mean {}?", nearest.unwrap_or(&"")));
        }
        let markets = table.get("symbols").and_then(Value::as_array).filter(|markets| !markets.is_empty());
        for market in markets.ok_or_else(|| format!("{name} has no symbols"))? {
            let text = market.as_str().filter(|text| is_market(text));
            let text = text.ok_or_else(|| format!("{market} is no market of {name}"))?;
            if !seen.insert((name, text)) {
                return Err(format!("{name}:{text} is there twice"));
            }
            count += 1;
        }
        check_stream(name, table.get("stream"))?;
        check_url(table, "stream_url", &["ws", "wss"])?;
        check_url(table, "api_url", &["http", "https"])?;
    }
    if count > MARKETS_MAX {
        return Err(format!("{count} markets are too many, at most {MARKETS_MAX} are allowed"));
    }
    Ok(())
}

fn check_stream(venue: &str, stream: Option<&Value>) -> Result<(), String> {
    let Some(stream) = stream else { return Ok(()) };
    match stream.as_str() {
        Some(name) if name == STREAMS[0] || (name == STREAMS[1] && venue == AGGREGATES) => Ok(()),
        Some(name) if name == STREAMS[1] => {
            Err(format!("stream = \"{name}\": of {venue} there are single trades alone; leave it out"))
        }
        _ => Err(format!("stream = {stream} is none: there are {}", STREAMS.join(" and "))),
    }
}

fn check_url(table: &Table, key: &str, schemes: &[&str]) -> Result<(), String> {
    let Some(value) = table.get(key) else { return Ok(()) };
    let text = value.as_str().ok_or_else(|| format!("{key} is no text"))?;
    let rest = text.split_once("://").filter(|(scheme, _)| schemes.contains(scheme)).map(|(_, rest)| rest);
    if rest.is_some_and(|rest| is_http_url(&format!("http://{rest}"))) {
        return Ok(());
    }
    Err(format!("{key} = {value} is no address: it begins with {}://", schemes.join(":// or ")))
}

/// What is wrong with a table of names.
pub(super) fn check_names(value: &Value) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (name, markets) in value.as_table().ok_or("no table")? {
        if crate::market::Symbol::new(name).is_err() {
            return Err(format!("{name:?} is no symbol"));
        }
        let markets = markets.as_array().filter(|markets| !markets.is_empty());
        for market in markets.ok_or_else(|| format!("{name} has no list of markets"))? {
            let text = market.as_str().unwrap_or_default();
            let (venue, bare) = text.split_once(':').map_or((None, text), |(venue, bare)| (Some(venue), bare));
            if !is_market(bare) || venue.is_some_and(|venue| !VENUES.contains(&venue)) {
                return Err(format!("{market} is no market"));
            }
            if !seen.insert(text) {
                return Err(format!("{text} is there twice"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Value {
        toml::from_str::<Table>(&format!("v = {text}")).unwrap().remove("v").unwrap()
    }

    #[test]
    fn short_texts_are_tables() {
        let text = venues_of_text("binance:BTCUSDT, kraken:BTC/USD ,binance:ETHUSDT").unwrap();
        let expected = r#"[{venue="binance", symbols=["BTCUSDT", "ETHUSDT"]}, {venue="kraken", symbols=["BTC/USD"]}]"#;
        assert_eq!(text, list(expected));
        assert!(venues_of_text("BTCUSDT").is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            (
                r#"[{venue="binance", symbols=["BTCUSDT"], stream_url="ws://127.0.0.1:1", api_url="http://a/b"}]"#,
                Ok(()),
            ),
            (r#"[{venue="binanc", symbols=["BTCUSDT"]}]"#, Err("`binanc` is no venue, did you mean binance?")),
            (r#"[{venue="kraken"}]"#, Err("kraken has no symbols")),
            (r#"[{venue="kraken", symbols=["BTC USD"]}]"#, Err("\"BTC USD\" is no market of kraken")),
            (r#"[{venue="kraken", symbols=["A"]}, {venue="kraken", symbols=["A"]}]"#, Err("kraken:A is there twice")),
            (
                r#"[{venue="binance", symbols=["A"], stream="aggTrade"}, {venue="okx", symbols=["A"], stream="trade"}]"#,
                Ok(()),
            ),
            (
                r#"[{venue="okx", symbols=["A"], stream="aggTrade"}]"#,
                Err("stream = \"aggTrade\": of okx there are single trades alone; leave it out"),
            ),
            (
                r#"[{venue="binance", symbols=["A"], stream="aggtrade"}]"#,
                Err("stream = \"aggtrade\" is none: there are trade and aggTrade"),
            ),
            (
                r#"[{venue="binance", symbols=["A"]}, {venue="binance", symbols=["A"], stream="aggTrade"}]"#,
                Err("binance:A is there twice"),
            ),
            (r#"[{venue="kraken", symbols=["A"], url="x"}]"#, Err("`url` is no key of a venue")),
            (
                r#"[{venue="kraken", symbols=["A"], stream_url="http://a"}]"#,
                Err("stream_url = \"http://a\" is no address: it begins with ws:// or wss://"),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(check_venues(&list(text)), expected.map_err(str::to_owned), "{text}");
        }
        let table = [
            (r#"{BTC = ["BTCUSDT", "kraken:BTC/USD"]}"#, Ok(())),
            (r#"{BTC = ["A"], X = ["A"]}"#, Err("A is there twice")),
            (r#"{BTC = ["bitfoo:A"]}"#, Err("\"bitfoo:A\" is no market")),
            (r"{BTC = []}", Err("BTC has no list of markets")),
        ];
        for (text, expected) in table {
            assert_eq!(check_names(&list(text)), expected.map_err(str::to_owned), "{text}");
        }
    }
}
