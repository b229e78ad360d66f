//! Mails are read from the front of what was listed, many at once, with the names of their labels.
//!
//! What stands in the way of one mail must not keep those behind it for ever. Where an answer is too large, fewer mails are asked for,
//! and in the end the outline of the first one alone: its headers and its parts, without what is in them. A mail of which not even
//! that can be read is left out, and its owner is told. How far that has come is the [`Pace`] in the cursor.

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::net::Answer;
use engine::port::{Item, PollCx};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::labels;
use super::mail::{Body, Sent};
use super::{GMAIL, attached::FILE};
use crate::call::{ApiCall, Ask, Caller, Reason, Refused};

/// What reading a mailbox needs.
pub const READS: &[&str] = &["gmail.readonly"];
static GET: ApiCall =
    ApiCall::get(&GMAIL, "messages.get", "gmail/v1/users/me/messages/{id}").units(20).scopes(READS).max_body(32 << 20);

/// Mails that are read in one go.
const READ: usize = 25;
/// How long Gmail may be broken for one mail, before those behind it are read.
const STUBBORN: TimeDelta = TimeDelta::hours(1);
/// Texts that Gmail gives apart from a mail, of one mail; and bytes of one.
const APART: usize = 4;
const APART_BYTES: i64 = 4 << 20;
/// What is asked of each part of a mail whose text is not read.
const PART: &str = "partId,mimeType,filename,headers,body(attachmentId,size)";
/// Parts within parts of which the bytes are left out.
const NESTED: usize = 5;
/// A mail but for the bytes of its parts, in the language of `fields` (developers.google.com/workspace/gmail/api/guides/performance).
/// What lies deeper than [`NESTED`] comes whole.
static LEAN: LazyLock<String> = LazyLock::new(|| fields(&format!("parts({PART},parts)")));
/// The same, where nothing lies deeper: it is small, and no tree that nobody can read.
static OUTLINE: LazyLock<String> = LazyLock::new(|| fields(&format!("parts({PART})")));

fn fields(innermost: &str) -> String {
    let parts = (1..NESTED).fold(innermost.to_owned(), |inner, _| format!("parts({PART},{inner})"));
    format!("id,threadId,labelIds,snippet,internalDate,sizeEstimate,payload({PART},{parts})")
}

/// How the mails that are left are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pace {
    /// So many at once, since more were too large an answer; 1: in no batch; 0: the outline of the first one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    most: Option<usize>,
    /// Since when Gmail is broken for the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<DateTime<Utc>>,
}

impl Pace {
    /// Nothing stands in the way.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// After mails were read.
    fn faster(self) -> Self {
        let most = self.most.map(|most| (2 * most).max(1)).filter(|most| *most < READ);
        Self { most, broken: None }
    }
}

/// What was read of the mails that are left.
#[derive(Default)]
pub struct Read {
    /// What came.
    pub items: Vec<Item>,
    /// Mails that are no longer left.
    pub done: usize,
    /// Why no more were.
    pub held: Option<String>,
    /// How the rest is read.
    pub pace: Pace,
    /// What could not be read.
    pub gap: Option<String>,
}

impl Read {
    /// Nothing was read yet. Where it is known when to go on, whoever asks for the next page is told so.
    pub fn put_off(fault: &Fault, pace: Pace) -> Self {
        let goes_on = fault.not_before().is_some();
        Self { held: (!goes_on).then(|| fault.why().to_owned()), pace, ..Self::default() }
    }

    /// The next page asks for no more than `most`.
    fn slower(most: usize, pace: Pace) -> Self {
        Self { pace: Pace { most: Some(most), ..pace }, ..Self::default() }
    }
}

/// Reads mails from the front of `left`: the share has room for them and their labels, or for none. Who is gone meanwhile is passed
/// over.
///
/// # Errors
/// A refusal that is no word on the first mail alone.
pub async fn read(caller: &Caller<'_>, left: &[String], pace: Pace, cx: &PollCx<'_>) -> Result<Read, Refused> {
    let Some(first) = left.first() else { return Ok(Read::default()) };
    let whole = cx.wants_large().await;
    if pace.most == Some(0) {
        return outline(caller, first, whole, pace).await;
    }
    let at_once = caller.api(&GMAIL)?.at_once(GET.units).saturating_sub(1).clamp(1, pace.most.unwrap_or(READ));
    let some = &left[..left.len().min(at_once)];
    let get = GET.ask().query("format", "full").maybe("fields", (!whole).then_some(LEAN.as_str()));
    let mut asks = vec![labels::LIST.ask()];
    asks.extend(some.iter().map(|id| get.clone().at("id", id)));
    let singly = pace.most == Some(1);
    let answers = match singly {
        true => vec![caller.send(&asks[0]).await, caller.send(&asks[1]).await],
        false => caller.batch(&asks).await?,
    };
    let mut answers = asks.iter().zip(answers);
    let Some((ask, answer)) = answers.next() else { return Err(Fault::later("a batch has no answers").into()) };
    let names = match alone(caller, ask, answer).await {
        // All together are refused: they are a larger answer than is taken.
        Err(refused) if refused.reason == Reason::Wrong && !singly => {
            return Ok(Read::slower((some.len() / 2).max(1), pace));
        }
        answer => labels::read(caller, &answer?)?,
    };
    let (mut mails, mut done, mut held) = (Vec::new(), 0, None);
    for (ask, answer) in answers {
        match mail(caller, ask, answer, whole).await {
            Ok(mail) => mails.push(mail),
            Err(refused) if refused.reason == Reason::Missing => {}
            Err(refused) if done == 0 => return first_refused(refused, some.len(), pace, cx.now),
            Err(refused) => {
                // What is wrong with it is for the next page to see, where it is the first.
                held = (refused.reason != Reason::Wrong).then(|| refused.fault.why().to_owned());
                break;
            }
        }
        done += 1;
    }
    let items = items(mails, |mail| json!(mail.event(&names, whole)));
    Ok(Read { items, done, held, pace: pace.faster(), gap: None })
}

/// What a call came to in a batch: one that is refused as a whole is no word on each of its parts.
///
/// # Errors
/// The refusal.
pub async fn alone(caller: &Caller<'_>, ask: &Ask, answer: Result<Answer, Refused>) -> Result<Answer, Refused> {
    match answer {
        Err(refused) if refused.reason == Reason::Missing => caller.send(ask).await,
        answer => answer,
    }
}

async fn mail(caller: &Caller<'_>, ask: &Ask, answer: Result<Answer, Refused>, whole: bool) -> Result<Sent, Refused> {
    let answer = alone(caller, ask, answer).await?;
    // It will be the same tomorrow.
    let odd = |refused| Refused { reason: Reason::Wrong, ..refused };
    let mut mail: Sent = caller.read(ask, &answer).map_err(odd)?;
    if whole {
        apart(caller, &mut mail).await?;
    }
    Ok(mail)
}

/// Long texts come apart, as files do. What is not fetched is told by `truncated`.
async fn apart(caller: &Caller<'_>, mail: &mut Sent) -> Result<(), Refused> {
    let texts = mail.payload.apart().into_iter().filter(|(_, body)| body.size <= APART_BYTES);
    for (id, body) in texts.take(APART) {
        match caller.json::<Body>(&FILE.ask().at("message", &mail.id).at("id", id)).await {
            Ok(found) => body.data = found.data,
            Err(refused) if matches!(refused.reason, Reason::Missing | Reason::Wrong) => {}
            Err(refused) => return Err(refused),
        }
    }
    Ok(())
}

/// What follows from it that the first mail is refused.
fn first_refused(refused: Refused, asked: usize, pace: Pace, now: DateTime<Utc>) -> Result<Read, Refused> {
    match refused.reason {
        Reason::Wrong => Ok(Read::slower(0, pace)),
        // Perhaps for the share's sake, which many at once used up.
        Reason::Busy(_) if asked > 1 => Ok(Read::slower(1, pace)),
        Reason::Broken => waits(&refused, pace, now).unwrap_or(Ok(Read::slower(0, pace))),
        _ => Err(refused),
    }
}

/// Who is told to wait for the first mail, for which Gmail is broken; `None`: it has been for [`STUBBORN`]. It is a fault as everywhere,
/// but not the first time: a fault would not leave its time in the cursor.
fn waits(refused: &Refused, pace: Pace, now: DateTime<Utc>) -> Option<Result<Read, Refused>> {
    match pace.broken {
        None => {
            let held = Some(refused.fault.why().to_owned());
            Some(Ok(Read { held, pace: Pace { broken: Some(now), ..pace }, ..Read::default() }))
        }
        Some(since) => (now - since < STUBBORN).then(|| Err(refused.clone())),
    }
}

/// Reads the first mail without what is in it.
async fn outline(caller: &Caller<'_>, id: &str, whole: bool, pace: Pace) -> Result<Read, Refused> {
    let names = labels::list(caller).await?;
    let event = |mail: Sent| {
        let mut event = mail.event(&names, whole);
        event.content.iter_mut().for_each(|content| content.truncated = true);
        json!(event)
    };
    let passed = Read { done: 1, pace: pace.faster(), ..Read::default() };
    let ask = GET.ask().at("id", id).query("format", "full").query("fields", OUTLINE.as_str());
    let refused = match caller.json(&ask).await {
        Ok(mail) => return Ok(Read { items: items(vec![mail], event), ..passed }),
        Err(refused) => refused,
    };
    match refused.reason {
        Reason::Missing => return Ok(passed),
        Reason::Wrong => {}
        Reason::Broken => {
            if let Some(waits) = waits(&refused, pace, caller.now) {
                return waits;
            }
        }
        _ => return Err(refused),
    }
    let gap = format!("the mail {id} cannot be read and is left out: {}", refused.fault.why());
    Ok(Read { gap: Some(gap), ..passed })
}

fn items(mut mails: Vec<Sent>, event: impl Fn(Sent) -> Value) -> Vec<Item> {
    // Drafts are found by searches too.
    mails.retain(|mail| !mail.label_ids.iter().any(|label| label == "DRAFT" || label == "CHAT"));
    let item = |mail: Sent| Item { key: mail.id.clone(), at: mail.at(), body: event(mail) };
    mails.into_iter().map(item).collect()
}
