//! One connection of an exchange that plays.

use super::words::line;
use super::{Kind, Shared, Then, confirm};
use serde_json::{Value, json};
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
    /// Messages that were sent, where the venue numbers them.
    number: u64,
}

impl<'a> Player<'a> {
    pub fn new(socket: WebSocket<TcpStream>, shared: &'a Shared) -> Self {
        Self { socket, shared, markets: vec![], next: 1, sent: 0, then: VecDeque::new(), number: 0 }
    }

    pub fn run(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        let mut beaten = Instant::now();
        // Who does not answer is cut.
        let mut pinged: Option<Instant> = None;
        self.socket.get_ref().set_nonblocking(true)?;
        while !self.shared.is_over.load(Relaxed) {
            // Answers of pings, and the other side's end.
            match self.socket.read() {
                Ok(Message::Text(text)) if text.as_str() == "ping" => self.socket.send(Message::text("pong"))?,
                Ok(Message::Text(text)) if text.starts_with('{') => {
                    self.socket.get_ref().set_nonblocking(false)?;
                    confirm::one(self, &serde_json::from_str(&text)?)?;
                }
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
                    Kind::Binance | Kind::BinanceAggregates
                        if pinged.is_some_and(|at| at.elapsed() > Duration::from_secs(10)) =>
                    {
                        return Ok(());
                    }
                    Kind::Binance | Kind::BinanceAggregates => {
                        pinged.get_or_insert_with(Instant::now);
                        self.socket.send(Message::Ping("1".into()))?;
                    }
                    Kind::Coinbase => self.socket.send(Message::text(r#"{"type":"heartbeat","last_trade_id":0}"#))?,
                    Kind::Kraken => self.socket.send(Message::text(r#"{"channel":"heartbeat"}"#))?,
                    Kind::CoinbaseAdvanced => {
                        let beat = json!({"current_time": "2023-06-23 20:31:56.121961769 +0000 UTC m=+91717.525857105",
                            "heartbeat_counter": "3049"});
                        self.send(json!({"channel": "heartbeats", "events": [beat]}))?;
                    }
                    Kind::Bitstamp | Kind::Bybit | Kind::Okx => {}
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
            self.tell_of(market, ids, "update")?;
        }
        self.sent += 1;
        Ok(())
    }

    /// Tells of these trades of a market.
    pub fn tell_of(&mut self, market: &str, ids: &[u64], kind: &str) -> Result<(), tungstenite::Error> {
        let lines: Vec<String> = ids.iter().map(|id| line(self.shared, market, *id)).collect();
        let text = match self.shared.kind {
            Kind::Kraken => format!(r#"{{"channel":"trade","type":"update","data":[{}]}}"#, lines.join(",")),
            Kind::Bybit => {
                let lines = lines.join(",");
                format!(r#"{{"topic":"publicTrade.{market}","ts":1761583474344,"type":"snapshot","data":[{lines}]}}"#)
            }
            Kind::CoinbaseAdvanced => {
                // The newest first.
                let lines: Vec<Value> = lines.iter().rev().map(|line| serde_json::from_str(line).unwrap()).collect();
                let events = json!([{"type": kind, "trades": lines}]);
                return self.send(json!({"channel": "market_trades", "events": events}));
            }
            _ if lines.len() == 1 => lines[0].clone(),
            _ => format!("[{}]", lines.join(",")),
        };
        self.socket.send(Message::text(text))
    }

    /// Sends what is no trade, and what has a number.
    pub fn send(&mut self, mut message: Value) -> Result<(), tungstenite::Error> {
        if self.shared.kind == Kind::CoinbaseAdvanced {
            message["client_id"] = "".into();
            message["timestamp"] = "2023-02-09T20:19:35.39625135Z".into();
            message["sequence_num"] = self.number.into();
            self.number += 1;
        }
        self.socket.send(Message::text(message.to_string()))
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
            Then::Garble(count) => {
                self.next += ahead(self, count).len() as u64;
                self.socket.send(Message::text("no trades at all"))?;
            }
            Then::Lose(count) => {
                self.next += ahead(self, count).len() as u64;
                self.number += (count * self.markets.len()) as u64;
            }
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
                let text = match self.shared.kind {
                    Kind::Bitstamp => r#"{"event":"bts:request_reconnect","channel":"","data":""}"#,
                    Kind::Okx => {
                        r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed.","connId":"a"}"#
                    }
                    _ => r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#,
                };
                self.socket.send(Message::text(text))?;
            }
        }
        Ok(true)
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
