//! Where an archive's files are, by templates that a mirror can replace; and where they lie here.

use super::period::Period;
use crate::config::{HistoryConfig, HistoryKind, HistoryVenue};

/// The address of Binance's archives.
const BINANCE: &str = "https://data.binance.vision/data";
const BINANCE_KLINES: &str = "/{market}/{span}/klines/{symbol}/{interval}/{symbol}-{interval}-{date}.zip";
const BINANCE_TRADES: &str = "/{market}/{span}/{kind}/{symbol}/{symbol}-{kind}-{date}.zip";
const TARDIS: &str = "https://datasets.tardis.dev/v1";
const TARDIS_TRADES: &str = "/{exchange}/{kind}/{year}/{month}/{day}/{symbol}.csv.gz";

/// The addresses of one kind of files.
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
    market: String,
    kind: HistoryKind,
    interval: String,
}

impl Template {
    /// As configured; none where the venue has no archive.
    #[must_use]
    pub fn new(config: &HistoryConfig) -> Option<Self> {
        let HistoryConfig { venue, market, kind, interval, url, .. } = config;
        let (base, path) = match (venue, kind) {
            (HistoryVenue::Binance, HistoryKind::Klines) => (BINANCE, BINANCE_KLINES),
            (HistoryVenue::Binance, _) => (BINANCE, BINANCE_TRADES),
            (HistoryVenue::Tardis, _) => (TARDIS, TARDIS_TRADES),
            _ => return None,
        };
        let url = url.as_deref().unwrap_or(base).trim_end_matches('/');
        // With words in it, it is the whole of it.
        let text = if url.contains('{') { url.to_owned() } else { format!("{url}{path}") };
        Some(Self { text, market: market.clone(), kind: *kind, interval: interval.to_string() })
    }

    /// The address of a market's file.
    #[must_use]
    pub fn url(&self, symbol: &str, period: Period) -> String {
        let (year, month, day) = period.parts();
        let span = if matches!(period, Period::Month(_)) { "monthly" } else { "daily" };
        let words = [
            ("market", self.market.as_str()),
            ("exchange", &self.market),
            ("span", span),
            ("kind", self.kind.name()),
            ("symbol", symbol),
            ("interval", &self.interval),
            ("date", &period.to_string()),
            ("year", &year),
            ("month", &month),
            ("day", day.as_deref().unwrap_or_default()),
        ];
        words.into_iter().fold(self.text.clone(), |text, (word, value)| text.replace(&format!("{{{word}}}"), value))
    }

    /// Where it lies, from the directory.
    #[must_use]
    pub fn path(&self, symbol: &str, period: Period) -> String {
        let last = self.text.rsplit('/').next().unwrap_or_default();
        let ending = last.split_once('.').map_or("", |(_, ending)| ending);
        format!("{}.{ending}", path(symbol, self.what(), &period.to_string()))
    }

    fn what(&self) -> &str {
        if self.kind == HistoryKind::Klines { &self.interval } else { self.kind.name() }
    }
}

/// A path from the directory, without what says how it is written.
#[must_use]
pub fn path(symbol: &str, what: &str, when: &str) -> String {
    let symbol = symbol.replace('/', "-");
    format!("{symbol}/{symbol}-{what}-{when}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Timestamp;

    #[test]
    fn addresses_are_the_venues_or_a_mirrors() {
        let (day, month) = (Period::day_of(Timestamp::from_millis(1_704_164_645_000)), Period::Month(648));
        let address = |config: HistoryConfig, period| Template::new(&config).unwrap().url("BTCUSDT", period);
        let binance = HistoryConfig::default;
        assert_eq!(
            address(binance(), month),
            "https://data.binance.vision/data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip"
        );
        let futures =
            HistoryConfig { market: "futures/um".to_owned(), kind: HistoryKind::AggTrades, ..HistoryConfig::default() };
        assert_eq!(
            address(futures, day),
            "https://data.binance.vision/data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01-02.zip"
        );
        let mirror = HistoryConfig { url: Some("http://a/m/".to_owned()), ..HistoryConfig::default() };
        assert_eq!(address(mirror, day), "http://a/m/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-02.zip");
        let whole =
            HistoryConfig { url: Some("http://a/{year}/{symbol}.csv.gz".to_owned()), ..HistoryConfig::default() };
        let template = Template::new(&whole).unwrap();
        assert_eq!(template.url("X", day), "http://a/2024/X.csv.gz");
        assert_eq!(template.path("BTC/USD", day), "BTC-USD/BTC-USD-1m-2024-01-02.csv.gz");
        let tardis = HistoryConfig {
            venue: HistoryVenue::Tardis,
            market: "bitmex".to_owned(),
            kind: HistoryKind::Trades,
            ..HistoryConfig::default()
        };
        assert_eq!(address(tardis, day), "https://datasets.tardis.dev/v1/bitmex/trades/2024/01/02/BTCUSDT.csv.gz");
        assert!(Template::new(&HistoryConfig { venue: HistoryVenue::Kraken, ..HistoryConfig::default() }).is_none());
    }
}
