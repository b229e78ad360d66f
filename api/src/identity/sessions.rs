//! Sessions: in a browser's cookie, or sent by a program as `Authorization: Bearer`. Checking one is one read by a unique index;
//! every few minutes its use is written down, and it lives on. What an Auth.js site wrote is taken where the operator says so.

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use chrono::{DateTime, Utc};
use engine::ids::UserId;
use engine::secret::Secret;
use engine::store::people::{self, NewUser, PeopleError};
use engine::store::sessions::{self, NewSession, Session};
use engine::store::tokens;
use engine::vault::connect::LIFETIME;

use super::caller::Caller;
use super::link::adopted_address;
use super::{Identity, Origin, token};
use crate::rest::problem::{Kind, Problem};

/// The cookie under TLS: no other host, path or plain connection can set it.
const COOKIE_TLS: &str = "__Host-area_session";
/// The cookie without TLS.
const COOKIE_PLAIN: &str = "area_session";
/// The cookies of a browser that begins to sign in at a provider, under TLS and without.
const BEGAN_TLS: &str = "__Host-area_sign_in";
const BEGAN_PLAIN: &str = "area_sign_in";
/// The cookies of Auth.js.
const AUTHJS: [&str; 2] = ["__Secure-authjs.session-token", "authjs.session-token"];
/// Characters of what a program calls itself that are kept.
const AGENT_CHARS: usize = 200;

/// A session that was opened.
#[derive(Debug)]
pub struct Opened {
    /// What its person sends from now on.
    pub token: Secret,
    /// When it ends if it is not used.
    pub expires: DateTime<Utc>,
}

impl Identity {
    /// Who asks; `None`: nobody says who they are.
    ///
    /// # Errors
    /// 401 where what is sent is unknown, ended or unreadable; 503 where the database is away.
    pub async fn caller(&self, headers: &HeaderMap, origin: &Origin) -> Result<Option<Caller>, Problem> {
        if headers.contains_key(AUTHORIZATION) {
            return self.by_bearer(bearer(headers)?, origin).await.map(Some);
        }
        if let Some(sent) = cookie(headers, self.cookie_name()) {
            let session = sessions::by_token(&self.db, sent, self.clock.now()).await?;
            return self.live(session, true, origin).await?.map(Some).ok_or_else(ended);
        }
        let site = AUTHJS.iter().find_map(|name| cookie(headers, name)).filter(|_| self.settings.sessions.authjs);
        let Some(sent) = site else { return Ok(None) };
        let session = sessions::by_site_token(&self.db, sent, self.clock.now()).await?;
        let Some(session) = session else { return Err(ended()) };
        if session.email.is_none() {
            self.adopt(session.user_id).await?;
            let again = sessions::by_site_token(&self.db, sent, self.clock.now()).await?;
            return self.live(again, true, origin).await?.map(Some).ok_or_else(ended);
        }
        self.live(Some(session), true, origin).await?.map(Some).ok_or_else(ended)
    }

    async fn by_bearer(&self, sent: &str, origin: &Origin) -> Result<Caller, Problem> {
        let now = self.clock.now();
        let found = match sent.starts_with(token::SESSION) {
            true => self.live(sessions::by_token(&self.db, sent, now).await?, false, origin).await?,
            false => tokens::caller_by_token(&self.db, &tokens::hash(sent), now).await?.map(Caller::from),
        };
        found.ok_or_else(|| {
            let challenge = "Bearer realm=\"area\", error=\"invalid_token\"";
            let detail =
                "the token is unknown, revoked or expired: sign in again, or make one with `area token create`";
            Problem::unauthorized(detail, challenge)
        })
    }

    /// The caller of a session that is not past its longest life; its use is written down now and then.
    async fn live(&self, found: Option<Session>, cookie: bool, origin: &Origin) -> Result<Option<Caller>, Problem> {
        let Some(session) = found else { return Ok(None) };
        let (now, limits) = (self.clock.now(), &self.settings.sessions);
        if let (Some(created), Some(seen)) = (session.created_at, session.seen_at) {
            let end = created + limits.absolute.duration();
            if end <= now {
                return Ok(None);
            }
            if seen + limits.touch.duration() <= now && session.suspended_at.is_none() {
                let expires = (now + limits.idle.duration()).min(end);
                sessions::touch(&self.db, session.id, expires, &origin.address.to_string(), now).await?;
            }
        }
        Ok(Caller::of_session(session, cookie))
    }

    /// Takes in a person whom an Auth.js site made, by the id that its session names.
    pub(super) async fn adopt(&self, id: UserId) -> Result<(), Problem> {
        let Some(site) = people::site_user(&self.db, id).await? else { return Ok(()) };
        let known = match &site.email {
            Some(email) => people::by_email(&self.db, email).await?.is_some(),
            None => false,
        };
        let taken = || {
            let why = "somebody here has your address already: sign in as they do, or ask for a new password";
            Problem::new(Kind::Conflict, why)
        };
        let address =
            adopted_address(id, site.email.as_deref(), site.verified_at.is_some(), known).ok_or_else(taken)?;
        let name = site.name.unwrap_or_default();
        let new = NewUser { email: &address, display_name: &name, verified_at: site.verified_at, ..NewUser::default() };
        match people::adopt(&self.db, id, &new, self.clock.now()).await {
            Ok(_) => Ok(()),
            // Two requests of one page at once: the other was first.
            Err(PeopleError::Taken(_)) if people::by_id(&self.db, id).await?.is_some() => Ok(()),
            Err(PeopleError::Taken(_)) => Err(taken()),
            Err(PeopleError::Sqlx(error)) => Err(error.into()),
            Err(error @ PeopleError::Email(_)) => Err(Problem::new(Kind::Conflict, error.to_string())),
        }
    }

    /// Opens a session, by an account at this provider or (`None`) by a password.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(&self, user: UserId, provider: Option<&str>, origin: &Origin) -> Result<Opened, Problem> {
        let (now, token) = (self.clock.now(), token::session());
        let limits = &self.settings.sessions;
        let expires = now + limits.idle.duration().min(limits.absolute.duration());
        let (agent, address) = (&origin.agent, origin.address.to_string());
        let agent = engine::text::cut(agent, AGENT_CHARS);
        let new = NewSession { user, token: token.expose(), expires, agent: &agent, address: &address, provider };
        sessions::open(&self.db, new, now).await?;
        Ok(Opened { token, expires })
    }

    /// Ends the session of a browser that signs in anew: its cookie is about to be replaced, and nobody could end it any more.
    ///
    /// # Errors
    /// The database's.
    pub async fn replace(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(sent) = cookie(headers, self.cookie_name()) else { return Ok(()) };
        if let Some(old) = sessions::by_token(&self.db, sent, self.clock.now()).await? {
            sessions::end(&self.db, old.user_id, old.id).await?;
        }
        Ok(())
    }

    /// The cookie that carries a session to its longest life; without one: the cookie that ends it.
    pub fn set_cookie(&self, opened: Option<&Opened>) -> Result<HeaderValue, Problem> {
        let (value, age) = match opened {
            Some(opened) => (opened.token.expose(), self.settings.sessions.absolute.duration().as_secs()),
            None => ("", 0),
        };
        self.header(self.cookie_name(), value, age)
    }

    /// The cookie of a browser that begins to sign in at a provider: only that browser ends it. Without a secret: the cookie that ends it.
    ///
    /// # Errors
    /// None: a secret is text.
    pub fn set_began(&self, secret: Option<&Secret>) -> Result<HeaderValue, Problem> {
        let age = secret.map_or(0, |_| LIFETIME.as_secs());
        self.header(self.began_name(), secret.map_or("", Secret::expose), age)
    }

    /// What a browser was given when it began to sign in at a provider.
    pub fn began<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie(headers, self.began_name())
    }

    fn began_name(&self) -> &'static str {
        if self.is_https() { BEGAN_TLS } else { BEGAN_PLAIN }
    }

    fn header(&self, name: &str, value: &str, age: u64) -> Result<HeaderValue, Problem> {
        let secure = if self.is_https() { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
        let mut header = HeaderValue::try_from(text).map_err(Problem::internal)?;
        header.set_sensitive(true);
        Ok(header)
    }

    fn cookie_name(&self) -> &'static str {
        if self.is_https() { COOKIE_TLS } else { COOKIE_PLAIN }
    }
}

fn ended() -> Problem {
    Problem::unauthorized("your session ended: sign in again", "Bearer realm=\"area\"")
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = missing_proof;
    let header = headers.get(AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    let (scheme, token) = header.split_once(' ').ok_or_else(missing)?;
    match scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() {
        true => Ok(token.trim()),
        false => Err(missing()),
    }
}

/// Nobody says who they are.
pub fn missing_proof() -> Problem {
    Problem::unauthorized("send the header `Authorization: Bearer TOKEN`, or sign in", "Bearer realm=\"area\"")
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, value)| *found == name && !value.is_empty()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let check = |lines: &[&'static str], want: Option<&str>| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, line.parse().unwrap());
            }
            assert_eq!(cookie(&headers, "area_session"), want, "{lines:?}");
        };
        check(&["a=1; area_session=x; b=2"], Some("x"));
        check(&["a=1", "area_session=x"], Some("x"));
        check(&["xarea_session=x; area_session2=y"], None);
        check(&["area_session="], None);
        check(&["area_session"], None);
        check(&["area_session=x=y"], Some("x=y"));
    }
}
