//! The report says what the forecasts and scores say: against a slow computation of its own and small cases by hand; and
//! the page opens from a disk, needs nothing from anywhere, and takes no orders from the names of symbols.

use crate::support;
use crate::support::{Finished, run_to_end, tickcast};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tickcast::market::json::{write_forecast, write_score};
use tickcast::market::{
    Drift, Fixed, Forecast, Interval, ModelInfo, Reasons, Score, ScoreOutcome, Skill, Span, Status, Symbol, Timestamp,
};

mod book;
use book::assert_by_the_book;

const MINUTE_MS: i64 = 60_000;
/// 2021-06-10T00:00:00Z
const START_MS: i64 = 1_623_283_200_000;

/// A forecast and what came, as numbers.
#[derive(Clone, Copy)]
struct Case {
    last: f64,
    price: f64,
    actual: f64,
    half_width: f64,
    void: bool,
}

fn fixed(price: f64) -> Fixed {
    Fixed::parse(format!("{price}").as_bytes()).unwrap()
}

fn pair(symbol: &str, steps: i64, n: usize, case: &Case) -> (Forecast, Score) {
    let horizon = Span::from_millis(steps * MINUTE_MS);
    let issued_at = Timestamp::from_millis(START_MS + n as i64 * MINUTE_MS);
    let Case { last, price, actual, half_width, void } = *case;
    let quantiles = [-1.0, -0.4, 0.0, 0.4, 1.0].map(|by| price + by * half_width);
    let forecast = Forecast {
        job: "trial".into(),
        symbol: Symbol::new(symbol).unwrap(),
        horizon,
        issued_at,
        target_at: issued_at.plus(horizon),
        last_price: fixed(last),
        price,
        interval: Interval { coverage: 0.9, lower: price - half_width, upper: price + half_width },
        quantiles,
        probability_up: 0.5,
        status: if n < 16 { Status::Warming } else { Status::Ok },
        reasons: Reasons::default(),
        skill: Skill { count: 0, mae_ratio: None, coverage: None, e_value: 1.0 + n as f64 },
        drift: Drift::default(),
        model: ModelInfo { version: n as u64 / 5, trained_through: None, loss: (n >= 5).then_some(1.0 / n as f64) },
    };
    let pinball = |width: f64| (actual - price).abs() * 0.3 + width * 0.1;
    let outcome = ScoreOutcome {
        actual_price: fixed(actual),
        error: price - actual,
        naive_error: last - actual,
        covered: (actual - price).abs() <= half_width,
        pinball: pinball(half_width),
        naive_pinball: pinball(1.1 * half_width),
        experts: [None; 10],
    };
    let score = Score {
        job: forecast.job.clone(),
        symbol: forecast.symbol.clone(),
        horizon,
        target_at: forecast.target_at,
        outcome: (!void).then_some(outcome),
    };
    (forecast, score)
}

/// Writes both files as the files sink orders them.
fn write(dir: &Path, pairs: &[(Forecast, Score)]) {
    let mut forecasts: Vec<&Forecast> = pairs.iter().map(|pair| &pair.0).collect();
    let mut scores: Vec<&Score> = pairs.iter().map(|pair| &pair.1).collect();
    forecasts.sort_by_key(|f| (f.issued_at, f.symbol.clone(), f.horizon));
    scores.sort_by_key(|s| (s.target_at, s.symbol.clone(), s.horizon));
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for forecast in forecasts {
        write_forecast(forecast, &mut one);
        one.push(b'\n');
    }
    for score in scores {
        write_score(score, &mut other);
        other.push(b'\n');
    }
    fs::write(dir.join("forecasts.jsonl"), one).unwrap();
    fs::write(dir.join("scores.jsonl"), other).unwrap();
}

fn report<'a>(args: impl IntoIterator<Item = &'a str>) -> Finished {
    run_to_end(tickcast(["report"].into_iter().chain(args)), Duration::from_secs(120))
}

fn figures(dir: &Path, more: &[&str]) -> Value {
    let args = ["--forecasts", dir.to_str().unwrap(), "--json"];
    let done = report(args.into_iter().chain(more.iter().copied())).expect_code(0);
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Noise that is the same each time, in [-1, 1).
fn noise(n: u64) -> f64 {
    let mut x = n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Prices that wander, and forecasts of them that know a little.
fn wandering(seed: u64, steps: usize, count: usize) -> Vec<Case> {
    let cents = |price: f64| (price * 100.0).round() / 100.0;
    let mut prices = vec![30_000.0];
    for n in 0..count + steps {
        let wild = 1.0 + 4.0 * ((n / 200) % 3) as f64;
        prices.push(cents(prices[n] + 3.0 * wild * noise(seed + n as u64)));
    }
    let case = |n: usize| {
        let (last, actual) = (prices[n], prices[n + steps]);
        let silent = n.is_multiple_of(7);
        let price = if silent { last } else { last + 0.2 * (actual - last) + 2.0 * noise(seed + 1_000_000 + n as u64) };
        let wild = 1.0 + 4.0 * ((n / 200) % 3) as f64;
        Case { last, price, actual, half_width: 5.0 * wild * (steps as f64).sqrt(), void: n % 50 == 49 }
    };
    (0..count).map(case).collect()
}

#[test]
fn figures_are_those_of_the_book() {
    let dir = support::temp_dir();
    let all = [("BTC", 1, 11), ("BTC", 15, 22), ("ETH", 5, 33)].map(|(symbol, steps, seed)| {
        let cases = wandering(seed, steps as usize, 4500);
        let pairs: Vec<_> = cases.iter().enumerate().map(|(n, case)| pair(symbol, steps, n, case)).collect();
        (cases, steps as usize, pairs)
    });
    write(dir.path(), &all.iter().flat_map(|(_, _, pairs)| pairs.clone()).collect::<Vec<_>>());
    let found = figures(dir.path(), &[]);
    for (at, (cases, steps, _)) in all.iter().enumerate() {
        assert_by_the_book(&found["series"][at], cases, *steps);
    }
    assert_eq!(found["forecasts"], 3 * 4500);
    assert_eq!(found["job"], "trial");
    assert_eq!(found["training"][0]["versions"], 4499 / 5);
    // Filters, and compressed files.
    let one = figures(dir.path(), &["--symbol", "BTC", "--horizon", "15m"]);
    assert_eq!(one["series"].as_array().unwrap().len(), 1);
    assert_eq!(one["series"][0], found["series"][1]);
    let some = figures(dir.path(), &["--from", "2021-06-10T10:00:00Z", "--to", "2021-06-10T20:00:00Z"]);
    assert_eq!((&some["series"][0]["forecasts"], &some["scores_without_forecast"]), (&600.into(), &0.into()));
    for name in ["forecasts.jsonl", "scores.jsonl"] {
        let text = fs::read(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(format!("{name}.zst")), zstd::encode_all(&text[..], 1).unwrap()).unwrap();
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    let packed = dir.path().join("forecasts.jsonl.zst");
    let done = report(["--json", "--forecasts", packed.to_str().unwrap()]).expect_code(0);
    assert_eq!(serde_json::from_slice::<Value>(&done.stdout).unwrap(), found);
}

#[test]
fn small_cases_by_hand() {
    let case = |price: f64, actual: f64| Case { last: 100.0, price, actual, half_width: 2.0, void: false };
    // Errors 1, 1, 3, 0 against 2, 0, 1, 4 of the last price.
    let cases = [case(101.0, 102.0), case(101.0, 100.0), case(102.0, 99.0), case(96.0, 96.0), case(100.0, 101.0)];
    let dir = support::temp_dir();
    let pairs: Vec<_> = cases.iter().enumerate().map(|(n, case)| pair("A", 1, n, case)).collect();
    write(dir.path(), &pairs);
    let found = &figures(dir.path(), &[])["series"][0];
    let is = |path: &str, expected: f64| {
        let value = found.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path}"));
        assert!((value - expected).abs() < 1e-9, "{path}: {value}, by hand {expected}");
    };
    is("/mae_ratio", (1.0 + 1.0 + 3.0 + 0.0 + 1.0) / (2.0 + 0.0 + 1.0 + 4.0 + 1.0));
    is("/r2", 1.0 - (1.0 + 1.0 + 9.0 + 0.0 + 1.0) / (4.0 + 0.0 + 1.0 + 16.0 + 1.0));
    // Moves: all but the second; one of them without a word of the forecast. Right: up to 102, down to 96.
    is("/moves", 4.0);
    is("/directed", 3.0);
    is("/direction", 2.0 / 3.0);
    // +200, 0, -100, +400 basis points in four trades.
    is("/break_even/bps", 125.0);
    is("/coverage", 4.0 / 5.0);
    is("/width_bps", 400.0);
}

#[test]
fn what_is_missing_is_said() {
    let dir = support::temp_dir();
    let path = dir.path().to_str().unwrap();
    let refuses = |args: &[&str], code: i32, part: &str| {
        let done = report(args.iter().copied()).expect_code(code);
        assert!(done.stderr.contains(part), "{part:?} is not in {}", done.stderr);
        assert!(done.stdout.is_empty());
    };
    refuses(&[], 2, "give --forecasts FILE, or -c FILE");
    refuses(&["--source", "kafka"], 2, "no [sink.kafka]");
    refuses(&["--forecasts", path], 2, "scores.jsonl is not there");
    write(dir.path(), &[]);
    refuses(&["--forecasts", path], 1, "there are no forecasts to judge: the file is empty");
    let pairs: Vec<_> = wandering(5, 1, 300).iter().enumerate().map(|(n, case)| pair("A", 1, n, case)).collect();
    write(dir.path(), &pairs);
    refuses(&["--forecasts", path, "--symbol", "B"], 1, "none fits");
    refuses(
        &["--forecasts", path, "--from", "2021-06-11T00:00:00Z", "--to", "2021-06-11T00:00:00Z"],
        2,
        "is not before --to",
    );
    let forecasts = dir.path().join("forecasts.jsonl");
    let text = fs::read_to_string(&forecasts).unwrap();
    fs::write(&forecasts, text.replacen("trial/A", "other/A", 5)).unwrap();
    refuses(&["--forecasts", path], 1, "job `other` and of job `trial`: choose one with --job");
    assert_eq!(figures(dir.path(), &["--job", "trial"])["forecasts"], 295);
    fs::write(&forecasts, format!("{text}{{\"id\":1}}\n")).unwrap();
    refuses(&["--forecasts", path], 1, "forecasts.jsonl:301: this is not what tickcast writes");
    // Without a score there is a report, which says so.
    fs::write(&forecasts, &text).unwrap();
    fs::write(dir.path().join("scores.jsonl"), "").unwrap();
    let out = dir.path().join("report");
    let done = report(["--forecasts", path, "--out", out.to_str().unwrap()]).expect_code(0);
    assert!(done.stdout_text().contains("300 forecasts have no score"), "{}", done.stdout_text());
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("None of 300 forecasts has a score"), "{page}");
    // Published again: judged once.
    write(dir.path(), &pairs);
    fs::write(&forecasts, format!("{text}{text}")).unwrap();
    let twice = figures(dir.path(), &[]);
    assert_eq!((&twice["forecasts"], &twice["repeated"]), (&300.into(), &300.into()));
}

/// All names and texts of the page in which something could hide.
fn assert_self_contained(page: &str) {
    // Places of the page itself.
    let lower = page.to_lowercase().replace("href=\"#s", "");
    for outside in
        ["http:", "https:", "//", "src=", "href=", "url(", "@import", "<script", "<link", "<iframe", "javascript:"]
    {
        assert!(!lower.contains(outside), "{outside} is in the page");
    }
    assert!(page.contains("name=\"viewport\"") && page.contains("prefers-color-scheme:dark"));
}

#[test]
fn names_are_text_and_pictures_are_xml() {
    let dir = support::temp_dir();
    let names = ["<b>&\"'x", "</title><i onload=\"a\">", "\u{202e}ÜNÏ", "BTC.SIM"];
    let all = names.iter().zip(1_u64..).flat_map(|(name, seed)| {
        let cases = wandering(seed, 5, 700);
        cases.iter().enumerate().map(|(n, case)| pair(name, 5, n, case)).collect::<Vec<_>>()
    });
    write(dir.path(), &all.collect::<Vec<_>>());
    let out = dir.path().join("report");
    let summary = dir.path().join("summary.json");
    fs::write(&summary, r#"{"records":{"used":990,"late":5,"quarantined":1,"undecodable":3,"ignored":1}}"#).unwrap();
    let args = ["--forecasts", dir.path().to_str().unwrap(), "--out", out.to_str().unwrap()];
    let done = report(args.into_iter().chain(["--summary", summary.to_str().unwrap()])).expect_code(0);
    assert_eq!(done.stdout_text().lines().filter(|line| line.contains("5m")).count(), 4);

    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert_self_contained(&page);
    assert!(!page.contains("<b>&\"") && !page.contains("<i onload"));
    assert!(page.contains("&lt;b&gt;&amp;&quot;&#39;x") && page.contains("&lt;/title&gt;"));
    assert!(page.contains("SIMULATED MARKET: the symbols that end with .SIM"));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());

    let mut pictures = 0;
    for entry in fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "svg") {
            let text = fs::read_to_string(&path).unwrap();
            let document = roxmltree::Document::parse(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            assert!(document.descendants().all(|node| !node.has_tag_name("i") && !node.has_tag_name("b")));
            assert_eq!(document.root_element().tag_name().name(), "svg");
            pictures += 1;
        }
    }
    assert_eq!(
        pictures,
        4 * 10 + 4 + 1 + 1,
        "ten of each series, one of each symbol's training, one of the records, one of all"
    );
    assert_eq!(page.matches("<svg ").count(), pictures, "all of them are in the page");
    let scores: Value = serde_json::from_slice(&fs::read(out.join("scores.json")).unwrap()).unwrap();
    assert_eq!(scores["records"][0], serde_json::json!(["used", 990]));
}

/// First everything at a glance; what has no room stands in files of its own, and the page says so.
#[test]
fn a_hundred_symbols_fit_into_a_page() {
    let dir = support::temp_dir();
    let mut all = Vec::new();
    for number in 0..103 {
        let symbol = format!("S{number:03}");
        for horizon in [1, 5, 15, 60] {
            let cases = wandering(number * 61 + horizon, usize::try_from(horizon).unwrap(), 160);
            all.extend(cases.iter().enumerate().map(|(n, case)| pair(&symbol, horizon as i64, n, case)));
        }
    }
    write(dir.path(), &all);
    let out = dir.path().join("report");
    report(["--forecasts", dir.path().to_str().unwrap(), "--out", out.to_str().unwrap()]).expect_code(0);
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert_self_contained(&page);
    println!("{} bytes for 412 symbols and horizons", page.len());
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    let glance = page.split("<h2>Symbol by symbol</h2>").next().unwrap();
    assert!(
        glance.contains("Of 412 symbols and horizons, ") && glance.contains("21 would look like evidence by chance")
    );
    assert_eq!((glance.matches("<svg ").count(), glance.matches("<tr>").count()), (1, 104));
    assert_eq!(page.matches("<section class=\"card ").count(), 400);
    for link in page.split("href=\"#").skip(1) {
        let name = link.split('"').next().unwrap();
        assert!(page.contains(&format!(" id=\"{name}\"")), "#{name} leads nowhere");
    }
    assert!(
        page.contains("more would make this page too large")
            && page.contains("Words are of the first 400, pictures of the first 40 of 412")
    );
}

#[test]
fn a_month_of_bitcoin_gives_a_page_below_one_megabyte() {
    let Some(bars) = support::data("bars/btcusdt_1m_binance_20210610_20210710.csv.gz") else { return };
    let dir = support::temp_dir();
    let out = dir.path().join("out");
    let sets = [
        format!("source.files.paths={}", bars.display()),
        "source.files.symbol=BTC".to_owned(),
        "time.slide=1m".to_owned(),
        format!("sink.files.dir={}", out.display()),
    ];
    let backfill = tickcast(["backfill", "--json"].into_iter().chain(sets.iter().flat_map(|set| ["--set", set])));
    let done = run_to_end(backfill, Duration::from_secs(900)).expect_code(0);
    let summary: Value = serde_json::from_slice(&done.stdout).unwrap();
    let judged = out.join("report");
    report(["--forecasts", out.to_str().unwrap(), "--out", judged.to_str().unwrap()]).expect_code(0);
    let page = fs::read_to_string(judged.join("report.html")).unwrap();
    assert_self_contained(&page);
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    // What the scoreboard counted on the way, the report counts from the files.
    let scores: Value = serde_json::from_slice(&fs::read(judged.join("scores.json")).unwrap()).unwrap();
    for series in scores["series"].as_array().unwrap() {
        let live = &summary["scores"]["BTC"][series["horizon"].as_str().unwrap()];
        assert_eq!(series["scored"], live["count"]);
        for name in ["mae_ratio", "coverage", "pinball_ratio"] {
            let (stored, live) = (series[name].as_f64().unwrap(), live[name].as_f64().unwrap());
            assert!((stored - live).abs() < 1e-6, "{name}: {stored} {live}");
        }
    }
}
