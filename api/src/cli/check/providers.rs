//! The providers that are set up: whether they would send browsers back here, and whether they know this installation.

use std::time::Duration;

use engine::net::Http;
use engine::vault::Provider;
use engine::vault::exchange::Asked;

use super::findings::Findings;
use crate::cli::{Context, Failure};
use crate::settings::callback_url;

/// How long a provider may take to say whether it knows this client.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What providers call a client or a secret that they do not know: RFC 6749, and GitHub.
const UNKNOWN: [&str; 3] = ["invalid_client", "unauthorized_client", "incorrect_client_credentials"];

/// Tries each provider that is set up.
pub async fn providers(context: &Context, found: &mut Findings) -> Result<(), Failure> {
    let http = Http::new(context.settings.net.config()).map_err(Failure::failed)?;
    for provider in context.settings.providers()? {
        one(context, &http, &provider, found).await;
    }
    Ok(())
}

async fn one(context: &Context, http: &Http, provider: &Provider, found: &mut Findings) {
    let Some((oauth, client)) = provider.client() else { return };
    let name = &provider.name;
    let Ok(redirect) = callback_url(&context.settings.public_url(), name) else {
        return found.wrong("providers", format!("{name}: public_url makes no redirect address"));
    };
    if let Err(why) = oauth.takes_redirect(&redirect) {
        return found.wrong("providers", format!("{name}: {why}"));
    }
    let asked = Asked { http, oauth, client, timeout: TIMEOUT, now: context.clock.now() };
    match asked.knows_client(&redirect).await {
        Ok(()) => found.ok("providers", format!("{name} knows this client; its redirect address must be {redirect}")),
        Err(why) if UNKNOWN.iter().any(|word| why.contains(word)) => {
            let keys = format!("providers.{name}.client_id and client_secret");
            found.wrong("providers", format!("{name}: {why}: set {keys} to what its page for this client shows"));
        }
        Err(why) => found.warning("providers", format!("{name} could not be tried: {why}")),
    }
}
