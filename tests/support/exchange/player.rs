//! One connection of an exchange that plays.

use super::{Kind, Shared, Then, is_sell, trade};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, WebSocket};

/// One connection that plays.
pub struct Player<'a> {
    pub socket: WebSocket<TcpStream>,
    pub shared: &'a Shared,
    pub markets: Vec<&'static str>,
    pub next: u64,
    pub sent: usize,
    pub then: VecDeque<(usize, Then)>,
}

impl Player<'_> {
    pub fn run(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        let mut beaten = Instant::now();
        // Who does not answer is cut.
        let mut pinged: Option<Instant> = None;
        self.socket.get_ref().set_nonblocking(true)?;
        while !self.shared.is_over.load(Relaxed) {
            // Answers of pings, and the other side's end.
            match self.socket.read() {
                Ok(Message::Text(text)) if text.as_str() == "ping" => self.socket.send(Message::text("pong"))?,
                Ok(Message::Pong(payload)) if payload.as_ref() == b"1" => pinged = None,
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            self.socket.get_ref().set_nonblocking(false)?;
            while self.next <= self.shared.made.load(Relaxed) {
                if self.then.front().is_some_and(|(after, _)| self.sent >= *after)
                    && let Some((_, then)) = self.then.pop_front()
                    && !self.happen(&then)?
                {
                    return Ok(());
                }
                if self.next <= self.shared.made.load(Relaxed) {
                    self.tell(&[self.next])?;
                    self.next += 1;
                }
            }
            if beaten.elapsed() >= Duration::from_secs(1) {
                beaten = Instant::now();
                match self.shared.kind {
                    Kind::Binance if pinged.is_some_and(|at| at.elapsed() > Duration::from_secs(10)) => return Ok(()),
                    Kind::Binance => {
                        pinged.get_or_insert_with(Instant::now);
                        self.socket.send(Message::Ping("1".into()))?;
                    }
                    Kind::Coinbase => self.socket.send(Message::text(r#"{"type":"heartbeat","last_trade_id":0}"#))?,
                    Kind::Kraken => self.socket.send(Message::text(r#"{"channel":"heartbeat"}"#))?,
                    Kind::Okx => {}
                }
            }
            std::thread::sleep(Duration::from_millis(2));
            self.socket.get_ref().set_nonblocking(true)?;
        }
        Ok(())
    }

    /// Tells of these trades of each market, where the venue can in one message.
    fn tell(&mut self, ids: &[u64]) -> Result<(), tungstenite::Error> {
        for market in self.markets.clone() {
            if self.shared.kind == Kind::Kraken {
                let lines: Vec<String> = ids.iter().map(|id| line(self.shared, market, *id)).collect();
                let text = format!(r#"{{"channel":"trade","type":"update","data":[{}]}}"#, lines.join(","));
                self.socket.send(Message::text(text))?;
                continue;
            }
            let lines: Vec<String> = ids.iter().map(|id| line(self.shared, market, *id)).collect();
            let text = if let [one] = &lines[..] { one.clone() } else { format!("[{}]", lines.join(",")) };
            self.socket.send(Message::text(text))?;
        }
        self.sent += 1;
        Ok(())
    }

    /// Whether it goes on.
    fn happen(&mut self, then: &Then) -> Result<bool, Box<dyn std::error::Error>> {
        let ahead = |player: &Self, count: usize| -> Vec<u64> {
            // They have to be made first.
            while player.shared.made.load(Relaxed) < player.next + count as u64 - 1
                && !player.shared.is_over.load(Relaxed)
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            (player.next..player.next + count as u64).collect()
        };
        match *then {
            Then::CutMidFrame => {
                // A text of 100 bytes, of which 20 come.
                self.socket.get_mut().write_all(&[0x81, 100])?;
                self.socket.get_mut().write_all(&[b'{'; 20])?;
                return Ok(false);
            }
            Then::Cut => return Ok(false),
            Then::HalfOpen => {
                while !self.shared.is_over.load(Relaxed) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                return Ok(false);
            }
            Then::Close(code) => {
                let frame = CloseFrame { code: code.into(), reason: "bye".into() };
                self.socket.close(Some(frame))?;
                self.socket.flush()?;
                std::thread::sleep(Duration::from_millis(100));
                return Ok(false);
            }
            Then::Big(bytes) => self.socket.send(Message::text("x".repeat(bytes)))?,
            Then::NotUtf8 => self.socket.get_mut().write_all(&[0x81, 2, 0xff, 0xfe])?,
            Then::Text(text) => self.socket.send(Message::text(text))?,
            Then::Skip(count) => self.next += ahead(self, count).len() as u64,
            Then::Backwards(count) => {
                let ids = ahead(self, count);
                for id in ids.iter().rev() {
                    self.tell(&[*id])?;
                }
                self.next += count as u64;
            }
            Then::Again(count) => {
                for id in self.next.saturating_sub(count as u64).max(1)..self.next {
                    self.tell(&[id])?;
                }
            }
            Then::Packed(count) => {
                let ids = ahead(self, count);
                self.tell(&ids)?;
                self.next += count as u64;
            }
            Then::Announce => {
                let data = r#"{"e":"serverShutdown","E":1770123456789}"#;
                self.socket.send(Message::text(format!(r#"{{"stream":"!serverShutdown","data":{data}}}"#)))?;
            }
        }
        Ok(true)
    }
}

pub fn stamp(ms: u64) -> String {
    jiff::Timestamp::from_millisecond(ms as i64).unwrap().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// A trade as the stream has it; of Kraken, an element of its list.
fn line(shared: &Shared, market: &str, id: u64) -> String {
    let ((price, size), at) = (trade(market, id), shared.pace.at_ms(id));
    match shared.kind {
        Kind::Binance => format!(
            r#"{{"stream":"{}@trade","data":{{"e":"trade","E":{at},"s":"{market}","t":{id},"p":"{price}","q":"{size}","T":{at},"m":{},"M":true}}}}"#,
            market.to_lowercase(),
            is_sell(id)
        ),
        Kind::Coinbase => format!(
            r#"{{"type":"match","trade_id":{id},"maker_order_id":"a","taker_order_id":"b","side":"{}","size":"{size}","price":"{price}","product_id":"{market}","sequence":{},"time":"{}"}}"#,
            if is_sell(id) { "buy" } else { "sell" },
            id * 3,
            stamp(at)
        ),
        Kind::Okx => format!(
            r#"{{"arg":{{"channel":"trades-all","instId":"{market}"}},"data":[{{"instId":"{market}","tradeId":"{id}","px":"{price}","sz":"{size}","source":"0","side":"{}","ts":"{at}"}}]}}"#,
            if is_sell(id) { "sell" } else { "buy" }
        ),
        Kind::Kraken => format!(
            r#"{{"symbol":"{market}","side":"{}","price":{price},"qty":{size},"ord_type":"market","trade_id":{id},"timestamp":"{}"}}"#,
            if is_sell(id) { "sell" } else { "buy" },
            stamp(at)
        ),
    }
}

/// Says nothing until the other side goes.
pub fn wait(socket: &mut WebSocket<TcpStream>, shared: &Shared) -> Result<(), Box<dyn std::error::Error>> {
    socket.get_ref().set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut bytes = [0; 1024];
    while !shared.is_over.load(Relaxed) {
        match socket.get_mut().read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
