//! What people are written. A link carries its token behind `#`: it reaches neither a server's log nor a `Referer`.

use url::Url;

use crate::mail::Letter;

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

    fn letter(&self, to: &str, subject: &str, text: &str) -> Letter {
        Letter { to: to.to_owned(), subject: format!("AREA Runner: {subject}"), text: format!("{text}\n") }
    }
}
