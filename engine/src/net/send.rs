//! Sending: one client a trust class, one deadline a call, every hop through guard, limits and caps.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use metrics::{Counter, counter};
use reqwest::{Body, Client, Request, Response};
use tokio::sync::Semaphore;
use url::Url;

use super::failure::{Cause, Failure, place};
use super::guard::{self, Resolver};
use super::limit::{Hold, HostKey, Limits};
use super::{Answer, Call, NetConfig, redirect};
use crate::fault::Fault;

/// Who chose the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// A user: guarded against SSRF, limited per host.
    User,
    /// The operator (a provider's base URL): not guarded; redirects to another origin are not followed but handed back.
    Provider,
}

/// The HTTP client. Clones share connections, limits and circuits.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    user: Client,
    provider: Client,
    config: NetConfig,
    limits: Limits,
    answered: Counter,
    failed: Counter,
    received: Counter,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(&self.0.config).finish()
    }
}

impl Http {
    /// A client with these settings. Its counters belong to the metrics recorder that is installed by then.
    ///
    /// # Errors
    /// Where TLS cannot be set up on this machine, or the user agent is no header value.
    pub fn new(config: NetConfig) -> Result<Self, String> {
        let turns = Arc::new(Semaphore::new(config.lookups));
        let client = |guarded| {
            let resolver = Resolver::new(config.allow.clone().into(), guarded, Arc::clone(&turns));
            client(&config, resolver).map_err(|e| format!("the HTTP client cannot be set up: {e:?}"))
        };
        Ok(Self(Arc::new(Inner {
            user: client(true)?,
            provider: client(false)?,
            limits: Limits::new(config.per_host_per_second),
            answered: counter!("area_http_answers_total"),
            failed: counter!("area_http_failures_total"),
            received: counter!("area_http_received_bytes_total"),
            config,
        })))
    }

    /// What is refused already when an AREA is saved: all that a user-given URL's text tells.
    ///
    /// # Errors
    /// One sentence that says what is wrong and what would be right.
    pub fn check_url(&self, text: &str) -> Result<Url, String> {
        let url = guard::parse_url(text)?;
        guard::check(&url, &self.0.config.allow)?;
        Ok(url)
    }

    /// The same for a URL that may hold templates: its origin is checked if it is literal, else nothing is known before
    /// the URL is rendered (and checked again when it is sent).
    ///
    /// # Errors
    /// One sentence.
    pub fn check_url_template(&self, template: &str) -> Result<(), String> {
        match guard::literal_origin(template) {
            Some(origin) => self.check_url(origin).map(drop),
            None => Ok(()),
        }
    }

    /// Sends a call and reads its answer whole.
    ///
    /// # Errors
    /// `Rejected` by the guard and for an answer over its cap; `Later` for all that the network did, `maybe_done` if it
    /// happened after the request may have been sent. A status is no error here: see [`Answer::fault`].
    pub async fn send(&self, trust: Trust, call: Call, now: DateTime<Utc>) -> Result<Answer, Fault> {
        self.run(trust, call, now, true).await.map_err(|failure| failure.fault)
    }

    /// The same for a health check: an open circuit does not hold it back, and a failure says what stood in the way.
    ///
    /// # Errors
    /// See [`Cause`].
    pub async fn probe(&self, trust: Trust, call: Call, now: DateTime<Utc>) -> Result<Answer, Failure> {
        self.run(trust, call, now, false).await
    }

    async fn run(&self, trust: Trust, mut call: Call, now: DateTime<Utc>, circuit: bool) -> Result<Answer, Failure> {
        let timeout = call.timeout.unwrap_or(self.0.config.timeout);
        let result = match tokio::time::timeout(timeout, self.hops(trust, &mut call, now, circuit)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::time_is_up(&call.url, timeout)),
        };
        match result {
            Ok((status, headers, body)) => {
                self.0.answered.increment(1);
                self.0.received.increment(body.len() as u64);
                Ok(Answer { status, headers, body, url: call.url })
            }
            Err(failure) => {
                self.0.failed.increment(1);
                Err(failure)
            }
        }
    }

    /// Follows redirects: afterwards `call` is the last hop.
    async fn hops(&self, trust: Trust, call: &mut Call, now: DateTime<Utc>, circuit: bool) -> Result<Read, Failure> {
        let cap = match (call.max_body, trust) {
            (Some(max), Trust::Provider) => max,
            (max, _) => max.map_or(self.0.config.max_body_bytes, |max| max.min(self.0.config.max_body_bytes)),
        };
        let mut hops = 0;
        loop {
            let response = self.hop(trust, call, now, circuit).await?;
            let Some(to) = redirect::target(response.status(), response.headers(), &call.url) else {
                return read(response, &call.url, cap).await;
            };
            let to = to?;
            if !call.follows || (trust == Trust::Provider && to.origin() != call.url.origin()) {
                return read(response, &call.url, cap).await;
            }
            hops += 1;
            if hops > self.0.config.redirects {
                let why = format!("{} redirects on and on (over {} times)", place(&to), self.0.config.redirects);
                return Err(Failure::refused(why));
            }
            redirect::follow(call, response.status(), to)?;
        }
    }

    async fn hop(&self, trust: Trust, call: &Call, now: DateTime<Utc>, circuit: bool) -> Result<Response, Failure> {
        let client = match trust {
            Trust::User => {
                guard::check(&call.url, &self.0.config.allow).map_err(Failure::refused)?;
                &self.0.user
            }
            Trust::Provider => &self.0.provider,
        };
        let host = self.0.limits.host(&call.url);
        self.enter(trust, call, host, now, circuit).map_err(|hold| held(hold, &call.url, now))?;
        let mut request = Request::new(call.method.clone(), call.url.clone());
        *request.headers_mut() = call.headers.clone();
        if !call.body.is_empty() {
            *request.body_mut() = Some(Body::from(call.body.clone()));
        } else if [Method::POST, Method::PUT, Method::PATCH].contains(&call.method) {
            // Where it is not said that there is nothing, some servers answer 411 (RFC 9110, 8.6).
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let result = client.execute(request).await.map_err(|e| Failure::of(&e, &call.url));
        match &result {
            Err(Failure { cause: Cause::Connect, .. }) => self.0.limits.failed(host, now),
            Err(Failure { cause: Cause::Refused, .. }) => {}
            _ => self.0.limits.reached(host),
        }
        result
    }

    fn enter(&self, trust: Trust, call: &Call, host: HostKey, now: DateTime<Utc>, circuit: bool) -> Result<(), Hold> {
        if circuit {
            self.0.limits.check_circuit(host, now)?;
        }
        if trust == Trust::User && !guard::is_own(&call.url, &self.0.config.allow) {
            self.0.limits.check_rate(host, now)?;
        }
        Ok(())
    }
}

fn client(config: &NetConfig, resolver: Resolver) -> reqwest::Result<Client> {
    Client::builder()
        .dns_resolver(Arc::new(resolver))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent(&config.user_agent)
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(config.idle_per_host)
        .pool_idle_timeout(config.idle_for)
        .build()
}

fn held(hold: Hold, url: &Url, now: DateTime<Utc>) -> Failure {
    let why = match hold {
        Hold::Busy(_) => format!("{} is called too often; the next call waits", place(url)),
        Hold::Open(_) => format!("{} could not be reached several times; the next attempt waits", place(url)),
    };
    Failure { cause: Cause::Held, fault: Fault::Later { not_before: Some(hold.until(now)), why, maybe_done: false } }
}

type Read = (StatusCode, HeaderMap, Bytes);

/// Reads the body, counted after decompression, and not a byte over `cap`.
async fn read(mut response: Response, url: &Url, cap: usize) -> Result<Read, Failure> {
    if response.content_length().is_some_and(|length| length > cap as u64) {
        return Err(Failure::too_large(url, cap));
    }
    let mut body = Bytes::new();
    let mut parts = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Failure::of(&e, url))? {
        if body.len() + parts.len() + chunk.len() > cap {
            return Err(Failure::too_large(url, cap));
        }
        if body.is_empty() && parts.is_empty() {
            body = chunk;
        } else {
            parts.extend_from_slice(&std::mem::take(&mut body));
            parts.extend_from_slice(&chunk);
        }
    }
    let body = if parts.is_empty() { body } else { parts.freeze() };
    Ok((response.status(), std::mem::take(response.headers_mut()), body))
}
