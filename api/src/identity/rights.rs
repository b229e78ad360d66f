//! Who may do what: one written table of every route, read by the gate in front of all of them. A route that is not written here is
//! closed. What depends on whose role is changed to what stands below it.

use engine::store::people::Role;
use engine::store::tokens::Scope;

use super::caller::Caller;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the route itself asks for what it needs (a password, a mailed token, a hook's key).
    Anyone,
    /// Any role, and a token's scope `read`.
    Read,
    /// EDITOR or more, and a token's scope `areas`.
    Write,
    /// EDITOR or more, and a token's scope `accounts`.
    Link,
    /// Any role, signed in: a session, no API token. Whoever finds a token must not become its owner by it.
    Person,
    /// ADMIN or more, and a token's scope `admin`.
    Administer,
}

use Need::{Administer, Anyone, Link, Person, Read, Write};

/// Every route, in the order of the paths.
pub const TABLE: &[(&str, &str, Need)] = &[
    ("GET", "/about.json", Anyone),
    ("GET", "/healthz", Anyone),
    ("POST", "/hooks/{key}", Anyone),
    ("GET", "/metrics", Anyone),
    ("GET", "/readyz", Anyone),
    ("GET", "/v1/accounts", Read),
    ("POST", "/v1/accounts", Link),
    ("GET", "/v1/accounts/{id}", Read),
    ("DELETE", "/v1/accounts/{id}", Link),
    ("POST", "/v1/accounts/{id}/check", Link),
    ("GET", "/v1/admin/audit", Administer),
    ("GET", "/v1/admin/users", Administer),
    ("GET", "/v1/admin/users/{id}", Administer),
    ("PATCH", "/v1/admin/users/{id}", Administer),
    ("GET", "/v1/areas", Read),
    ("POST", "/v1/areas", Write),
    ("GET", "/v1/areas/{id}", Read),
    ("PUT", "/v1/areas/{id}", Write),
    ("PATCH", "/v1/areas/{id}", Write),
    ("DELETE", "/v1/areas/{id}", Write),
    ("POST", "/v1/areas/{id}/backtest", Read),
    ("POST", "/v1/areas/{id}/dry-run", Write),
    ("POST", "/v1/areas/{id}/pause", Write),
    ("POST", "/v1/areas/{id}/poll", Write),
    ("POST", "/v1/areas/{id}/resume", Write),
    ("GET", "/v1/areas/{id}/revisions", Read),
    ("GET", "/v1/areas/{id}/revisions/{n}", Read),
    ("GET", "/v1/areas/{id}/revisions/{a}/diff/{b}", Read),
    ("POST", "/v1/areas/{id}/revisions/{n}/rollback", Write),
    ("GET", "/v1/areas/{id}/runs", Read),
    ("POST", "/v1/areas/{id}/test", Write),
    ("GET", "/v1/areas/{id}/why", Read),
    ("POST", "/v1/auth/delete", Person),
    ("POST", "/v1/auth/email", Person),
    ("POST", "/v1/auth/email/confirm", Anyone),
    ("GET", "/v1/auth/export", Person),
    ("POST", "/v1/auth/first", Anyone),
    ("POST", "/v1/auth/login", Anyone),
    ("POST", "/v1/auth/logout", Person),
    ("POST", "/v1/auth/logout/everywhere", Person),
    ("GET", "/v1/auth/me", Read),
    ("POST", "/v1/auth/password", Person),
    ("POST", "/v1/auth/password/forgot", Anyone),
    ("POST", "/v1/auth/password/reset", Anyone),
    ("POST", "/v1/auth/register", Anyone),
    ("POST", "/v1/auth/resend", Anyone),
    ("GET", "/v1/auth/sessions", Person),
    ("DELETE", "/v1/auth/sessions/{id}", Person),
    ("POST", "/v1/auth/verify", Anyone),
    ("GET", "/v1/auth/{provider}", Anyone),
    ("POST", "/v1/auth/{provider}", Anyone),
    ("GET", "/v1/avatars", Read),
    ("POST", "/v1/avatars", Person),
    ("GET", "/v1/avatars/active", Read),
    ("GET", "/v1/avatars/{id}", Read),
    ("DELETE", "/v1/avatars/{id}", Person),
    ("POST", "/v1/avatars/{id}/activate", Person),
    ("POST", "/v1/connect/{provider}", Link),
    ("GET", "/v1/connect/{provider}/callback", Anyone),
    ("POST", "/v1/connect/{provider}/confirm", Link),
    ("GET", "/v1/events", Read),
    ("GET", "/v1/profile", Read),
    ("PATCH", "/v1/profile", Person),
    ("GET", "/v1/providers", Read),
    ("GET", "/v1/runs/stream", Read),
    ("GET", "/v1/runs/{id}", Read),
    ("POST", "/v1/runs/{id}/cancel", Write),
    ("POST", "/v1/runs/{id}/replay", Write),
    ("GET", "/v1/services", Read),
    ("GET", "/v1/services/{service}", Read),
    ("GET", "/v1/services/{service}/options/{field}", Link),
    ("GET", "/v1/tokens", Person),
    ("POST", "/v1/tokens", Person),
    ("DELETE", "/v1/tokens/{id}", Person),
];

/// What the table says of a route; `None`: it is not written there.
pub fn need(method: &str, path: &str) -> Option<Need> {
    TABLE.iter().find(|(m, p, _)| *m == method && *p == path).map(|(_, _, need)| *need)
}

impl Need {
    /// The scope that an API token must have; `None`: no token will do, or none is needed.
    pub fn scope(self) -> Option<Scope> {
        match self {
            Self::Anyone | Self::Person => None,
            Self::Read => Some(Scope::Read),
            Self::Write => Some(Scope::Areas),
            Self::Link => Some(Scope::Accounts),
            Self::Administer => Some(Scope::Admin),
        }
    }

    /// Whether a role may.
    pub fn allows(self, role: Role) -> bool {
        match self {
            Self::Anyone | Self::Read | Self::Person => true,
            Self::Write | Self::Link => role.may_write(),
            Self::Administer => role.may_administrate(),
        }
    }

    /// Whether a caller may.
    ///
    /// # Errors
    /// Why not.
    pub fn check(self, caller: &Caller) -> Result<(), String> {
        if self == Self::Person && caller.session().is_none() {
            return Err("an API token may not do this: sign in with your password".to_owned());
        }
        if let Some(scope) = self.scope().filter(|scope| !caller.scopes.has(*scope)) {
            return Err(format!("the token lacks the scope `{}`", scope.as_str()));
        }
        match self.allows(caller.role) {
            true => Ok(()),
            false if self == Self::Administer => Err(format!("a {} may not administrate", caller.role)),
            false => Err(format!("a {} may not change anything", caller.role)),
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Anyone => "Anyone.",
            Self::Read => "Any role; a token with the scope `read`.",
            Self::Write => "SUPER-ADMIN, ADMIN, EDITOR; a token with the scope `areas`.",
            Self::Link => "SUPER-ADMIN, ADMIN, EDITOR; a token with the scope `accounts`.",
            Self::Person => "Any role, signed in; no API token.",
            Self::Administer => "SUPER-ADMIN, ADMIN; a token with the scope `admin`.",
        }
    }
}

/// Whether an administrator may change a person from one role to another, or suspend them (`to` is then what they have). An ADMIN
/// has power over EDITORs and VIEWERs; only a SUPER-ADMIN over administrators; nobody over themselves.
///
/// # Errors
/// Why not.
pub fn may_change(actor: Role, oneself: bool, from: Role, to: Role) -> Result<(), &'static str> {
    match actor {
        _ if oneself => Err("nobody changes their own role, and nobody suspends themselves: ask another administrator"),
        Role::SuperAdmin => Ok(()),
        Role::Admin if from.may_administrate() || to.may_administrate() => {
            Err("only a SUPER-ADMIN makes, changes and suspends administrators")
        }
        Role::Admin => Ok(()),
        Role::Editor | Role::Viewer => Err("only administrators may do this"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_route_is_written_twice() {
        let mut all: Vec<_> = TABLE.iter().map(|(method, path, _)| (path, method)).collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn nobody_raises_themselves_and_an_admin_makes_no_admin() {
        use Role::{Admin, Editor, SuperAdmin, Viewer};
        for (actor, oneself, from, to, may) in [
            (SuperAdmin, false, Admin, Viewer, true),
            (SuperAdmin, false, Editor, SuperAdmin, true),
            (SuperAdmin, true, SuperAdmin, Editor, false),
            (Admin, false, Editor, Viewer, true),
            (Admin, false, Viewer, Editor, true),
            (Admin, false, Editor, Admin, false),
            (Admin, false, Admin, Editor, false),
            (Admin, false, SuperAdmin, SuperAdmin, false),
            (Admin, true, Admin, SuperAdmin, false),
            (Editor, false, Viewer, Viewer, false),
            (Viewer, false, Viewer, Viewer, false),
        ] {
            assert_eq!(may_change(actor, oneself, from, to).is_ok(), may, "{actor} {oneself} {from} {to}");
        }
    }
}
