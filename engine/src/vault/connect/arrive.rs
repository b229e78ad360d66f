//! Signing in with an account: it goes the way of a link, bound to the browser that began it. Here it is proved who somebody is at
//! the provider; whose that account is here, and what follows, is decided by who knows people. Only a verified id token counts.

use url::Url;

use super::session::{self, Data, SignIn};
use super::{Attempt, Begun, Callback, ConnectError, Proof, identity};
use crate::ids::{AccountId, UserId};
use crate::partition;
use crate::secret::Secret;
use crate::store::connect::ConnectSession;
use crate::store::links::Link;
use crate::vault::exchange::{Asked, Tokens};
use crate::vault::{Vault, life};

/// A sign-in to be begun.
#[derive(Clone, Debug)]
pub struct BeginSignIn<'a> {
    /// Who is signed in where it begins; `None`: nobody.
    pub user: Option<UserId>,
    /// Whether they have just proved once more who they are.
    pub proved: bool,
    /// At which provider.
    pub provider: &'a str,
    /// The address of our callback.
    pub redirect: Url,
    /// Where they go in the end; checked by the caller.
    pub return_to: Option<String>,
}

/// Who came back from a provider to sign in.
#[derive(Clone)]
pub struct Arrived {
    /// At which provider.
    pub provider: String,
    /// The account's id there.
    pub id: String,
    /// The account's name to people.
    pub who: Option<String>,
    /// Its address, and whether the provider says that it proved it.
    pub email: Option<(String, bool)>,
    /// What its owner is called.
    pub name: Option<String>,
    /// Who was signed in where it began.
    pub began: Option<UserId>,
    /// Whether they had just proved once more who they are.
    pub proved: bool,
    /// Where they want to go.
    pub return_to: Option<String>,
    proof: Proof,
}

/// It carries tokens.
impl std::fmt::Debug for Arrived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrived").field("provider", &self.provider).field("began", &self.began).finish_non_exhaustive()
    }
}

impl Vault {
    /// Begins: where the browser is to be sent, and the secret that it alone is to be given.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn sign_in(&self, begin: &BeginSignIn<'_>) -> Result<(Begun, Secret), ConnectError> {
        let provider = self.provider(begin.provider).and_then(|provider| provider.signs_in());
        let (oauth, client) = provider.ok_or_else(|| ConnectError::NoSignIn(begin.provider.to_owned()))?;
        let browser = super::random()?;
        let mut scopes = oauth.sign_in_scopes.clone();
        if !scopes.iter().any(|scope| scope == "openid") {
            // Without it there is no id token.
            scopes.insert(0, "openid".to_owned());
        }
        let attempt = Attempt {
            user: begin.user,
            provider: begin.provider,
            redirect: &begin.redirect,
            return_to: begin.return_to.as_ref(),
            scopes,
            params: &oauth.sign_in_params,
            sign_in: Some(SignIn { browser: session::hash(&browser), proved: begin.proved }),
        };
        Ok((self.begun(oauth, client, attempt).await?, browser))
    }

    /// The row that an arrival becomes as `user`'s account. Its tokens are kept where they can be refreshed; else nothing is kept that
    /// would only die within the hour.
    pub fn arrival<'a>(&self, account: AccountId, user: UserId, arrived: &'a Arrived) -> Link<'a> {
        let proof = &arrived.proof;
        let habits = self.provider(&arrived.provider).and_then(|p| p.oauth.as_ref()).map(|oauth| &oauth.habits);
        let dies_at = habits.and_then(|habits| life::dies_at(proof.expires_in, habits, proof.asked_at));
        let ends_at = habits.and_then(|habits| habits.ends_after).map(|span| proof.asked_at.saturating_add(span));
        let kept = proof.refresh.as_ref();
        let close = |column: &str, secret: &Secret| self.close(account, column, secret);
        Link {
            id: account,
            user,
            kind: "oidc",
            provider: &arrived.provider,
            provider_account: &arrived.id,
            who: arrived.who.as_deref(),
            access_token: kept.map(|_| close("access_token", &proof.access)),
            refresh_token: kept.map(|token| close("refresh_token", token)),
            expires_at: kept.and(dies_at).map(|at| at / 1_000_000),
            scope: proof.scopes.join(" "),
            id_token: proof.id_token.as_ref().map(|token| close("id_token", token)),
            part: partition::of(user, &account.to_string()),
            at: proof.asked_at,
            refresh_at: kept.and(life::refresh_at(dies_at, proof.asked_at, account, 1)),
            ends_at: kept.and(ends_at),
            signs_in: true,
        }
    }
}

/// Whether a callback came to the browser that began it, and to nobody else's session.
pub(super) fn is_here(sign_in: &SignIn, row: &ConnectSession, came: &Callback<'_>) -> Result<(), ConnectError> {
    if !came.browser.is_some_and(|browser| session::fits(&Secret::new(browser), &sign_in.browser)) {
        return Err(ConnectError::OtherBrowser);
    }
    match (row.user_id, came.visitor) {
        (Some(began), Some(visitor)) if began != visitor => Err(ConnectError::Foreign),
        _ => Ok(()),
    }
}

/// Asks the provider who came.
pub(super) async fn arrived(
    asked: &Asked<'_>,
    tokens: Tokens,
    row: &ConnectSession,
    data: &Data,
    sign_in: &SignIn,
) -> Result<Arrived, ConnectError> {
    let proved = identity::proved(asked, &tokens, &data.nonce).await.map_err(ConnectError::Refused)?;
    let (id, who) = (proved.account.id, proved.account.who);
    Ok(Arrived {
        provider: data.provider.clone(),
        id: id.clone(),
        who: who.clone(),
        email: proved.email,
        name: proved.name,
        began: row.user_id,
        proved: sign_in.proved,
        return_to: data.return_to.clone(),
        proof: Proof::new(id, who, tokens, data, asked.now.timestamp_micros()),
    })
}
