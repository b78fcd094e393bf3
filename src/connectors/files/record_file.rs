//! One file as a partition: what it is, how its records are to be read, and how far it is read.

use super::csv_rows::CsvRows;
use super::json_rows::JsonRows;
use super::kept::{Item, Kept};
use super::lines::Lines;
use super::look::{self, Interval, Look, Origin};
use super::open::{Opened, Text, open};
use super::parquet::ParquetRows;
use super::rows::{Rows, Step, is_blank};
use crate::config::Format;
use crate::connectors::input::{Flow, InputError, PartitionState, Payload, Record};
use crate::formats::{Decoder, HeaderError, Naming};
use crate::market::{PartitionId, Span, Symbol, SymbolTable, Zone};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How the records of all files are to be read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub format: Format,
    pub symbol: Option<Symbol>,
    pub interval: Option<Span>,
    pub naming: Naming,
    pub zone: Zone,
}

/// One file and how far it is read.
#[derive(Debug)]
pub(super) struct RecordFile {
    pub id: PartitionId,
    pub name: Arc<str>,
    /// What reads its first records.
    pub decoder: Decoder,
    rows: Rows,
    /// What was read ahead.
    kept: Kept,
    /// Of candles that do not say it.
    interval: Option<Span>,
    /// Of stamps that name none.
    zone: Zone,
    /// The number of the next record.
    next: u64,
    ended: bool,
    /// The files that go on where it ends.
    rest: Rest,
}

/// The files behind one, in the order of time.
#[derive(Debug)]
struct Rest {
    paths: VecDeque<PathBuf>,
    reading: Option<Reading>,
}

impl RecordFile {
    /// Opens a file and looks at its first records.
    ///
    /// # Errors
    /// When it cannot be read or understood, or runs backwards.
    pub(super) fn open(id: PartitionId, path: &Path, reading: &Reading) -> Result<Self, InputError> {
        let (rows, decoder) = match open(path)? {
            Opened::Parquet(file) => {
                let rows = ParquetRows::open(path, file, &reading.naming)?;
                let decoder = reading.parquet(path, &rows)?;
                (Rows::Parquet(Box::new(rows)), decoder)
            }
            Opened::Text(Text { reader, name }) => {
                let mut lines = Lines::new(path, reader);
                if is_json(&mut lines, &name, reading.format)? {
                    let rows = JsonRows::open(path, lines)?;
                    (Rows::Json(rows), reading.json(path)?)
                } else {
                    let rows = CsvRows::open(path, lines, &reading.naming, reading.symbol.as_ref())?;
                    let decoder = rows.decoder().clone();
                    reading.check(path, decoder.format())?;
                    (Rows::Csv(rows), decoder)
                }
            }
        };
        let name = path.display().to_string().into();
        let (kept, interval, zone) = (Kept::default(), reading.interval, reading.zone.clone());
        let rest = Rest { paths: VecDeque::new(), reading: None };
        let mut file = Self { id, name, decoder, rows, kept, interval, zone, next: 0, ended: false, rest };
        file.look(path, reading)?;
        Ok(file)
    }

    /// Opens the first of several files that are read one after the other, as one.
    ///
    /// # Errors
    /// As [`RecordFile::open`], and when there is none.
    pub(super) fn open_chain(
        id: PartitionId,
        name: &str,
        paths: &[PathBuf],
        reading: Reading,
    ) -> Result<Self, InputError> {
        let [first, rest @ ..] = paths else { return Err(InputError::Failed(format!("{name}: there is no file"))) };
        let mut file = Self::open(id, first, &reading)?;
        file.name = name.into();
        file.rest = Rest { paths: rest.iter().cloned().collect(), reading: Some(reading) };
        Ok(file)
    }

    /// Goes on with the file behind this one; false where there is none.
    fn follow(&mut self) -> Result<bool, InputError> {
        let (Some(path), Some(reading)) = (self.rest.paths.pop_front(), &self.rest.reading) else { return Ok(false) };
        let Self { decoder, rows, kept, interval, zone, .. } = Self::open(self.id, &path, reading)?;
        (self.decoder, self.rows, self.kept, self.interval, self.zone) = (decoder, rows, kept, interval, zone);
        Ok(true)
    }

    /// Reads the first records ahead, and learns from them what the file does not say otherwise.
    fn look(&mut self, path: &Path, reading: &Reading) -> Result<(), InputError> {
        let (mut look, mut decoder) = (Look::default(), Look::decoder(&self.decoder));
        let (mut rows, mut whole) = (0, false);
        while rows < look::ROWS_MAX && self.kept.bytes() < look::BYTES_MAX && !look.is_decided() {
            match self.rows.step()? {
                Step::End => {
                    whole = true;
                    break;
                }
                Step::Columns => {
                    if let Rows::Csv(csv) = &self.rows {
                        decoder = Look::decoder(csv.decoder());
                        self.kept.push_columns(csv.decoder().clone());
                    }
                }
                Step::Row => {
                    let row = self.rows.row();
                    if is_blank(row) {
                        continue;
                    }
                    let may_be_unnamed = rows == 0 && matches!(self.rows, Rows::Json(_)) && !reading.naming.is_list();
                    if may_be_unnamed && let Some(of_arrays) = reading.unnamed_arrays(path, &self.decoder, row)? {
                        decoder = Look::decoder(&of_arrays);
                        self.decoder = of_arrays;
                    }
                    rows += 1;
                    look.take(&mut decoder, row);
                    self.kept.push_row(row);
                }
            }
        }
        let wrong = |why: &dyn std::fmt::Display| InputError::Failed(format!("{}: {why}", path.display()));
        if let Some((before, after)) = look.backwards(whole) {
            let how = self.how_to_turn(path);
            return Err(wrong(&format_args!(
                "it runs backwards: {after} comes behind {before}, and no record leads on; records have to come oldest first. {how}"
            )));
        }
        if let Some(Interval { span, origin }) = look.interval(reading.interval).map_err(|why| wrong(&why))? {
            match origin {
                Origin::Spacing(true) => {
                    tracing::info!("{}: its candles are {span} long, by the spacing of their opens", self.name);
                }
                Origin::Spacing(false) => tracing::warn!(
                    "{}: its candles are {span} long, by the least spacing of their opens, of which not all are multiples: \
                     set source.interval if that is wrong",
                    self.name
                ),
                Origin::Date => {
                    tracing::info!(
                        "{}: its candle is {span} long, since its stamp is a date without a time",
                        self.name
                    );
                }
            }
            self.interval = Some(span);
        }
        self.decoder = self.decoder_of(&self.decoder);
        Ok(())
    }

    fn decoder_of(&self, decoder: &Decoder) -> Decoder {
        decoder.clone().with_interval(self.interval).with_zone(self.zone.clone())
    }

    fn how_to_turn(&self, path: &Path) -> String {
        let path = path.display();
        match &self.rows {
            Rows::Parquet(_) => format!(
                "Sort it: python3 -c \"import pandas; pandas.read_parquet('{path}').iloc[::-1].to_parquet('turned.parquet')\""
            ),
            Rows::Csv(_) if !self.decoder.is_record() => {
                format!(
                    "Turn it round: (head -n 1 {path}; tail -n +2 {path} | tac) > turned.csv (unpacked, and without what stands above its header)"
                )
            }
            _ => format!("Turn it round: tac {path} > turned (unpacked, a record a line)"),
        }
    }

    /// Hands on at most `limit` records.
    pub(super) fn read(
        &mut self,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        let mut left = limit;
        while left > 0 && !self.ended {
            let kept = self.kept.step();
            let row = match kept {
                Some(Item::Row(length)) => self.kept.row(length),
                Some(Item::Columns(decoder)) => {
                    self.change(&decoder, symbols, visit);
                    continue;
                }
                None => match self.rows.step()? {
                    Step::Row => self.rows.row(),
                    Step::Columns => {
                        if let Rows::Csv(rows) = &self.rows {
                            let decoder = rows.decoder().clone();
                            self.change(&decoder, symbols, visit);
                        }
                        continue;
                    }
                    Step::End => {
                        if self.follow()? {
                            let decoder = self.decoder.clone();
                            self.change(&decoder, symbols, visit);
                            continue;
                        }
                        self.ended = true;
                        if self.next == 0 {
                            tracing::warn!("{} holds no record", self.name);
                        }
                        break;
                    }
                },
            };
            if is_blank(row) {
                continue;
            }
            if self.next == 0
                && let Some(unit) = self.decoder.stamp_unit(row)
            {
                tracing::info!("{}: its first stamp is in {unit}; each is judged by its own size", self.name);
            }
            let record = Record { offset: self.next, broker_time: None, key: None, value: Payload::Bytes(row) };
            self.next += 1;
            left -= 1;
            if visit(record, symbols) == Flow::Pause {
                break;
            }
        }
        Ok(if self.ended { PartitionState::Ended } else { PartitionState::Behind })
    }

    /// Says that the records from here on have other columns.
    fn change(
        &self,
        decoder: &Decoder,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) {
        let value = Payload::Decoder(self.decoder_of(decoder));
        visit(Record { offset: self.next, broker_time: None, key: None, value }, symbols);
    }
}

impl Reading {
    fn json(&self, path: &Path) -> Result<Decoder, InputError> {
        match Decoder::arrays(&self.naming, self.symbol.clone(), self.interval) {
            Some(decoder) => decoder.map_err(|error| wrong(path, &error)),
            None if self.naming.is_header() => Ok(Decoder::json(self.format, self.symbol.clone(), self.interval)),
            None => Err(wrong(
                path,
                &"it is JSON, which has no header: source.files.columns as a table names the words of one; a list names the elements of arrays",
            )),
        }
    }

    /// The decoder of arrays without names, where the first record is such a one and no message of an exchange.
    fn unnamed_arrays(&self, path: &Path, decoder: &Decoder, row: &[u8]) -> Result<Option<Decoder>, InputError> {
        if !row.trim_ascii_start().starts_with(b"[") {
            return Ok(None);
        }
        let read = decoder.clone().decode(None, row, &mut SymbolTable::default(), &mut Vec::new());
        if read.is_ok() {
            return Ok(None);
        }
        let found = Decoder::unnamed_array(row, self.symbol.clone(), self.interval);
        found.transpose().map_err(|error| wrong(path, &error))
    }

    fn parquet(&self, path: &Path, rows: &ParquetRows) -> Result<Decoder, InputError> {
        if self.symbol.is_none() && !rows.columns.has_symbol() {
            return Err(wrong(path, &HeaderError::NoSymbol));
        }
        self.check(path, rows.columns.format)?;
        Ok(Decoder::rows(rows.columns.format, self.symbol.clone(), self.interval))
    }

    /// What the columns say must not contradict what is configured.
    fn check(&self, path: &Path, found: Format) -> Result<(), InputError> {
        // Ticks and trades have the same columns.
        let same = match self.format {
            Format::Auto | Format::Messari => self.format == Format::Auto,
            Format::Candle => found == Format::Candle,
            Format::Tick | Format::Trade => found != Format::Candle,
        };
        if same {
            return Ok(());
        }
        let rows = if found == Format::Candle { "candles" } else { "ticks" };
        let format = format!("{:?}", self.format).to_lowercase();
        Err(wrong(path, &format_args!("its lines are {rows}, but source.format is {format}: set it to auto")))
    }
}

fn wrong(path: &Path, why: &dyn std::fmt::Display) -> InputError {
    InputError::Failed(format!("{}: {why}", path.display()))
}

/// Whether a text is JSON. Goes past a byte order mark and blank lines; an empty text is read as JSON, which needs no header.
fn is_json(lines: &mut Lines, name: &str, format: Format) -> Result<bool, InputError> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    while lines.unread().len() < BYTE_ORDER_MARK.len() && lines.read_more()? {}
    if lines.bytes(lines.unread()).starts_with(BYTE_ORDER_MARK) {
        lines.pass(BYTE_ORDER_MARK.len());
    }
    let first = loop {
        match lines.peek()? {
            Some((line, has_end)) if is_blank(line) => {
                let length = line.len() + usize::from(has_end);
                lines.pass(length);
            }
            // Overlong: its beginning says enough.
            None => break lines.bytes(lines.unread()),
            Some(_) => break lines.peek()?.map_or(&[][..], |(line, _)| line),
        }
    };
    let first = first.trim_ascii_start();
    if first.is_empty() {
        return Ok(true);
    }
    Ok(match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json" | "jsonl" | "ndjson" | "geojson") => true,
        // No header begins like that, and none with the frame of a registry.
        _ if matches!(first.first(), Some(b'{' | b'[')) || matches!(first, [0, _, _, _, _, b'{', ..]) => true,
        Some("csv" | "tsv" | "psv" | "tab") => false,
        _ => format == Format::Messari || first.starts_with(b"+") || is_json_text(first),
    })
}

/// Whether a line that begins with a quote is a JSON text, not a CSV line with quoted cells.
fn is_json_text(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"\"") else { return false };
    let end = memchr::memchr(b'"', rest).filter(|_| !rest.contains(&b'\\'));
    end.is_none_or(|end| rest[end + 1..].trim_ascii().is_empty())
}
