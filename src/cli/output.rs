//! What commands print: tables and records for people, one JSON object a line for machines.

use std::io::{self, Write};

use chrono::SecondsFormat;
use serde::Serialize;

use crate::clock::Timestamp;

/// How a command prints its result.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct Output {
    /// Print one JSON object a line instead of text
    #[arg(long)]
    json: bool,
}

/// Something that can be printed.
pub(super) trait Record: Serialize {
    /// What the columns are called.
    const HEADINGS: &'static [&'static str];

    /// What stands in the columns; an empty text for nothing.
    fn cells(&self) -> Vec<String>;
}

/// A list that is printed page by page.
pub(super) struct Table {
    output: Output,
    has_head: bool,
}

impl Output {
    /// Whether JSON was asked for.
    pub(super) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints one thing, and `note` below it for people.
    pub(super) fn record<R: Record>(self, record: &R, note: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            return line(&mut out, record);
        }
        let width = R::HEADINGS.iter().map(|heading| heading.len()).max().unwrap_or_default();
        let cells = record.cells();
        let filled = R::HEADINGS.iter().zip(&cells).filter(|(_, cell)| !cell.is_empty());
        for (heading, cell) in filled {
            writeln!(out, "{heading:width$}  {}", printable(cell))?;
        }
        let has_cells = cells.iter().any(|cell| !cell.is_empty());
        if !note.is_empty() {
            let gap = if has_cells { "\n" } else { "" };
            writeln!(out, "{gap}{note}")?;
        }
        out.flush()
    }

    /// Prints several things one below the other, as [`Self::record`] prints one.
    pub(super) fn records<R: Record>(self, records: &[R]) -> io::Result<()> {
        for (index, record) in records.iter().enumerate() {
            if index > 0 && !self.json {
                writeln!(io::stdout().lock())?;
            }
            self.record(record, "")?;
        }
        Ok(())
    }

    /// Starts a list.
    pub(super) const fn table(self) -> Table {
        Table { output: self, has_head: false }
    }
}

impl Table {
    /// Prints a page.
    pub(super) fn page<R: Record>(&mut self, records: &[R]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.output.json {
            return records.iter().try_for_each(|record| line(&mut out, record));
        }
        let mut rows = Vec::with_capacity(records.len() + 1);
        if !self.has_head {
            rows.push(R::HEADINGS.iter().map(|heading| heading.to_uppercase()).collect());
            self.has_head = true;
        }
        rows.extend(records.iter().map(|record| record.cells().iter().map(|cell| printable(cell)).collect::<Vec<_>>()));
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..R::HEADINGS.len()).map(width).collect();
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(out, "{}", cells.join("  ").trim_end())?;
        }
        out.flush()
    }
}

/// Prints one thing as a line of JSON.
pub(super) fn line(out: &mut impl Write, record: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    writeln!(out)?;
    out.flush()
}

/// The text without what would steer the terminal: names come from outside.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A time, for people and machines alike (RFC 3339, UTC).
pub(super) fn time(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
