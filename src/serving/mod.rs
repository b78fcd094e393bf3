//! The face of a job: a page, an API, an event stream, metrics and probes, over HTTP. Nothing here changes anything.
//!
//! ```text
//!   committer ──> Live (the latest, and what is new) ──> /api/symbols, /api/stream
//!             └─> a store ──> Reader ──────────────────> /api/forecasts, /api/scores, /api/bars, /api/figures
//!   source, checkpoints ──> Explains (on wish) ────────> /api/explain
//!   Stats, Gauges, Board ──> JobWatch ─────────────────> /api/job, /metrics, /livez, /readyz
//! ```
//!
//! | file | holds |
//! |---|---|
//! | [`server`] | the socket, its limits, the thread, the end |
//! | [`app`] | what is served, and which route gives what |
//! | [`guard`] | which requests are answered at all, and the headers of every answer |
//! | [`query`] | query strings, read strictly |
//! | [`problem`] | errors as problem documents |
//! | [`api`] | results as JSON |
//! | [`symbols`] | the table of all symbols |
//! | [`figures`] | what a report would say of the newest scores |
//! | [`stream`] | server-sent events |
//! | [`live`] | the latest forecasts, and what is new, as a sink |
//! | [`job`] | what a running job shows of itself |
//! | [`stored`] | the same of one that runs elsewhere |
//! | [`explain`] | a forecast, computed again for who asks |
//! | [`metrics`] | the same for Prometheus |
//! | [`assets`] | the page |

pub mod api;
pub mod app;
pub mod assets;
pub mod explain;
pub mod figures;
pub mod guard;
pub mod job;
pub mod live;
pub mod metrics;
pub mod problem;
pub mod query;
pub mod server;
pub mod stored;
pub mod stream;
pub mod symbols;

pub use app::App;
pub use job::{JobInfo, JobWatch, Watch};
pub use live::Live;
pub use server::{Limits, ServeError, Server};
pub use stored::StoredWatch;
