//! Messages that are not as they should be.

use super::super::*;
use super::want;
use proptest::prelude::*;

/// Frames and pages as they come, bent: none panics, and a trade that is read has numbers that are numbers.
fn bent() -> impl Strategy<Value = (usize, String)> {
    let texts = [
        r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTC","t":12345,"p":"0.001","q":"100.0","T":1672515782136,"m":true}}"#,
        r#"{"type":"match","trade_id":10,"time":"2014-11-07T08:19:27.028459Z","product_id":"BTC","size":"5.23512","price":"400.23","side":"sell"}"#,
        r#"{"data":{"id":343272513,"amount_str":"0.00051000","price_str":"69431","type":0,"microtimestamp":"1717840425928000"},"channel":"live_trades_BTC","event":"trade"}"#,
        r#"[{"date":"1717840425","tid":"15","amount":"0.00051000","type":"1","price":"69431"},{"date":"1717840424","tid":"9","amount":"1.0","type":"0","price":"69430.5"}]"#,
        r#"{"data":{"ohlc":[{"close":"69431","high":"69440","low":"69400.5","open":"69410","timestamp":"1717840380","volume":"0.51"}],"pair":"BTC/USD"}}"#,
        r#"{"topic":"publicTrade.BTC","ts":1761583474344,"type":"snapshot","data":[{"i":"2290000000923750370","T":1761583474343,"p":"115440.7","v":"0.00903","S":"Buy","seq":89200463112,"s":"BTC","BT":false}]}"#,
        r#"{"retCode":0,"retMsg":"OK","result":{"list":[{"execId":"2290000001182376173","symbol":"BTC","price":"65446.3","size":"0.001","side":"Sell","time":"1784793525468"}]}}"#,
        r#"{"retCode":0,"retMsg":"OK","result":{"list":[["1670608800000","17071","17073","17027","17055.5","268611","15.74"]]}}"#,
        r#"{"channel":"market_trades","sequence_num":7,"events":[{"type":"update","trades":[{"trade_id":"11","product_id":"BTC","price":"1260.02","size":"0.3","side":"SELL","time":"2019-08-14T20:42:27.966Z"}]}]}"#,
        r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC","side":"buy","price":0.5147,"qty":6423.46326,"trade_id":4665846,"timestamp":"2023-09-25T07:48:36.925533Z"}]}"#,
        r#"{"error":[],"result":{"XXBTZUSD":[["30243.4","0.34507674",1688669597.8277369,"b","m","",61044952]],"last":"1688671969993150842"}}"#,
        r#"{"arg":{"channel":"trades-all","instId":"BTC"},"data":[{"instId":"BTC","tradeId":"130639474","px":"42219.9","sz":"0.1","side":"buy","ts":"1630048897897"}]}"#,
        r#"{"code":"0","msg":"","data":[{"instId":"BTC","side":"sell","sz":"0.1","px":"29963.2","tradeId":"242720720","ts":"1654161646974"}]}"#,
        r#"[[1499040000000,"0.0163","0.8","0.0157","0.0158","148976.1",1499644799999,"2434.1",308,"1756.8","28.4","0"]]"#,
        r#"{"code":"0","msg":"","data":[["1597026383085","3.7","3.8","3.6","3.7","22.1","12.1","84.5","1"]]}"#,
        r#"{"error":[],"result":{"XXBTZUSD":[[1688671200,"30306.1","30306.2","30305.7","30305.7","30306.1","3.3",23]],"last":1}}"#,
        r#"[{"id":28457,"price":"4.0","qty":"12.0","time":1499865549590,"isBuyerMaker":true}]"#,
        r#"{"e":"aggTrade","E":1,"s":"BTC","a":12345,"p":"0.001","q":"100.0","f":100,"l":105,"T":1672515782136,"m":true}"#,
        r#"[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27785,"T":1498793709153,"m":true,"M":true}]"#,
        r#"[{"trade_id":74,"price":"10.0","size":"0.01","side":"buy","time":"2014-11-07T22:19:28.578544Z"}]"#,
    ];
    let bend = (0..texts.len(), proptest::collection::vec((any::<u16>(), 0_u8..6, any::<u8>()), 0..6));
    bend.prop_map(move |(which, bends)| {
        let mut bytes = texts[which].as_bytes().to_vec();
        for (at, how, byte) in bends {
            let at = usize::from(at) % bytes.len().max(1);
            let odd = b"\"{}[],:0-9.eE\\tnull"[usize::from(byte) % 19];
            match how {
                0 => bytes[at] = odd,
                1 => bytes.insert(at, odd),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                3 => bytes.truncate(at.max(1)),
                4 => bytes[at] = byte,
                _ => {
                    let tail = bytes[at..].to_vec();
                    bytes.extend(tail);
                }
            }
        }
        (which, String::from_utf8_lossy(&bytes).into_owned())
    })
}

/// `TICKCAST_TEST_FUZZ` says how many.
fn cases() -> u32 {
    let asked = std::env::var("TICKCAST_TEST_FUZZ").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(if cfg!(debug_assertions) { 5000 } else { 100_000 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn bent_messages_do_no_harm((which, text) in bent()) {
        let venues: [&dyn Venue; 8] = [&Binance, &BinanceAggregates, &Bitstamp, &Bybit, &Coinbase, &CoinbaseAdvanced, &Kraken, &Okx];
        let markets = Markets::new(vec!["BTC".to_owned()]);
        let wanted = want("BTC", 10, 20, "1");
        let names = crate::feeds::streams::record::Names::new("BTC".to_owned(), "x".to_owned(), "BTC".to_owned());
        for venue in venues {
            let mut said = Vec::new();
            let _ = venue.read(&markets, &text, &mut said);
            for candle in venue.read_candles(&text).unwrap_or_default() {
                let mut out = Vec::new();
                candle.write(&names, &mut out);
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok(), "{which} {candle:?}");
            }
            let page = venue.read_page(&wanted, &text).map(|page| page.trades).unwrap_or_default();
            let trades = said.into_iter().filter_map(|said| if let Said::Trade(trade) = said { Some(trade) } else { None });
            for trade in trades.chain(page) {
                prop_assert!(is_number(&trade.price) && is_number(&trade.size), "{which} {trade:?}");
                prop_assert!(serde_json::from_str::<serde_json::Value>(&trade.at).is_ok());
            }
        }
    }
}
