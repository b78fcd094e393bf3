//! Parts that repeat one another.

use super::*;
use crate::market::{IdSpace, SymbolId};

fn tick(partition: u32, offset: u64, at: i64, kind: TickKind) -> Tick {
    let order = Order { at: Timestamp::from_millis(at), partition: PartitionId(partition), offset, index: 0 };
    let (price, size) = (Fixed::from_raw(5), Fixed::from_raw(7));
    Tick { symbol: SymbolId(0), order, price, size, side: None, share: Share::WHOLE, kind }
}

fn bar(price: i64, volume: i128) -> Box<Ohlcv> {
    Box::new(Ohlcv::of_trade(Fixed::from_raw(price), volume, Some(Side::Buy)))
}

fn part(ticks: Vec<Tick>) -> Part {
    let mut ticks = ticks.into_iter();
    let mut part = Part::of(ticks.next().unwrap());
    ticks.for_each(|tick| part.add(tick));
    part
}

#[test]
fn a_trade_of_any_size_counts_once() {
    let id = |number| Some(TradeId::new(IdSpace::Plain, number));
    let large = i128::from(i64::MAX) + 9;
    let of = |partition: u32, numbers: &[u64]| {
        let large = |number: &u64| tick(partition, *number, 3, TickKind::Bar { bar: bar(4, large), id: id(*number) });
        let mut ticks: Vec<Tick> = numbers.iter().map(large).collect();
        ticks.push(tick(partition, 99, 2, TickKind::Trade(id(99))));
        ticks.push(tick(partition, 100, 1, TickKind::Bar { bar: bar(9, 1), id: None }));
        part(ticks)
    };
    let mut both = of(3, &[1, 2]);
    both.merge(of(2, &[2, 3]));
    let mut repeats = Vec::new();
    let sum = both.finish(&mut repeats).unwrap();
    let places: Vec<_> = repeats.iter().map(|repeat| (repeat.partition.0, repeat.offset)).collect();
    assert_eq!(places, [(3, 2), (3, 99)], "the lowest partition's stays");
    assert_eq!((sum.bar.volume, sum.bar.count), (3 * large + 7 + 2, 6));
    assert_eq!((sum.bar.open.raw(), sum.bar.close.raw(), sum.last.partition.0), (9, 4, 3));
}

#[test]
fn a_candle_that_is_looked_at_without_end_takes_no_more_than_one() {
    let look = |offset: u64| {
        let interval = Span::from_millis(1 + offset as i64 % 3);
        tick(offset as u32 % 2, offset, 8, TickKind::Candle { bar: bar(1 + offset as i64, 1), interval })
    };
    let mut part = Part::of(look(0));
    for offset in 1..10_000 {
        part.add(look(offset));
        if let Part::Mixed(mixed) = &part {
            assert!(mixed.candles.len() <= SETTLE_MIN, "{}", mixed.candles.len());
        }
    }
    let mut repeats = Vec::new();
    let sum = part.finish(&mut repeats).unwrap();
    // Of each interval the last look of the last partition, at the place of the first, and one partition's first record was none of its own.
    assert_eq!((sum.bar.high.raw(), sum.bar.low.raw(), sum.bar.count), (10_000, 9_996, 3));
    assert_eq!((sum.first.offset, repeats.len()), (0, 3));
}
