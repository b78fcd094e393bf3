//! What the venues' own documents show, read.

use super::*;
use proptest::prelude::*;

fn said(venue: &dyn Venue, markets: &[&str], text: &str) -> Result<Vec<Said>, String> {
    let mut said = Vec::new();
    let markets = Markets::new(markets.iter().map(|name| (*name).to_owned()).collect());
    venue.read(&markets, text, &mut said).map(|()| said)
}

fn trade(market: usize, id: u64, at: &str, price: &str, size: &str, side: Side) -> Trade {
    let received = Timestamp::default();
    Trade { market, id, at: at.into(), price: price.into(), size: size.into(), side: Some(side), received }
}

fn want(market: &str, first: u64, last: u64, after_at: &str) -> Want {
    Want { number: 1, market: market.to_owned(), hole: Hole { first, last }, after_at: after_at.into(), cursor: None }
}

#[test]
fn binance() {
    let markets = ["BNBBTC", "ETHUSDT"];
    let expected = trade(0, 12345, "1672515782136", "0.00100000", "100.00000000", Side::Sell);
    let bare = r#"{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.00100000","q":"100.00000000","T":1672515782136,"m":true,"M":true}"#;
    assert_eq!(said(&Binance, &markets, bare), Ok(vec![Said::Trade(expected.clone())]));
    let wrapped = format!(r#"{{"stream":"bnbbtc@trade","data":{bare}}}"#);
    assert_eq!(said(&Binance, &markets, &wrapped), Ok(vec![Said::Trade(expected.clone())]));
    assert_eq!(said(&Binance, &["X"], bare), Ok(vec![Said::Foreign]));
    let listed = r#"{"result":["ethusdt@trade","bnbbtc@trade","x@depth"],"id":1}"#;
    assert_eq!(said(&Binance, &markets, listed), Ok(vec![Said::Acknowledged(1), Said::Acknowledged(0)]));
    for end in [
        r#"{"e":"serverShutdown","E":1770123456789}"#,
        r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#,
    ] {
        assert_eq!(said(&Binance, &markets, end), Ok(vec![Said::Ending]));
    }
    let error = r#"{"error":{"code":2,"msg":"Invalid request"},"id":1}"#;
    assert!(
        matches!(&said(&Binance, &markets, error).unwrap()[..], [Said::Refused(None, why)] if why.contains("Invalid"))
    );
    assert!(said(&Binance, &markets, &bare.replace("\"0.00100000\"", "\"NaN\"")).unwrap_err().contains("NaN"));
    assert!(said(&Binance, &markets, r#"{"e":"trade","s":"BNBBTC","t":5}"#).is_err());
    assert_eq!(Binance.address("wss://a", &markets), "wss://a/stream?streams=bnbbtc@trade/ethusdt@trade");
    let wanted = want("BNBBTC", 28457, 28460, "1");
    assert_eq!(Binance.page(&wanted), "/api/v3/historicalTrades?symbol=BNBBTC&fromId=28457&limit=1000");
    let page = r#"[{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}]"#;
    let trades = vec![trade(0, 28457, "1499865549590", "4.00000100", "12.00000000", Side::Sell)];
    assert_eq!(Binance.read_page(&wanted, page), Ok(Page { trades, through: Some(28457), cursor: None }));
    assert!(Binance.read_page(&wanted, r#"{"code":-1121,"msg":"Invalid symbol."}"#).is_err());
}

#[test]
fn coinbase() {
    let markets = ["BTC-USD", "ETH-EUR"];
    let matched = r#"{"type":"match","trade_id":10,"sequence":50,"maker_order_id":"ac928c66-ca53-498f-9c13-a110027a60e8","taker_order_id":"132fb6ae-456b-4654-b4e0-d681ac05cea1","time":"2014-11-07T08:19:27.028459Z","product_id":"BTC-USD","size":"5.23512","price":"400.23","side":"sell"}"#;
    let expected = trade(0, 10, "\"2014-11-07T08:19:27.028459Z\"", "400.23", "5.23512", Side::Buy);
    assert_eq!(said(&Coinbase, &markets, matched), Ok(vec![Said::Trade(expected.clone())]));
    let last = matched.replace("\"match\"", "\"last_match\"");
    assert_eq!(said(&Coinbase, &markets, &last), Ok(vec![Said::Trade(expected)]));
    let subscribed = r#"{"type":"subscriptions","channels":[{"name":"matches","product_ids":["ETH-EUR"],"account_ids":null},{"name":"heartbeat","product_ids":["BTC-USD"]}]}"#;
    assert_eq!(said(&Coinbase, &markets, subscribed), Ok(vec![Said::Acknowledged(1)]));
    let error = r#"{"type":"error","message":"Failed to subscribe","reason":"ETH-EUR is not a valid product"}"#;
    let why = "Failed to subscribe: ETH-EUR is not a valid product".to_owned();
    assert_eq!(said(&Coinbase, &markets, error), Ok(vec![Said::Refused(Some(1), why)]));
    let beat = r#"{"type":"heartbeat","sequence":90,"last_trade_id":0,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}"#;
    assert_eq!(said(&Coinbase, &markets, beat), Ok(vec![Said::Other]));
    let asked = r#"{"type":"subscribe","product_ids":["BTC-USD","ETH-EUR"],"channels":["matches","heartbeat"]}"#;
    assert_eq!(Coinbase.subscribe(&markets), [asked]);
    let page = |first, last| Coinbase.page(&want("BTC-USD", first, last, "1"));
    assert_eq!(page(73, 74), "/products/BTC-USD/trades?limit=1000&after=75");
    assert_eq!(page(73, 5000), "/products/BTC-USD/trades?limit=1000&after=1073");
    let body = r#"[{"time":"2014-11-07T22:19:28.578544Z","trade_id":74,"price":"10.00000000","size":"0.01000000","side":"buy"},
        {"time":"2014-11-07T01:08:43.642366Z","trade_id":73,"price":"100.00000000","size":"0.01000000","side":"sell"}]"#;
    let read = Coinbase.read_page(&want("BTC-USD", 73, 74, "1"), body).unwrap();
    assert_eq!((read.trades[0].id, read.trades[0].side, read.through), (73, Some(Side::Buy), Some(74)));
}

#[test]
fn coinbase_advanced() {
    let markets = ["BTC-USD", "ETH-USD", "ETH-USDC", "USDT-USDC"];
    let read = |text: &str| said(&CoinbaseAdvanced, &markets, text);
    // The newest first, and the maker's side.
    let text = r#"{"channel":"market_trades","client_id":"","timestamp":"2023-02-09T20:19:35.39625135Z","sequence_num":7,"events":[{"type":"update","trades":[{"trade_id":"000000011","product_id":"ETH-USD","price":"1260.02","size":"0.3","side":"SELL","time":"2019-08-14T20:42:27.966Z"},{"trade_id":"000000010","product_id":"ETH-USD","price":"1260.01","size":"0.30000","side":"BUY","time":"2019-08-14T20:42:27.265Z"}]},{"type":"update","trades":[{"trade_id":"9","product_id":"USDT-USDC","price":"1","size":"2","side":"BUY","time":"2019-08-14T20:42:27.265Z"},{"trade_id":"12","product_id":"X-USD","price":"1","size":"2","side":"BUY","time":"2019-08-14T20:42:27.265Z"}]}]}"#;
    let of = |market, id, at, price, size, side| {
        Said::Trade(trade(market, id, &format!("\"2019-08-14T20:42:27.{at}Z\""), price, size, side))
    };
    let expected = vec![
        Said::Numbered(7),
        of(3, 9, "265", "1", "2", Side::Sell),
        of(1, 10, "265", "1260.01", "0.30000", Side::Sell),
        of(2, 10, "265", "1260.01", "0.30000", Side::Sell),
        of(1, 11, "966", "1260.02", "0.3", Side::Buy),
        of(2, 11, "966", "1260.02", "0.3", Side::Buy),
        Said::Foreign,
    ];
    assert_eq!(read(text), Ok(expected));
    assert!(read(&text.replace("1260.02", "NaN")).unwrap_err().contains("NaN"));
    let yes = r#"{"channel":"subscriptions","client_id":"","timestamp":"2026-04-07T14:30:00.000000Z","sequence_num":0,"events":[{"subscriptions":{"heartbeats":["heartbeats"],"market_trades":["BTC-USD","ETH-USD"]}}]}"#;
    assert_eq!(
        read(yes),
        Ok(vec![Said::Numbered(0), Said::Acknowledged(0), Said::Acknowledged(1), Said::Acknowledged(2)]),
        "what is quoted in USDC is answered as in USD"
    );
    let beat = r#"{"channel":"heartbeats","client_id":"","timestamp":"2023-06-23T20:31:26.122969572Z","sequence_num":1,"events":[{"current_time":"2023-06-23 20:31:56.121961769 +0000 UTC m=+91717.525857105","heartbeat_counter":3049}]}"#;
    assert_eq!(read(beat), Ok(vec![Said::Numbered(1), Said::Other]));
    let error = r#"{"type":"error","message":"ETH-USDC: no such product"}"#;
    assert_eq!(read(error), Ok(vec![Said::Refused(Some(2), "ETH-USDC: no such product".to_owned())]));
    let asked = [
        r#"{"type":"subscribe","channel":"heartbeats"}"#,
        r#"{"type":"subscribe","product_ids":["BTC-USD"],"channel":"market_trades"}"#,
    ];
    assert_eq!(
        CoinbaseAdvanced.subscribe(&markets[..1]),
        asked.map(|text| { serde_json::from_str::<serde_json::Value>(text).unwrap().to_string() })
    );
    let page = |market| CoinbaseAdvanced.page(&want(market, 73, 74, "1"));
    assert_eq!(page("ETH-USDC"), "/products/ETH-USD/trades?limit=1000&after=75");
    assert_eq!(page("USDT-USDC"), "/products/USDT-USDC/trades?limit=1000&after=75");
    let from = Timestamp::from_millis(1_499_040_000_000);
    assert_eq!(CoinbaseAdvanced.candles("ETH-USDC", from, from), Coinbase.candles("ETH-USD", from, from));
}

#[test]
fn kraken() {
    let markets = ["MATIC/USD", "BTC/USD"];
    let text = r#"{"channel":"trade","type":"update","data":[{"symbol":"MATIC/USD","side":"buy","price":0.5147,"qty":6423.46326,"ord_type":"limit","trade_id":4665846,"timestamp":"2023-09-25T07:48:36.925533Z"},{"symbol":"MATIC/USD","side":"sell","price":0.51470000000000005,"qty":1136.19677815,"ord_type":"limit","trade_id":4665847,"timestamp":"2023-09-25T07:49:36.925603Z"}]}"#;
    let expected = vec![
        Said::Trade(trade(0, 4_665_846, "\"2023-09-25T07:48:36.925533Z\"", "0.5147", "6423.46326", Side::Buy)),
        Said::Trade(trade(
            0,
            4_665_847,
            "\"2023-09-25T07:49:36.925603Z\"",
            "0.51470000000000005",
            "1136.19677815",
            Side::Sell,
        )),
    ];
    assert_eq!(said(&Kraken, &markets, text), Ok(expected));
    let yes = r#"{"method":"subscribe","result":{"channel":"trade","snapshot":false,"symbol":"BTC/USD"},"success":true,"time_in":"2023-09-25T09:04:31.742599Z","time_out":"2023-09-25T09:04:31.742648Z"}"#;
    assert_eq!(said(&Kraken, &markets, yes), Ok(vec![Said::Acknowledged(1)]));
    let no = r#"{"error":"Currency pair not supported XBT/EUR","method":"subscribe","success":false,"symbol":"XBT/EUR","time_in":"2023-09-25T09:04:31.742599Z"}"#;
    assert_eq!(
        said(&Kraken, &markets, no),
        Ok(vec![Said::Refused(None, "Currency pair not supported XBT/EUR".to_owned())])
    );
    for other in [r#"{"channel":"heartbeat"}"#, r#"{"channel":"status","type":"update","data":[{"system":"online"}]}"#]
    {
        assert_eq!(said(&Kraken, &markets, other), Ok(vec![Said::Other]));
    }
    let asked =
        r#"{"method":"subscribe","params":{"channel":"trade","symbol":["MATIC/USD","BTC/USD"],"snapshot":false}}"#;
    assert_eq!(Kraken.subscribe(&markets), [asked]);
    let mut wanted = want("BTC/USD", 61_044_952, 61_044_953, "\"2023-07-06T18:53:17.827736Z\"");
    assert_eq!(Kraken.page(&wanted), "/0/public/Trades?pair=XBTUSD&since=1688669597826736000&count=1000");
    wanted.after_at = "1688669597.8277369".into();
    assert_eq!(Kraken.page(&wanted), "/0/public/Trades?pair=XBTUSD&since=1688669597826736900&count=1000");
    // Where it goes on behind candles.
    let mut join = crate::feeds::streams::Join::new(Timestamp::from_millis(1_688_669_580_000), 5);
    wanted.after_at = join.begin(&trade(0, 61_044_952, "1688669597.8", "1", "1", Side::Buy)).1;
    assert_eq!(Kraken.page(&wanted), "/0/public/Trades?pair=XBTUSD&since=1688669579999000000&count=1000");
    wanted.cursor = Some("1688671969993150842".to_owned());
    assert!(Kraken.page(&wanted).contains("since=1688671969993150842&"), "not a digit of it is lost");
    let body = r#"{"error":[],"result":{"XXBTZUSD":[["30243.40000","0.34507674",1688669597.8277369,"b","m","",61044952],["30243.30000","0.00376960",1688669598.2804112,"s","l","",61044953]],"last":"1688671969993150842"}}"#;
    let read = Kraken.read_page(&wanted, body).unwrap();
    let first = trade(0, 61_044_952, "1688669597.8277369", "30243.40000", "0.34507674", Side::Buy);
    assert_eq!((&read.trades[0], read.through, read.cursor), (&first, Some(61_044_953), wanted.cursor.clone()));
    assert_eq!(Timestamp::parse(first.at.as_bytes()).unwrap().millis(), 1_688_669_597_827);
    assert_eq!(
        Kraken.read_page(&wanted, r#"{"error":["EGeneral:Too many requests"]}"#),
        Err("EGeneral:Too many requests".to_owned())
    );
}

#[test]
fn okx() {
    let markets = ["ETH-USDT", "BTC-USDT"];
    let text = r#"{"arg":{"channel":"trades-all","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474","px":"42219.9","sz":"0.12060306","source":"0","side":"buy","ts":"1630048897897"}]}"#;
    let expected = trade(1, 130_639_474, "1630048897897", "42219.9", "0.12060306", Side::Buy);
    assert_eq!(said(&Okx, &markets, text), Ok(vec![Said::Trade(expected)]));
    let yes = r#"{"event":"subscribe","arg":{"channel":"trades-all","instId":"BTC-USDT"},"connId":"a4d3ae55"}"#;
    assert_eq!(said(&Okx, &markets, yes), Ok(vec![Said::Acknowledged(1)]));
    let no = r#"{"event":"error","code":"60018","msg":"Wrong URL or channel:trades-all,instId:ETH-USDT doesn't exist. Please use the correct URL, channel and parameters referring to API document.","connId":"a4d3ae55"}"#;
    assert!(
        matches!(&said(&Okx, &markets, no).unwrap()[..], [Said::Refused(Some(0), why)] if why.contains("doesn't exist"))
    );
    let end = r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}"#;
    assert_eq!(said(&Okx, &markets, end), Ok(vec![Said::Ending]));
    assert_eq!(said(&Okx, &markets, "pong"), Ok(vec![Said::Other]));
    let wanted = want("BTC-USDT", 242_720_719, 242_720_720, "1");
    assert_eq!(Okx.page(&wanted), "/api/v5/market/history-trades?instId=BTC-USDT&type=1&after=242720721&limit=100");
    let body = r#"{"code":"0","msg":"","data":[{"instId":"BTC-USDT","side":"sell","sz":"0.00001","source":"0","px":"29963.2","tradeId":"242720720","ts":"1654161646974"},{"instId":"BTC-USDT","side":"sell","sz":"0.00001","source":"0","px":"29964.1","tradeId":"242720719","ts":"1654161641568"}]}"#;
    let read = Okx.read_page(&wanted, body).unwrap();
    let first = trade(0, 242_720_719, "1654161641568", "29964.1", "0.00001", Side::Sell);
    assert_eq!((&read.trades[0], read.through), (&first, Some(242_720_720)));
    let refused = r#"{"code":"51001","msg":"Instrument ID does not exist","data":[]}"#;
    assert_eq!(Okx.read_page(&wanted, refused), Err("51001: Instrument ID does not exist".to_owned()));
}

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

/// Frames and pages as they come, bent: none panics, and a trade that is read has numbers that are numbers.
fn bent() -> impl Strategy<Value = (usize, String)> {
    let texts = [
        r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTC","t":12345,"p":"0.001","q":"100.0","T":1672515782136,"m":true}}"#,
        r#"{"type":"match","trade_id":10,"time":"2014-11-07T08:19:27.028459Z","product_id":"BTC","size":"5.23512","price":"400.23","side":"sell"}"#,
        r#"{"channel":"market_trades","sequence_num":7,"events":[{"type":"update","trades":[{"trade_id":"11","product_id":"BTC","price":"1260.02","size":"0.3","side":"SELL","time":"2019-08-14T20:42:27.966Z"}]}]}"#,
        r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC","side":"buy","price":0.5147,"qty":6423.46326,"trade_id":4665846,"timestamp":"2023-09-25T07:48:36.925533Z"}]}"#,
        r#"{"error":[],"result":{"XXBTZUSD":[["30243.4","0.34507674",1688669597.8277369,"b","m","",61044952]],"last":"1688671969993150842"}}"#,
        r#"{"arg":{"channel":"trades-all","instId":"BTC"},"data":[{"instId":"BTC","tradeId":"130639474","px":"42219.9","sz":"0.1","side":"buy","ts":"1630048897897"}]}"#,
        r#"{"code":"0","msg":"","data":[{"instId":"BTC","side":"sell","sz":"0.1","px":"29963.2","tradeId":"242720720","ts":"1654161646974"}]}"#,
        r#"[[1499040000000,"0.0163","0.8","0.0157","0.0158","148976.1",1499644799999,"2434.1",308,"1756.8","28.4","0"]]"#,
        r#"{"code":"0","msg":"","data":[["1597026383085","3.7","3.8","3.6","3.7","22.1","12.1","84.5","1"]]}"#,
        r#"{"error":[],"result":{"XXBTZUSD":[[1688671200,"30306.1","30306.2","30305.7","30305.7","30306.1","3.3",23]],"last":1}}"#,
        r#"[{"id":28457,"price":"4.0","qty":"12.0","time":1499865549590,"isBuyerMaker":true}]"#,
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
        let venues: [&dyn Venue; 5] = [&Binance, &Coinbase, &CoinbaseAdvanced, &Kraken, &Okx];
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
