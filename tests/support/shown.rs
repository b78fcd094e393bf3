//! Observations as text, for tests to compare.

use tickcast::market::{Fixed, Observation, Quote, Side, SymbolTable};

/// `BTC-USD 65083.67 x 0.25 sell 2021-04-17T16:43:37.089Z`
pub fn show(seen: &Observation, symbols: &SymbolTable) -> String {
    let name = symbols.name(seen.symbol);
    match &seen.quote {
        Quote::Tick { price, size, side } => {
            let side = side.map_or("?", Side::as_str);
            format!("{name} {price} x {size} {side} {}", seen.at)
        }
        Quote::Large(bar) => format!("a trade of {bar:?}"),
        Quote::Candle { bar, interval } => {
            let (count, signed) = (bar.known_count(), bar.known_signed_volume());
            format!(
                "{name} {} {} {} {} v {} n {count:?} q {:?} s {signed:?} {interval} {}",
                bar.open,
                bar.high,
                bar.low,
                bar.close,
                Fixed::from_raw(bar.volume as i64),
                (!bar.notional_unknown).then_some(bar.notional),
                seen.at
            )
        }
    }
}
