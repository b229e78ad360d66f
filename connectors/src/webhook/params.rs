//! What a user says about a hook. The doc comments are the words of the schema, the form and the docs.

use engine::duration::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A request at the AREA's hook URL.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Received {
    /// How a request proves who sent it.
    pub verify: Verify,
    /// Where the sender names a delivery: a second request of the same name is answered and dropped. The presets know their
    /// own; the other kinds never drop a repetition unless this is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<DeliveryId>,
}

/// How a request proves who sent it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(transform = crate::schema::describe)]
pub enum Verify {
    /// Not at all: whoever knows the hook URL is believed.
    None {},
    /// By a token in a header or in the query.
    Token(Token),
    /// By an HMAC over the request.
    Hmac(Box<Hmac>),
    /// GitHub: `X-Hub-Signature-256` over the body. The delivery id is not signed, so a signature already seen is a repetition.
    Github(Signed),
    /// Stripe: `Stripe-Signature` over timestamp and body; the event's id tells repetitions.
    Stripe(Timed),
    /// Slack: `X-Slack-Signature` over timestamp and body; `event_id` tells repetitions.
    Slack(Timed),
    /// Trello: `X-Trello-Webhook` over the body and the hook URL; the action's id tells repetitions.
    Trello(Signed),
    /// Standard Webhooks (standardwebhooks.com): `webhook-signature` over id, timestamp and body.
    StandardWebhooks(Timed),
}

/// A token that is sent along.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The token.
    #[schemars(extend("writeOnly" = true), length(min = 1))]
    pub token: String,
    /// Older tokens that are still believed while the sender changes to the new one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("writeOnly" = true), length(max = 4))]
    pub older_tokens: Vec<String>,
    /// The header that carries it, for example `x-gitlab-token`. Either this or `query`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// What stands before the token in the header, for example `Bearer ` for the header `authorization`. Case does not matter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The query parameter that carries it. Either this or `header`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// A known sender's scheme over the body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The secret that both sides know.
    #[schemars(extend("writeOnly" = true), length(min = 1))]
    pub secret: String,
    /// Older secrets that are still believed while the sender changes to the new one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("writeOnly" = true), length(max = 4))]
    pub older_secrets: Vec<String>,
}

/// A known sender's scheme over a timestamp and the body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timed {
    /// The secret that both sides know.
    #[schemars(extend("writeOnly" = true), length(min = 1))]
    pub secret: String,
    /// Older secrets that are still believed while the sender changes to the new one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("writeOnly" = true), length(max = 4))]
    pub older_secrets: Vec<String>,
    /// How far the signed timestamp may lie from our clock, either way.
    #[serde(default = "tolerance")]
    pub tolerance: Span,
}

/// The general form: every preset is one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hmac {
    /// The secret that both sides know.
    #[schemars(extend("writeOnly" = true), length(min = 1))]
    pub secret: String,
    /// Older secrets that are still believed while the sender changes to the new one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("writeOnly" = true), length(max = 4))]
    pub older_secrets: Vec<String>,
    /// How the key's bytes are written in `secret`.
    #[serde(default)]
    pub secret_encoding: SecretEncoding,
    /// The header that carries the signature.
    #[schemars(length(min = 1))]
    pub header: String,
    /// What stands before the signature, for example `sha256=`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// What stands between several entries in the header, for example `,`. Entries without the prefix are passed over; one that
    /// matches is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// How the signature's bytes are written.
    #[serde(default)]
    pub encoding: Encoding,
    /// The hash under the HMAC.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// What is signed, in this order, with nothing between.
    #[serde(default = "body_alone")]
    #[schemars(length(min = 1, max = 16))]
    pub signed: Vec<Part>,
    /// The signed timestamp, and how far it may lie from our clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
}

/// How a secret's text becomes the key's bytes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SecretEncoding {
    /// The text's own bytes.
    #[default]
    Text,
    /// Hexadecimal digits.
    Hex,
    /// Base64, after `whsec_` if that stands before it.
    Base64,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Hexadecimal digits of either case.
    #[default]
    Hex,
    /// Base64 with `+` and `/`, with or without padding.
    Base64,
    /// Base64 with `-` and `_`, with or without padding.
    Base64url,
}

/// The hash under the HMAC.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// HMAC-SHA-1.
    Sha1,
    /// HMAC-SHA-256.
    #[default]
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

/// One of the things that are signed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = crate::schema::describe)]
pub enum Part {
    /// The body, byte for byte.
    Body,
    /// The full URL that was called, as the sender was given it.
    Url,
    /// The text of the timestamp.
    Timestamp,
    /// The value of the header of this name.
    Header(String),
    /// This text.
    Text(String),
}

/// A timestamp that the sender signs: Unix seconds, Unix milliseconds or RFC 3339.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// The header that carries it; where it is the signature's own, it is one of that header's entries.
    #[schemars(length(min = 1))]
    pub header: String,
    /// What stands before it, for example `t=`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// How far it may lie from our clock, either way.
    #[serde(default = "tolerance")]
    pub tolerance: Span,
}

/// Where the sender names a delivery.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = crate::schema::describe)]
pub enum DeliveryId {
    /// In the header of this name. List it in `signed` where the sender signs it: else a replay under another name is a new event.
    Header(String),
    /// In the JSON body, at this pointer, for example `/id`.
    Pointer(String),
    /// Nowhere: a signature already seen is a repetition. Only where every body differs or a timestamp is signed.
    Signature,
}

/// Five minutes: what Stripe, Slack and Standard Webhooks advise.
fn tolerance() -> Span {
    Span::from_secs(5 * 60)
}

fn body_alone() -> Vec<Part> {
    vec![Part::Body]
}
