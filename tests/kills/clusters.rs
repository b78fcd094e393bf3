//! A cluster of processes: killed, hung, cut off and started again, each forecast comes once, equal to the backfill's.

use super::exactly_once::{assert_exact, random};
use crate::live::Setup;
use crate::simulated;
use crate::support::{Process, Services, Signal, console_consumer, eventually, tickcast, tickcast_of};
use rand_chacha::rand_core::Rng;
use std::path::Path;
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(300);

/// A job with a checkpoint per second of event time, and its cluster.
fn setup(services: &Services) -> (Setup<'_>, tempfile::TempDir) {
    let store = crate::support::temp_dir();
    let extra = format!(
        "[time]\nallowed_lateness = \"0s\"\nslide = \"1s\"\n[cluster]\nstall_timeout = \"2s\"\nstart_timeout = \"20s\"\n\
         [checkpoint]\nurl = \"file://{}\"\ninterval = \"1s\"\n",
        store.path().display()
    );
    (Setup::new(services, true, &extra), store)
}

fn cluster(setup: &Setup<'_>, processes: usize, workers: usize) -> Process {
    let (processes, workers) = (processes.to_string(), workers.to_string());
    Process::spawn(tickcast([
        "cluster",
        "-c",
        setup.config(),
        "--processes",
        &processes,
        "--workers",
        &workers,
        "--json",
    ]))
}

/// The system's id of one process of a cluster, once it is there.
fn child(cluster: &Process, index: usize) -> Option<u32> {
    let wanted = format!("\0--process\0{index}\0");
    let is_it = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let is_child = status.lines().any(|line| line == format!("PPid:\t{}", cluster.pid()));
        is_child
            && std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&wanted))
    };
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.into_iter().find(is_it)
}

fn send(pid: u32, signal: Signal) {
    let name = format!("{signal:?}").to_uppercase();
    let _ = std::process::Command::new("kill").args([format!("-{name}"), pid.to_string()]).status();
}

/// How often all processes have met.
fn starts(cluster: &Process) -> usize {
    cluster.stderr().lines().filter(|line| line.starts_with("[0]") && line.ends_with(" processes are there")).count()
}

fn await_starts(cluster: &mut Process, count: usize) {
    eventually(&format!("start {count}"), WITHIN, || {
        assert!(cluster.is_running(), "{}", cluster.stderr());
        (starts(cluster) >= count).then_some(())
    });
}

/// Whether a checkpoint has become current.
fn has_checkpoint(store: &Path) -> bool {
    let inside = |dir: &Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>()
    };
    inside(store).iter().flat_map(|job| inside(job)).any(|checkpoint| checkpoint.join("manifest").is_file())
}

/// `kill -9` and SIGSTOP of either process at random moments, while records come in.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_process_of_two_is_killed_or_hangs() {
    let services = Services::shared();
    let (setup, store) = setup(&services);
    let (whole, _) = simulated::files(setup.dir.path(), 10);
    let backfilled = setup.backfill(&whole, None);
    let mut feed =
        Process::spawn(tickcast(["replay", whole.to_str().unwrap(), "-c", setup.config(), "--speed", "400"]));
    let mut cluster = cluster(&setup, 2, 1);
    let mut rng = random();
    for turn in 0..6 {
        await_starts(&mut cluster, turn + 1);
        if turn == 3 {
            // Lives may all be too short for one.
            eventually("a checkpoint", WITHIN, || has_checkpoint(store.path()).then_some(()));
        }
        std::thread::sleep(Duration::from_millis(rng.next_u64() % 2_500));
        let (index, signal) = (turn % 2, if turn < 4 { Signal::Kill } else { Signal::Stop });
        let begun = Instant::now();
        send(child(&cluster, index).unwrap(), signal);
        await_starts(&mut cluster, turn + 2);
        println!("{signal:?} of process {index}: all run again after {:.1} s", begun.elapsed().as_secs_f64());
    }
    let told = cluster.stderr();
    assert!(told.contains("[0] error: process 1 (127.0.0.1:") && told.contains(" is lost: "), "{told}");
    assert!(told.contains("[1] error: process 0 (127.0.0.1:"), "{told}");
    eventually("all is published to the topic", WITHIN, || (!feed.is_running()).then_some(()));
    setup.await_through(backfilled.last_but_one(), WITHIN);
    cluster.signal(Signal::Term);
    let ended = cluster.wait(Duration::from_secs(20)).expect_code(0);
    let gone_on = ended.stderr.matches("goes on from the checkpoint of ").count();
    println!("went on from a checkpoint {gone_on} times");
    assert!(gone_on >= 1, "{}", ended.stderr);
    let summary: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    let used = std::fs::read_to_string(&whole).unwrap().lines().count() as u64;
    assert_eq!(summary["records"]["used"], used, "each record once, whichever process has read it");
    assert_exact(&setup, &backfilled);
}

/// Other numbers of processes and of workers go on from the same checkpoints; who starts them dies, too.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_job_moves_between_shapes() {
    let services = Services::shared();
    let (setup, _store) = setup(&services);
    let (whole, _) = simulated::files(setup.dir.path(), 10);
    let backfilled = setup.backfill(&whole, None);
    let mut feed =
        Process::spawn(tickcast(["replay", whole.to_str().unwrap(), "-c", setup.config(), "--speed", "700"]));
    let mut told = String::new();
    for (processes, workers) in [(1, 1), (1, 4), (2, 2), (3, 1)] {
        let mut cluster = cluster(&setup, processes, workers);
        await_starts(&mut cluster, 1);
        std::thread::sleep(Duration::from_millis(2_500));
        let pids: Vec<u32> = (0..processes).map(|index| child(&cluster, index).unwrap()).collect();
        cluster.signal(Signal::Kill);
        // Nobody is left behind.
        eventually("processes whose supervisor is gone end", Duration::from_secs(30), || {
            pids.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
        });
        told += &cluster.stderr();
    }
    let mut cluster = cluster(&setup, 1, 2);
    eventually("all is published to the topic", WITHIN, || (!feed.is_running()).then_some(()));
    setup.await_through(backfilled.last_but_one(), WITHIN);
    cluster.signal(Signal::Term);
    told += &cluster.wait(Duration::from_secs(20)).expect_code(0).stderr;
    let gone_on = told.matches("goes on from the checkpoint of ").count();
    println!("went on from a checkpoint {gone_on} times");
    assert!(gone_on >= 2, "{told}");
    assert_exact(&setup, &backfilled);
}

/// The first instance hangs, a second one takes over and goes on; the first one wakes.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_zombie_that_wakes_is_fenced() {
    let services = Services::shared();
    let (setup, _store) = setup(&services);
    let (whole, _) = simulated::files(setup.dir.path(), 10);
    let backfilled = setup.backfill(&whole, None);
    let mut feed =
        Process::spawn(tickcast(["replay", whole.to_str().unwrap(), "-c", setup.config(), "--speed", "1000"]));
    let mut zombie = setup.start_with(2);
    setup.await_through(1, WITHIN);
    zombie.signal(Signal::Stop);
    let mut successor = setup.start_with(1);
    eventually("all is published to the topic", WITHIN, || (!feed.is_running()).then_some(()));
    setup.await_through(backfilled.last_but_one(), WITHIN);
    zombie.signal(Signal::Cont);
    let fenced = zombie.wait(Duration::from_secs(30)).expect_code(3);
    assert!(fenced.stderr.contains("another instance"), "{}", fenced.stderr);
    successor.signal(Signal::Term);
    successor.wait(Duration::from_secs(10)).expect_code(0);
    assert_exact(&setup, &backfilled);
}

/// The command that users have, in a short form: named moments, kills and hangs of two processes.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn chaos_loses_and_doubles_nothing() {
    let services = Services::shared();
    let setup = Setup::new(&services, true, "[cluster]\nprocesses = 2\n");
    let program = crate::support::example("stops_at");
    let seed = (random().next_u64() % 1_000_000).to_string();
    let arguments = ["chaos", "-c", setup.config(), "--kills", "10", "--seed", &seed, "--workers", "1"];
    let told = Process::spawn(tickcast_of(&program, arguments)).wait(WITHIN).expect_code(0);
    let account = told.stdout_text();
    println!("{account}");
    assert!(account.contains("10 lives of 2 processes ended by force"), "{account}");
    // Topic, database, files.
    assert_eq!(account.matches("forecasts: the same, ").count(), 3, "{account}");
    assert_eq!(account.matches("scores: the same, ").count(), 3, "{account}");
    assert!(account.contains("0 processes did not see") && account.contains("dead letters: "), "{account}");
    // Kafka's own consumer reads as many.
    let count = |line: &str| line.split(' ').find_map(|word| word.parse::<usize>().ok()).unwrap();
    let expected = count(account.lines().find(|line| line.starts_with("forecasts: the same, ")).unwrap());
    let place = account.lines().find_map(|line| line.strip_prefix("A: kafka://")).unwrap();
    let topic = place.split_once('/').unwrap().1;
    assert_eq!(console_consumer(&services, topic, Duration::from_secs(5)).len(), expected);
}

/// A parent on each of two machines, as in two pods: either process is killed, both parents start theirs again.
#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_parent_on_each_machine() {
    let services = Services::shared();
    let (setup, _store) = setup(&services);
    let (whole, _) = simulated::files(setup.dir.path(), 6);
    let backfilled = setup.backfill(&whole, None);
    setup.replay(&whole, None);
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hosts = setup.dir.path().join("hosts");
    std::fs::write(&hosts, format!("{}\n{}\n", free(), free())).unwrap();
    let parent = |index: usize| {
        let index = index.to_string();
        let arguments = ["cluster", "-c", setup.config(), "--process", &index, "--workers", "1", "--json"];
        Process::spawn(tickcast(arguments.into_iter().chain(["--hosts", hosts.to_str().unwrap()])))
    };
    // The second one has to wait for the first.
    let mut second = parent(1);
    std::thread::sleep(Duration::from_secs(1));
    let mut first = parent(0);
    await_starts(&mut first, 1);
    for (number, index) in [(2, 0), (3, 1)] {
        let killed = child(if index == 0 { &first } else { &second }, index).unwrap();
        send(killed, Signal::Kill);
        await_starts(&mut first, number);
    }
    setup.await_through(backfilled.last_but_one(), WITHIN);
    assert!(second.is_running(), "{}", second.stderr());
    first.signal(Signal::Term);
    second.signal(Signal::Term);
    first.wait(Duration::from_secs(20)).expect_code(0);
    second.wait(Duration::from_secs(20)).expect_code(0);
    assert_exact(&setup, &backfilled);
}
