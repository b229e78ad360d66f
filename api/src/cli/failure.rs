//! How a command fails: one sentence on stderr and an exit code for the kind of failure.

use std::process::ExitCode;

use engine::store::StoreError;
use engine::store::people::PeopleError;

use crate::settings::SettingsError;

/// The process's exit code; documented in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Something went wrong that has no code of its own.
    Failed = 1,
    /// The command line or a setting is wrong. clap's own errors have this code too.
    Usage = 2,
    /// What was named is not there.
    NotFound = 3,
    /// The database cannot be reached, opened or migrated.
    Database = 4,
    /// Another process holds the data folder.
    Busy = 5,
    /// A file that was given is wrong.
    Invalid = 6,
}

impl Code {
    /// Every code.
    #[cfg(test)]
    pub const ALL: [Self; 6] = [Self::Failed, Self::Usage, Self::NotFound, Self::Database, Self::Busy, Self::Invalid];
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Which kind.
    pub code: Code,
    /// For people: what is wrong and how to mend it.
    pub message: String,
}

impl Failure {
    /// Of kind `code`, told as `message`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Of no particular kind.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Code::Failed, message)
    }

    /// A file or folder that cannot be used, with the system's reason.
    pub fn file(path: &std::path::Path, e: &std::io::Error) -> Self {
        let code = if e.kind() == std::io::ErrorKind::NotFound { Code::NotFound } else { Code::Failed };
        Self::new(code, format!("{}: {e}", path.display()))
    }
}

impl From<SettingsError> for Failure {
    fn from(e: SettingsError) -> Self {
        Self::new(Code::Usage, e.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        let code = match e {
            StoreError::Url => Code::Usage,
            StoreError::Locked(_) => Code::Busy,
            _ => Code::Database,
        };
        Self::new(code, e.to_string())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(e: sqlx::Error) -> Self {
        Self::new(Code::Database, format!("the database failed: {e}"))
    }
}

impl From<PeopleError> for Failure {
    fn from(e: PeopleError) -> Self {
        match e {
            PeopleError::Sqlx(e) => e.into(),
            PeopleError::Email(_) => Self::new(Code::Usage, e.to_string()),
            PeopleError::Taken(_) => Self::failed(e.to_string()),
        }
    }
}
