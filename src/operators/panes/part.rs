//! What there is of one symbol in one pane: from one worker, then of all.
//!
//! Ticks are one sum. Candles stay apart until the pane closes, since another look at one takes its place. Trades that may come
//! from another partition once more are summed and listed: should two partitions have the same one, the sum is made anew from
//! the list without it. So what comes out is what would come out had the repeats never been there, to the last bit.

use super::{Tick, TickKind};
use crate::market::{Fixed, Ohlcv, Order, Partial, PartitionId, Side, Span, Timestamp, TradeId};
use crate::operators::support::repeats::{Repeat, Share};
use serde::{Deserialize, Serialize};

/// What there is of one symbol in one pane.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Part {
    /// Nothing but ticks that cannot come twice: nearly always.
    Ticks(Partial),
    /// Nothing but one candle: nearly always, where there are candles.
    Candle(CandlePart),
    /// Nothing but trades that may come twice.
    Trades(Trades),
    /// Anything else.
    Mixed(Box<Mixed>),
}

/// A candle, as the latest record of it says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CandlePart {
    /// Where it stands: where it came first.
    first: Order,
    /// The latest record of it.
    last: Order,
    interval: Span,
    bar: Box<Ohlcv>,
    /// Of the first record.
    share: Share,
}

/// Ticks, candles, and trades that may come twice.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mixed {
    ticks: Option<Partial>,
    candles: Vec<CandlePart>,
    /// How many candles there are to be before looks at the same are made one.
    settle_at: usize,
    trades: Option<Trades>,
}

/// Trades that may come from another partition once more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trades {
    sum: Partial,
    /// Where the first is from, and whether all are from there.
    partition: PartitionId,
    several: bool,
    list: Vec<Listed>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Listed {
    id: TradeId,
    order: Order,
    price: Fixed,
    size: Fixed,
    side: Option<Side>,
    /// Instead of price, size and side, where the size is beyond [`Fixed`].
    bar: Option<Box<Ohlcv>>,
    share: Share,
}

/// So many are compared with one another: no memory has to be asked for.
const FEW: usize = 16;
/// Trades that there is room for at first.
const LISTED_MIN: usize = 8;
/// Fewer candles are not looked through for repeats before the pane closes.
const SETTLE_MIN: usize = 64;

impl Part {
    /// What one tick is.
    #[inline]
    #[must_use]
    pub fn of(tick: Tick) -> Self {
        match tick.kind {
            TickKind::Trade(None) => Self::Ticks(sum_of(tick.price, tick.size, tick.side, tick.order)),
            TickKind::Candle { bar, interval } => Self::Candle(CandlePart::new(tick.order, bar, interval, tick.share)),
            TickKind::Bar { bar, id: None } => Self::Ticks(Partial::new(*bar, tick.order)),
            TickKind::Trade(Some(id)) => Self::Trades(Trades::of(Listed::new(id, &tick))),
            TickKind::Bar { bar, id: Some(id) } => {
                let tick = Tick { kind: TickKind::Trade(None), ..tick };
                Self::Trades(Trades::of(Listed { bar: Some(bar), ..Listed::new(id, &tick) }))
            }
        }
    }

    /// Takes in one more tick.
    #[inline]
    pub fn add(&mut self, tick: Tick) {
        match (self, &tick.kind) {
            (Self::Ticks(sum), TickKind::Trade(None)) => sum.add_tick(tick.price, tick.size, tick.side, tick.order),
            (Self::Trades(trades), TickKind::Trade(Some(id))) => trades.add(Listed::new(*id, &tick)),
            (Self::Mixed(mixed), _) => mixed.add(tick),
            (part, _) => part.add_other(tick),
        }
    }

    #[cold]
    fn add_other(&mut self, tick: Tick) {
        match (self, tick.kind) {
            (Self::Ticks(sum), TickKind::Bar { bar, id: None }) => sum.merge(&Partial::new(*bar, tick.order)),
            (Self::Candle(candle), TickKind::Candle { bar, interval }) if candle.is(&tick.order, interval) => {
                candle.merge(&mut CandlePart::new(tick.order, bar, interval, tick.share));
            }
            (part, kind) => part.mix(|mixed| mixed.add(Tick { kind, ..tick })),
        }
    }

    /// Takes in what another worker has.
    pub fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Ticks(sum), Self::Ticks(more)) => sum.merge(&more),
            (Self::Trades(trades), Self::Trades(more)) => trades.merge(more),
            (part, other) => part.mix(|mixed| mixed.merge(other)),
        }
    }

    /// Makes it a mixed one and changes that.
    fn mix(&mut self, change: impl FnOnce(&mut Mixed)) {
        if let Self::Mixed(mixed) = self {
            return change(mixed);
        }
        let mut mixed = Box::new(Mixed::default());
        mixed.merge(std::mem::replace(self, Self::Mixed(Box::default())));
        change(&mut mixed);
        *self = Self::Mixed(mixed);
    }

    /// The sum, when all is there; and which records repeat what another partition's have said.
    #[must_use]
    pub fn finish(self, repeats: &mut Vec<Repeat>) -> Option<Partial> {
        match self {
            Self::Ticks(sum) => Some(sum),
            Self::Candle(candle) => Some(Partial::new(*candle.bar, candle.first)),
            Self::Trades(trades) => Some(trades.finish(repeats)),
            Self::Mixed(mixed) => mixed.finish(repeats),
        }
    }
}

fn sum_of(price: Fixed, size: Fixed, side: Option<Side>, order: Order) -> Partial {
    Partial::new(Ohlcv::of_tick(price, size, side), order)
}

fn add_to(sum: &mut Option<Partial>, part: &Partial) {
    match sum {
        Some(sum) => sum.merge(part),
        none => *none = Some(*part),
    }
}

impl CandlePart {
    fn new(order: Order, bar: Box<Ohlcv>, interval: Span, share: Share) -> Self {
        Self { first: order, last: order, interval, bar, share }
    }

    /// The same for all looks at one candle.
    fn key(&self) -> (Timestamp, Span) {
        (self.first.at, self.interval)
    }

    /// Whether a candle of this interval that stands there is this one, of the same partition.
    fn is(&self, order: &Order, interval: Span) -> bool {
        (self.first.at, self.first.partition, self.interval) == (order.at, order.partition, interval)
    }

    /// Takes in another look at the same candle.
    fn merge(&mut self, other: &mut Self) {
        if other.first < self.first {
            (self.first, self.share) = (other.first, other.share);
        }
        if other.last > self.last {
            self.last = other.last;
            std::mem::swap(&mut self.bar, &mut other.bar);
        }
    }
}

impl Mixed {
    fn add(&mut self, tick: Tick) {
        let Tick { order, price, size, side, share, .. } = tick;
        match tick.kind {
            TickKind::Trade(None) => match &mut self.ticks {
                Some(sum) => sum.add_tick(price, size, side, order),
                none => *none = Some(sum_of(price, size, side, order)),
            },
            TickKind::Trade(Some(id)) => {
                let listed = Listed::new(id, &tick);
                match &mut self.trades {
                    Some(trades) => trades.add(listed),
                    none => *none = Some(Trades::of(listed)),
                }
            }
            kind @ TickKind::Bar { id: Some(_), .. } => self.merge(Part::of(Tick { kind, ..tick })),
            TickKind::Candle { bar, interval } => self.add_candle(CandlePart::new(order, bar, interval, share)),
            TickKind::Bar { bar, id: None } => add_to(&mut self.ticks, &Partial::new(*bar, order)),
        }
    }

    fn add_candle(&mut self, mut candle: CandlePart) {
        match self.candles.last_mut() {
            Some(last) if last.is(&candle.first, candle.interval) => last.merge(&mut candle),
            _ => self.candles.push(candle),
        }
        if self.candles.len() >= self.settle_at.max(SETTLE_MIN) {
            self.settle();
        }
    }

    /// Makes looks at the same candle in one partition one: a candle that is looked at without end takes no more than one.
    fn settle(&mut self) {
        self.candles.sort_unstable_by_key(|candle| (candle.key(), candle.first));
        // Where one partition's looks follow one another, the earlier takes in the later.
        self.candles.dedup_by(|later, earlier| {
            let same = earlier.is(&later.first, later.interval);
            if same {
                earlier.merge(later);
            }
            same
        });
        self.settle_at = 2 * self.candles.len();
    }

    fn merge(&mut self, other: Part) {
        match other {
            Part::Ticks(sum) => add_to(&mut self.ticks, &sum),
            Part::Candle(candle) => self.add_candle(candle),
            Part::Trades(more) => self.add_trades(more),
            Part::Mixed(other) => {
                let Self { ticks, candles, trades, .. } = *other;
                if let Some(sum) = ticks {
                    add_to(&mut self.ticks, &sum);
                }
                candles.into_iter().for_each(|candle| self.add_candle(candle));
                trades.into_iter().for_each(|trades| self.add_trades(trades));
            }
        }
    }

    fn add_trades(&mut self, more: Trades) {
        match &mut self.trades {
            Some(trades) => trades.merge(more),
            none => *none = Some(more),
        }
    }

    fn finish(mut self, repeats: &mut Vec<Repeat>) -> Option<Partial> {
        self.settle();
        let mut sum = self.ticks;
        let mut candles = self.candles.into_iter().peekable();
        while let Some(mut candle) = candles.next() {
            while let Some(mut again) = candles.next_if(|next| next.key() == candle.key()) {
                repeats.push(Repeat {
                    partition: again.first.partition,
                    offset: again.first.offset,
                    share: again.share,
                });
                candle.merge(&mut again);
            }
            add_to(&mut sum, &Partial::new(*candle.bar, candle.first));
        }
        if let Some(trades) = self.trades {
            add_to(&mut sum, &trades.finish(repeats));
        }
        sum
    }
}

impl Listed {
    fn new(id: TradeId, tick: &Tick) -> Self {
        let Tick { order, price, size, side, share, .. } = *tick;
        Self { id, order, price, size, side, bar: None, share }
    }

    fn sum(&self) -> Partial {
        match &self.bar {
            Some(bar) => Partial::new(**bar, self.order),
            None => sum_of(self.price, self.size, self.side, self.order),
        }
    }

    fn add_to(&self, sum: &mut Partial) {
        match &self.bar {
            Some(bar) => sum.merge(&Partial::new(**bar, self.order)),
            None => sum.add_tick(self.price, self.size, self.side, self.order),
        }
    }
}

impl Trades {
    fn of(listed: Listed) -> Self {
        let mut list = Vec::with_capacity(LISTED_MIN);
        let (sum, partition) = (listed.sum(), listed.order.partition);
        list.push(listed);
        Self { sum, partition, several: false, list }
    }

    fn add(&mut self, listed: Listed) {
        listed.add_to(&mut self.sum);
        self.several |= listed.order.partition != self.partition;
        self.list.push(listed);
    }

    fn merge(&mut self, mut other: Self) {
        self.sum.merge(&other.sum);
        self.several |= other.several || other.partition != self.partition;
        self.list.append(&mut other.list);
    }

    fn finish(mut self, repeats: &mut Vec<Repeat>) -> Partial {
        if !self.several || !self.has_repeats() {
            return self.sum;
        }
        self.list.sort_unstable_by_key(|listed| (listed.id, listed.order));
        let mut last = None;
        let mut sum = None;
        for listed in &self.list {
            if last == Some(listed.id) {
                let Order { partition, offset, .. } = listed.order;
                repeats.push(Repeat { partition, offset, share: listed.share });
                continue;
            }
            last = Some(listed.id);
            match &mut sum {
                None => sum = Some(listed.sum()),
                Some(sum) => listed.add_to(sum),
            }
        }
        sum.unwrap_or(self.sum)
    }

    /// Mostly there is none. Each partition's ids mostly ascend, and to sort what consists of few runs takes hardly more than to
    /// merge them.
    fn has_repeats(&self) -> bool {
        if self.list.len() <= FEW {
            let later = |at: usize| self.list[at + 1..].iter();
            return self.list.iter().enumerate().any(|(at, one)| later(at).any(|other| other.id == one.id));
        }
        let mut ids: Vec<TradeId> = self.list.iter().map(|listed| listed.id).collect();
        ids.sort();
        ids.windows(2).any(|pair| pair[0] == pair[1])
    }
}

#[cfg(test)]
mod tests;
