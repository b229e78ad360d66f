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
    Some(Said { reason: reason(error, words), words: words.to_owned() })
}

fn reason(error: &Value, words: &str) -> Option<Reason> {
    let list = |name: &str| error[name].as_array().cloned().unwrap_or_default();
    let (errors, details) = (list("errors"), list("details"));
    let named = errors.iter().chain(&details).filter_map(|one| one["reason"].as_str());
    // By user or by project: the newer APIs name the limit that was met, and Gmail says it in words alone.
    let limit = details.iter().find_map(|one| one["metadata"]["quota_limit"].as_str()).unwrap_or_default();
    let share = if limit.contains("PerUser") || words.starts_with("User-rate") { Share::Account } else { Share::App };
    let known = named.filter_map(|reason| of(reason, share)).next();
    known.or_else(|| (error["status"] == "RESOURCE_EXHAUSTED").then_some(Reason::Busy(share)))
}

fn of(reason: &str, share: Share) -> Option<Reason> {
    Some(match reason {
        "userRateLimitExceeded" => Reason::Busy(Share::Account),
        "rateLimitExceeded" | "RATE_LIMIT_EXCEEDED" => Reason::Busy(share),
        "dailyLimitExceeded" => Reason::Quota(Share::App),
        // What one user may do in Google Calendar, also by hand: knowledge.workspace.google.com/admin/calendar/avoid-calendar-use-limits
        "quotaExceeded" => Reason::Quota(Share::Account),
        "insufficientPermissions" | "insufficientScopes" | "ACCESS_TOKEN_SCOPE_INSUFFICIENT" => Reason::Scope,
        "fullSyncRequired" | "updatedMinTooLongAgo" => Reason::Dead,
        "authError" | "ACCESS_TOKEN_EXPIRED" => Reason::Unauthorized,
        "backendError" | "internalError" => Reason::Broken,
        "accessNotConfigured" | "SERVICE_DISABLED" | "forbidden" | "domainPolicy" => Reason::Forbidden,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_one_user_used_up_holds_that_account_and_what_the_project_did_everybody() {
        let check = |error: Value, expected: Option<Reason>| assert_eq!(reason(&error, ""), expected, "{error}");
        let old = |name: &str| json!({"errors": [{"domain": "usageLimits", "reason": name}]});
        check(old("quotaExceeded"), Some(Reason::Quota(Share::Account)));
        check(old("userRateLimitExceeded"), Some(Reason::Busy(Share::Account)));
        check(old("dailyLimitExceeded"), Some(Reason::Quota(Share::App)));
        check(old("storageQuotaExceeded"), None);
        let new =
            |limit: &str| json!({"details": [{"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_limit": limit}}]});
        check(new("ReadRequestsPerMinutePerUser"), Some(Reason::Busy(Share::Account)));
        check(new("ReadRequestsPerMinutePerProject"), Some(Reason::Busy(Share::App)));
        check(json!({"status": "RESOURCE_EXHAUSTED"}), Some(Reason::Busy(Share::App)));
    }
}
