//! The table of docs/formats.md, "your file comes from": each of its lines is run over rows that are generated in the form of that
//! source, with what the line says to do.

mod rows;

use crate::cases::{backfill, slide};
use crate::support;
use rows::{Bar, ROWS, bars, date, days, minutes, ohlcv, time, zip};
use std::collections::BTreeSet;

/// What a file is turned round by.
enum Turn {
    Not,
    /// The command of the docs, where `FILE` is the file.
    By(&'static str),
}

struct Source {
    /// As the table calls it.
    name: &'static str,
    file: &'static str,
    bytes: Vec<u8>,
    turn: Turn,
    sets: Vec<String>,
    ignored: u64,
}

fn source(name: &'static str, file: &'static str, bytes: Vec<u8>, sets: &[&str]) -> Source {
    let sets = sets.iter().map(|set| (*set).to_owned()).collect();
    Source { name, file, bytes, turn: Turn::Not, sets, ignored: 0 }
}

fn daily(mut source: Source) -> Source {
    source.sets.extend(slide("1d"));
    source
}

fn turned(mut source: Source, command: &'static str) -> Source {
    source.turn = Turn::By(command);
    source
}

const BINANCE: &str = "Binance's archives (data.binance.vision)";
const COINBASE: &str = "Coinbase (candles, trades)";
const YAHOO: &str = "Yahoo Finance (site, yfinance)";
const TRADES: &str = "BitMEX, Bybit";

/// A kline of Binance: twelve figures.
fn kline(bar: &Bar, quote: &str) -> String {
    let close_time = bar.at * 1000 + 59_999;
    let figures =
        [&*bar.open, &bar.high, &bar.low, &bar.close, &bar.volume].map(|figure| format!("{quote}{figure}{quote}"));
    format!(
        "{}000,{},{close_time},{quote}2.5{quote},9,{quote}0.5{quote},{quote}0.5{quote},0",
        bar.at,
        figures.join(",")
    )
}

fn candles() -> Vec<Source> {
    let newest_first = |mut bytes: Vec<u8>, above: usize| {
        let text = String::from_utf8(std::mem::take(&mut bytes)).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines[above..].reverse();
        (lines.join("\n") + "\n").into_bytes()
    };
    let klines = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore";
    let kaggle = minutes("Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price", |bar| {
        if bar.at % 240 == 0 {
            format!("{},NaN,NaN,NaN,NaN,NaN,NaN,NaN", bar.at)
        } else {
            format!("{},{},3.5,20000.5", bar.at, ohlcv(bar, ","))
        }
    });
    let cdd = minutes(
        "https://www.CryptoDataDownload.com\nunix,date,symbol,open,high,low,close,Volume BTC,Volume USD",
        |bar| {
            format!("{}000,{},BTC/USD,{},9.5", bar.at, time(bar.at).replace('T', " ").replace('Z', ""), ohlcv(bar, ","))
        },
    );
    let yahoo = |bar: &Bar| {
        format!("{},{},{},{},{},{},{}", date(bar.at), bar.open, bar.high, bar.low, bar.close, bar.close, bar.volume)
    };
    let yfinance = "Price,Close,High,Low,Open,Volume\nTicker,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD\nDate,,,,,";
    let yfinance = days(yfinance, |bar| {
        format!("{},{},{},{},{},{}", date(bar.at), bar.close, bar.high, bar.low, bar.open, bar.volume)
    });
    let investing = days("\u{feff}\"Date\",\"Price\",\"Open\",\"High\",\"Low\",\"Vol.\",\"Change %\"", |bar| {
        let day = date(bar.at);
        let day = format!("{}/{}/{}", &day[5..7], &day[8..10], &day[..4]);
        format!("\"{day}\",\"{}\",\"{}\",\"{}\",\"{}\",\"95.33K\",\"0.05%\"", bar.close, bar.open, bar.high, bar.low)
    });
    let bar_in = |order: [usize; 5]| {
        move |bar: &Bar| {
            let figures = [&bar.open, &bar.high, &bar.low, &bar.close, &bar.volume];
            format!("{},{}", bar.at, order.map(|at| figures[at].as_str()).join(","))
        }
    };
    let btc = "source.symbol=BTC";
    vec![
        source(
            BINANCE,
            "klines.zip",
            zip("BTCUSDT-1m.csv", &minutes("", |bar| kline(bar, ""))),
            &["source.symbol=BTCUSDT"],
        ),
        source(
            BINANCE,
            "headed.zip",
            zip("BTCUSDT-1m.csv", &minutes(klines, |bar| kline(bar, ""))),
            &["source.symbol=BTCUSDT"],
        ),
        source(
            "Binance's API",
            "klines.json",
            format!("[{}]", bars(60).iter().map(|bar| format!("[{}]", kline(bar, "\""))).collect::<Vec<_>>().join(","))
                .into_bytes(),
            &["source.symbol=BTCUSDT"],
        ),
        Source { ignored: 10, ..source("Kaggle, minutes of Bitstamp", "kaggle.csv", kaggle, &[btc]) },
        turned(
            source("CryptoDataDownload", "cdd.csv", newest_first(cdd, 2), &[]),
            "(sed -n 2p FILE; tail -n +3 FILE | sort -n) > turned.csv",
        ),
        daily(source(YAHOO, "yahoo.csv", days("Date,Open,High,Low,Close,Adj Close,Volume", yahoo), &[btc])),
        daily(source(YAHOO, "yfinance.csv", yfinance, &[btc])),
        source(
            "Kraken, OHLCVT archive",
            "XBTUSD_1.csv",
            minutes("", |bar| format!("{},{},7", bar.at, ohlcv(bar, ","))),
            &["source.files.columns=timestamp,open,high,low,close,volume,count"],
        ),
        source(COINBASE, "coinbase.csv", minutes("time,low,high,open,close,volume", bar_in([2, 1, 0, 3, 4])), &[btc]),
        source(
            "Bitstamp",
            "bitstamp.csv",
            minutes("timestamp,open,high,low,close,volume", bar_in([0, 1, 2, 3, 4])),
            &[btc],
        ),
        source("Bitfinex", "bitfinex.csv", minutes("time,open,close,high,low,volume", bar_in([0, 3, 1, 2, 4])), &[btc]),
        source(
            "freqtrade, CCXT",
            "freqtrade.csv",
            minutes("date,open,high,low,close,volume", |bar| {
                format!("{},{}", time(bar.at).replace('T', " ").replace('Z', "+00:00"), ohlcv(bar, ","))
            }),
            &[btc],
        ),
        source(
            "freqtrade's JSON, CCXT's `fetch_ohlcv`",
            "BTC_USDT-1m.json",
            format!(
                "[{}]",
                bars(60)
                    .iter()
                    .map(|bar| format!("[{}000, {}]", bar.at, ohlcv(bar, ", ")))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
            .into_bytes(),
            &["source.files.columns=timestamp,open,high,low,close,volume"],
        ),
        daily(source(
            "CoinMarketCap",
            "cmc.csv",
            days("timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;timestamp", |bar| {
                let [open, close] = [bar.at, bar.at + 86_399].map(time);
                format!(
                    "\"{open}\";\"{}\";x;y;\"2781\";{};1.5;\"{}\"",
                    close.replace('Z', ".999Z"),
                    ohlcv(bar, ";"),
                    close.replace('Z', ".999Z")
                )
            }),
            &[btc],
        )),
        source(
            "CoinAPI",
            "coinapi.csv",
            minutes(
                "time_period_start;time_period_end;time_open;time_close;price_open;price_high;price_low;price_close;volume_traded;trades_count",
                |bar| {
                    let stamp = |at| time(at).replace('Z', ".0000000Z");
                    format!(
                        "{};{};{};{};{};5",
                        stamp(bar.at),
                        stamp(bar.at + 60),
                        stamp(bar.at + 3),
                        stamp(bar.at + 57),
                        ohlcv(bar, ";")
                    )
                },
            ),
            &[btc],
        ),
        daily(turned(
            source(
                "Investing.com",
                "investing.csv",
                newest_first(investing, 1),
                &[btc, "source.files.columns={ close = \"Price\", volume = \"_\" }"],
            ),
            "(head -n 1 FILE; tail -n +2 FILE | tac) > turned.csv",
        )),
        source(
            "TradingView",
            "tradingview.csv",
            minutes("time,open,high,low,close,Volume,Volume MA", |bar| format!("{},{},2.5", bar.at, ohlcv(bar, ","))),
            &[btc],
        ),
    ]
}

fn trades() -> Vec<Source> {
    let btc = "source.symbol=BTC";
    let side = |bar: &Bar| if bar.at % 120 == 0 { "buy" } else { "sell" };
    let is_maker = |bar: &Bar| if bar.at % 120 == 0 { "True" } else { "False" };
    let document = |bar: &Bar| {
        format!(
            "{{\"_id\":{{\"$oid\":\"60099b000000000000000000\"}},\"price_usd\":{},\"timestamp\":{{\"$date\":\"{}\"}}}}",
            bar.close,
            time(bar.at)
        )
    };
    let documents: Vec<String> = bars(60).iter().map(document).collect();
    vec![
        source(
            BINANCE,
            "trades.zip",
            zip(
                "BTCUSDT-trades.csv",
                &minutes("", |bar| format!("{0},{1},0.5,9.5,{0}000000,{2},True", bar.at, bar.close, is_maker(bar))),
            ),
            &["source.symbol=BTCUSDT"],
        ),
        source(
            BINANCE,
            "aggTrades.csv",
            minutes("", |bar| format!("{0},{1},0.5,1,2,{0}000,{2},True", bar.at, bar.close, is_maker(bar))),
            &["source.symbol=BTCUSDT"],
        ),
        source(
            "Kraken, trades archive; bitcoincharts",
            "XBTUSD.csv",
            minutes("", |bar| format!("{},{},0.5", bar.at, bar.close)),
            &["source.files.columns=timestamp,price,size"],
        ),
        source(
            COINBASE,
            "trades.csv",
            minutes("trade_id,time,price,size,side", |bar| {
                format!("{},{},{},0.5,{}", bar.at, time(bar.at), bar.close, side(bar))
            }),
            &[btc],
        ),
        source(
            "Tardis",
            "tardis.csv.gz",
            minutes("exchange,symbol,timestamp,local_timestamp,id,side,price,amount", |bar| {
                format!("deribit,BTC-PERPETUAL,{0}000000,{0}009000,{0},{1},{2},10", bar.at, side(bar), bar.close)
            }),
            &[],
        ),
        source(
            TRADES,
            "bitmex.csv",
            minutes(
                "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional",
                |bar| {
                    format!(
                        "{},XBTUSD,Buy,100,{},PlusTick,id-{},1,2,3",
                        time(bar.at).replace('T', "D").replace('Z', ".000000000"),
                        bar.close,
                        bar.at
                    )
                },
            ),
            &[],
        ),
        source(
            TRADES,
            "bybit.csv",
            minutes(
                "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional",
                |bar| format!("{}.1234,BTCUSDT,Sell,0.1,{},PlusTick,id-{},1,2,3", bar.at, bar.close, bar.at),
            ),
            &[],
        ),
        source(
            "CoinGecko",
            "coingecko.csv",
            minutes("snapped_at,price,market_cap,total_volume", |bar| {
                format!("{},{},1e12,3e10", time(bar.at).replace('T', " ").replace('Z', " UTC"), bar.close)
            }),
            &[btc],
        ),
        source("MongoDB (`mongoexport`, also `--jsonArray`)", "lines.json", documents.join("\n").into_bytes(), &[btc]),
        source(
            "MongoDB (`mongoexport`, also `--jsonArray`)",
            "list.json",
            format!("[{}]", documents.join(",")).into_bytes(),
            &[btc],
        ),
        source(
            "a spreadsheet",
            "sheet.csv",
            minutes("Date;Price;Amount", |bar| format!("{};{};0.5", time(bar.at), bar.close)),
            &[btc],
        ),
    ]
}

/// The names of the table's lines.
fn in_the_docs() -> BTreeSet<String> {
    let text = std::fs::read_to_string(support::project().join("docs/formats.md")).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with("| your file comes from")).skip(2);
    lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split(" | ").next().unwrap()[2..].to_owned())
        .collect()
}

#[test]
fn each_line_of_the_docs_reads_its_file() {
    let dir = support::temp_dir();
    let mut names = BTreeSet::new();
    for Source { name, file, bytes, turn, sets, ignored } in candles().into_iter().chain(trades()) {
        let mut path = dir.path().join(file);
        let bytes = if file.ends_with(".gz") { crate::markets::compressed(&bytes)[1].1.clone() } else { bytes };
        std::fs::write(&path, bytes).unwrap();
        let sets =
            if sets.iter().any(|set| set.starts_with("time.slide")) { sets } else { [slide("1m"), sets].concat() };
        if let Turn::By(command) = turn {
            let refused = backfill(&path, &sets);
            assert!(refused.code == 1 && refused.said.contains("runs backwards"), "{name}: {}", refused.said);
            let command = command.replace("FILE", &path.display().to_string());
            let status = std::process::Command::new("sh").arg("-c").arg(command).current_dir(dir.path()).status();
            assert!(status.unwrap().success());
            path = dir.path().join("turned.csv");
        }
        let run = backfill(&path, &sets);
        assert_eq!(run.code, 0, "{name}, {file}: {}", run.said);
        let count = |outcome: &str| run.records[outcome].as_u64().unwrap();
        assert_eq!(
            (count("used"), count("ignored")),
            (ROWS as u64 - ignored, ignored),
            "{name}, {file}: {} {}",
            run.records,
            run.said
        );
        assert!(std::fs::metadata(run.out.path().join("features.jsonl")).unwrap().len() > 0);
        names.insert(name.to_owned());
    }
    assert_eq!(names, in_the_docs());
}
