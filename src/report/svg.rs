//! One picture: its frame, title, legend and axes, the same for all.
//!
//! Drawn at twice the size that it is shown at, since the backend knows whole points only.

use super::numbers::printable;
use super::style::{AXIS, GRID, MUTED, PAPER, TEXT, dark_pictures};
use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    Cartesian2d, ChartBuilder, Circle, DrawingArea, EmptyElement, IntoDrawingArea as _, IntoFont as _, PathElement,
    Polygon, Rectangle, SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontTransform, RGBColor, TextStyle};

/// Size of a picture.
const SIZE: (u32, u32) = (1040, 640);
/// The backend writes text smaller by this factor than it is told.
const TEXT_FACTOR: f64 = 1.24;
/// Of a title that is not too long for its line.
const TITLE_TEXT: f64 = 33.0;
const LABEL_TEXT: f64 = 29.0;
/// Width of a character, as a share of the text's size: an estimate on the safe side.
const CHARACTER: f64 = 0.56;
const LINE: u32 = 4;

/// A picture that could not be drawn: an error of the program, since everything is drawn in memory.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw `{title}`: {why}")]
pub struct PlotError {
    title: String,
    why: String,
}

pub(super) type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// How a legend's entry looks.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    Line,
    Dot,
    Area,
}

/// What is around a picture's content.
pub(super) struct Frame<'a> {
    pub title: String,
    pub legend: &'a [(&'a str, RGBColor, Mark)],
    pub x: (f64, f64),
    pub y: (f64, f64),
    pub x_label: &'a str,
    pub x_format: &'a dyn Fn(f64) -> String,
    pub y_format: &'a dyn Fn(f64) -> String,
    /// How many labels the horizontal axis has at most.
    pub x_labels: usize,
}

type Drawn = Result<(), String>;

pub(super) fn failed(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn text(size: f64, color: RGBColor, anchor: HPos) -> TextStyle<'static> {
    let font = ("sans-serif", size * TEXT_FACTOR).into_font().transform(FontTransform::None);
    TextStyle { font, color: color.to_backend_color(), pos: Pos::new(anchor, VPos::Center) }
}

/// Draws a picture.
pub(super) fn draw(frame: &Frame<'_>, content: impl FnOnce(&mut Chart<'_>) -> Drawn) -> Result<String, PlotError> {
    let mut svg = String::new();
    let drawn = draw_into(&mut svg, frame, content);
    drawn.map_err(|why| PlotError { title: frame.title.clone(), why })?;
    Ok(svg)
}

fn draw_into(svg: &mut String, frame: &Frame<'_>, content: impl FnOnce(&mut Chart<'_>) -> Drawn) -> Drawn {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&PAPER).map_err(failed)?;
    let fitting = f64::from(SIZE.0 - 56) / (frame.title.chars().count().max(1) as f64 * CHARACTER);
    let title = Text::new(frame.title.clone(), (28, 32), text(TITLE_TEXT.min(fitting), TEXT, HPos::Left));
    root.draw(&title).map_err(failed)?;
    legend(&root, frame.legend).map_err(failed)?;
    let mut chart = ChartBuilder::on(&root)
        .margin_top(if frame.legend.is_empty() { 68 } else { 114 })
        .margin_right(36)
        .margin_bottom(10)
        .margin_left(10)
        .x_label_area_size(92)
        .y_label_area_size(y_label_width(frame))
        .build_cartesian_2d(frame.x.0..frame.x.1, frame.y.0..frame.y.1)
        .map_err(failed)?;
    let x_format = |value: &f64| (frame.x_format)(*value);
    let y_format = |value: &f64| (frame.y_format)(*value);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(frame.x_labels)
        .y_labels(6)
        .max_light_lines(1)
        .bold_line_style(GRID.stroke_width(2))
        .light_line_style(GRID.mix(0.0))
        .axis_style(AXIS.stroke_width(2))
        .label_style(("sans-serif", LABEL_TEXT * TEXT_FACTOR).into_font().color(&MUTED))
        .axis_desc_style(("sans-serif", LABEL_TEXT * TEXT_FACTOR).into_font().color(&MUTED))
        .x_desc(frame.x_label)
        .x_label_formatter(&x_format)
        .y_label_formatter(&y_format)
        .draw()
        .map_err(failed)?;
    content(&mut chart)?;
    drop(chart);
    root.present().map_err(failed)
}

fn y_label_width(frame: &Frame<'_>) -> u32 {
    let (low, high) = frame.y;
    let ends = [low, high, f64::midpoint(low, high)];
    let longest = ends.iter().map(|y| (frame.y_format)(*y).chars().count()).max().unwrap_or(1).clamp(3, 9);
    (longest as f64 * LABEL_TEXT * CHARACTER) as u32 + 30
}

fn legend(root: &DrawingArea<SVGBackend<'_>, Shift>, entries: &[(&str, RGBColor, Mark)]) -> Drawn {
    let (mut x, y) = (28, 82);
    for (name, color, mark) in entries {
        let stroke = color.stroke_width(LINE + 1);
        match mark {
            Mark::Line => root.draw(&PathElement::new([(x, y), (x + 36, y)], stroke)),
            Mark::Dot => root.draw(&Circle::new((x + 18, y), 8, color.filled())),
            Mark::Area => root.draw(&Rectangle::new([(x, y - 12), (x + 36, y + 12)], color.filled())),
        }
        .map_err(failed)?;
        root.draw(&Text::new((*name).to_owned(), (x + 48, y), text(LABEL_TEXT, MUTED, HPos::Left))).map_err(failed)?;
        x += 48 + (name.chars().count() as f64 * LABEL_TEXT * CHARACTER) as i32 + 34;
    }
    Ok(())
}

/// A line through points.
pub(super) fn line(chart: &mut Chart<'_>, points: Vec<(f64, f64)>, color: RGBColor) -> Drawn {
    let style = color.stroke_width(LINE);
    chart.draw_series(std::iter::once(PathElement::new(points, style))).map(drop).map_err(failed)
}

/// A broad line through points, to be seen on both sides of one that lies on it.
pub(super) fn under(chart: &mut Chart<'_>, points: Vec<(f64, f64)>, color: RGBColor) -> Drawn {
    let style = color.stroke_width(LINE * 5 / 2);
    chart.draw_series(std::iter::once(PathElement::new(points, style))).map(drop).map_err(failed)
}

/// A thin line through points, for what others are compared with.
pub(super) fn rule(chart: &mut Chart<'_>, points: Vec<(f64, f64)>, color: RGBColor) -> Drawn {
    let style = color.stroke_width(2);
    chart.draw_series(std::iter::once(PathElement::new(points, style))).map(drop).map_err(failed)
}

/// The area between a lower and an upper line.
pub(super) fn band(chart: &mut Chart<'_>, lower: &[(f64, f64)], upper: &[(f64, f64)], color: RGBColor) -> Drawn {
    let outline: Vec<(f64, f64)> = lower.iter().copied().chain(upper.iter().rev().copied()).collect();
    chart.draw_series(std::iter::once(Polygon::new(outline, color.filled()))).map(drop).map_err(failed)
}

/// A dot at each point.
pub(super) fn dots(chart: &mut Chart<'_>, points: &[(f64, f64)], radius: i32, color: RGBColor) -> Drawn {
    let all = points.iter().map(|point| Circle::new(*point, radius, color.filled()));
    chart.draw_series(all).map(drop).map_err(failed)
}

/// A bar from `from` to `to`, `x.0` to `x.1` wide.
pub(super) fn bar(chart: &mut Chart<'_>, x: (f64, f64), from: f64, to: f64, color: RGBColor) -> Drawn {
    let shape = Rectangle::new([(x.0, from), (x.1, to)], color.filled());
    chart.draw_series(std::iter::once(shape)).map(drop).map_err(failed)
}

/// A text beside a point, moved by so many points to the right and down.
pub(super) fn note(chart: &mut Chart<'_>, at: (f64, f64), by: (i32, i32), content: &str, anchor: HPos) -> Drawn {
    let label = EmptyElement::at(at) + Text::new(content.to_owned(), by, text(LABEL_TEXT, TEXT, anchor));
    chart.draw_series(std::iter::once(label)).map(drop).map_err(failed)
}

/// The picture as a file: with a name, and with colours for the dark.
pub(super) fn standalone(svg: &str, description: &str) -> String {
    let head = format!("<title>{}</title><style>{}</style>", escape(description), dark_pictures());
    svg.replacen("xmlns=\"http://www.w3.org/2000/svg\">", &format!("xmlns=\"http://www.w3.org/2000/svg\">{head}"), 1)
}

/// The picture inside of a page: as wide as there is room, with a name, and without what a page knows already.
pub(super) fn inline(svg: &str, description: &str) -> String {
    let (width, height) = SIZE;
    let old = format!(
        "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" xmlns=\"http://www.w3.org/2000/svg\">"
    );
    let name = escape(description);
    let new = format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{name}\">");
    let mut out = svg.replacen(&old, &new, 1);
    for (said, short) in SAID_BY_THE_PAGE {
        out = out.replace(said, short);
    }
    out
}

/// What the page's style sheet says of all pictures, or is so anyway.
const SAID_BY_THE_PAGE: [(&str, &str); 6] = [
    (" opacity=\"1\"", ""),
    (" font-family=\"sans-serif\"", ""),
    (" stroke=\"none\"", ""),
    (" stroke-width=\"1\"", ""),
    (" font-size=\"29\"", ""),
    (" \"/>", "\"/>"),
];

/// Text that may stand in HTML and XML, in attributes too.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
