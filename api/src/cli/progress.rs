//! Progress bars of what takes long: on stderr, and none when stdout is no terminal, for then a program reads.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `total` steps.
pub fn bar(total: u64, what: &'static str) -> ProgressBar {
    styled(total, what, "{msg} {wide_bar} {pos}/{len} ({eta})")
}

/// A bar over `total` bytes.
pub fn bytes(total: u64, what: &'static str) -> ProgressBar {
    styled(total, what, "{msg} {wide_bar} {bytes}/{total_bytes} ({eta})")
}

fn styled(total: u64, what: &'static str, template: &str) -> ProgressBar {
    if !std::io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total).with_message(what);
    if let Ok(style) = ProgressStyle::with_template(template) { bar.with_style(style) } else { bar }
}
