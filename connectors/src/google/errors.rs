//! Google's error bodies: `{"error": {"code", "message", "status", "errors": [{"domain", "reason"}], "details": [{"reason",
//! "metadata"}]}}`. Older APIs name the reason in `errors`, newer ones in `details` (cloud.google.com/apis/design/errors).

use engine::net::Answer;
use engine::port::Share;
use serde_json::Value;

use crate::call::{Reason, Said};

/// Reads one; `None` where the body is none.
pub fn said(answer: &Answer) -> Option<Said> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let error = body.get("error")?;
    let words = error["message"].as_str().or_else(|| body["error_description"].as_str()).unwrap_or_default();
    Some(Said { reason: reason(error), words: words.to_owned() })
}

fn reason(error: &Value) -> Option<Reason> {
    let list = |name: &str| error[name].as_array().cloned().unwrap_or_default();
    let (errors, details) = (list("errors"), list("details"));
    let named = errors.iter().chain(&details).filter_map(|one| one["reason"].as_str());
    // By user or by project: the newer APIs name the limit that was met.
    let limit = details.iter().find_map(|one| one["metadata"]["quota_limit"].as_str()).unwrap_or_default();
    let share = if limit.contains("PerUser") { Share::Account } else { Share::App };
    let known = named.filter_map(|reason| of(reason, share)).next();
    known.or_else(|| (error["status"] == "RESOURCE_EXHAUSTED").then_some(Reason::Busy(share)))
}

fn of(reason: &str, share: Share) -> Option<Reason> {
    Some(match reason {
        "userRateLimitExceeded" => Reason::Busy(Share::Account),
        "rateLimitExceeded" | "RATE_LIMIT_EXCEEDED" => Reason::Busy(share),
        "dailyLimitExceeded" | "quotaExceeded" => Reason::Quota(Share::App),
        "insufficientPermissions" | "insufficientScopes" | "ACCESS_TOKEN_SCOPE_INSUFFICIENT" => Reason::Scope,
        "fullSyncRequired" | "updatedMinTooLongAgo" => Reason::Dead,
        "authError" | "ACCESS_TOKEN_EXPIRED" => Reason::Unauthorized,
        "backendError" | "internalError" => Reason::Broken,
        "accessNotConfigured" | "SERVICE_DISABLED" | "forbidden" | "domainPolicy" => Reason::Forbidden,
        _ => return None,
    })
}
