//! The files of a mail that is sent: from another mail, or from a URL.

use engine::fault::Fault;
use engine::net::{Call, Trust};
use engine::port::ReactCx;
use http::header::CONTENT_TYPE;
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::GMAIL;
use super::mail::{Body, Part, Sent, bytes};
use super::written::{FILES, File};
use crate::call::{ApiCall, Caller};

static MAIL: ApiCall = ApiCall::get(&GMAIL, "messages.get", "gmail/v1/users/me/messages/{id}")
    .units(20)
    .scopes(&["gmail.readonly"])
    .max_body(32 << 20);
/// The bytes of a part that Gmail gives apart.
pub static FILE: ApiCall =
    ApiCall::get(&GMAIL, "attachments.get", "gmail/v1/users/me/messages/{message}/attachments/{id}")
        .units(20)
        .scopes(&["gmail.readonly"])
        .max_body(40 << 20);

/// A file to attach: one of a mail, as events list them, or what a URL gives.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// Where the file is fetched from, without any account.
    #[serde(default)]
    #[schemars(extend("x-guard" = true), example = "https://example.org/report.pdf")]
    url: Option<String>,
    /// Gmail's id of the mail whose file it is; all of its files, where `part` is left out.
    #[serde(default)]
    #[schemars(example = "{{ event.id }}")]
    message: Option<String>,
    /// The file's place in that mail.
    #[serde(default)]
    #[schemars(example = "1")]
    part: Option<String>,
    /// Its name in the new mail; by default as it was.
    #[serde(default)]
    #[schemars(example = "report.pdf")]
    name: Option<String>,
    /// What it is: `application/pdf`; by default as it was.
    #[serde(default, rename = "type")]
    #[schemars(example = "application/pdf")]
    kind: Option<String>,
    /// As events list it; not looked at.
    #[serde(default, rename = "size")]
    _size: Option<u64>,
}

/// All the files.
///
/// # Errors
/// What is not there or too large.
pub async fn files(wanted: Vec<Attach>, caller: &Caller<'_>, cx: &ReactCx<'_>) -> Result<Vec<File>, Fault> {
    let (mut files, mut mail) = (Vec::new(), None::<Sent>);
    for one in wanted {
        match (&one.url, &one.message) {
            (Some(url), None) => files.push(of_url(url, &one, cx).await?),
            (None, Some(id)) => {
                let known = mail.take().filter(|mail| mail.id == *id);
                let known = match known {
                    Some(known) => known,
                    None => caller.json(&MAIL.ask().at("id", id).query("format", "full")).await?,
                };
                files.extend(of_mail(&known, &one, caller).await?);
                mail = Some(known);
            }
            _ => return Err(Fault::rejected("an attachment has either a `url` or a `message`")),
        }
        let size: usize = files.iter().map(|file| file.bytes.len()).sum();
        if size > FILES {
            let most = FILES >> 20;
            return Err(Fault::rejected(format!("the attachments are larger than the {most} MiB that a mail holds")));
        }
    }
    Ok(files)
}

async fn of_url(url: &str, one: &Attach, cx: &ReactCx<'_>) -> Result<File, Fault> {
    let answer = cx.http.send(Trust::User, Call::get(url)?.max_body(FILES), cx.now).await?;
    if let Some(fault) = answer.fault(cx.now) {
        return Err(fault);
    }
    let name = one.name.clone().or_else(|| last(&answer.url)).unwrap_or_else(|| "file".to_owned());
    let kind = one.kind.clone().or_else(|| answer.header(CONTENT_TYPE).map(str::to_owned));
    Ok(File { name, kind: kind.unwrap_or_default(), bytes: answer.body.to_vec() })
}

/// The last name of its path, as it was before it was encoded.
fn last(url: &Url) -> Option<String> {
    let name = percent_decode_str(url.path_segments()?.next_back()?).decode_utf8_lossy();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    (!name.is_empty()).then(|| name.to_owned())
}

async fn of_mail(mail: &Sent, one: &Attach, caller: &Caller<'_>) -> Result<Vec<File>, Fault> {
    let mut files = Vec::new();
    for (name, part) in mail.payload.files() {
        if one.part.as_ref().is_some_and(|wanted| *wanted != part.part_id) {
            continue;
        }
        let bytes = content(mail, &name, part, caller).await?;
        let bytes = bytes.ok_or_else(|| Fault::later(format!("Gmail gave `{name}` in a form that is no base64")))?;
        let (name, kind) =
            (one.name.clone().unwrap_or(name), one.kind.clone().unwrap_or_else(|| part.mime_type.clone()));
        files.push(File { name, kind, bytes });
    }
    match (&one.part, files.is_empty()) {
        (Some(part), true) => Err(Fault::rejected(format!("the mail {} has no file at `{part}`", mail.id))),
        _ => Ok(files),
    }
}

async fn content(mail: &Sent, name: &str, part: &Part, caller: &Caller<'_>) -> Result<Option<Vec<u8>>, Fault> {
    if part.body.data.is_some() {
        return Ok(part.bytes());
    }
    let Some(id) = &part.body.attachment_id else {
        return match part.parts.is_empty() && part.body.size == 0 {
            true => Ok(Some(Vec::new())),
            // Of a mail within a mail there are the parts alone.
            false => Err(Fault::rejected(format!(
                "Gmail does not give `{name}` of the mail {} as a file: name the others by their `part`",
                mail.id
            ))),
        };
    };
    let body: Body = caller.json(&FILE.ask().at("message", &mail.id).at("id", id)).await?;
    Ok(body.data.as_deref().and_then(bytes))
}
