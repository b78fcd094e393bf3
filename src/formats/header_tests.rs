use super::super::naming::name_of;
use super::*;

/// `timestamp=0 price=1`, with what is missing, and the format in front.
fn found(header: &str) -> String {
    let keys: Vec<String> = header.split(',').map(key).collect();
    let found = find(&keys, &[]);
    let mut fields: Vec<String> = found.fields.iter().map(|(field, at)| format!("{}={at}", name_of(*field))).collect();
    fields.extend(found.missing.map(|field| format!("no {}", name_of(field))));
    format!("{:?} {}", found.format, fields.join(" "))
}

/// In any order.
fn words(text: &str) -> std::collections::BTreeSet<&str> {
    text.split(' ').collect()
}

#[test]
fn words_are_their_letters_and_digits() {
    for word in ["Open time", "open_time", "OPEN-TIME", "open.time", "openTime", " Open (time) "] {
        assert_eq!(key(word), "opentime");
    }
    assert_eq!((key("Volume_(BTC)").as_str(), key("Vol.").as_str(), key("***").as_str()), ("volumebtc", "vol", ""));
}

/// The headers of exchanges, archives and libraries.
#[test]
fn headers_that_people_have() {
    for (header, expected) in [
        // Binance's archives, plain and as they are handed around.
        (
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore",
            "Candle timestamp=0 open=1 high=2 low=3 close=4 volume=5 quote_volume=7 close_time=6 count=8 taker_buy_volume=9",
        ),
        (
            "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades,Taker buy base asset volume,Taker buy quote asset volume,Ignore",
            "Candle timestamp=0 open=1 high=2 low=3 close=4 volume=5 quote_volume=7 close_time=6 count=8 taker_buy_volume=9",
        ),
        (
            "timestamp,open,high,low,close,volume,close_time,quote_av,trades,tb_base_av,tb_quote_av,ignore",
            "Candle timestamp=0 open=1 high=2 low=3 close=4 volume=5 quote_volume=7 close_time=6 count=8 taker_buy_volume=9",
        ),
        (
            "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match",
            "Tick timestamp=4 price=1 size=2 is_buyer_maker=5 trade_id=0",
        ),
        (
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
            "Tick timestamp=5 price=1 size=2 is_buyer_maker=6 trade_id=0",
        ),
        // Kaggle's minutes.
        (
            "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price",
            "Candle timestamp=0 open=1 high=2 low=3 close=4 volume=5 quote_volume=6 vwap=7",
        ),
        // CryptoDataDownload.
        (
            "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD",
            "Candle symbol=2 timestamp=0 open=3 high=4 low=5 close=6 volume=7 quote_volume=8",
        ),
        (
            "Unix,Date,Symbol,Open,High,Low,Close,Volume USDT,Volume ETH,tradecount",
            "Candle symbol=2 timestamp=0 open=3 high=4 low=5 close=6 volume=8 quote_volume=7 count=9",
        ),
        (
            "unix,date,symbol,open,high,low,close,Volume ETH,Volume BTC",
            "Candle symbol=2 timestamp=0 open=3 high=4 low=5 close=6 volume=7 quote_volume=8",
        ),
        // Yahoo, and Nasdaq.
        ("Date,Open,High,Low,Close,Adj Close,Volume", "Candle timestamp=0 open=1 high=2 low=3 close=4 volume=6"),
        ("Date,Close/Last,Volume,Open,High,Low", "Candle timestamp=0 open=3 high=4 low=5 close=1 volume=2"),
        // Kraken, Coinbase, Bitstamp, Bitfinex, Gemini.
        ("time,low,high,open,close,volume", "Candle timestamp=0 open=3 high=2 low=1 close=4 volume=5"),
        ("trade_id,time,price,size,side", "Tick timestamp=1 price=2 size=3 side=4 trade_id=0"),
        (
            "timestamp,open,high,low,close,volume,trades",
            "Candle timestamp=0 open=1 high=2 low=3 close=4 volume=5 count=6",
        ),
        ("time,open,close,high,low,volume", "Candle timestamp=0 open=1 high=3 low=4 close=2 volume=5"),
        ("ID,MTS,AMOUNT,PRICE", "Tick timestamp=1 price=3 size=2"),
        (
            "Unix Timestamp,Date,Symbol,Open,High,Low,Close,Volume",
            "Candle symbol=2 timestamp=0 open=3 high=4 low=5 close=6 volume=7",
        ),
        // Tardis, BitMEX, Bybit.
        (
            "exchange,symbol,timestamp,local_timestamp,id,side,price,amount",
            "Tick symbol=1 timestamp=2 price=6 size=7 side=5 trade_id=4 exchange=0",
        ),
        (
            "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional",
            "Tick symbol=1 timestamp=0 price=4 size=3 side=2 trade_id=6",
        ),
        // CCXT and freqtrade.
        (
            "timestamp,datetime,symbol,id,order,type,side,takerOrMaker,price,amount,cost",
            "Tick symbol=2 timestamp=0 price=8 size=9 side=6",
        ),
        ("date,open,high,low,close,volume", "Candle timestamp=0 open=1 high=2 low=3 close=4 volume=5"),
        // CoinGecko: its volume is that of a day.
        ("snapped_at,price,market_cap,total_volume", "Tick timestamp=0 price=1"),
        // CoinMarketCap: a stamp beside the opening time.
        (
            "timeOpen,timeClose,timeHigh,timeLow,name,open,high,low,close,volume,marketCap,timestamp",
            "Candle timestamp=0 open=5 high=6 low=7 close=8 volume=9 close_time=1",
        ),
        // CoinAPI: the opening time of the span, not of its first trade.
        (
            "time_period_start,time_period_end,time_open,time_close,price_open,price_high,price_low,price_close,volume_traded,trades_count",
            "Candle timestamp=0 open=4 high=5 low=6 close=7 volume=8 close_time=1 count=9",
        ),
        ("time_exchange,time_coinapi,uuid,price,size,taker_side", "Tick timestamp=0 price=3 size=4 side=5"),
        // CryptoCompare, Polygon, KuCoin, Huobi.
        (
            "time,high,low,open,volumefrom,volumeto,close",
            "Candle timestamp=0 open=3 high=1 low=2 close=6 volume=4 quote_volume=5",
        ),
        (
            "ticker,volume,open,close,high,low,window_start,transactions",
            "Candle symbol=0 timestamp=6 open=2 high=4 low=5 close=3 volume=1 count=7",
        ),
        (
            "time,open,close,high,low,volume,turnover",
            "Candle timestamp=0 open=1 high=3 low=4 close=2 volume=5 quote_volume=6",
        ),
        ("id,open,close,low,high,amount,vol,count", "Candle open=1 high=4 low=3 close=2 volume=5 count=7 no timestamp"),
        // Investing.com: the price is the close.
        ("Date,Price,Open,High,Low,Vol.,Change %", "Candle timestamp=0 open=2 high=3 low=4 close=1 volume=5"),
        // A price with statistics beside it is a tick, and their volume nobody's size.
        (
            "_id,price_usd,timestamp,open,high,low,close,volume",
            "Tick timestamp=2 price=1 open=3 high=4 low=5 close=6 volume=7",
        ),
        ("datetime,last,base volume", "Tick timestamp=0 price=1 size=2"),
        ("epoch,rate", "Tick timestamp=0 price=1"),
        // What is missed.
        ("Date,Close", "Tick timestamp=0 close=1 no price"),
        ("date,open,high,low", "Tick timestamp=0 open=1 high=2 low=3 no close"),
        ("price,size", "Tick price=0 size=1 no timestamp"),
        ("date,open,high,low,close", "Candle timestamp=0 open=1 high=2 low=3 close=4"),
        ("date,open,high,low,close,Volume USD", "Candle timestamp=0 open=1 high=2 low=3 close=4 quote_volume=5"),
        ("date,open,high,low,close,Volume MA", "Candle timestamp=0 open=1 high=2 low=3 close=4"),
    ] {
        assert_eq!(words(&found(header)), words(expected), "{header}");
    }
    assert!(find(&["symbol", "timestamp", "is_snapshot", "price"].map(key), &[]).is_book);
}

#[test]
fn what_is_given_is_not_looked_for() {
    let keys = ["time", "last", "close", "volume"].map(key);
    let given = [(Field::Price, Some(2)), (Field::Size, None)];
    assert_eq!(find(&keys, &given).fields, [(Field::Timestamp, 0), (Field::Price, 2)]);
    let bars = ["date", "open", "high", "low", "last", "vol", "volume btc"].map(key);
    let given = [(Field::Close, Some(4)), (Field::Volume, None)];
    let expected = [(Field::Timestamp, 0), (Field::Open, 1), (Field::High, 2), (Field::Low, 3), (Field::Close, 4)];
    assert_eq!(find(&bars, &given).fields, expected);
}
