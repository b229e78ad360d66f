//! What people are written. A link carries its token behind `#`: it reaches neither a server's log nor a `Referer`.

use chrono::{DateTime, Utc};
use url::Url;

use crate::mail::Letter;

/// AREAs that a letter names.
const NAMED: usize = 20;

/// What a link is for; also its name behind the `#`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Prove the address of a sign-up.
    Verify,
    /// Choose a new password.
    Reset,
    /// Prove a new address.
    Email,
}

/// An account at a provider, as its owner reads of it.
#[derive(Clone, Debug)]
pub struct Account<'a> {
    /// The provider's name here.
    pub provider: &'a str,
    /// Its name to people.
    pub title: &'a str,
    /// Whether the account is a key that its owner pasted.
    pub is_key: bool,
    /// The account's name to people.
    pub who: Option<&'a str>,
    /// The names of the AREAs that need it.
    pub areas: Vec<String>,
}

/// Writes letters.
#[derive(Clone, Debug)]
pub struct Letters {
    public: Url,
}

impl Letters {
    /// Whose links begin with this.
    pub fn new(public: Url) -> Self {
        Self { public }
    }

    /// The page that takes a token.
    pub fn link(&self, link: Link, token: &str) -> String {
        let name = match link {
            Link::Verify => "verify",
            Link::Reset => "reset",
            Link::Email => "email",
        };
        format!("{}/account#{name}={token}", self.public.as_str().trim_end_matches('/'))
    }

    /// To whoever signed up.
    pub fn verify(&self, to: &str, token: &str, good_for: &str) -> Letter {
        let link = self.link(Link::Verify, token);
        self.letter(to, "Confirm your e-mail address", &format!(
            "Somebody, you we hope, signed up with this address. Open this link within {good_for} and confirm with the password that \
             you chose:\n\n{link}\n\nIf it was not you, there is nothing to do: without that password the link opens nothing."))
    }

    /// To whom somebody else may be: their address was used to sign up, and they are here already.
    pub fn known(&self, to: &str) -> Letter {
        self.letter(to, "You have an account already", &format!(
            "Somebody, you maybe, signed up with this address. You have an account already: sign in as always, or ask for a new \
             password. If it was not you, there is nothing to do.\n\n{}", self.public))
    }

    /// To whoever forgot their password.
    pub fn reset(&self, to: &str, token: &str, good_for: &str) -> Letter {
        let link = self.link(Link::Reset, token);
        self.letter(to, "A new password", &format!(
            "Somebody, you we hope, asked for a new password for your account. Choose it within {good_for}:\n\n{link}\n\nIf it was not \
             you, there is nothing to do: your password stays as it is."))
    }

    /// To the new address of a person.
    pub fn new_address(&self, to: &str, token: &str, good_for: &str) -> Letter {
        let link = self.link(Link::Email, token);
        self.letter(to, "Confirm your new e-mail address", &format!(
            "Somebody, you we hope, wants to use this address for their account. Open this link within {good_for}:\n\n{link}\n\nIf it \
             was not you, there is nothing to do."))
    }

    /// To an address that somebody else wants.
    pub fn wanted(&self, to: &str) -> Letter {
        self.letter(to, "Somebody wanted to use your e-mail address",
            "Somebody with another account wanted to use this address. It is yours and stays yours: there is nothing to do.")
    }

    /// What happened to an account, to its owner.
    pub fn happened(&self, to: &str, what: &str) -> Letter {
        self.letter(
            to,
            what,
            &format!(
                "{what}. If it was not you, ask for a new password at once and end every session:\n\n{}",
                self.public
            ),
        )
    }

    /// To whoever left.
    pub fn left(&self, to: &str) -> Letter {
        self.letter(to, "Your account was deleted", "Your account and everything in it was deleted, as you asked.")
    }

    /// An account must be linked again.
    pub fn lost(&self, to: &str, account: &Account<'_>, why: &str) -> Letter {
        let pause = match listed(&account.areas) {
            None => "No AREA needs it just now.".to_owned(),
            Some(areas) => format!("These AREAs pause until then, and catch up with what they miss:\n\n{areas}"),
        };
        let (account, again) = (account.called(), self.again(account));
        let (subject, why) = (format!("Link {account} again"), plain(why));
        self.letter(to, &subject, &format!("We can no longer use {account}: {why}.\n\n{pause}\n\n{again}"))
    }

    /// An account ends, whatever is done.
    pub fn ends(&self, to: &str, account: &Account<'_>, at: DateTime<Utc>) -> Letter {
        let day = at.format("%-d %B %Y, %H:%M UTC");
        let pause = match listed(&account.areas) {
            None => String::new(),
            Some(areas) => format!(" These AREAs would pause then:\n\n{areas}"),
        };
        let (account, again) = (account.called(), self.again(account));
        let subject = format!("{} ends soon", capital(&account));
        let text = format!("The provider ends {account} on {day}, whatever is done before.{pause}\n\n{again}");
        self.letter(to, &subject, &text)
    }

    fn again(&self, account: &Account<'_>) -> String {
        let public = self.public.as_str().trim_end_matches('/');
        match account.is_key {
            true => format!("Store a new key (POST {public}/v1/accounts), and name the new account in your AREAs."),
            false => {
                let link = format!("{public}/account#connect={}", account.provider);
                format!("Link it again here, and everything goes on:\n\n{link}")
            }
        }
    }

    /// A `Message-ID` that is the same whenever this letter is written.
    pub fn id(&self, unique: &str) -> String {
        format!("<{unique}@{}>", self.public.host_str().unwrap_or("localhost").trim_matches(['[', ']']))
    }

    fn letter(&self, to: &str, subject: &str, text: &str) -> Letter {
        Letter { to: to.to_owned(), subject: format!("AREA Runner: {subject}"), text: format!("{text}\n"), id: None }
    }
}

impl Account<'_> {
    fn called(&self) -> String {
        match self.who {
            Some(who) => format!("your {} account {}", plain(self.title), plain(who)),
            None => format!("your {} account", plain(self.title)),
        }
    }
}

/// Names, a line each. `None`: there are none.
fn listed(areas: &[String]) -> Option<String> {
    let mut lines: Vec<String> = areas.iter().take(NAMED).map(|name| format!("  - {}", plain(name))).collect();
    if areas.len() > NAMED {
        lines.push(format!("  - and {} more", areas.len() - NAMED));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// What others wrote stays on its line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_names_the_account_why_what_pauses_and_where_to_go() {
        let letters = Letters::new(Url::parse("https://area.example/base/").unwrap());
        let check = |letter: &Letter, parts: &[&str], absent: &[&str]| {
            let all = format!("{}\n{}", letter.subject, letter.text);
            parts.iter().for_each(|part| assert!(all.contains(part), "no `{part}` in {all}"));
            absent.iter().for_each(|part| assert!(!all.contains(part), "`{part}` in {all}"));
            assert!(!letter.subject.contains(char::is_control), "{all}");
        };
        let areas = (1..=22).map(|n| format!("Area\n{n}")).collect();
        let google = Account { provider: "google", title: "Google", is_key: false, who: Some("ann\r\nBcc: x"), areas };
        let link = "https://area.example/base/account#connect=google";
        let lost = letters.lost("ann@b", &google, "it answered invalid_grant");
        check(
            &lost,
            &["Link your Google account ann  Bcc: x again", "invalid_grant", "  - Area 20\n", "and 2 more", link],
            &["Area 21"],
        );
        let key = Account { provider: "acme", title: "Acme", is_key: true, who: None, areas: Vec::new() };
        check(&letters.lost("ann@b", &key, "no"), &["No AREA needs it", "/base/v1/accounts"], &["account#"]);
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let ends = letters.ends("ann@b", &google, at);
        check(&ends, &["Your Google account", "ends soon", "15 January 2027, 08:00 UTC", "would pause", link], &[]);
        assert_eq!(letters.id("x.1"), "<x.1@area.example>");
    }
}
