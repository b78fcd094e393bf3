use super::super::hello::PROTOCOL;
use super::*;
use crate::recovery::Computation;
use std::io::{Read as _, Write as _};

fn hosts(count: usize) -> Hosts {
    // Held until all are known, so that they differ.
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    Hosts::new(listeners.iter().map(|listener| listener.local_addr().unwrap().to_string())).unwrap()
}

fn member(index: usize, hosts: &Hosts, seed: &str, millis: u64) -> Member {
    let computation = Computation::new([("model.random_seed", seed.to_owned())]);
    let (processes, job) = (hosts.count(), "btc".to_owned());
    let identity = Identity { version: "0.1.0".to_owned(), job, computation, processes, workers: 2 };
    let (start_timeout, stall_timeout) = (Duration::from_millis(millis), Duration::from_secs(5));
    Member { index, hosts: hosts.clone(), identity, start_timeout, stall_timeout }
}

fn go_on() -> bool {
    false
}

/// Meets, and gets the data sockets of one start.
fn take_part(member: Member) -> Result<usize, Fault> {
    let meeting = Meeting::open(member, &go_on)?;
    let control = meeting.meet()?;
    let sockets = meeting.mesh(7)?;
    // Whoever is first keeps its own open until the others are through.
    std::thread::sleep(Duration::from_millis(200));
    drop(control);
    Ok(sockets.into_iter().flatten().count())
}

fn all(members: Vec<Member>) -> Vec<Result<usize, String>> {
    let threads: Vec<_> = members.into_iter().map(|member| std::thread::spawn(move || take_part(member))).collect();
    threads.into_iter().map(|thread| thread.join().unwrap().map_err(|fault| fault.text)).collect()
}

#[test]
fn each_pair_gets_a_socket_whatever_strangers_do() {
    let hosts = hosts(3);
    let strangers = {
        let hosts = hosts.clone();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for _ in 0..20 {
                for index in 0..3 {
                    let Ok(mut stream) = TcpStream::connect(hosts.address(index)) else { continue };
                    // Silent, or rubbish, or the beginning of a greeting.
                    let words: [&[u8]; 4] =
                        [b"", b"GET / HTTP/1.1\r\n\r\n", b"tickcast", b"tickcast\x01\x00\xff\xff\xff\xff"];
                    let _ = stream.write_all(words[(open.len()) % 4]);
                    open.push(stream);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            open
        })
    };
    // The first one comes last.
    let mut members: Vec<Member> = (1..3).map(|index| member(index, &hosts, "42", 20_000)).collect();
    members.push(member(0, &hosts, "42", 20_000));
    assert_eq!(all(members), [Ok(2), Ok(2), Ok(2)]);
    drop(strangers.join().unwrap());
}

#[test]
fn whoever_is_missing_is_named() {
    let hosts = hosts(3);
    let outcome = all(vec![member(0, &hosts, "42", 400), member(1, &hosts, "42", 400)]);
    let text = outcome[0].clone().unwrap_err();
    assert!(text.starts_with(&format!("{} did not come within 0.4 s", hosts.name(2))), "{text}");
    let outcome = all(vec![member(2, &hosts, "42", 300)]);
    let text = outcome[0].clone().unwrap_err();
    assert!(text.starts_with(&format!("{} cannot be reached within 0.3 s", hosts.name(0))), "{text}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let hosts = hosts(1);
    let _taken = TcpListener::bind(hosts.address(0)).unwrap();
    let text = take_part(member(0, &hosts, "42", 300)).unwrap_err().text;
    assert!(text.contains("cannot listen") && text.contains("is another process running there"), "{text}");
}

#[test]
fn who_computes_something_else_is_turned_away_and_the_first_one_says_so_too() {
    let hosts = hosts(2);
    let outcome = all(vec![member(0, &hosts, "42", 600), member(1, &hosts, "7", 600)]);
    let [ours, theirs] = [0, 1].map(|at| outcome[at].clone().unwrap_err());
    let why = "process 1 has model.random_seed 7, process 0 has 42: give all processes the same";
    assert_eq!(theirs, format!("{} refuses: {why}", hosts.name(0)));
    assert!(ours.contains("did not come") && ours.ends_with(&format!("somebody was turned away: {why}")), "{ours}");
}

#[test]
fn the_second_of_one_index_is_turned_away_and_the_first_one_stays() {
    let hosts = hosts(3);
    let (first, second) = (
        member(1, &hosts, "42", 2_000),
        Hello { from: 1, to: 0, purpose: Purpose::Control, identity: member(1, &hosts, "42", 0).identity },
    );
    let address = hosts.address(0).to_owned();
    let double = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(400));
        let mut stream = TcpStream::connect(address).unwrap();
        greet(&mut stream, &second).unwrap();
        hear::<Answer>(&stream, Instant::now() + Duration::from_secs(5)).unwrap()
    });
    let third = {
        let member = member(2, &hosts, "42", 2_000);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(800));
            take_part(member).map_err(|fault| fault.text)
        })
    };
    assert_eq!(all(vec![member(0, &hosts, "42", 2_000), first]), [Ok(2), Ok(2)]);
    assert_eq!(third.join().unwrap(), Ok(2));
    let Answer::Refused(why) = double.join().unwrap() else { panic!("welcome") };
    assert!(why.ends_with("is here already: two processes have the same --process"), "{why}");
}

#[test]
fn another_protocol_is_told() {
    let hosts = hosts(2);
    let waiting = std::thread::spawn({
        let member = member(0, &hosts, "42", 600);
        move || take_part(member).unwrap_err().text
    });
    let mut stream = loop {
        if let Ok(stream) = TcpStream::connect(hosts.address(0)) {
            break stream;
        }
    };
    stream.write_all(b"tickcast\xff\x7f").unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [&b"tickcast"[..], &PROTOCOL.to_le_bytes()].concat()[..]);
    assert!(waiting.join().unwrap().contains("does not understand (protocol 32767"));
}
