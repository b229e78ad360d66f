//! The table, and what must be known of the machine to read it.

use tokio::time::Instant;

use crate::machine;

/// The rows so far.
pub struct Table {
    rows: Vec<[String; 5]>,
    began: Instant,
    load: String,
}

impl Table {
    /// Without rows.
    pub fn new() -> Self {
        Self { rows: Vec::new(), began: Instant::now(), load: machine::load() }
    }

    /// A figure beside its baseline: `aim` is the least ratio, or the largest where less is better (`at_most`).
    pub fn ratio(&mut self, what: &str, unit: &str, engine: f64, bare: f64, aim: Aim) {
        let aim = match aim {
            Aim::AtLeast(aim) => format!("≥ {aim}"),
            Aim::AtMost(aim) => format!("≤ {aim}"),
            Aim::Figure(aim) => aim.to_owned(),
            Aim::None => String::new(),
        };
        let figure = |value| format!("{} {unit}", number(value));
        self.row([what.into(), figure(engine), figure(bare), format!("{:.2}", engine / bare), aim]);
    }

    /// A figure that has no baseline.
    pub fn figure(&mut self, what: &str, unit: &str, value: f64, aim: &str) {
        self.row([what.into(), format!("{} {unit}", number(value)), String::new(), String::new(), aim.into()]);
    }

    fn row(&mut self, row: [String; 5]) {
        eprintln!("  {}", row.join(" | "));
        self.rows.push(row);
    }

    /// On stdout, as Markdown.
    pub fn print(&self) {
        let head = ["what", "area", "bare", "ratio", "aim"].map(str::to_owned);
        let width = |column: usize| {
            std::iter::once(&head).chain(&self.rows).map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let widths = [0, 1, 2, 3, 4].map(width);
        let line = |row: &[String; 5]| {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!(" {cell:<width$} "));
            println!("|{}|", cells.collect::<Vec<_>>().join("|"));
        };
        println!("\n{}; load {} before, {} after; {:.0} s\n", machine::kind(), self.load, machine::load(), self.took());
        line(&head);
        println!("|{}|", widths.map(|width| "-".repeat(width + 2)).join("|"));
        self.rows.iter().for_each(line);
    }

    fn took(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

/// What a ratio should be.
pub enum Aim {
    AtLeast(f64),
    AtMost(f64),
    /// The figure itself has an aim.
    Figure(&'static str),
    None,
}

/// Three digits that matter, thousands apart.
fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => {
            let digits = format!("{value:.0}");
            let cut = |end: usize| digits.get(end.saturating_sub(3)..end).unwrap_or_default();
            let mut parts: Vec<&str> = (0..digits.len().div_ceil(3)).map(|i| cut(digits.len() - 3 * i)).collect();
            if digits.len() % 3 != 0 {
                parts.pop();
                parts.push(&digits[..digits.len() % 3]);
            }
            parts.reverse();
            parts.join(",")
        }
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
