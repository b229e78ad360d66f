//! The reaction `google.send_mail`. Where an earlier attempt may have sent the mail, it is looked for first: by its Message-ID, which comes
//! from the run's key, and, as Gmail may put one of its own in that place and searches may lag, by its headers in what was sent since
//! the run's birth.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use chrono::TimeDelta;
use engine::fault::Fault;
use engine::port::{About, Guarantee, Invalid, ReactCx, Reacted, ReactionSpec, params};
use lettre::message::{Mailbox, Mailboxes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::attached::{Attach, files};
use super::mail::Sent;
use super::reading::alone;
use super::written::{Letter, MARK, mark, message_id};
use super::{GMAIL, TRIED_EMULATOR};
use crate::call::{ApiCall, Caller, Reason};

const READS: &[&str] = &["gmail.readonly"];
static LIST: ApiCall = ApiCall::get(&GMAIL, "messages.list", "gmail/v1/users/me/messages").units(5).scopes(READS);
static GET: ApiCall = ApiCall::get(&GMAIL, "messages.get", "gmail/v1/users/me/messages/{id}").units(20).scopes(READS);
static SEND: ApiCall =
    ApiCall::post(&GMAIL, "messages.send", "gmail/v1/users/me/messages/send").units(100).scopes(&["gmail.send"]);
static UPLOAD: ApiCall =
    ApiCall::post(&GMAIL, "messages.send", "upload/gmail/v1/users/me/messages/send").units(100).scopes(&["gmail.send"]);

/// Mails sent since the run's birth that are looked at, and how many at once.
const RECENT: usize = 100;
const AT_ONCE: usize = 10;
/// Gmail's clock may be behind ours.
const CLOCKS: TimeDelta = TimeDelta::minutes(2);
/// Bytes from which on a mail is uploaded as it is.
const LARGE: usize = 3 << 20;

/// What is sent to whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Send {
    /// Who it goes to: an address, `Ann <ann@example.org>`, several with commas between them, or a list.
    #[serde(default)]
    #[schemars(example = "ann@example.org")]
    to: People,
    /// Who gets a copy.
    #[serde(default)]
    #[schemars(example = "bob@example.org")]
    cc: People,
    /// Who gets a copy that the others do not see.
    #[serde(default)]
    #[schemars(example = "archive@example.org")]
    bcc: People,
    /// Where answers go; to the account where it is left out.
    #[serde(default)]
    #[schemars(example = "{{ event.from }}")]
    reply_to: People,
    /// Another address to send from: one that the account has set up in Gmail.
    #[serde(default)]
    #[schemars(example = "Sales <sales@example.org>")]
    from: Option<String>,
    /// The subject.
    #[serde(default)]
    #[schemars(length(max = 2000), example = "Fwd: {{ event.subject }}")]
    subject: String,
    /// The text; made of the HTML where only that is given.
    #[serde(default)]
    #[schemars(example = "{{ event.text }}")]
    text: Option<String>,
    /// The same as HTML.
    #[serde(default)]
    #[schemars(example = "<p>{{ event.subject }}</p>")]
    html: Option<String>,
    /// Files: of a mail (`{{ event.attachments }}`), or by their URLs.
    #[serde(default)]
    #[schemars(length(max = 50))]
    attachments: Vec<Attach>,
}

/// One or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum People {
    One(String),
    Many(#[schemars(length(max = 500))] Vec<String>),
}

impl Default for People {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl People {
    fn read(self, field: &str) -> Result<Vec<Mailbox>, Fault> {
        let all = match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        };
        let mut read = Vec::new();
        for text in all.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            read.extend(addresses(text).map_err(|why| Fault::rejected(format!("`{field}`: {why}")))?);
        }
        Ok(read)
    }
}

fn addresses(text: &str) -> Result<Mailboxes, String> {
    let shown: String = text.chars().take(80).collect();
    text.parse()
        .map_err(|e| format!("`{shown}` is no address: {e}; write `ann@example.org` or `Ann <ann@example.org>`"))
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
struct Output {
    /// Gmail's id of the mail.
    id: String,
    /// Gmail's id of its conversation.
    thread_id: String,
    /// The Message-ID that was asked for, without the angle brackets: Gmail may have given it another one. Where an earlier attempt had
    /// sent it, the one that it has.
    message_id: String,
    /// Its page in Gmail.
    link: String,
    /// Whether an earlier attempt had sent it.
    repeated: bool,
}

/// See the module.
pub static SPEC: ReactionSpec = ReactionSpec {
    name: "send_mail",
    title: "Send a mail",
    description: "Sends a mail from your Gmail account, with files of other mails or from the web.",
    params: params::<Send>,
    sample_params: r#"{"to": "Ann <ann@example.org>", "cc": ["bob@example.org"], "subject": "Fwd: Invoice 42",
        "text": "See below.", "attachments": [{"message": "18c2f0a1b2c3d4e5", "part": "1"}]}"#,
    sample_output: r#"{"id": "18c2f0b2c3d4e5f6", "thread_id": "18c2f0b2c3d4e5f6",
        "message_id": "7f9c2ba4e88f827d616045507605853e@area.invalid",
        "link": "https://mail.google.com/mail/#all/18c2f0b2c3d4e5f6", "repeated": false}"#,
    scopes: &["gmail.send", "gmail.readonly"],
    about: About {
        cost: "100 units, and 20 for each file of a mail; where it is repeated, 5 more and 20 for each mail sent since the run began, by tens",
        tried: TRIED_EMULATOR,
        gives: Some(params::<Output>),
        large: &[],
    },
    guarantee: Guarantee::Checked,
    check,
    react: |cx| Box::pin(react(cx)),
};

fn check(data: &Value) -> Vec<Invalid> {
    let mut wrong = Vec::new();
    for field in ["to", "cc", "bcc", "reply_to", "from"] {
        let one = [(format!("/{field}"), &data[field])].into_iter();
        let many = data[field].as_array().into_iter().flatten().enumerate();
        for (at, value) in one.chain(many.map(|(n, value)| (format!("/{field}/{n}"), value))) {
            let Some(text) = value.as_str().filter(|text| !text.contains("{{") && !text.trim().is_empty()) else {
                continue;
            };
            wrong.extend(addresses(text).err().map(|why| Invalid::new(at, why)));
        }
    }
    let is_empty = |field: &str| match &data[field] {
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.trim().is_empty(),
        value => value.is_null(),
    };
    if ["to", "cc", "bcc"].into_iter().all(is_empty) {
        wrong.push(Invalid::new("/to", "nobody would get it: name somebody in `to`, `cc` or `bcc`"));
    }
    for (n, one) in data["attachments"].as_array().into_iter().flatten().enumerate() {
        if one.is_object() && one["url"].is_null() == one["message"].is_null() {
            wrong.push(Invalid::new(format!("/attachments/{n}"), "an attachment has either a `url` or a `message`"));
        }
    }
    wrong
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(default)]
    messages: Vec<Stub>,
    next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stub {
    id: String,
    #[serde(default)]
    thread_id: String,
}

async fn react(cx: ReactCx<'_>) -> Result<Reacted, Fault> {
    let send = Send::deserialize(cx.params).map_err(|e| Fault::rejected(format!("google.send_mail: {e}")))?;
    let caller = Caller::react(&cx)?;
    let mark = mark(cx.key, cx.born);
    let (to, cc, bcc) = (send.to.read("to")?, send.cc.read("cc")?, send.bcc.read("bcc")?);
    if to.is_empty() && cc.is_empty() && bcc.is_empty() {
        return Err(Fault::rejected("nobody would get the mail: `to`, `cc` and `bcc` are empty"));
    }
    let from = send.from.as_deref().map(str::trim).filter(|from| !from.is_empty());
    let from = from.map(|from| People::One(from.to_owned()).read("from")).transpose()?;
    let reply_to = send.reply_to.read("reply_to")?;
    let output = |stub: Stub, message_id, repeated| {
        let link = format!("https://mail.google.com/mail/#all/{}", stub.id);
        let (id, thread_id) = (stub.id, stub.thread_id);
        Reacted::Done(json!(Output { id, thread_id, message_id, link, repeated }))
    };
    if cx.repeated
        && let Some((stub, message_id)) = sent(&caller, &mark, &cx).await?
    {
        return Ok(output(stub, message_id, true));
    }
    let letter = Letter {
        mark: mark.clone(),
        born: cx.born,
        from: from.and_then(|from| from.into_iter().next()),
        to,
        cc,
        bcc,
        reply_to,
        subject: send.subject,
        text: send.text,
        html: send.html.filter(|html| !html.trim().is_empty()),
        files: files(send.attachments, &caller, &cx).await?,
    };
    let bytes = letter.bytes()?;
    let ask = match bytes.len() > LARGE {
        true => UPLOAD.ask().query("uploadType", "media").body("message/rfc822", bytes),
        false => SEND.ask().json(&json!({ "raw": URL_SAFE.encode(bytes) })),
    };
    Ok(output(caller.json(&ask).await?, message_id(&mark), false))
}

/// The mail and its Message-ID, where an earlier attempt sent it.
async fn sent(caller: &Caller<'_>, mark: &str, cx: &ReactCx<'_>) -> Result<Option<(Stub, String)>, Fault> {
    let own = message_id(mark);
    let by_id = LIST.ask().query("q", format!("rfc822msgid:{own}")).query("includeSpamTrash", true);
    if let Some(found) = caller.json::<List>(&by_id).await?.messages.into_iter().next() {
        return Ok(Some((found, own)));
    }
    // Newest first, and listed at once: it is no search.
    let list = LIST.ask().query("labelIds", "SENT").query("includeSpamTrash", true).query("maxResults", AT_ONCE);
    let mut token = None::<String>;
    for _ in 0..RECENT / AT_ONCE {
        let page: List = caller.json(&list.clone().maybe("pageToken", token)).await?;
        let mails = headers(caller, page.messages).await?;
        let is_last = mails.last().and_then(|(_, mail)| mail.at()).is_some_and(|at| at < cx.born - CLOCKS);
        for (stub, mail) in mails {
            let header = |name: &str| mail.payload.header(name).map(|value| value.trim().trim_matches(['<', '>']));
            let id = header("Message-ID");
            if header(MARK) == Some(mark) || id == Some(&own) {
                return Ok(Some((stub, id.unwrap_or(&own).to_owned())));
            }
        }
        token = page.next_page_token.filter(|token| !token.is_empty());
        if is_last || token.is_none() {
            return Ok(None);
        }
    }
    Err(Fault::rejected(format!(
        "an earlier attempt may have sent this mail, and more than {RECENT} were sent since the run began: it cannot be told, and it is not sent again"
    )))
}

/// The mails by which ours are known. Whoever deleted one did not mean us.
async fn headers(caller: &Caller<'_>, stubs: Vec<Stub>) -> Result<Vec<(Stub, Sent)>, Fault> {
    let get =
        GET.ask().query("format", "metadata").query("metadataHeaders", MARK).query("metadataHeaders", "Message-ID");
    let asks: Vec<_> = stubs.iter().map(|stub| get.clone().at("id", &stub.id)).collect();
    let answers = caller.batch(&asks).await?;
    let mut mails = Vec::new();
    for ((stub, ask), answer) in stubs.into_iter().zip(&asks).zip(answers) {
        match alone(caller, ask, answer).await {
            Ok(answer) => mails.push((stub, caller.read(ask, &answer)?)),
            Err(refused) if refused.reason == Reason::Missing => {}
            Err(refused) => return Err(refused.fault),
        }
    }
    Ok(mails)
}
