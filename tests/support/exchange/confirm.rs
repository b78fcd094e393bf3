//! What an exchange answers to subscriptions.

use super::Kind;
use super::player::Player;
use super::words::shown;
use serde_json::{Value, json};
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use tungstenite::{Message, WebSocket};

/// The first text that comes.
pub fn subscription(socket: &mut WebSocket<TcpStream>) -> Result<String, tungstenite::Error> {
    loop {
        if let Message::Text(text) = socket.read()? {
            return Ok(text.to_string());
        }
    }
}

fn names(asked: &Value, path: &str) -> Vec<String> {
    let list = asked.pointer(path).and_then(|list| list.as_array().cloned()).unwrap_or_default();
    list.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Says which markets it will tell of, and which not.
pub fn confirm(player: &mut Player<'_>, asked: &str) -> Result<(), Box<dyn std::error::Error>> {
    let shared = player.shared;
    let mut asked: Value = serde_json::from_str(asked)?;
    let known = |name: &String| shared.markets.iter().find(|market| *market == name).copied();
    player.next = shared.made.load(Relaxed) + 1;
    match shared.kind {
        Kind::Binance | Kind::BinanceAggregates => {
            let stream = if shared.kind == Kind::Binance { "trade" } else { "aggTrade" };
            let streams: Vec<String> =
                shared.markets.iter().map(|name| format!("{}@{stream}", name.to_lowercase())).collect();
            player.send(json!({"result": streams, "id": 1}))?;
            player.markets.clone_from(&shared.markets);
        }
        Kind::Coinbase => loop {
            let names = names(&asked, "/product_ids");
            let Some(unknown) = names.iter().find(|name| known(name).is_none()) else {
                let channels = ["matches", "heartbeat"].map(|name| json!({"name": name, "product_ids": names}));
                player.send(json!({"type": "subscriptions", "channels": channels}))?;
                player.markets = names.iter().filter_map(known).collect();
                break;
            };
            let reason = format!("{unknown} is not a valid product");
            player.send(json!({"type": "error", "message": "Failed to subscribe", "reason": reason}))?;
            asked = serde_json::from_str(&subscription(&mut player.socket)?)?;
        },
        Kind::Okx => {
            let arguments = asked["args"].as_array().unwrap();
            let names: Vec<String> = arguments.iter().map(|one| one["instId"].as_str().unwrap().to_owned()).collect();
            for name in &names {
                let argument = json!({"channel": "trades-all", "instId": name});
                let msg = format!("Wrong URL or channel:trades-all,instId:{name} doesn't exist.");
                player.send(match known(name) {
                    Some(_) => json!({"event": "subscribe", "arg": argument, "connId": "a"}),
                    None => json!({"event": "error", "code": "60018", "msg": msg, "connId": "a"}),
                })?;
            }
            player.markets = names.iter().filter_map(known).collect();
        }
        Kind::Kraken => {
            let names = names(&asked, "/params/symbol");
            for name in &names {
                player.send(match known(name) {
                    Some(name) => json!({"method": "subscribe", "success": true,
                        "result": {"channel": "trade", "snapshot": false, "symbol": name}}),
                    None => json!({"method": "subscribe", "success": false, "symbol": name,
                        "error": format!("Currency pair not supported {name}")}),
                })?;
            }
            player.markets = names.iter().filter_map(known).collect();
        }
        // One by one: until all that there are were asked for.
        Kind::Bitstamp | Kind::Bybit | Kind::CoinbaseAdvanced => {
            one(player, &asked)?;
            while player.markets.len() < shared.markets.len() {
                let asked = subscription(&mut player.socket)?;
                one(player, &serde_json::from_str(&asked)?)?;
            }
        }
    }
    // Its snapshots were those of before.
    if shared.kind != Kind::CoinbaseAdvanced {
        player.next = shared.made.load(Relaxed) + 1;
    }
    Ok(())
}

/// One subscription of those that come one by one, also later.
pub fn one(player: &mut Player<'_>, asked: &Value) -> Result<(), tungstenite::Error> {
    let shared = player.shared;
    let known = |name: &str| shared.markets.iter().find(|market| **market == name).copied();
    match shared.kind {
        Kind::Bitstamp if asked["event"] == "bts:heartbeat" => {
            player.send(json!({"event": "bts:heartbeat", "channel": "", "data": {"status": "success"}}))
        }
        Kind::Bitstamp => {
            let channel = asked["data"]["channel"].as_str().unwrap();
            let Some(market) = known(channel.strip_prefix("live_trades_").unwrap()) else {
                let data = json!({"code": null, "message": "Bad subscription string."});
                return player.send(json!({"event": "bts:error", "channel": channel, "data": data}));
            };
            if !player.markets.contains(&market) {
                player.markets.push(market);
            }
            player.send(json!({"event": "bts:subscription_succeeded", "channel": channel, "data": {}}))
        }
        Kind::Bybit if asked["op"] == "ping" => {
            player.send(json!({"success": true, "ret_msg": "pong", "conn_id": "a", "req_id": "", "op": "ping"}))
        }
        Kind::Bybit => {
            let topic = asked["args"][0].as_str().unwrap();
            let market = known(topic.strip_prefix("publicTrade.").unwrap());
            let why =
                market.map_or_else(|| format!("error:handler not found,topic:{topic}"), |_| "subscribe".to_owned());
            if let Some(market) = market.filter(|market| !player.markets.contains(market)) {
                player.markets.push(market);
            }
            let request = &asked["req_id"];
            player.send(json!({"success": market.is_some(), "ret_msg": why, "conn_id": "a", "req_id": request,
                "op": "subscribe"}))
        }
        Kind::CoinbaseAdvanced => {
            if asked["channel"] == "market_trades" {
                // It is not documented what is said of one that there is not.
                let Some(market) = known(asked["product_ids"][0].as_str().unwrap()) else { return Ok(()) };
                let last: Vec<u64> = (player.next.saturating_sub(20).max(1)..player.next).collect();
                player.tell_of(market, &last, "snapshot")?;
                if !player.markets.contains(&market) {
                    player.markets.push(market);
                }
            }
            let products: Vec<String> = player.markets.iter().map(|market| shown(shared.kind, market)).collect();
            let subscriptions = json!({"heartbeats": ["heartbeats"], "market_trades": products});
            player.send(json!({"channel": "subscriptions", "events": [{"subscriptions": subscriptions}]}))
        }
        _ => Ok(()),
    }
}
