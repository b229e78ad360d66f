//! Many calls as one: Google's `multipart/mixed` batch. Each part is a request of its own with an answer of its own, and costs what
//! it costs alone; what is saved is round trips.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use engine::fault::Fault;
use engine::net::{Answer, Call};
use engine::port::Api;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use super::ask::Ask;
use super::judge::{Refused, judge};
use super::send::{Caller, tells_token, unharmed};

/// Between parts. Nothing that is sent holds it: bodies are JSON or base64.
const BOUNDARY: &str = "area-batch-8f1d0c52b7e94a6d";
/// Bytes of a whole answer.
const BODY: usize = 32 << 20;

/// How an API takes many calls as one.
#[derive(Clone, Copy, Debug)]
pub struct BatchSpec {
    /// From the root of the API's host: `/batch/gmail/v1`.
    pub path: &'static str,
    /// Calls in one, at most.
    pub most: usize,
}

impl Caller<'_> {
    /// Sends calls of one API together, in as many requests as its limits and the account's share ask for. Each has an answer or a
    /// refusal of its own, in the order of `asks`; where a request is refused as a whole, the calls in it and behind it are.
    ///
    /// # Errors
    /// `Rejected` where the API takes no batches.
    pub async fn batch(&self, asks: &[Ask]) -> Result<Vec<Result<Answer, Refused>>, Refused> {
        let Some(first) = asks.first() else { return Ok(Vec::new()) };
        let (spec, dearest) = (first.call.api, asks.iter().map(|ask| ask.call.units).max().unwrap_or(1));
        let api = self.api(spec)?;
        let Some(batch) = spec.batch else {
            return Err(Fault::rejected(format!("{} takes no batches", spec.title)).into());
        };
        let mut answers = Vec::with_capacity(asks.len());
        for some in asks.chunks(batch.most.min(api.at_once(dearest)).max(1)) {
            match self.together(some, &api, batch).await {
                Ok(these) => {
                    answers.extend(these);
                    self.has_written.fetch_or(some.iter().any(|ask| !ask.is_safe()), Ordering::Relaxed);
                }
                Err(refused) => {
                    answers.resize(asks.len(), Err(self.so_far(refused)));
                    break;
                }
            }
        }
        Ok(answers)
    }

    async fn together(
        &self,
        asks: &[Ask],
        api: &Api<'_>,
        batch: BatchSpec,
    ) -> Result<Vec<Result<Answer, Refused>>, Refused> {
        let units = asks.iter().map(|ask| ask.call.units).sum();
        let request = request(asks, api.base, batch)?;
        self.spend(api, "batch", units).await?;
        let measured = api.measure("batch");
        // Who speaks for all: where one of them writes, the whole may have taken effect.
        let speaker = asks.iter().find(|ask| !ask.is_safe()).unwrap_or(&asks[0]);
        // The whole is refused by its own status, or part by part: then every part says so.
        let is_token = |answer: &Answer| {
            tells_token(speaker, answer)
                || parts(answer).is_some_and(|parts| !parts.is_empty() && parts.iter().all(|part| part.status == 401))
        };
        let answer = self.authorized(&request, "batch", units, api, is_token).await;
        let answer = answer.map_err(|refused| unharmed(speaker, refused));
        let answer = answer.and_then(|answer| judge(speaker, answer, api, self.moment()));
        measured.ended(answer.as_ref().map_or_else(|refused| refused.reason.as_str(), |_| "ok"));
        let answer = answer?;
        let torn = || Fault::later(format!("{} answered a batch with what is none", speaker.call.api.title));
        let mut found: Vec<Option<Part>> = (0..asks.len()).map(|_| None).collect();
        for (place, part) in parts(&answer).ok_or_else(torn)?.into_iter().enumerate() {
            // Named by the id that was sent; else in the order in which they were sent.
            if let Some(slot) = found.get_mut(part.number.unwrap_or(place)) {
                *slot = Some(part);
            }
        }
        Ok(asks.iter().zip(found).map(|(ask, part)| self.part(ask, part, api)).collect())
    }

    fn part(&self, ask: &Ask, part: Option<Part>, api: &Api<'_>) -> Result<Answer, Refused> {
        let Some(Part { status, headers, body, .. }) = part else {
            let (title, name) = (ask.call.api.title, ask.call.name);
            return Err(Fault::Later {
                not_before: None,
                why: format!("{title} left {name} out of its answer to a batch"),
                maybe_done: !ask.is_safe(),
            }
            .into());
        };
        judge(ask, Answer { status, headers, body, url: ask.url(api.base)? }, api, self.moment())
    }
}

fn request(asks: &[Ask], base: &Url, batch: BatchSpec) -> Result<Call, Fault> {
    let mut body = Vec::new();
    for (number, ask) in asks.iter().enumerate() {
        let url = ask.url(base)?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let method = &ask.call.method;
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: <item-{number}>\r\n\r\n{method} {}{query} HTTP/1.1\r\n", url.path())
                .as_bytes(),
        );
        match &ask.body {
            Some((content_type, inner)) => {
                let length = inner.len();
                body.extend_from_slice(
                    format!("Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
                );
                body.extend_from_slice(inner);
            }
            None => body.extend_from_slice(b"\r\n"),
        }
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let mut url = base.clone();
    url.set_path(batch.path);
    url.set_query(None);
    let call = Call::new(Method::POST, url).max_body(BODY);
    Ok(call.header("content-type", &format!("multipart/mixed; boundary={BOUNDARY}"))?.body("multipart/mixed", body))
}

/// One answer of many.
struct Part {
    number: Option<usize>,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// The parts of an answer; `None`: it is no batch's.
fn parts(answer: &Answer) -> Option<Vec<Part>> {
    let kind = answer.header(CONTENT_TYPE).filter(|kind| kind.starts_with("multipart/mixed"))?;
    let boundary = kind.split(';').find_map(|param| param.trim().strip_prefix("boundary="))?.trim_matches('"');
    let mark = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut rest = &answer.body[find(&answer.body, mark.as_bytes())? + mark.len()..];
    while !rest.starts_with(b"--") {
        // A part behind which no boundary comes was cut off.
        let end = find(rest, format!("\r\n{mark}").as_bytes())?;
        parts.push(part(&answer.body.slice_ref(&rest[..end]))?);
        rest = &rest[end + 2 + mark.len()..];
    }
    Some(parts)
}

fn part(bytes: &Bytes) -> Option<Part> {
    let (outer, inner) = halves(bytes)?;
    let (head, body) = halves(&inner).unwrap_or_else(|| (inner.clone(), Bytes::new()));
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let id = String::from_utf8_lossy(&outer);
    let id = id.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-id").then(|| value.trim().trim_matches(['<', '>']).to_owned())
    });
    Some(Part {
        number: id.and_then(|id| id.strip_prefix("response-item-")?.parse().ok()),
        status,
        headers: lines.filter_map(header).collect(),
        body,
    })
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

/// What stands before and behind the first empty line.
fn halves(bytes: &Bytes) -> Option<(Bytes, Bytes)> {
    let at = find(bytes, b"\r\n\r\n")?;
    Some((bytes.slice(..at), bytes.slice(at + 4..)))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
