//! The command line: what a person types and a script reads.

mod apply;
mod backup;
mod catalog;
mod dry_run;
mod keys;
mod people;
mod restore;
mod serve;
mod settings;
