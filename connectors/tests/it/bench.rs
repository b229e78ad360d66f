//! One source of one action before its server, and what a test expects of it.

use engine::port::ActionSpec;

use crate::cases::{Case, Thing};
use crate::driver::{Polled, Source};
use crate::server::{Reply, Server};

/// What a check found wrong.
pub type Checked = Result<(), String>;

/// See the module.
pub struct Bench {
    pub server: Server,
    pub source: Source,
    pub serve: fn(&[Thing]) -> Reply,
}

impl Bench {
    pub async fn new(case: &Case, action: &'static ActionSpec) -> Self {
        let server = Server::start().await;
        let source = Source::at(action, &(case.data)(&server.base), &server.base);
        Self { server, source, serve: case.serve }
    }

    /// Serves these things and polls once.
    pub async fn poll(&mut self, things: &[Thing]) -> Result<Polled, String> {
        self.server.reply((self.serve)(things));
        self.source.poll().await.map_err(|fault| format!("a good answer is a fault: {fault:?}"))
    }

    /// The same; so many items must be new.
    pub async fn expect(&mut self, what: &str, things: &[Thing], new: usize) -> Result<Polled, String> {
        let polled = self.poll(things).await.map_err(|e| format!("{what}: {e}"))?;
        match polled.new.len() == new {
            true => Ok(polled),
            false => Err(format!("{what}: {} new instead of {new}: {:?}", polled.new.len(), polled.new)),
        }
    }
}

/// A thing with a text of its own.
pub fn thing(id: u32, at: i64) -> Thing {
    Thing { id, at, text: format!("thing {id}") }
}

/// These things, a minute apart.
pub fn things(ids: impl IntoIterator<Item = u32>) -> Vec<Thing> {
    ids.into_iter().map(|id| thing(id, i64::from(id) * 60)).collect()
}
