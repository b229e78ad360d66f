//! What commands print: JSON for programs, columns for people.

use serde::Serialize;

/// Prints `value` as indented JSON on stdout.
pub fn json<T: Serialize>(value: &T) -> Result<(), super::Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| super::Failure::failed(e.to_string()))?;
    println!("{text}");
    Ok(())
}

/// Prints rows with their columns one under the other, two spaces between, the last as long as it is.
pub fn columns<const N: usize>(rows: &[[String; N]]) {
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, w)| format!("{cell:w$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
