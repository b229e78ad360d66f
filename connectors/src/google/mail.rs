//! A mail as events carry it, made of what Gmail gives as `format=full`: the tree of its parts, each with its headers and its bytes.
//! Headers are decoded by `mail-parser` (RFC 2047, RFC 2231, addresses), whatever of that Gmail did before.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{DateTime, SecondsFormat, Utc};
use encoding_rs::Encoding;
use mail_parser::{Address, HeaderValue, Message, MessageParser};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::labels::Label;
use crate::when::times;

/// Bytes of a body that an event carries; what is beyond is cut off, and `truncated` says so.
const TEXT: usize = 128 * 1024;
const HTML: usize = 256 * 1024;
/// Attachments that an event lists.
const ATTACHMENTS: usize = 100;
/// Bytes of a list of people, and of the name or the address of one: Gmail takes headers of 500 KB.
const PEOPLE: usize = 8 * 1024;
const PERSON: usize = 512;
/// Bytes of a subject.
const SUBJECT: usize = 4 * 1024;
/// Bytes of the name of a file, and of its type.
const NAME: usize = 255;
const KIND: usize = 127;
/// Bytes of a Message-ID, and of the first words.
const ID: usize = 1024;
/// Parts within parts.
const DEPTH: usize = 20;

/// Gmail pads, and others do not.
static BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What people map of a mail.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Mail {
    /// Gmail's id of it, which `add_label` takes.
    pub id: String,
    /// Gmail's id of its conversation.
    pub thread_id: String,
    /// Its Message-ID, without the angle brackets; null where it has none.
    pub message_id: Option<String>,
    /// The Message-ID that it answers, without the angle brackets; null where it answers none.
    pub in_reply_to: Option<String>,
    /// Its page in Gmail.
    pub link: String,
    /// Its subject; empty where it has none. Cut at 4 KiB.
    pub subject: String,
    /// Who sent it, as `Ann Smith <ann@example.org>`. Names and addresses are cut at 512 bytes.
    pub from: String,
    /// The sender's name; their address where they have none.
    pub from_name: String,
    /// The sender's address.
    pub from_address: String,
    /// Who it was sent to, in one text: the first ones, in 8 KiB.
    pub to: String,
    /// The addresses of those in `to`.
    pub to_addresses: Vec<String>,
    /// Who got a copy, in one text: the first ones, in 8 KiB.
    pub cc: String,
    /// The addresses of those in `cc`.
    pub cc_addresses: Vec<String>,
    /// The address for answers: the sender's, unless the mail names another.
    pub reply_to: String,
    /// The first words of it.
    pub snippet: String,
    /// Left out where no AREA of the mailbox used any of it when the mail was read.
    #[serde(flatten)]
    pub content: Option<Content>,
    /// The names of its labels, as of the moment when it was read.
    pub labels: Vec<String>,
    /// Their ids.
    pub label_ids: Vec<String>,
    /// Whether it was still unread.
    pub unread: bool,
    /// Whether it has attachments.
    pub has_attachment: bool,
    /// Its attachments, the first 100: `send_mail` takes this list, or one of it, as its own.
    pub attachments: Vec<Attachment>,
    /// How large the whole mail is, in bytes.
    pub size: u64,
    /// When it came into the mailbox, in UTC.
    pub received_at: String,
    /// The same as clocks in `zone` show it.
    pub received_at_local: String,
    /// When it was sent, by its sender's clock and zone; null where the mail does not say.
    pub sent_at: Option<String>,
}

/// The fields of a mail that are large.
pub const LARGE: &[&str] = &["text", "html", "truncated"];

/// What is written in a mail.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Content {
    /// Its text; made of the HTML where the mail has no other. `text`, `html` and `truncated` are there where an AREA of the mailbox
    /// used one of them when the mail was read.
    pub text: String,
    /// Its HTML; null where it is plain text.
    pub html: Option<String>,
    /// Whether text or HTML are longer than an event holds (128 and 256 KiB) or than can be read, and were cut or left out.
    pub truncated: bool,
}

/// A file that came with a mail.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Attachment {
    /// Its name; made of its type where it has none. Cut at 255 bytes.
    pub name: String,
    /// What it is: `application/pdf`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How large it is, in bytes.
    pub size: u64,
    /// Gmail's id of the mail.
    pub message: String,
    /// Its place in the mail.
    pub part: String,
}

/// A mail as Gmail gives it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Sent {
    pub id: String,
    pub thread_id: String,
    pub label_ids: Vec<String>,
    pub snippet: String,
    /// Milliseconds.
    pub internal_date: String,
    pub size_estimate: i64,
    pub payload: Part,
}

/// One part of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Part {
    pub part_id: String,
    pub mime_type: String,
    pub filename: String,
    pub headers: Vec<Header>,
    pub body: Body,
    pub parts: Vec<Part>,
}

/// One header.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Header {
    pub name: String,
    pub value: String,
}

/// A part's bytes, or where they are.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Body {
    pub attachment_id: Option<String>,
    pub size: i64,
    pub data: Option<String>,
}

impl Sent {
    /// When it came into the mailbox.
    pub fn at(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.internal_date.parse().ok()?)
    }

    fn attachments(&self) -> Vec<Attachment> {
        let attachment = |(name, part): (String, &Part)| Attachment {
            name,
            kind: cut(part.mime_type.clone(), KIND).0,
            size: u64::try_from(part.body.size).unwrap_or(0),
            message: self.id.clone(),
            part: part.part_id.clone(),
        };
        self.payload.files().into_iter().take(ATTACHMENTS).map(attachment).collect()
    }

    /// The event; `whole`: with what is written in it.
    pub fn event(self, labels: &[Label], whole: bool) -> Mail {
        let block = self.payload.block();
        // Where there is no header, there is no mail to the parser.
        let headers = MessageParser::default().parse_headers(block.as_bytes());
        let headers = headers.as_ref().filter(|mail| !mail.parts.is_empty());
        let (from, to, cc) = (
            people(headers.and_then(Message::from)),
            people(headers.and_then(Message::to)),
            people(headers.and_then(Message::cc)),
        );
        let sender = from.first().cloned().unwrap_or_default();
        let attachments = self.attachments();
        let name = |id: &String| labels.iter().find(|l| l.id == *id).map_or_else(|| id.clone(), |l| l.name.clone());
        let (received_at, received_at_local) = times(self.at().unwrap_or_default(), "UTC", SecondsFormat::Secs);
        Mail {
            link: format!("https://mail.google.com/mail/#all/{}", self.id),
            message_id: headers.and_then(Message::message_id).map(|id| cut(id.to_owned(), ID).0),
            in_reply_to: headers.and_then(|mail| first(mail.in_reply_to())).map(|id| cut(id, ID).0),
            subject: cut(clean(headers.and_then(Message::subject).unwrap_or_default()), SUBJECT).0,
            from: sender.shown(),
            from_name: if sender.name.is_empty() { sender.address.clone() } else { sender.name.clone() },
            reply_to: people(headers.and_then(Message::reply_to))
                .into_iter()
                .next()
                .unwrap_or_else(|| sender.clone())
                .address,
            from_address: sender.address,
            to: shown(&to),
            to_addresses: to.into_iter().map(|one| one.address).collect(),
            cc: shown(&cc),
            cc_addresses: cc.into_iter().map(|one| one.address).collect(),
            snippet: cut(crate::html::text(&self.snippet), ID).0,
            content: whole.then(|| Bodies::of(&self.payload).read()),
            labels: self.label_ids.iter().map(name).collect(),
            unread: self.label_ids.iter().any(|id| id == "UNREAD"),
            has_attachment: !attachments.is_empty(),
            attachments,
            size: u64::try_from(self.size_estimate).unwrap_or(0),
            received_at,
            received_at_local,
            sent_at: headers
                .and_then(Message::date)
                .filter(|date| date.is_valid())
                .map(mail_parser::DateTime::to_rfc3339),
            label_ids: self.label_ids,
            id: self.id,
            thread_id: self.thread_id,
        }
    }
}

impl Part {
    /// Its headers as they stand in a mail, one a line.
    fn block(&self) -> String {
        let line = |header: &Header| {
            let value = header.value.replace(['\r', '\n'], " ");
            // A name with a colon or a space in it would begin another header.
            let is_name = !header.name.is_empty() && header.name.chars().all(|c| c.is_ascii_graphic() && c != ':');
            is_name.then(|| format!("{}: {value}\r\n", header.name))
        };
        self.headers.iter().filter_map(line).collect::<String>() + "\r\n"
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value.as_str())
    }

    /// The file's name, decoded.
    fn name(&self) -> String {
        if self.filename.is_empty() {
            return named_by(&self.mime_type);
        }
        if !self.filename.contains("=?") {
            return cut(clean(&self.filename), NAME).0;
        }
        let block = format!("Subject: {}\r\n\r\n", self.filename.replace(['\r', '\n'], " "));
        let name = MessageParser::default().parse_headers(block.as_bytes());
        let name = name.as_ref().filter(|mail| !mail.parts.is_empty()).and_then(Message::subject);
        cut(clean(name.unwrap_or(&self.filename)), NAME).0
    }

    fn is_file(&self) -> bool {
        let apart = self.header("content-disposition").is_some_and(|how| how.to_lowercase().starts_with("attachment"));
        !self.filename.is_empty() || apart || self.mime_type == "message/rfc822"
    }

    /// Its bytes, where they came with it.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        bytes(self.body.data.as_deref()?)
    }

    /// Its text. Gmail gives UTF-8 for most, and the bytes as they are for the rest.
    fn text(&self) -> Option<String> {
        let bytes = self.bytes()?;
        let named = self.header("content-type").and_then(charset);
        // Escapes switch the character set in what looks like ASCII.
        let is_utf8 = !bytes.contains(&0x1b) && std::str::from_utf8(&bytes).is_ok();
        let encoding = if is_utf8 { encoding_rs::UTF_8 } else { named.unwrap_or(encoding_rs::UTF_8) };
        Some(clean(&encoding.decode(&bytes).0))
    }
}

/// The bytes of what Gmail gives in base64.
pub fn bytes(data: &str) -> Option<Vec<u8>> {
    BASE64.decode(data.trim()).ok()
}

fn charset(content_type: &str) -> Option<&'static Encoding> {
    let param = content_type.split(';').skip(1).find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    })?;
    Encoding::for_label(param.as_bytes())
}

/// Text and HTML of a mail.
#[derive(Default)]
struct Bodies {
    texts: Vec<String>,
    htmls: Vec<String>,
    /// One is so long that Gmail gives it apart.
    apart: bool,
}

impl Bodies {
    fn of(mail: &Part) -> Self {
        let mut bodies = Self::default();
        bodies.walk(mail, 0);
        bodies
    }

    fn walk(&mut self, part: &Part, depth: usize) {
        if part.is_file() && depth > 0 || depth > DEPTH {
            return;
        }
        part.parts.iter().for_each(|inner| self.walk(inner, depth + 1));
        let list = match part.mime_type.to_lowercase().as_str() {
            "text/plain" | "" if part.parts.is_empty() => &mut self.texts,
            "text/html" => &mut self.htmls,
            _ => return,
        };
        list.extend(part.text().filter(|text| !text.is_empty()));
        self.apart |= part.is_apart();
    }

    fn read(self) -> Content {
        let (html, mut text) = (self.htmls.join("\n"), self.texts.join("\n"));
        if text.trim().is_empty() && !html.is_empty() {
            text = crate::html::text(&html);
        }
        let (text, cut_text) = cut(text, TEXT);
        let (html, cut_html) = cut(html, HTML);
        Content { text, html: (!html.is_empty()).then_some(html), truncated: cut_text || cut_html || self.apart }
    }
}

impl Part {
    fn body_is_empty(&self) -> bool {
        self.body.size == 0 && self.body.data.as_deref().unwrap_or_default().is_empty()
    }

    fn is_apart(&self) -> bool {
        self.body.attachment_id.is_some() && self.body.data.is_none()
    }

    /// The texts that Gmail gives apart: their ids, and the bodies that they belong into.
    pub fn apart(&mut self) -> Vec<(String, &mut Body)> {
        let mut apart = Vec::new();
        self.apart_into(&mut apart, 0);
        apart
    }

    fn apart_into<'a>(&'a mut self, apart: &mut Vec<(String, &'a mut Body)>, depth: usize) {
        if self.is_file() && depth > 0 || depth > DEPTH {
            return;
        }
        let is_text = matches!(self.mime_type.to_lowercase().as_str(), "text/plain" | "text/html");
        let id = self.body.attachment_id.clone().filter(|_| is_text && self.is_apart());
        apart.extend(id.map(|id| (id, &mut self.body)));
        self.parts.iter_mut().for_each(|part| part.apart_into(apart, depth + 1));
    }

    /// The parts that are files, with their names: what an event lists.
    pub fn files(&self) -> Vec<(String, &Part)> {
        let mut files = Vec::new();
        self.files_into(&mut files, 0, false);
        files
    }

    /// `is_choice`: it is one of several forms of the same.
    fn files_into<'a>(&'a self, files: &mut Vec<(String, &'a Part)>, depth: usize, is_choice: bool) {
        let kind = self.mime_type.to_lowercase();
        let is_text = matches!(kind.as_str(), "" | "text/plain" | "text/html");
        let holds = kind.starts_with("multipart/") || !self.parts.is_empty();
        if depth > 0 && self.is_file() || !holds && !is_text && !is_choice && !self.body_is_empty() {
            files.push((self.name(), self));
        } else if depth < DEPTH {
            let is_choice = kind == "multipart/alternative";
            self.parts.iter().for_each(|part| part.files_into(files, depth + 1, is_choice));
        }
    }
}

/// The name of a file that has none.
fn named_by(kind: &str) -> String {
    let kind = kind.to_lowercase();
    let name = match kind.as_str() {
        "message/rfc822" => "mail.eml",
        "message/delivery-status" => "delivery-status.txt",
        "text/rfc822-headers" => "headers.txt",
        "text/calendar" | "application/ics" => "invite.ics",
        "text/csv" => "table.csv",
        "application/pdf" => "document.pdf",
        "image/png" => "image.png",
        "image/jpeg" => "image.jpg",
        "image/gif" => "image.gif",
        _ => "file",
    };
    name.to_owned()
}

fn cut(mut text: String, most: usize) -> (String, bool) {
    if text.len() <= most {
        return (text, false);
    }
    text.truncate(text.floor_char_boundary(most));
    (text, true)
}

/// Lines end as everywhere, and what controls a terminal is left out.
fn clean(text: &str) -> String {
    text.replace("\r\n", "\n").chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

#[derive(Clone, Default)]
struct Person {
    name: String,
    address: String,
}

impl Person {
    /// As it stands in a mail: quoted where the name would be read as more than a name.
    fn shown(&self) -> String {
        let name = match self.name.contains(['"', '\\', ',', ';', ':', '<', '>', '(', ')', '[', ']', '@', '.']) {
            true => format!("\"{}\"", self.name.replace('\\', "\\\\").replace('"', "\\\"")),
            false => self.name.clone(),
        };
        match (name.is_empty(), self.address.is_empty()) {
            (true, _) => self.address.clone(),
            (false, true) => name,
            (false, false) => format!("{name} <{}>", self.address),
        }
    }
}

fn people(list: Option<&Address<'_>>) -> Vec<Person> {
    let text = |text: Option<&str>| cut(clean(text.unwrap_or_default().trim()), PERSON).0;
    let of = |addr: &mail_parser::Addr<'_>| Person { name: text(addr.name()), address: text(addr.address()) };
    let mut room = PEOPLE;
    let fits = |person: &Person| {
        let taken = person.shown().len() + ", ".len();
        room.checked_sub(taken).map(|rest| room = rest).is_some()
    };
    list.into_iter().flat_map(Address::iter).map(of).take_while(fits).collect()
}

fn shown(people: &[Person]) -> String {
    people.iter().map(Person::shown).collect::<Vec<_>>().join(", ")
}

fn first(ids: &HeaderValue<'_>) -> Option<String> {
    match ids {
        HeaderValue::Text(id) => Some(id.to_string()),
        HeaderValue::TextList(ids) => ids.first().map(ToString::to_string),
        _ => None,
    }
}
