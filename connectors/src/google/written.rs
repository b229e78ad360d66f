//! A mail as it is sent: RFC 5322, by `lettre`. Everything in it comes from the step's data, its run's key and its run's birth, so that
//! a repetition is the same bytes.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use engine::fault::Fault;
use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, MultiPart, MultiPartKind, SinglePart};
use sha2::{Digest, Sha256};

/// Bytes of its attachments together. Gmail refuses mails over 25 MB, and base64 makes three of four.
pub const FILES: usize = 18 << 20;
/// Names the run that sent it, also where Gmail puts a Message-ID of its own into the place of ours.
pub const MARK: &str = "X-Area-Run";

/// What is written.
pub struct Letter {
    /// See [`mark`].
    pub mark: String,
    pub born: DateTime<Utc>,
    pub from: Option<Mailbox>,
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    pub bcc: Vec<Mailbox>,
    pub reply_to: Vec<Mailbox>,
    pub subject: String,
    pub text: Option<String>,
    pub html: Option<String>,
    pub files: Vec<File>,
}

/// A file that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub name: String,
    pub kind: String,
    pub bytes: Vec<u8>,
}

/// What identifies a mail for ever: by the run's key, and its birth, because two installations count from one.
pub fn mark(key: &str, born: DateTime<Utc>) -> String {
    let hash = Sha256::new().chain_update(key).chain_update([0]).chain_update(born.timestamp_micros().to_be_bytes());
    hex::encode(&hash.finalize()[..16])
}

/// The Message-ID of a mark, without the angle brackets. `invalid` is nobody's domain.
pub fn message_id(mark: &str) -> String {
    format!("{mark}@area.invalid")
}

impl Letter {
    /// Its bytes.
    ///
    /// # Errors
    /// `Rejected` where nobody gets it, or a file's type is none.
    pub fn bytes(self) -> Result<Vec<u8>, Fault> {
        let wrong = |e: lettre::error::Error| Fault::rejected(format!("the mail cannot be written: {e}"));
        let mut builder = Message::builder()
            .message_id(Some(format!("<{}>", message_id(&self.mark))))
            .date(SystemTime::from(self.born))
            .subject(one_line(&self.subject))
            .keep_bcc();
        let nobody = || Mailbox::new(None, "nobody@area.invalid".parse().expect("it is an address"));
        builder = builder.from(self.from.clone().unwrap_or_else(nobody));
        for to in self.to {
            builder = builder.to(to);
        }
        for cc in self.cc {
            builder = builder.cc(cc);
        }
        for bcc in self.bcc {
            builder = builder.bcc(bcc);
        }
        for reply_to in self.reply_to {
            builder = builder.reply_to(reply_to);
        }
        let multipart =
            |kind, number| MultiPart::builder().kind(kind).boundary(format!("area-{}-{number}", self.mark)).build();
        let both = match (self.text, self.html) {
            (text, Some(html)) => {
                let text = text.unwrap_or_else(|| crate::html::text(&html));
                let alternative = multipart(MultiPartKind::Alternative, 2);
                Err(alternative.singlepart(SinglePart::plain(text)).singlepart(SinglePart::html(html)))
            }
            (text, None) => Ok(SinglePart::plain(text.unwrap_or_default())),
        };
        let message = if self.files.is_empty() {
            match both {
                Ok(single) => builder.singlepart(single),
                Err(parts) => builder.multipart(parts),
            }
        } else {
            let mixed = multipart(MultiPartKind::Mixed, 1);
            let mixed = match both {
                Ok(single) => mixed.singlepart(single),
                Err(parts) => mixed.multipart(parts),
            };
            let files = self.files.into_iter().map(File::part).collect::<Result<Vec<_>, Fault>>()?;
            builder.multipart(files.into_iter().fold(mixed, MultiPart::singlepart))
        };
        let mut message = message.map_err(wrong)?;
        let name = HeaderName::new_from_ascii_str(MARK);
        message.headers_mut().insert_raw(HeaderValue::new(name, self.mark));
        if self.from.is_none() {
            // Gmail writes the account's own name and address.
            message.headers_mut().remove_raw("From");
        }
        Ok(message.formatted())
    }
}

impl File {
    fn part(self) -> Result<SinglePart, Fault> {
        let kind = ContentType::parse(&self.kind).or_else(|_| ContentType::parse("application/octet-stream"));
        let kind = kind.map_err(|e| Fault::rejected(format!("`{}` is no type of a file: {e}", self.kind)))?;
        // As text it would be sent with the ends of its lines as they are, which on the way become others.
        let body = Body::new_with_encoding(self.bytes, ContentTransferEncoding::Base64);
        let body = body.map_err(|_| Fault::rejected(format!("`{}` cannot be encoded", self.name)))?;
        Ok(Attachment::new(one_line(&self.name)).body(body, kind))
    }
}

/// A header ends with its line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
