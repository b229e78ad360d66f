//! Whose a sign-in at a provider is. Decided by proof alone: an account that is linked already, or a session of the person who asks.
//! An e-mail address that a provider tells is never a proof of who somebody is here, verified or not: whoever can make a provider
//! say an address would else walk into that person's account.

use engine::ids::UserId;

/// What is known when somebody comes back from a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// Whose the provider's account is linked to; `None`: nobody's.
    pub linked: Option<UserId>,
    /// Whether they chose to sign in with it. One that is merely linked for AREAs signs nobody in: an API token may link one, and whoever
    /// finds a token must not become its owner by it.
    pub signs_in: bool,
    /// Who began this in a browser that still has their session; `None`: nobody is signed in.
    pub signed_in: Option<UserId>,
    /// The address that the provider tells, and whether it says that it proved it.
    pub email: Option<(String, bool)>,
    /// Whether somebody here has that address.
    pub email_known: bool,
    /// Whether anybody may sign up.
    pub open: bool,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Sign this person in: the account is theirs.
    SignIn(UserId),
    /// Link the account to this person, who is signed in, to sign in with it from now on.
    Link(UserId),
    /// Make a person with this proved address, and link the account.
    SignUp(String),
    /// Somebody has that address: they sign in as they always do, and link the account then.
    SignInFirst,
    /// The account is somebody else's.
    Taken,
    /// The account is linked for AREAs, not to sign in with: its owner signs in as they always do, and chooses it then.
    LinkedOnly,
    /// The provider tells no address that it proved: sign up by mail first.
    NoAddress,
    /// Nobody may sign up.
    Closed,
}

/// Whose a sign-in is.
pub fn whose(arrival: &Arrival) -> Whose {
    match (arrival.linked, arrival.signed_in) {
        (Some(owner), Some(asks)) if owner != asks => return Whose::Taken,
        (Some(owner), _) if arrival.signs_in => return Whose::SignIn(owner),
        (Some(owner), Some(_)) => return Whose::Link(owner),
        (Some(_), None) => return Whose::LinkedOnly,
        (None, Some(asks)) => return Whose::Link(asks),
        (None, None) => {}
    }
    match &arrival.email {
        // Told before the closed door, and only to whoever proved the address: others would learn who is here.
        Some((_, true)) if arrival.email_known => Whose::SignInFirst,
        _ if !arrival.open => Whose::Closed,
        Some((address, true)) => Whose::SignUp(address.clone()),
        _ => Whose::NoAddress,
    }
}

/// How a person of an Auth.js site on the same database comes in: by the id that its session names. `None`: the address is
/// somebody's here already, who has proved it. An address that the site did not prove is not taken over: it would keep its owner out.
pub fn adopted_address(id: UserId, email: Option<&str>, proved: bool, known: bool) -> Option<String> {
    match email {
        Some(_) if proved && known => None,
        Some(address) if proved => Some(address.to_owned()),
        _ => Some(format!("{id}@unproved.invalid")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_goes_by_proof_and_never_by_an_address() {
        let (ann, bob) = (UserId::new(), UserId::new());
        let mail = |verified| Some(("ann@b".to_owned(), verified));
        let check = |linked, signed_in, email: Option<(String, bool)>, email_known, open, want: Whose| {
            let arrival = Arrival { linked, signs_in: true, signed_in, email, email_known, open };
            assert_eq!(whose(&arrival), want, "{arrival:?}");
        };
        check(Some(ann), None, mail(false), true, false, Whose::SignIn(ann));
        check(Some(ann), Some(ann), None, false, true, Whose::SignIn(ann));
        check(Some(ann), Some(bob), mail(true), true, true, Whose::Taken);
        check(None, Some(bob), mail(true), true, true, Whose::Link(bob));
        check(None, Some(bob), None, false, false, Whose::Link(bob));
        check(None, None, mail(true), true, true, Whose::SignInFirst);
        check(None, None, mail(false), true, true, Whose::NoAddress);
        check(None, None, mail(false), true, false, Whose::Closed);
        check(None, None, mail(false), false, false, Whose::Closed);
        check(None, None, mail(true), false, true, Whose::SignUp("ann@b".into()));
        check(None, None, mail(false), false, true, Whose::NoAddress);
        check(None, None, None, false, true, Whose::NoAddress);
        check(None, None, mail(true), false, false, Whose::Closed);
    }

    #[test]
    fn an_account_that_is_merely_linked_signs_nobody_in_until_its_owner_chooses_it() {
        let (ann, bob) = (UserId::new(), UserId::new());
        let check = |signed_in, want: Whose| {
            let arrival = Arrival { linked: Some(ann), signed_in, open: true, ..Arrival::default() };
            assert_eq!(whose(&arrival), want, "{arrival:?}");
        };
        check(None, Whose::LinkedOnly);
        check(Some(ann), Whose::Link(ann));
        check(Some(bob), Whose::Taken);
    }

    #[test]
    fn a_sites_person_keeps_their_address_only_where_the_site_proved_it_and_nobody_has_it() {
        let id = UserId::new();
        let none = format!("{id}@unproved.invalid");
        assert_eq!(adopted_address(id, Some("ann@b"), true, false).as_deref(), Some("ann@b"));
        assert_eq!(adopted_address(id, Some("ann@b"), true, true), None);
        assert_eq!(adopted_address(id, Some("ann@b"), false, true).as_deref(), Some(none.as_str()));
        assert_eq!(adopted_address(id, None, false, false).as_deref(), Some(none.as_str()));
    }
}
