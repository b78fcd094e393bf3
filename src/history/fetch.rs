//! One file over HTTP, however often it breaks off.
//!
//! What has come lies in `NAME.part`, the venue's mark of its version in `NAME.part.mark`: the next try, or the next start, asks for
//! the rest of that very version, and begins anew where there is another.

use crate::delivery::Stop;
use crate::feeds::outbound::{Outbound, is_refused};
use crate::feeds::retry_after::retry_after;
use crate::feeds::streams::{Backoff, Fault};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use ureq::http::{Response, header};
use ureq::{Agent, Body};

/// The largest file: a month of the busiest market has less than a tenth.
const FILE_BYTES_MAX: u64 = 64 << 30;
/// The longest text that is asked for: a page of an API has a fifth.
const TEXT_BYTES_MAX: u64 = 4 << 20;
/// Tries without a step forward until a file is given up.
const TRIES: u32 = 6;
/// What is a step forward.
const STEP_BYTES: u64 = 64 << 10;
/// Who asks to be left alone for longer is not asked again in this run.
const PATIENCE: Duration = Duration::from_secs(120);
const BUFFER_BYTES: usize = 64 << 10;
/// How often it is said how far a file is.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// A client that is not hasty.
pub struct Client {
    agent: Agent,
    timeout: Duration,
    stop: Stop,
}

/// What an address has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// A file, which lies in [`part_of`] its path.
    Whole {
        /// The venue's mark of its version.
        etag: Option<String>,
    },
    /// Nothing.
    Absent,
}

/// Where a file is until it is known to be good.
pub fn part_of(path: &Path) -> PathBuf {
    with(path, ".part")
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// An answer that is no use; whether the venue will say the same again.
struct Refused(Fault, bool);

fn passing(fault: Fault) -> Refused {
    Refused(fault, false)
}

/// What is wrong with our own disk is not asked about again.
fn disk(path: &Path, error: &std::io::Error) -> Refused {
    let help = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ": make room, or name another place with history.dir",
        _ => "",
    };
    Refused(Fault::new("disk", format!("cannot write {}: {error}{help}", path.display())), true)
}

impl Client {
    /// One whose answers may take `timeout`.
    pub fn new(timeout: Duration, outbound: &Outbound, stop: &Stop) -> Self {
        let builder = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(5)
            .timeout_connect(Some(timeout.min(Duration::from_secs(10))))
            .timeout_recv_response(Some(timeout))
            .user_agent(concat!("tickcast/", env!("CARGO_PKG_VERSION")));
        let agent = outbound.apply(builder).build().new_agent();
        Self { agent, timeout, stop: stop.clone() }
    }

    /// Fetches a file into [`part_of`] its path.
    ///
    /// # Errors
    /// When the venue does not give it, this disk does not take it, or it was stopped.
    pub fn file(&self, url: &str, path: &Path) -> Result<Got, Fault> {
        let part = part_of(path);
        let length = || std::fs::metadata(&part).map_or(0, |found| found.len());
        let mut had = length();
        // Who cannot give the rest of a file is given more time for all of it.
        let mut time = self.timeout;
        self.tried(url, |tries| {
            let got = self.once(url, &part, time);
            let has = length();
            if has >= had + STEP_BYTES {
                *tries = 0;
            } else {
                time = (time * 2).min(Duration::from_secs(3600));
            }
            had = has;
            got
        })
    }

    /// A short text; nothing where there is none.
    ///
    /// # Errors
    /// As [`Client::file`].
    pub fn text(&self, url: &str) -> Result<Option<String>, Fault> {
        self.tried(url, |_| {
            let mut response = self.ask(url, &[], self.timeout)?;
            match response.status().as_u16() {
                200 => {}
                404 | 410 => return Ok(None),
                status => return Err(refusal(status, &response)),
            }
            let body = response.body_mut().with_config().limit(TEXT_BYTES_MAX).lossy_utf8(true).read_to_string();
            body.map(Some).map_err(|error| passing(Fault::new("cut", format!("its answer broke off: {error}"))))
        })
    }

    /// Forgets what has come of a file.
    pub fn forget(path: &Path) {
        let part = part_of(path);
        // What is not there is forgotten.
        let _ = std::fs::remove_file(&part);
        let _ = std::fs::remove_file(with(&part, ".mark"));
    }

    /// Again and again, with waits.
    fn tried<T>(&self, url: &str, mut once: impl FnMut(&mut u32) -> Result<T, Refused>) -> Result<T, Fault> {
        let (mut backoff, mut tries) = (Backoff::default(), 0);
        loop {
            if self.stop.requested() {
                return Err(Fault::new("stopped", "stopped"));
            }
            let Refused(fault, is_final) = match once(&mut tries) {
                Ok(got) => return Ok(got),
                Err(refused) => refused,
            };
            tries += 1;
            if is_final || tries >= TRIES || fault.wait > PATIENCE {
                return Err(fault);
            }
            if tries == 1 {
                backoff = Backoff::default();
            }
            let wait = backoff.wait(fault.wait, crate::feeds::chance());
            tracing::debug!("{url}: {fault}; asked again in {:.1} s", wait.as_secs_f64());
            if !self.stop.sleep(wait) {
                return Err(Fault::new("stopped", "stopped"));
            }
        }
    }

    fn ask(&self, url: &str, headers: &[(&str, &str)], time: Duration) -> Result<Response<Body>, Refused> {
        let mut request = self.agent.get(url).config().timeout_recv_body(Some(time)).build();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.call().map_err(|error| {
            let kind = if matches!(error, ureq::Error::Timeout(_)) { "silent" } else { "no_connection" };
            let is_final =
                matches!(error, ureq::Error::BadUri(_) | ureq::Error::TooManyRedirects) || is_refused(&error);
            Refused(Fault::new(kind, error.to_string()), is_final)
        })
    }

    fn once(&self, url: &str, part: &Path, time: Duration) -> Result<Got, Refused> {
        let mark_path = with(part, ".mark");
        let mark = std::fs::read_to_string(&mark_path).unwrap_or_default();
        let have = if mark.is_empty() { 0 } else { std::fs::metadata(part).map_or(0, |found| found.len()) };
        let range = format!("bytes={have}-");
        let asked: &[(&str, &str)] =
            if have > 0 { &[("Range", &range), ("If-Range", &mark)] } else { &[("Accept-Encoding", "identity")] };
        let mut response = self.ask(url, asked, time)?;
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let etag = text(header::ETAG);
        let (begin, total) = match response.status().as_u16() {
            200 => (0, text(header::CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok())),
            206 => {
                let range = text(header::CONTENT_RANGE).unwrap_or_default();
                match content_range(&range) {
                    Some((begin, total)) if begin == have => (begin, total),
                    _ => {
                        // Not what was asked for: all of it is.
                        let _ = std::fs::remove_file(&mark_path);
                        return Err(passing(Fault::new("protocol", format!("it answers with the range {range:?}"))));
                    }
                }
            }
            404 | 410 => return Ok(Got::Absent),
            status => {
                if status == 416 {
                    // There is no such rest: another version.
                    let _ = std::fs::remove_file(&mark_path);
                    return Err(passing(Fault::new("protocol", "it has no such range")));
                }
                return Err(refusal(status, &response));
            }
        };
        if total.is_some_and(|total| total > FILE_BYTES_MAX) {
            return Err(Refused(Fault::new("too_large", format!("it has more than {FILE_BYTES_MAX} bytes")), true));
        }
        let wrong = |error: std::io::Error| disk(part, &error);
        let mut file = if begin == 0 {
            let file = File::create(part).map_err(wrong)?;
            // Of this version from here on; a weak mark does not tell bytes apart.
            let strong = etag.clone().filter(|etag| !etag.starts_with("W/"));
            let mark = strong.or_else(|| text(header::LAST_MODIFIED)).unwrap_or_default();
            std::fs::write(&mark_path, mark).map_err(wrong)?;
            file
        } else {
            OpenOptions::new().append(true).open(part).map_err(wrong)?
        };
        let mut reader = response.body_mut().with_config().limit(FILE_BYTES_MAX).reader();
        let mut buffer = vec![0; BUFFER_BYTES];
        let (mut have, mut said) = (begin, Instant::now());
        loop {
            if self.stop.requested() {
                return Err(Refused(Fault::new("stopped", "stopped"), true));
            }
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    file.write_all(&buffer[..read]).map_err(wrong)?;
                    have += read as u64;
                    if said.elapsed() >= SAY_EVERY {
                        said = Instant::now();
                        let of = total.map_or_else(String::new, |total| format!(" of {:.0}", total as f64 / 1e6));
                        tracing::info!("{url}: {:.0}{of} MB", have as f64 / 1e6);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(passing(Fault::new("cut", format!("it broke off: {error}")))),
            }
        }
        if total.is_some_and(|total| total != have) {
            return Err(passing(Fault::new("cut", format!("it broke off after {have} bytes"))));
        }
        file.sync_all().map_err(wrong)?;
        Ok(Got::Whole { etag })
    }
}

fn refusal(status: u16, response: &Response<Body>) -> Refused {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let wait = text(header::RETRY_AFTER).and_then(|value| retry_after(value, text(header::DATE)));
    let mut fault = Fault::of_status(status, wait);
    fault.what = match status {
        401 | 403 => format!("HTTP {status}: it wants a key, or refuses this address: look at history.url"),
        451 => "HTTP 451: the venue does not serve this country: name a mirror with history.url".to_owned(),
        300..=499 if !matches!(status, 408 | 418 | 425 | 429) => {
            format!("HTTP {status}: look at history.url, history.symbols and history.market")
        }
        _ => fault.what.replace("too many connections", "too many requests"),
    };
    let is_final = matches!(status, 300..=499) && !matches!(status, 408 | 418 | 425 | 429);
    Refused(fault, is_final)
}

/// `bytes 5-9/10`: where it begins, and how long all is.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 0-9/*"), Some((0, None)));
        assert_eq!(content_range("bytes */10"), None);
        assert_eq!(content_range(""), None);
    }
}
