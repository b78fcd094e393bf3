//! The page and what it loads: all of it in the program, nothing from elsewhere.

use super::app::tagged;
use super::problem::Problem;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::Response;

/// Names, kinds and contents of what the page loads.
const ASSETS: &[(&str, &str, &str)] = &[
    ("app.js", "text/javascript; charset=utf-8", include_str!("assets/app.js")),
    ("explain.js", "text/javascript; charset=utf-8", include_str!("assets/explain.js")),
    ("charts.js", "text/javascript; charset=utf-8", include_str!("assets/charts.js")),
    ("words.js", "text/javascript; charset=utf-8", include_str!("assets/words.js")),
    ("app.css", "text/css; charset=utf-8", include_str!("assets/app.css")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ("uplot.js", "text/javascript; charset=utf-8", include_str!("assets/uplot/uPlot.iife.min.js")),
    ("uplot.css", "text/css; charset=utf-8", include_str!("assets/uplot/uPlot.min.css")),
    ("uplot.license.txt", "text/plain; charset=utf-8", include_str!("assets/uplot/LICENSE")),
];

/// `/`
pub(super) fn page(headers: &HeaderMap) -> Response {
    tagged(headers, "text/html; charset=utf-8", include_bytes!("assets/index.html").to_vec())
}

/// `/explain`
pub(super) fn explanation(headers: &HeaderMap) -> Response {
    tagged(headers, "text/html; charset=utf-8", include_bytes!("assets/explain.html").to_vec())
}

/// `/assets/{name}`
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|(other, _, _)| *other == name);
    let (_, kind, content) = found.ok_or_else(|| Problem::not_found("there is no such file"))?;
    Ok(tagged(&headers, kind, content.as_bytes().to_vec()))
}
