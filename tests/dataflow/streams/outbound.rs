//! Proxies of the environment, and roots of one's own: the streams and the HTTP API go the same way.

use super::{Setup, WITHIN, await_all, markets, stop, subscribed, summary};
use crate::api::{self, Api, Step};
use crate::exchange::authority::Authority;
use crate::exchange::connect::{Answer, Asked, ConnectProxy};
use crate::exchange::{Act, Exchange, Kind, Then};
use crate::support::{Process, eventually, run_to_end, temp_dir, tickcast};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

const KIND: Kind = Kind::Binance;

fn command(setup: &Setup, environment: &[(&str, &str)]) -> Command {
    let mut command = tickcast(["collect", "--json", "-c", setup.dir.path().join("c.toml").to_str().unwrap()]);
    for name in ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
        command.env_remove(name);
    }
    command.env("NO_PROXY", "").env_remove("no_proxy").envs(environment.iter().copied());
    command
}

fn with_hole() -> Exchange {
    Exchange::start(KIND, &markets(KIND), [Act::Play(vec![(5, Then::Skip(3))])])
}

/// Collects twenty trades, three of which the stream leaves out.
fn collect(setup: &Setup, exchange: &Exchange, environment: &[(&str, &str)]) -> (serde_json::Value, String) {
    let mut process = Process::spawn(command(setup, environment));
    subscribed(exchange, &mut process);
    exchange.make(20);
    await_all(exchange, setup);
    let finished = stop(process);
    for market in markets(KIND) {
        setup.assert_complete(exchange, market, 1, &BTreeSet::new());
    }
    let said = summary(&finished);
    assert_eq!((&said["repaired"], &said["missing"]), (&6.into(), &0.into()), "{said}");
    (said, finished.stderr)
}

/// By a proxy that wants to know who it is: the stream and each page of the API. No name and no password shows.
#[test]
fn streams_and_pages_go_by_the_proxy() {
    let exchange = with_hole();
    let setup = Setup::of(&exchange);
    let proxy = ConnectProxy::start([]);
    let address = format!("http://some%40body:p%3A4ss@{}", proxy.address);
    let (_, stderr) = collect(&setup, &exchange, &[("HTTPS_PROXY", &address)]);
    let asked = proxy.asked();
    let basic = |target: SocketAddr| Asked {
        target: target.to_string(),
        // some@body:p:4ss
        who: Some("Basic c29tZUBib2R5OnA6NHNz".to_owned()),
    };
    let (stream, api) = (basic(exchange.stream_address()), basic(exchange.api_address()));
    assert_eq!(asked.iter().filter(|asked| **asked == stream).count(), exchange.opened().len());
    assert_eq!(asked.iter().filter(|asked| **asked == api).count(), exchange.asked().len());
    assert_eq!(asked.len(), exchange.opened().len() + exchange.asked().len());
    assert!(!exchange.asked().is_empty());
    assert!(stderr.contains(&format!("goes by the proxy {}", proxy.address)), "{stderr}");
    for secret in ["p%3A4ss", "p:4ss", "some%40body", "some@body", "c29tZUBib2R5OnA6NHNz"] {
        assert!(!stderr.contains(secret), "{secret}: {stderr}");
    }
    // Hosts that need none.
    let exchange = with_hole();
    setup.configure(&[exchange.setting(&[])], "");
    let before = proxy.asked().len();
    let mut process =
        Process::spawn(command(&setup, &[("HTTPS_PROXY", &address), ("NO_PROXY", "example.com,127.0.0.1")]));
    subscribed(&exchange, &mut process);
    stop(process);
    assert_eq!(proxy.asked().len(), before);
}

/// Each by its name, and as the proxy's fault: it is tried again, and not in haste.
#[test]
fn a_proxy_that_fails_is_named() {
    let exchange = with_hole();
    let setup = Setup::of(&exchange);
    let proxy = ConnectProxy::start([Answer::Status(502), Answer::Garbage, Answer::Close, Answer::Silence]);
    let (said, stderr) = collect(&setup, &exchange, &[("ALL_PROXY", &proxy.address.to_string())]);
    assert_eq!((&said["faults"]["proxy"], exchange.opened().len()), (&4.into(), 1), "{said}");
    for words in [
        format!("HTTP 502: it cannot reach {}; opened again", exchange.stream_address()),
        "it does not answer as a proxy of HTTP; opened again".to_owned(),
        "it closed without an answer; opened again".to_owned(),
        "no answer; opened again".to_owned(),
    ] {
        assert!(stderr.contains(&format!("binance: the proxy {}: {words}", proxy.address)), "{words}: {stderr}");
    }
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refusing = [407, 403].map(|status| ConnectProxy::start([Answer::Status(status)]));
    let [unknown, closed] = refusing.each_ref().map(|proxy| proxy.address);
    for (address, words) in [
        (format!("http://{unknown}"), "HTTP 407: it wants a name and a password: HTTPS_PROXY takes http://NAME"),
        (format!("http://a:b@{closed}"), "HTTP 403: it does not let anybody through to "),
        (format!("http://{unused}"), "Connection refused"),
    ] {
        let process = Process::spawn(command(&setup, &[("http_proxy", &address)]));
        let said = || process.stderr().contains(words).then_some(());
        eventually(words, WITHIN, said);
        let said = summary(&stop(process));
        assert!(said["faults"]["proxy"].as_u64().unwrap() >= 1 && said["opened"] == 0, "{said}");
    }
}

/// What names no proxy that could be used is an error, not a way without one.
#[test]
fn what_is_no_proxy_is_refused() {
    let exchange = with_hole();
    let setup = Setup::of(&exchange);
    for (name, value, words) in [
        (
            "HTTPS_PROXY",
            "http://some body:s3cret@proxy:80",
            "HTTPS_PROXY is no address of a proxy: write it as http://",
        ),
        ("https_proxy", "ftp://proxy", "https_proxy is no address of a proxy"),
        ("ALL_PROXY", "socks5://a:s3cret@proxy:1080", "ALL_PROXY is a proxy of SOCKS5: only proxies of HTTP are used"),
    ] {
        let said = run_to_end(command(&setup, &[(name, value)]), WITHIN).expect_code(2).stderr;
        assert!(said.contains(words) && !said.contains("s3cret"), "{said}");
    }
    assert!(exchange.opened().is_empty());
}

/// A relay and an API of one's own, in TLS, with certificates of a root that only `ca_file` names; also by a proxy that speaks TLS itself.
#[test]
fn roots_of_ones_own_are_trusted_besides_the_others() {
    let (authority, other, dir) = (Authority::new("ours"), Authority::new("theirs"), temp_dir());
    let name = |authority: &Authority, name: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, authority.pem()).unwrap();
        format!("ca_file = \"{}\"", path.display())
    };
    let (ours, theirs) = (name(&authority, "ours.pem"), name(&other, "theirs.pem"));
    let setting = |exchange: &Exchange| {
        let [stream, api] = [exchange.stream_address(), exchange.api_address()].map(|to| authority.serve(to).port());
        let setting = exchange
            .setting(&[])
            .replace(&format!("ws://{}", exchange.stream_address()), &format!("wss://localhost:{stream}"));
        setting.replace(&format!("http://{}", exchange.api_address()), &format!("https://localhost:{api}"))
    };
    let exchange = with_hole();
    let setup = Setup::new(&[setting(&exchange)], &ours);
    collect(&setup, &exchange, &[]);

    let exchange = with_hole();
    let proxy = ConnectProxy::start([]);
    let address = format!("https://a:b@localhost:{}", authority.serve(proxy.address).port());
    let setup = Setup::new(&[setting(&exchange)], &ours);
    collect(&setup, &exchange, &[("HTTPS_PROXY", &address)]);
    assert_eq!(proxy.asked().len(), exchange.opened().len() + exchange.asked().len());

    // Not by those alone that are built in, nor by another root.
    for more in ["", &theirs] {
        let exchange = with_hole();
        let setup = Setup::new(&[setting(&exchange)], more);
        let process = Process::spawn(command(&setup, &[]));
        eventually("it is told", WITHIN, || {
            let said = process.stderr();
            (said.contains("UnknownIssuer") && said.contains("name its root with collect.ca_file")).then_some(())
        });
        let said = summary(&stop(process));
        assert!(said["faults"]["tls"].as_u64().unwrap() >= 1 && said["opened"] == 0, "{said}");
    }
    let setup = Setup::new(&[exchange.setting(&[])], "ca_file = \"nowhere.pem\"");
    let said = run_to_end(command(&setup, &[]), WITHIN).expect_code(2).stderr;
    assert!(said.contains("collect.ca_file = nowhere.pem: cannot be read: No such file"), "{said}");
    let mut check = command(&setup, &[]);
    check.arg("--check");
    let said = run_to_end(check, Duration::from_secs(20)).expect_code(2).stderr;
    assert!(said.contains("collect.ca_file"), "{said}");
}

/// The API that is asked where no venues are named.
#[test]
fn messaris_api_is_reached_in_the_same_way() {
    let Some(recorded) = api::recorded() else { return };
    let api = Api::start([("bitcoin", vec![Step::Body(recorded)])]).unwrap();
    let (authority, dir) = (Authority::new("ours"), temp_dir());
    let path = dir.path().join("ours.pem");
    std::fs::write(&path, authority.pem()).unwrap();
    let front = authority.serve(api.url().strip_prefix("http://").unwrap().parse().unwrap());
    let proxy = ConnectProxy::start([]);
    let setup = Setup::new(&[], &format!("url = \"https://localhost:{}\"\nassets = [\"bitcoin\"]", front.port()));
    let once = |more: &[&str]| {
        let mut command = command(&setup, &[("HTTPS_PROXY", &proxy.address.to_string())]);
        command.arg("--once").args(more);
        run_to_end(command, WITHIN)
    };
    let said = once(&[]).expect_code(1).stderr;
    assert!(said.contains("UnknownIssuer"), "{said}");
    once(&["--set", &format!("collect.ca_file={}", path.display())]).expect_code(0);
    assert_eq!((api.all().len(), proxy.asked().len()), (1, 2));
}
