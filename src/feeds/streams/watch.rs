//! Whether a connection is as it should be: pure.
//!
//! A connection lives as long as frames come in the time that its venue says; trades need not be among them: a quiet market is no
//! fault. It is well when each market is acknowledged, which has its own time.

use super::fault::Fault;
use std::collections::BTreeSet;
use std::time::Duration;

/// So long a subscription may take.
pub const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(10);
/// Markets that were refused are asked for again after this.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// What a venue's connections are held to.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Without a message for so long it is dead.
    pub silent_after: Duration,
    /// Whether the protocol's own pings are a sign of life, too: not where a venue has heartbeats, which may end while pings go on.
    pub pings_are_life: bool,
    /// How often to send the venue's own ping, where it has one.
    pub ping_every: Option<Duration>,
    /// Before it is this old another one takes its place.
    pub renew_after: Option<Duration>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// To wait for frames.
    Nothing,
    /// To send a ping.
    Ping,
    /// To tell of markets that nobody answered for, and go on with the others.
    Unanswered(Vec<usize>),
    /// To subscribe to these again.
    Again(Vec<usize>),
    /// To let another connection take over.
    Renew,
    /// To end it.
    End(Fault),
}

/// One connection's state. Times are since it was opened.
#[derive(Debug)]
pub struct Watch {
    rules: Rules,
    heard: Duration,
    pinged: Duration,
    /// Since when these are waited for.
    asked: Duration,
    waiting: BTreeSet<usize>,
    refused: BTreeSet<usize>,
    markets: usize,
    renewing: bool,
    /// So many messages were lost.
    lost: u64,
    /// To be ended, and opened again.
    leaves: bool,
}

impl Watch {
    /// A connection that has just asked for so many markets.
    pub fn new(rules: Rules, markets: usize) -> Self {
        let zero = Duration::ZERO;
        let waiting = (0..markets).collect();
        Self {
            rules,
            heard: zero,
            pinged: zero,
            asked: zero,
            waiting,
            refused: BTreeSet::new(),
            markets,
            renewing: false,
            lost: 0,
            leaves: false,
        }
    }

    /// A message came.
    pub const fn frame(&mut self, now: Duration) {
        self.heard = now;
    }

    /// A ping of the protocol came.
    pub const fn ping(&mut self, now: Duration) {
        if self.rules.pings_are_life {
            self.heard = now;
        }
    }

    /// The venue says that it will tell of a market, or has.
    pub fn acknowledged(&mut self, market: usize) {
        self.waiting.remove(&market);
        self.refused.remove(&market);
    }

    /// The venue says that it will not.
    pub fn refused(&mut self, market: usize) {
        self.waiting.remove(&market);
        self.refused.insert(market);
    }

    /// Whether a market is still to be answered for.
    pub fn is_waiting(&self, market: usize) -> bool {
        self.waiting.contains(&market)
    }

    /// Whether each market was answered for, and one at least well.
    pub fn is_answered(&self) -> bool {
        self.waiting.is_empty() && self.refused.len() < self.markets
    }

    /// The venue has announced that it ends this one, and what two connections tell could not be brought into one order.
    pub const fn leave(&mut self) {
        self.leaves = true;
    }

    /// Another connection is on its way to take over, or the venue has announced that it ends this one.
    pub const fn renew(&mut self) {
        self.rules.renew_after = Some(Duration::ZERO);
    }

    /// So many messages were lost on their way. What was in them shows when a market trades again, which may be long; a new
    /// connection begins with the last trades of each.
    pub const fn lost(&mut self, messages: u64) {
        self.lost = messages;
    }

    /// What is to be done now.
    pub fn due(&mut self, now: Duration) -> Due {
        let silent = now.saturating_sub(self.heard);
        if silent >= self.rules.silent_after {
            let what = format!("nothing came for {} s", silent.as_secs());
            return Due::End(Fault::new("silent", what));
        }
        if self.leaves {
            return Due::End(Fault::new("renewed", "the venue asks to connect anew"));
        }
        if self.lost > 0 {
            return Due::End(Fault::new("lost", format!("{} messages were lost on their way", self.lost)));
        }
        if !self.waiting.is_empty() && now.saturating_sub(self.asked) >= ACKNOWLEDGE_WITHIN {
            let waiting = std::mem::take(&mut self.waiting);
            self.refused.extend(&waiting);
            if self.refused.len() == self.markets {
                let what = format!("no subscription was acknowledged within {} s", ACKNOWLEDGE_WITHIN.as_secs());
                return Due::End(Fault::new("not_acknowledged", what));
            }
            return Due::Unanswered(waiting.into_iter().collect());
        }
        if self.refused.len() == self.markets {
            let fault = Fault::new("not_acknowledged", "each subscription was refused");
            return Due::End(Fault { wait: ASK_AGAIN, ..fault });
        }
        if !self.refused.is_empty() && self.waiting.is_empty() && now.saturating_sub(self.asked) >= ASK_AGAIN {
            self.asked = now;
            self.waiting = std::mem::take(&mut self.refused);
            return Due::Again(self.waiting.iter().copied().collect());
        }
        if !self.renewing && self.rules.renew_after.is_some_and(|after| now >= after) {
            self.renewing = true;
            return Due::Renew;
        }
        if self.rules.ping_every.is_some_and(|every| now.saturating_sub(self.pinged) >= every) {
            self.pinged = now;
            return Due::Ping;
        }
        Due::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const RULES: Rules =
        Rules { silent_after: s(20), pings_are_life: false, ping_every: Some(s(15)), renew_after: Some(s(1000)) };

    #[test]
    fn a_quiet_market_is_no_fault_and_a_silent_connection_is() {
        let mut watch = Watch::new(Rules { ping_every: None, ..RULES }, 1);
        watch.acknowledged(0);
        for at in 0..100 {
            watch.frame(s(at));
            assert_eq!(watch.due(s(at)), Due::Nothing);
        }
        assert_eq!(watch.due(s(118)), Due::Nothing);
        assert!(matches!(watch.due(s(119)), Due::End(fault) if fault.kind == "silent"));
    }

    #[test]
    fn pings_are_life_where_a_venue_has_nothing_else() {
        for (pings_are_life, expected) in [(true, true), (false, false)] {
            let mut watch = Watch::new(Rules { pings_are_life, ping_every: None, ..RULES }, 1);
            watch.acknowledged(0);
            watch.ping(s(19));
            assert_eq!(watch.due(s(20)) == Due::Nothing, expected);
        }
    }

    #[test]
    fn each_market_is_answered_for_or_named() {
        let mut watch = Watch::new(RULES, 3);
        watch.acknowledged(0);
        watch.refused(1);
        assert!(!watch.is_answered());
        watch.frame(s(9));
        assert_eq!(watch.due(s(9)), Due::Nothing);
        assert_eq!(watch.due(s(10)), Due::Unanswered(vec![2]));
        assert!(watch.is_answered());
        watch.frame(s(60));
        assert_eq!(watch.due(s(60)), Due::Again(vec![1, 2]));
        watch.acknowledged(2);
        watch.frame(s(70));
        assert_eq!(watch.due(s(70)), Due::Unanswered(vec![1]));
    }

    #[test]
    fn none_acknowledged_or_all_refused_ends_it() {
        let mut watch = Watch::new(RULES, 2);
        watch.refused(0);
        watch.frame(s(10));
        assert!(matches!(watch.due(s(10)), Due::End(fault) if fault.kind == "not_acknowledged"));
        let mut watch = Watch::new(RULES, 1);
        watch.refused(0);
        assert!(matches!(watch.due(s(1)), Due::End(fault) if fault.wait == ASK_AGAIN));
    }

    #[test]
    fn lost_messages_and_an_announced_end_end_it() {
        let mut watch = Watch::new(RULES, 1);
        watch.acknowledged(0);
        assert_eq!(watch.due(s(1)), Due::Nothing);
        watch.lost(3);
        assert!(matches!(watch.due(s(1)), Due::End(fault) if fault.kind == "lost"));
        let mut watch = Watch::new(RULES, 1);
        watch.leave();
        assert!(matches!(watch.due(s(1)), Due::End(fault) if fault.kind == "renewed"));
    }

    #[test]
    fn a_day_of_binance_has_one_renewal_and_no_fault() {
        use super::super::venues::{Binance, Venue as _};
        let mut watch = Watch::new(Binance.rules(), 1);
        watch.acknowledged(0);
        let mut due = Vec::new();
        for now in (0..24 * 3600).step_by(20).map(s) {
            watch.ping(now);
            due.extend(Some((now, watch.due(now))).filter(|(_, due)| *due != Due::Nothing));
        }
        assert_eq!(due, [(s(23 * 3600), Due::Renew)]);
    }

    #[test]
    fn pings_and_one_renewal() {
        let mut watch = Watch::new(RULES, 1);
        watch.acknowledged(0);
        watch.frame(s(15));
        assert_eq!([s(14), s(15), s(16)].map(|now| watch.due(now)), [Due::Nothing, Due::Ping, Due::Nothing]);
        watch.frame(s(1000));
        assert_eq!([s(1000), s(1001)].map(|now| watch.due(now)), [Due::Renew, Due::Ping]);
        let mut told = Watch::new(RULES, 1);
        told.acknowledged(0);
        told.renew();
        assert_eq!([s(1), s(2)].map(|now| told.due(now)), [Due::Renew, Due::Nothing]);
    }
}
