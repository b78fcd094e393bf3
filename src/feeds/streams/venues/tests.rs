//! What the venues' own documents show, read.

use super::*;

mod bent;
mod candles;

fn said(venue: &dyn Venue, markets: &[&str], text: &str) -> Result<Vec<Said>, String> {
    let mut said = Vec::new();
    let markets = Markets::new(markets.iter().map(|name| (*name).to_owned()).collect());
    venue.read(&markets, text, &mut said).map(|()| said)
}

fn trade(market: usize, id: u64, at: &str, price: &str, size: &str, side: Side) -> Trade {
    let received = Timestamp::default();
    Trade { market, id, at: at.into(), price: price.into(), size: size.into(), side: Some(side), parts: None, received }
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
    assert_eq!(Binance.read_page(&wanted, page), Ok(Page { trades, through: Some(28457), cursor: None, lacks: false }));
    assert!(Binance.read_page(&wanted, r#"{"code":-1121,"msg":"Invalid symbol."}"#).is_err());
}

#[test]
fn aggregates_of_binance() {
    let markets = ["BNBBTC", "ETHUSDT"];
    let read = |text: &str| said(&BinanceAggregates, &markets, text);
    let of = |id, at, price, size, parts| Trade { parts, ..trade(0, id, at, price, size, Side::Sell) };
    let expected = of(12345, "1672515782136", "0.00100000", "100.00000000", Some((100, 105)));
    let bare = r#"{"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.00100000","q":"100.00000000","f":100,"l":105,"T":1672515782136,"m":true,"M":true}"#;
    assert_eq!(read(bare), Ok(vec![Said::Trade(expected.clone())]));
    assert_eq!(
        read(&format!(r#"{{"stream":"bnbbtc@aggTrade","data":{bare}}}"#)),
        Ok(vec![Said::Trade(expected.clone())])
    );
    assert_eq!(said(&BinanceAggregates, &["X"], bare), Ok(vec![Said::Foreign]));
    let without = bare.replace("100,\"l\":105", "-1,\"l\":-1");
    assert_eq!(read(&without), Ok(vec![Said::Trade(Trade { parts: None, ..expected })]));
    // Neither takes the other's ids for its own.
    let single = bare.replace("aggTrade", "trade").replace("\"a\"", "\"t\"");
    assert_eq!((read(&single), said(&Binance, &markets, bare)), (Ok(vec![Said::Other]), Ok(vec![Said::Other])));
    assert!(read(&bare.replace("\"a\"", "\"t\"")).is_err());
    let listed = r#"{"result":["ethusdt@aggTrade","bnbbtc@trade"],"id":1}"#;
    assert_eq!(read(listed), Ok(vec![Said::Acknowledged(1)]));
    let end = r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#;
    assert_eq!(read(end), Ok(vec![Said::Ending]));
    let address = BinanceAggregates.address("wss://a", &markets);
    assert_eq!(address, "wss://a/stream?streams=bnbbtc@aggTrade/ethusdt@aggTrade");
    let wanted = want("BNBBTC", 26129, 26140, "1");
    assert_eq!(BinanceAggregates.page(&wanted), "/api/v3/aggTrades?symbol=BNBBTC&fromId=26129&limit=1000");
    let page =
        r#"[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}]"#;
    let trades = vec![of(26129, "1498793709153", "0.01633102", "4.70443515", Some((27781, 27781)))];
    let read = BinanceAggregates.read_page(&wanted, page);
    assert_eq!(read, Ok(Page { trades, through: Some(26129), cursor: None, lacks: false }));
    assert!(BinanceAggregates.read_page(&wanted, r#"{"code":-1121,"msg":"Invalid symbol."}"#).is_err());
}

#[test]
fn bitstamp() {
    let markets = ["btcusd", "ethusd"];
    let read = |text: &str| said(&Bitstamp, &markets, text);
    let text = r#"{"data":{"id":343272513,"timestamp":"1717840425","amount":0.00051,"amount_str":"0.00051000","price":69431,"price_str":"69431","type":0,"microtimestamp":"1717840425928000","buy_order_id":1757206328406016,"sell_order_id":1757206107889664},"channel":"live_trades_btcusd","event":"trade"}"#;
    let expected = trade(0, 343_272_513, "1717840425928000", "69431", "0.00051000", Side::Buy);
    assert_eq!(read(text), Ok(vec![Said::Trade(expected)]));
    assert_eq!(read(&text.replace("_btcusd", "_xrpusd")), Ok(vec![Said::Foreign]));
    let yes = r#"{"event":"bts:subscription_succeeded","channel":"live_trades_ethusd","data":{}}"#;
    assert_eq!(read(yes), Ok(vec![Said::Acknowledged(1)]));
    let no = |channel: &str| {
        format!(
            r#"{{"event":"bts:error","channel":"{channel}","data":{{"code":null,"message":"Bad subscription string."}}}}"#
        )
    };
    for (channel, market) in [("", None), ("live_trades_ethusd", Some(1))] {
        assert_eq!(read(&no(channel)), Ok(vec![Said::Refused(market, "Bad subscription string.".to_owned())]));
    }
    let anew = r#"{"event":"bts:request_reconnect","channel":"","data":""}"#;
    assert_eq!(read(anew), Ok(vec![Said::Ending]));
    let beat = r#"{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}"#;
    assert_eq!(read(beat), Ok(vec![Said::Other]));
    let asked = r#"{"event":"bts:subscribe","data":{"channel":"live_trades_btcusd"}}"#;
    assert_eq!(Bitstamp.subscribe(&markets[..1]), [asked]);
    // Of the last hour, and where that does not reach back to what is known, of the last day.
    let mut wanted = want("btcusd", 343_272_510, 343_272_520, "1717840424928000");
    assert_eq!(Bitstamp.page(&wanted), "/api/v2/transactions/btcusd/?time=hour");
    let body = r#"[{"date":"1717840425","tid":"343272514","amount":"0.00051000","type":"1","price":"69431"},
        {"date":"1717840424","tid":"343272509","amount":"1.00000000","type":"0","price":"69430.5"}]"#;
    let page = Bitstamp.read_page(&wanted, body).unwrap();
    let first = trade(0, 343_272_509, "1717840424", "69430.5", "1.00000000", Side::Buy);
    assert_eq!((&page.trades[0], page.through, page.lacks), (&first, Some(343_272_514), false));
    wanted.hole.first = 343_272_505;
    let page = Bitstamp.read_page(&wanted, body).unwrap();
    assert_eq!((page.through, page.cursor.as_deref(), page.lacks), (None, Some("day"), false));
    wanted.cursor = page.cursor;
    assert_eq!(Bitstamp.page(&wanted), "/api/v2/transactions/btcusd/?time=day");
    let page = Bitstamp.read_page(&wanted, body).unwrap();
    assert_eq!((page.trades.len(), page.through, page.lacks), (2, Some(343_272_514), true));
    let none = Bitstamp.read_page(&wanted, "[]").unwrap();
    assert_eq!((none.through, none.lacks), (None, true));
    // Behind candles the time says whether it reaches: 24 is as early as 24.999.
    for (after_at, lacks) in [("\"2024-06-08T09:53:44.999Z\"", true), ("\"2024-06-08T09:53:45.000Z\"", false)] {
        wanted.after_at = after_at.into();
        assert_eq!(Bitstamp.read_page(&wanted, body).unwrap().lacks, lacks, "{after_at}");
    }
}

#[test]
fn bybit() {
    let markets = ["BTCUSDT", "ETHUSDT"];
    let read = |text: &str| said(&Bybit, &markets, text);
    let text = r#"{"topic":"publicTrade.BTCUSDT","ts":1735689653900,"type":"snapshot","data":[{"i":"2290000000587387108","T":1735689653898,"p":"93611.04","v":"0.000725","S":"Buy","s":"BTCUSDT","BT":false},{"i":"2290000000587387109","T":1735689653898,"p":"93611.77","v":"0.001378","S":"Sell","seq":89200463112,"s":"BTCUSDT","BT":false,"RPI":false}]}"#;
    let of = |id, price, size, side| trade(0, id, "1735689653898", price, size, side);
    let first = of(2_290_000_000_587_387_108, "93611.04", "0.000725", Side::Buy);
    let second = of(2_290_000_000_587_387_109, "93611.77", "0.001378", Side::Sell);
    assert_eq!(read(text), Ok(vec![Said::Trade(first), Said::Trade(second)]));
    let named = text.replace("2290000000587387109", "8c931d9a-b703-5c34-9aeb-860867cf1f66");
    assert!(read(&named).unwrap_err().contains("is no whole number below 2^63"), "as other categories have them");
    let yes = r#"{"success":true,"ret_msg":"subscribe","conn_id":"2324d924-aa4d-45b0-a858-7b8be29ab52b","req_id":"ETHUSDT","op":"subscribe"}"#;
    assert_eq!(read(yes), Ok(vec![Said::Acknowledged(1)]));
    let no = r#"{"success":false,"ret_msg":"error:handler not found,topic:publicTrade.ETHUSDT","conn_id":"da7tne17jutmkv5im010-bcdap","req_id":"","op":"subscribe"}"#;
    let why = "error:handler not found,topic:publicTrade.ETHUSDT".to_owned();
    assert_eq!(read(no), Ok(vec![Said::Refused(Some(1), why)]));
    let pong = r#"{"success":true,"ret_msg":"pong","conn_id":"0970e817-426e-429a-a679-ff7f55e0b16a","op":"ping"}"#;
    assert_eq!(read(pong), Ok(vec![Said::Other]));
    let asked = r#"{"req_id":"BTCUSDT","op":"subscribe","args":["publicTrade.BTCUSDT"]}"#;
    assert_eq!(Bybit.subscribe(&markets[..1]), [asked]);
    let mut wanted = want("BTCUSDT", 2_100_000_000_007_764_200, 2_100_000_000_007_764_270, "1672052955750");
    assert_eq!(Bybit.page(&wanted), "/v5/market/recent-trade?category=spot&symbol=BTCUSDT&limit=60");
    let body = r#"{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[{"execId":"2100000000007764263","symbol":"BTCUSDT","price":"16618.49","size":"0.00012","side":"Buy","time":"1672052955758","isBlockTrade":false}]},"retExtInfo":{},"time":1672053054358}"#;
    let page = Bybit.read_page(&wanted, body).unwrap();
    let first = trade(0, 2_100_000_000_007_764_263, "1672052955758", "16618.49", "0.00012", Side::Buy);
    assert_eq!((&page.trades[..], page.through, page.lacks), (&[first][..], Some(2_100_000_000_007_764_263), true));
    wanted.hole.first = 2_100_000_000_007_764_264;
    assert!(!Bybit.read_page(&wanted, body).unwrap().lacks, "it reaches back to what is known");
    let limited = r#"{"retCode":10006,"retMsg":"Too many visits. Exceeded the API Rate Limit.","result":{}}"#;
    assert!(Bybit.read_page(&wanted, limited).unwrap_err().starts_with("10006: Too many visits"));
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
    wanted.after_at = join.begin(&trade(0, 61_044_952, "1688669597.8", "1", "1", Side::Buy), Numbering::Contiguous).1;
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
