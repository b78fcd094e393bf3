use super::*;
use crate::market::{Order, Partial, PartitionId, Side};

fn part(pane: u64, size: i64, side: Option<Side>) -> PanePart {
    let order = Order { at: Timestamp::default(), partition: PartitionId(0), offset: pane, index: 0 };
    let bar = Ohlcv::of_tick(Fixed::from_raw(1), Fixed::from_raw(size), side);
    PanePart {
        pane: Pane::from_number(pane),
        route: 0,
        part: Some((Symbol::new("X").unwrap(), Part::Ticks(Partial::new(bar, order)))),
    }
}

/// What comes and goes leaves nothing behind, and what comes again is as new.
#[test]
fn a_symbol_without_a_tick_in_any_window_gives_up_its_place() {
    let slide = Slide::new(Span::from_millis(5000));
    let windows = vec![Span::from_millis(10_000)];
    let mut state = WindowsState::new(WindowsConfig { slide, windows, step: None });
    let mut rows = Vec::new();
    for number in 0..1000_u64 {
        let mut one = part(number * 2, 1, None);
        let name = format!("S{}", number % 100);
        one.part = one.part.map(|(_, part)| (Symbol::new(&name).unwrap(), part));
        state.stash(one);
        state.advance(Some(Pane::from_number(number * 2 + 1)), None, &Stats::default(), |pane| {
            rows.extend(pane.into_rows());
        });
    }
    assert_eq!(rows.len(), 1000 + 999, "two panes each");
    assert!(rows.iter().all(|row| row.windows[0].is_some_and(|bar| bar.count == 1)));
    assert!(state.symbols.len() <= 2 && state.by_name.len() <= 2, "{} places", state.symbols.len());
}

/// Panes of 5 s: the model's bar of 10 s knows what takers bought and sold in its own two panes, and no more.
#[test]
fn the_models_bar_carries_the_signed_volume() {
    let slide = Slide::new(Span::from_millis(5000));
    let windows = vec![Span::from_millis(60_000)];
    let mut state = WindowsState::new(WindowsConfig { slide, windows, step: Some(Span::from_millis(10_000)) });
    for (pane, size, side) in
        [(0, 7, None), (2, 300, Some(Side::Buy)), (3, 500, Some(Side::Sell)), (5, 40, Some(Side::Buy))]
    {
        state.stash(part(pane, size, side));
    }
    let mut bars = Vec::new();
    state.advance(None, None, &Stats::default(), |rows| bars.extend(rows.into_rows().filter_map(|row| row.bar)));
    let signed: Vec<_> = bars.iter().map(Ohlcv::known_signed_volume_raw).collect();
    assert_eq!(signed, [None, Some(-200), Some(40)]);
}
