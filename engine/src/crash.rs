//! Named crash points, for the harness that kills the real process. Without the feature `testkit` they are nothing.
//!
//! `AREA_CRASH_POINT=NAME` dies at that point, `NAME:N` at its N-th passing. `AREA_CRASH_WITHOUT=NAME` takes a mechanism out, so
//! that the harness can be shown to notice.

/// Every point, in the path's order.
pub const POINTS: [&str; 27] = [
    "store.before_write",
    "store.after_write",
    "store.before_commit",
    "store.after_commit",
    "lease.before_claim",
    "lease.after_claim",
    "node.loaded",
    "poll.before_call",
    "poll.after_call",
    "poll.recorded",
    "hook.before_record",
    "hook.recorded",
    "native.decided",
    "ledger.before_write",
    "ledger.before_commit",
    "ledger.after_commit",
    "react.before_call",
    "react.after_call",
    "react.recorded",
    "vault.claimed",
    "vault.answered",
    "vault.stored",
    "vault.lost",
    "account.told",
    "letter.claimed",
    "letter.sent",
    "node.before_leave",
];

/// What can be taken out.
pub const MECHANISMS: [&str; 6] = ["ledger.durable", "hook.key", "react.load", "run.key", "run.birth", "vault.claim"];

/// Dies at once, as by `kill -9`, when `AREA_CRASH_POINT` names this point.
#[cfg(feature = "testkit")]
pub fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let wanted = std::env::var("AREA_CRASH_POINT").ok()?;
        let (point, nth) = wanted.split_once(':').unwrap_or((&wanted, "1"));
        Some((point.to_owned(), nth.parse().unwrap_or(1)))
    });
    if let Some((point, nth)) = wanted
        && point == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *nth
    {
        eprintln!("crash point {name}");
        std::process::abort();
    }
    crate::testkit::turns::passing(name);
}

/// In a simulation the database's answer may be lost here, whatever it has done.
#[cfg(feature = "testkit")]
pub fn answer(place: &str) -> sqlx::Result<()> {
    match crate::testkit::turns::is_lost(place) {
        true => Err(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())),
        false => Ok(()),
    }
}

/// Whether `AREA_CRASH_WITHOUT` takes this mechanism out.
#[cfg(feature = "testkit")]
pub fn without(mechanism: &str) -> bool {
    use std::sync::OnceLock;
    static OUT: OnceLock<Option<String>> = OnceLock::new();
    OUT.get_or_init(|| std::env::var("AREA_CRASH_WITHOUT").ok()).as_deref() == Some(mechanism)
}

/// Nothing.
#[cfg(not(feature = "testkit"))]
#[inline(always)]
pub fn point(_name: &str) {}

/// It arrives.
#[cfg(not(feature = "testkit"))]
#[inline(always)]
pub fn answer(_place: &str) -> sqlx::Result<()> {
    Ok(())
}

/// Never.
#[cfg(not(feature = "testkit"))]
#[inline(always)]
pub fn without(_mechanism: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn sources(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.path() {
                path if path.is_dir() => sources(&path, text),
                path if path.ends_with("crash.rs") => {}
                path if path.extension().is_some_and(|e| e == "rs") => {
                    text.push_str(&std::fs::read_to_string(path).unwrap());
                }
                _ => {}
            }
        }
    }

    #[test]
    fn the_lists_name_what_the_code_has() {
        let mut text = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
        for (call, listed) in [("crash::point(\"", &POINTS[..]), ("crash::without(\"", &MECHANISMS[..])] {
            let named: BTreeSet<&str> = text.split(call).skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert_eq!(named, listed.iter().copied().collect());
        }
    }
}
