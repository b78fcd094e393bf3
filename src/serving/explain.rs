//! What a forecast was made of, asked for over HTTP: one is computed again at a time, on a thread of its own that gives way to the job.
//!
//! ```text
//!   /api/explain ──> Explanations ──> Explains (a thread, one at a time) ──> kept for a minute
//!                      └─ not done yet: 202, how far it is; nobody asks any more: it is stopped
//! ```

use super::app::{App, json};
use super::problem::Problem;
use super::query::Query;
use crate::delivery::Stop;
use crate::operators::support::stats::Stats;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The longest that a request waits before it is told how far it is.
const WAIT: Duration = Duration::from_secs(2);
/// What was computed is kept for so long, since a page that is loaded again asks again; outcomes come meanwhile.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// The most that are kept.
const KEPT_MAX: usize = 16;
/// By so much other threads come first.
const NICE: i32 = 5;

/// When one is given up.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Nobody has asked for so long: nobody wants it any more.
    unasked: Duration,
    /// The longest that one takes.
    whole: Duration,
}

const PATIENCE: Patience = Patience { unasked: Duration::from_secs(20), whole: Duration::from_secs(15 * 60) };

/// Who computes a forecast again.
pub trait Explains: Send + Sync {
    /// What a forecast was made of, as one JSON object. Ends soon after `stop` is requested; counts its records in `stats`.
    ///
    /// # Errors
    /// When there is no such forecast, what it was computed from is gone, or cannot be read.
    fn explain(&self, id: &str, stop: &Stop, stats: &Arc<Stats>) -> Result<String, Problem>;
}

/// What is being computed, and what was.
pub(super) struct Explanations {
    explains: Arc<dyn Explains>,
    desk: Arc<Mutex<Desk>>,
    patience: Patience,
}

#[derive(Default)]
struct Desk {
    running: Option<Running>,
    /// The newest last.
    kept: VecDeque<Kept>,
    is_closed: bool,
}

struct Running {
    id: String,
    stop: Stop,
    stats: Arc<Stats>,
    began: Instant,
    asked: Instant,
    done: watch::Receiver<bool>,
}

struct Kept {
    id: String,
    at: Instant,
    answer: Result<String, Problem>,
}

/// What there is to an id, now.
enum Standing {
    Known(Result<String, Problem>),
    /// It, or another one before it.
    Computing {
        records: u64,
        seconds: f64,
        is_other: bool,
        done: watch::Receiver<bool>,
    },
}

impl Explanations {
    pub(super) fn new(explains: Arc<dyn Explains>) -> Self {
        Self { explains, desk: Arc::default(), patience: PATIENCE }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    /// Looks for it, and begins it where nothing else is computed.
    fn ask(&self, id: &str) -> Result<Standing, Problem> {
        let mut desk = self.desk();
        desk.kept.retain(|kept| kept.at.elapsed() < KEPT_FOR);
        if let Some(kept) = desk.kept.iter().find(|kept| kept.id == id) {
            return Ok(Standing::Known(kept.answer.clone()));
        }
        if desk.running.is_none() {
            if desk.is_closed {
                return Err(Problem::unavailable("this server is stopping"));
            }
            desk.running = Some(self.begin(id)?);
        }
        let Some(running) = &mut desk.running else { return Err(Problem::unavailable("ask again")) };
        let is_other = running.id != id;
        if !is_other {
            running.asked = Instant::now();
        }
        Ok(Standing::Computing {
            records: running.stats.records().total(),
            seconds: running.began.elapsed().as_secs_f64(),
            is_other,
            done: running.done.clone(),
        })
    }

    fn begin(&self, id: &str) -> Result<Running, Problem> {
        let (end, done) = watch::channel(false);
        let (stop, stats) = (Stop::default(), Arc::new(Stats::default()));
        let (explains, desk) = (Arc::clone(&self.explains), Arc::clone(&self.desk));
        let (wanted, asked_to_stop, counted) = (id.to_owned(), stop.clone(), Arc::clone(&stats));
        let compute = move || {
            give_way();
            let computed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                explains.explain(&wanted, &asked_to_stop, &counted)
            }));
            let answer = computed.unwrap_or_else(|_| Err(Problem::failed("it panicked: the log has its words")));
            let mut desk = lock(&desk);
            desk.running = None;
            // What was given up is no answer.
            if !asked_to_stop.requested() {
                desk.kept.push_back(Kept { id: wanted, at: Instant::now(), answer });
                if desk.kept.len() > KEPT_MAX {
                    desk.kept.pop_front();
                }
            }
            drop(desk);
            let _ = end.send(true);
        };
        let started = std::thread::Builder::new().name("explain".to_owned()).spawn(compute);
        started.map_err(|error| Problem::unavailable(format!("no thread for it: {error}")))?;
        tokio::spawn(give_up(Arc::clone(&self.desk), done.clone(), self.patience));
        let now = Instant::now();
        Ok(Running { id: id.to_owned(), stop, stats, began: now, asked: now, done })
    }

    /// Ends what is being computed, and begins nothing more.
    pub(super) async fn close(&self) {
        let running = {
            let mut desk = self.desk();
            desk.is_closed = true;
            desk.running.as_ref().map(|running| (running.stop.clone(), running.done.clone()))
        };
        if let Some((stop, mut done)) = running {
            stop.request();
            // An error is a thread that has ended, too.
            let _ = done.wait_for(|done| *done).await;
        }
    }
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops what nobody waits for, or what takes too long.
async fn give_up(desk: Arc<Mutex<Desk>>, mut done: watch::Receiver<bool>, patience: Patience) {
    while tokio::time::timeout(patience.unasked / 20, done.wait_for(|done| *done)).await.is_err() {
        let mut desk = lock(&desk);
        let Some(running) = &desk.running else { return };
        let is_too_long = running.began.elapsed() > patience.whole;
        if !is_too_long && running.asked.elapsed() < patience.unasked {
            continue;
        }
        running.stop.request();
        if is_too_long {
            let minutes = patience.whole.as_secs() / 60;
            let text =
                format!("it took more than {minutes} minutes: tickcast explain has the time, on another machine");
            let id = running.id.clone();
            desk.kept.push_back(Kept { id, at: Instant::now(), answer: Err(Problem::unavailable(text)) });
        }
        return;
    }
}

/// The job's threads come first; those that this one starts give way, too.
fn give_way() {
    // Of Linux alone: elsewhere it would be the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!("explaining does not give way to others: {error}");
    }
}

/// `/api/explain`
pub(super) async fn explain(State(app): State<App>, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    let nobody =
        "nothing can be computed again here: the configuration has to name its source, and the run to be a live one";
    let explanations = app.explanations().ok_or_else(|| Problem::not_found(nobody))?;
    let query = Query::parse(uri.query(), &["id"])?;
    let id = query.text("id").ok_or_else(|| Problem::bad_request("id is missing: each forecast has one"))?;
    refuse_others(&headers)?;
    let until = tokio::time::Instant::now() + WAIT;
    let mut is_over = false;
    loop {
        match explanations.ask(id)? {
            Standing::Known(answer) => return Ok(json(&headers, answer?)),
            Standing::Computing { mut done, .. } if !is_over => {
                is_over = tokio::time::timeout_at(until, done.wait_for(|done| *done)).await.is_err();
            }
            Standing::Computing { records, seconds, is_other, .. } => {
                let state = if is_other { "waiting" } else { "computing" };
                let told = serde_json::json!({ "id": id, "state": state, "records": records, "seconds": seconds });
                let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                let again = (header::RETRY_AFTER, HeaderValue::from_static("1"));
                return Ok((StatusCode::ACCEPTED, [kind, again], told.to_string()).into_response());
            }
        }
    }
}

/// A page of somebody else's must not make this machine work, although it could not read the answer.
fn refuse_others(headers: &HeaderMap) -> Result<(), Problem> {
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if site.is_none_or(|site| matches!(site, "same-origin" | "none")) {
        return Ok(());
    }
    let detail = "only this server's own page may ask a browser for this".to_owned();
    Err(Problem { status: StatusCode::FORBIDDEN, detail })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Answers with the id; `slow` ones when they are stopped.
    #[derive(Default)]
    struct Echo {
        begun: AtomicUsize,
        stopped: AtomicUsize,
    }

    impl Explains for Echo {
        fn explain(&self, id: &str, stop: &Stop, _: &Arc<Stats>) -> Result<String, Problem> {
            self.begun.fetch_add(1, Ordering::SeqCst);
            assert!(id != "panic", "as it was told to");
            while id.starts_with("slow") && !stop.requested() {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.stopped.fetch_add(usize::from(stop.requested()), Ordering::SeqCst);
            if id == "none" { Err(Problem::not_found("there is none")) } else { Ok(id.to_owned()) }
        }
    }

    fn desk(unasked: Duration, whole: Duration) -> (Arc<Echo>, Explanations) {
        let echo = Arc::new(Echo::default());
        let explains: Arc<dyn Explains> = Arc::clone(&echo) as Arc<dyn Explains>;
        (echo, Explanations { patience: Patience { unasked, whole }, ..Explanations::new(explains) })
    }

    async fn answer(explanations: &Explanations, id: &str) -> Result<String, Problem> {
        loop {
            match explanations.ask(id)? {
                Standing::Known(answer) => return answer,
                Standing::Computing { mut done, .. } => {
                    let _ = done.wait_for(|done| *done).await;
                }
            }
        }
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn one_is_computed_at_a_time_and_kept_for_who_asks_again() {
        run(async {
            let (echo, explanations) = desk(LONG, LONG);
            assert_eq!(answer(&explanations, "a").await, Ok("a".to_owned()));
            assert_eq!(answer(&explanations, "a").await, Ok("a".to_owned()));
            assert_eq!(echo.begun.load(Ordering::SeqCst), 1, "it was kept");
            assert_eq!(answer(&explanations, "none").await, Err(Problem::not_found("there is none")));
            assert!(matches!(explanations.ask("slow"), Ok(Standing::Computing { is_other: false, .. })));
            assert!(matches!(explanations.ask("b"), Ok(Standing::Computing { is_other: true, .. })));
            assert!(matches!(explanations.ask("a"), Ok(Standing::Known(Ok(_)))), "what is known is told meanwhile");
            explanations.close().await;
            assert_eq!((echo.begun.load(Ordering::SeqCst), echo.stopped.load(Ordering::SeqCst)), (3, 1));
            assert_eq!(explanations.ask("b").err().map(|problem| problem.status.as_u16()), Some(503), "it has closed");
        });
    }

    #[test]
    fn what_panics_is_told_and_the_next_one_goes_on() {
        run(async {
            let (_, explanations) = desk(LONG, LONG);
            assert_eq!(answer(&explanations, "panic").await.map_err(|problem| problem.status.as_u16()), Err(500));
            assert_eq!(answer(&explanations, "a").await, Ok("a".to_owned()));
        });
    }

    #[test]
    fn what_nobody_waits_for_is_given_up() {
        run(async {
            let (echo, explanations) = desk(Duration::from_millis(40), LONG);
            let Ok(Standing::Computing { mut done, .. }) = explanations.ask("slow") else { panic!("known") };
            let _ = done.wait_for(|done| *done).await;
            assert_eq!(echo.stopped.load(Ordering::SeqCst), 1);
            assert!(matches!(explanations.ask("slow"), Ok(Standing::Computing { .. })), "it is no answer");
        });
    }

    #[test]
    fn what_takes_too_long_is_told() {
        run(async {
            let (echo, explanations) = desk(Duration::from_millis(200), Duration::from_millis(20));
            assert_eq!(answer(&explanations, "slow").await.map_err(|problem| problem.status.as_u16()), Err(503));
            assert_eq!(echo.begun.load(Ordering::SeqCst), 1);
        });
    }
}
