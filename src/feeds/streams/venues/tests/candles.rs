//! The venues' candles.

use super::super::*;

#[test]
fn candles_of_a_minute() {
    let names = crate::feeds::streams::record::Names::new("BTC".to_owned(), "x".to_owned(), "BTC".to_owned());
    let written = |venue: &dyn Venue, body: &str| -> Result<Vec<String>, String> {
        let write = |candle: &Candle| {
            let mut out = Vec::new();
            candle.write(&names, &mut out);
            let text = String::from_utf8(out).unwrap();
            let line = text.strip_prefix(r#"{"symbol":"BTC","exchange":"x","market":"BTC","timestamp":"#).unwrap();
            format!("{line}{}", if candle.is_empty { " empty" } else { "" })
        };
        venue.read_candles(body).map(|candles| candles.iter().map(write).collect())
    };
    let (from, to) = (Timestamp::from_millis(1_499_040_000_000), Timestamp::from_millis(1_499_040_120_000));
    // Opens, high, low, close, volume, close time, quote volume, trades, the takers' share of both.
    let body = r#"[[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,"2434.19055334",308,"1756.87402397","28.46694368","0"]]"#;
    assert_eq!(
        written(&Binance, body).unwrap(),
        [
            r#"1499040000000,"interval":"1m","open":0.01634790,"high":0.80000000,"low":0.01575800,"close":0.01577100,"volume":148976.11427815,"quote_volume":2434.19055334,"count":308,"taker_buy_volume":1756.87402397}"#
        ]
    );
    assert_eq!(
        Binance.candles("BTCUSDT", from, to),
        "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1499040000000&endTime=1499040119999&limit=1000"
    );
    let body = r#"{"data":{"ohlc":[{"close":"69431","high":"69440","low":"69400.5","open":"69410","timestamp":"1717840380","volume":"0.51000000"},{"close":"1","high":"1","low":"1","open":"1","timestamp":"1717840440","volume":"0.00000000"}],"pair":"BTC/USD"}}"#;
    assert_eq!(
        written(&Bitstamp, body).unwrap(),
        [
            r#"1717840380000,"interval":"1m","open":69410,"high":69440,"low":69400.5,"close":69431,"volume":0.51000000}"#,
            r#"1717840440000,"interval":"1m","open":1,"high":1,"low":1,"close":1,"volume":0.00000000} empty"#
        ]
    );
    assert_eq!(
        Bitstamp.candles("btcusd", from, to),
        "/api/v2/ohlc/btcusd/?step=60&limit=1000&start=1499040000&end=1499040119"
    );
    // Time, open, high, low, close, volume, turnover.
    let body = r#"{"retCode":0,"retMsg":"OK","result":{"symbol":"BTCUSDT","category":"spot","list":[["1670608800000","17071","17073","17027","17055.5","268611","15.74462667"]]},"retExtInfo":{},"time":1672025956592}"#;
    assert_eq!(
        written(&Bybit, body).unwrap(),
        [
            r#"1670608800000,"interval":"1m","open":17071,"high":17073,"low":17027,"close":17055.5,"volume":268611,"quote_volume":15.74462667}"#
        ]
    );
    assert_eq!(
        Bybit.candles("BTCUSDT", from, to),
        "/v5/market/kline?category=spot&symbol=BTCUSDT&interval=1&start=1499040000000&end=1499040119999&limit=1000"
    );
    // Time, low, high, open, close, volume.
    let body = "[[1415398768,0.32,4.2,0.35,4.20000001,12.3],[1415398708,1,1,1,1,0]]";
    assert_eq!(
        written(&Coinbase, body).unwrap(),
        [
            r#"1415398768000,"interval":"1m","open":0.35,"high":4.2,"low":0.32,"close":4.20000001,"volume":12.3}"#,
            r#"1415398708000,"interval":"1m","open":1,"high":1,"low":1,"close":1,"volume":0} empty"#
        ]
    );
    assert_eq!(
        Coinbase.candles("BTC-USD", from, to),
        "/products/BTC-USD/candles?granularity=60&start=2017-07-03T00:00:00.000Z&end=2017-07-03T00:02:00.000Z"
    );
    // Time, open, high, low, close, vwap, volume, trades.
    let body = r#"{"error":[],"result":{"XXBTZUSD":[[1688671200,"30306.1","30306.2","30305.7","30305.7","30306.1","3.39243896",23],[1688671260,"1","1","1","1","1","1",1]],"last":1688672160}}"#;
    assert_eq!(
        written(&Kraken, body).unwrap(),
        [
            r#"1688671200000,"interval":"1m","open":30306.1,"high":30306.2,"low":30305.7,"close":30305.7,"volume":3.39243896,"vwap":30306.1,"count":23}"#
        ]
    );
    assert_eq!(Kraken.candles("BTC/USD", from, to), "/0/public/OHLC?pair=XBTUSD&interval=1&since=1499039999");
    assert!(written(&Kraken, r#"{"error":["EQuery:Unknown asset pair"]}"#).unwrap_err().contains("Unknown asset"));
    // Time, open, high, low, close, volume, the same in the quote's, the same of a coin, whether it is over.
    let body = r#"{"code":"0","msg":"","data":[["1597026383085","3.721","3.743","3.677","3.708","22698348.04828491","12698348.04828491","84161.5","1"],["1597026443085","1","1","1","1","1","1","1","0"]]}"#;
    assert_eq!(
        written(&Okx, body).unwrap(),
        [
            r#"1597026383085,"interval":"1m","open":3.721,"high":3.743,"low":3.677,"close":3.708,"volume":22698348.04828491,"quote_volume":84161.5}"#
        ]
    );
    assert_eq!(
        Okx.candles("BTC-USDT", from, to),
        "/api/v5/market/history-candles?instId=BTC-USDT&bar=1m&before=1499039999999&after=1499040120000&limit=100"
    );
    assert!(written(&Binance, r#"[[1499040000000,"NaN","1","1","1","1",1,"1",1,"1"]]"#).unwrap_err().contains("NaN"));
}
