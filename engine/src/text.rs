//! Small words about text.

/// `text`, cut to at most `most` characters, with an ellipsis where it was cut.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A time span for people: `2d 3h`, the two largest units.
pub fn span(micros: i64) -> String {
    let mut left = micros.max(0) / 1_000_000;
    let mut words = Vec::new();
    for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)] {
        if left >= seconds && words.len() < 2 {
            words.push(format!("{} {unit}", left / seconds));
            left %= seconds;
        }
    }
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("häuser", 2), "hä…");
        assert_eq!(cut("ab", 2), "ab");
    }

    #[test]
    fn spans_name_their_two_largest_units() {
        for (micros, said) in [(0, "0 s"), (61_000_000, "1 min 1 s"), (2 * 86_400_000_000 + 7_200_000_000, "2 d 2 h")] {
            assert_eq!(span(micros), said);
        }
    }
}
