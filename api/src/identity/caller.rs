//! Who asks, and by what they proved it.

use engine::ids::UserId;
use engine::store::people::Role;
use engine::store::sessions::Session;
use engine::store::tokens::{self, Scopes};
use uuid::Uuid;

/// What a caller proved themselves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// An API token.
    Token(Uuid),
    /// A session, sent by a program.
    Session(Uuid),
    /// A session in a browser's cookie.
    Cookie(Uuid),
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose it is.
    pub user: UserId,
    /// Their address.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// What their token opens; a session opens everything that the role allows.
    pub scopes: Scopes,
    /// What they proved themselves by.
    pub proof: Proof,
}

impl Caller {
    /// The holder of a session; `None`: somebody whom we do not know yet, or who is suspended.
    pub fn of_session(session: Session, cookie: bool) -> Option<Self> {
        let role = session.role().filter(|_| session.suspended_at.is_none())?;
        let proof = if cookie { Proof::Cookie(session.id) } else { Proof::Session(session.id) };
        Some(Self { user: session.user_id, email: session.email?, role, scopes: Scopes::default(), proof })
    }

    /// The session that they came with; `None`: they came with an API token.
    pub fn session(&self) -> Option<Uuid> {
        match self.proof {
            Proof::Session(id) | Proof::Cookie(id) => Some(id),
            Proof::Token(_) => None,
        }
    }
}

impl From<tokens::Caller> for Caller {
    fn from(c: tokens::Caller) -> Self {
        Self { user: c.user, email: c.email, role: c.role, scopes: c.scopes, proof: Proof::Token(c.token) }
    }
}
