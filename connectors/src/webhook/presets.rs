//! What the known senders' schemes expand to: the general form, and how each tells a repetition.
//!
//! Sources: docs.github.com "Validating webhook deliveries"; docs.stripe.com "Verify manually"; api.slack.com "Verifying
//! requests from Slack"; developer.atlassian.com Trello "Webhook signatures"; the Standard Webhooks specification.

use super::params::{
    Algorithm, DeliveryId, Encoding, Hmac, Part, Received, SecretEncoding, Signed, Timed, Timestamp, Token, Verify,
};

/// How a request is believed, whatever the user called it.
pub enum Scheme<'a> {
    /// Everybody is.
    Open,
    /// By its token.
    Token(&'a Token),
    /// By its signature.
    Hmac(Box<Hmac>),
    /// The same, as the user wrote it out.
    Given(&'a Hmac),
}

impl Scheme<'_> {
    /// The general form, where there is a signature.
    pub fn hmac(&self) -> Option<&Hmac> {
        match self {
            Self::Hmac(hmac) => Some(hmac),
            Self::Given(hmac) => Some(hmac),
            Self::Open | Self::Token(_) => None,
        }
    }
}

/// The scheme behind a kind.
pub fn scheme(verify: &Verify) -> Scheme<'_> {
    match verify {
        Verify::None {} => Scheme::Open,
        Verify::Token(token) => Scheme::Token(token),
        Verify::Hmac(hmac) => Scheme::Given(hmac),
        Verify::Github(p) => Scheme::Hmac(Box::new(github(p))),
        Verify::Stripe(p) => Scheme::Hmac(Box::new(stripe(p))),
        Verify::Slack(p) => Scheme::Hmac(Box::new(slack(p))),
        Verify::Trello(p) => Scheme::Hmac(Box::new(trello(p))),
        Verify::StandardWebhooks(p) => Scheme::Hmac(Box::new(standard_webhooks(p))),
    }
}

/// Where to look for a delivery's name, best first. Empty: repetitions are not told.
pub fn delivery_ids(params: &Received) -> Vec<DeliveryId> {
    if let Some(given) = &params.delivery_id {
        return vec![given.clone()];
    }
    // Each of these signs something that differs from delivery to delivery, so where the id is missing (a slash command of
    // Slack) the signature tells a replay.
    let first = match &params.verify {
        Verify::None {} | Verify::Token(_) | Verify::Hmac(_) => return Vec::new(),
        Verify::Github(_) => return vec![DeliveryId::Signature],
        Verify::Stripe(_) => DeliveryId::Pointer("/id".into()),
        Verify::Slack(_) => DeliveryId::Pointer("/event_id".into()),
        Verify::Trello(_) => DeliveryId::Pointer("/action/id".into()),
        Verify::StandardWebhooks(_) => DeliveryId::Header("webhook-id".into()),
    };
    vec![first, DeliveryId::Signature]
}

/// A form with what most schemes share: SHA-256 in hexadecimal over the body.
fn plain(secret: &str, older: &[String], header: &str, prefix: &str) -> Hmac {
    Hmac {
        secret: secret.into(),
        older_secrets: older.into(),
        secret_encoding: SecretEncoding::Text,
        header: header.into(),
        prefix: prefix.into(),
        separator: None,
        encoding: Encoding::Hex,
        algorithm: Algorithm::Sha256,
        signed: vec![Part::Body],
        timestamp: None,
    }
}

fn text(text: &str) -> Part {
    Part::Text(text.into())
}

fn stamp(header: &str, prefix: &str, p: &Timed) -> Option<Timestamp> {
    Some(Timestamp { header: header.into(), prefix: prefix.into(), tolerance: p.tolerance })
}

fn github(p: &Signed) -> Hmac {
    plain(&p.secret, &p.older_secrets, "x-hub-signature-256", "sha256=")
}

fn stripe(p: &Timed) -> Hmac {
    Hmac {
        separator: Some(",".into()),
        signed: vec![Part::Timestamp, text("."), Part::Body],
        timestamp: stamp("stripe-signature", "t=", p),
        ..plain(&p.secret, &p.older_secrets, "stripe-signature", "v1=")
    }
}

fn slack(p: &Timed) -> Hmac {
    Hmac {
        signed: vec![text("v0:"), Part::Timestamp, text(":"), Part::Body],
        timestamp: stamp("x-slack-request-timestamp", "", p),
        ..plain(&p.secret, &p.older_secrets, "x-slack-signature", "v0=")
    }
}

fn trello(p: &Signed) -> Hmac {
    Hmac {
        encoding: Encoding::Base64,
        algorithm: Algorithm::Sha1,
        signed: vec![Part::Body, Part::Url],
        ..plain(&p.secret, &p.older_secrets, "x-trello-webhook", "")
    }
}

fn standard_webhooks(p: &Timed) -> Hmac {
    Hmac {
        secret_encoding: SecretEncoding::Base64,
        separator: Some(" ".into()),
        encoding: Encoding::Base64,
        signed: vec![Part::Header("webhook-id".into()), text("."), Part::Timestamp, text("."), Part::Body],
        timestamp: stamp("webhook-timestamp", "", p),
        ..plain(&p.secret, &p.older_secrets, "webhook-signature", "v1,")
    }
}
