//! The rows that the archive's server has: made up, numbered, and all known.

/// The first trade, and the first candle, of each market is of 2023-12-30.
pub const BEGIN: i64 = 1_703_894_400_000;
/// Nothing is of 2024-03-02 or later.
pub const END: i64 = 1_709_337_600_000;
/// A trade, and a candle, a minute.
pub const MINUTE: i64 = 60_000;
pub const DAY: i64 = 86_400_000;

/// Which files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Klines,
    Trades,
    AggTrades,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Klines => "klines",
            Self::Trades => "trades",
            Self::AggTrades => "aggTrades",
        }
    }

    /// The number of the first row.
    pub const fn first(self) -> u64 {
        match self {
            Self::Klines => (BEGIN / MINUTE) as u64,
            _ => 1,
        }
    }

    pub const fn end(self) -> u64 {
        self.first() + ((END - BEGIN) / MINUTE) as u64
    }

    /// The row with this number, as the archive has it.
    pub fn row(self, number: u64) -> String {
        let size = format!("0.{:05}", 1 + number * 104_729 % 99_999);
        // In microseconds, as since 2025, from the middle of February on.
        self.written(number, "", &size, self.at(number) >= BEGIN + 45 * DAY)
    }

    /// The same row of another size.
    pub fn other(self, number: u64) -> String {
        self.written(number, "", "0.5", self.at(number) >= BEGIN + 45 * DAY)
    }

    /// The same row in another form: more zeros, other units.
    pub fn reformed(self, number: u64) -> String {
        let size = format!("0.{:05}000", 1 + number * 104_729 % 99_999);
        self.written(number, "0000", &size, self.at(number) < BEGIN + 45 * DAY)
    }

    fn written(self, number: u64, zeros: &str, size: &str, in_micros: bool) -> String {
        let at = self.at(number);
        let price = format!("{}.{:02}{zeros}", 30_000 + number * 7919 % 500, number % 100);
        let unit = |ms: i64| if in_micros { ms * 1000 } else { ms };
        let stamp = unit(at);
        match self {
            Self::Klines => {
                let close = unit(at + MINUTE) - 1;
                format!("{stamp},{price},{price},{price},{price},{size},{close},1.5,{},0.00001,1.0,0", 1 + number % 9)
            }
            Self::Trades => format!("{number},{price},{size},1.5,{stamp},{},True", flag(number)),
            Self::AggTrades => {
                format!("{number},{price},{size},{},{},{stamp},{},True", 2 * number, 2 * number + 1, flag(number))
            }
        }
    }

    pub fn at(self, number: u64) -> i64 {
        match self {
            Self::Klines => number as i64 * MINUTE,
            _ => BEGIN + (number as i64 - 1) * MINUTE + (number % 50) as i64 * 1000,
        }
    }

    pub fn json(self, number: u64) -> String {
        let row = self.row(number);
        let cells: Vec<&str> = row.split(',').collect();
        let at = self.at(number);
        match self {
            Self::Klines => format!(
                r#"[{at},"{}","{}","{}","{}","{}",{},"1.5",{},"0.00001","1.0","0"]"#,
                cells[1],
                cells[2],
                cells[3],
                cells[4],
                cells[5],
                at + MINUTE - 1,
                cells[8]
            ),
            Self::Trades => format!(
                r#"{{"id":{number},"price":"{}","qty":"{}","quoteQty":"1.5","time":{at},"isBuyerMaker":{},"isBestMatch":true}}"#,
                cells[1],
                cells[2],
                flag(number).to_lowercase()
            ),
            Self::AggTrades => format!(
                r#"{{"a":{number},"p":"{}","q":"{}","f":{},"l":{},"T":{at},"m":{},"M":true}}"#,
                cells[1],
                cells[2],
                2 * number,
                2 * number + 1,
                flag(number).to_lowercase()
            ),
        }
    }

    /// The first number at or behind a moment.
    pub fn number_at(self, at: i64) -> u64 {
        let numbers = self.first()..self.end();
        numbers.start + ((at - BEGIN).div_euclid(MINUTE).max(0) as u64).min(numbers.end - numbers.start)
    }
}

fn flag(number: u64) -> String {
    (if number.is_multiple_of(3) { "True" } else { "False" }).to_owned()
}
