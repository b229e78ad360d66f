//! What policies promise of an AREA's runs, judged by what was planned when they were born.

use engine::duration::Span;
use engine::ids::born_at;
use serde_json::Value;

use super::recorded::Run;

const DAY: i64 = 86_400_000_000;
/// An id may be a little ahead of the clock.
const SLACK: i64 = 1_000_000;
const HOUR: i64 = 3_600_000_000;

fn span(text: &Value) -> Option<i64> {
    serde_json::from_value::<Span>(text.clone()).ok().map(Span::micros)
}

/// Whether the runs of one AREA, in the order of their ids, kept its policy.
pub fn kept(policy: &Value, runs: &[(i64, &Run)], set_back: bool) -> Result<(), String> {
    let went: Vec<(i64, &Run)> = runs.iter().filter(|(_, run)| run.state != "dropped").copied().collect();
    throttle(policy, &went)?;
    let expires = policy["expires_at"].as_str().map(|at| at.parse::<chrono::DateTime<chrono::Utc>>().unwrap());
    for (id, run) in went {
        let most = policy["digest"]["max"].as_u64().unwrap_or(1_000) as usize;
        if run.events.len() > most {
            return Err(format!("the digest {id} took {} events, not {most}", run.events.len()));
        }
        if expires.is_some_and(|at| run.planned >= at.timestamp_micros()) {
            return Err(format!("run {id} was planned when the AREA was over"));
        }
        let hour = run.planned.rem_euclid(DAY) / HOUR;
        if policy["quiet_hours"].is_object() && !(7..22).contains(&hour) {
            return Err(format!("run {id} was planned in quiet hours, at {hour} o'clock"));
        }
        let waits = span(&policy["debounce"]).filter(|_| !set_back);
        if waits.is_some_and(|waits| run.planned < born_at(id) + waits - SLACK) {
            return Err(format!("run {id} did not wait for a newer event"));
        }
    }
    Ok(())
}

fn throttle(policy: &Value, went: &[(i64, &Run)]) -> Result<(), String> {
    let (Some(max), Some(per)) = (policy["throttle"]["max"].as_u64(), span(&policy["throttle"]["per"])) else {
        return Ok(());
    };
    let mut planned: Vec<i64> = went.iter().map(|(_, run)| run.planned).collect();
    planned.sort_unstable();
    match planned.windows(max as usize + 1).find(|window| window[window.len() - 1] - window[0] < per) {
        Some(window) => Err(format!("more than {max} runs within one window: {window:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(planned: i64, events: usize) -> Run {
        Run { planned, events: (0..events as i64).collect(), state: "done".into(), ..Run::default() }
    }

    #[test]
    fn each_breach_of_a_policy_is_found() {
        let noon = 1_800_000_000_000_000 / DAY * DAY + 12 * HOUR;
        let id = engine::ids::first_id_at(noon);
        for (policy, runs, wrong) in [
            (json!({"throttle": {"max": 1, "per": "1h"}}), vec![run(noon, 0), run(noon + HOUR, 0)], None),
            (json!({"throttle": {"max": 1, "per": "1h"}}), vec![run(noon, 0), run(noon + HOUR - 1, 0)], Some("window")),
            (json!({"digest": {"every": "1h", "max": 2}}), vec![run(noon, 2)], None),
            (json!({"digest": {"every": "1h", "max": 2}}), vec![run(noon, 3)], Some("took 3 events")),
            (json!({"quiet_hours": {}}), vec![run(noon, 0)], None),
            (json!({"quiet_hours": {}}), vec![run(noon + 10 * HOUR, 0)], Some("quiet hours")),
            (json!({"expires_at": "2027-01-01T00:00:00Z"}), vec![run(noon, 0)], Some("was over")),
            (json!({"debounce": "1h"}), vec![run(noon + HOUR, 0)], None),
            (json!({"debounce": "1h"}), vec![run(noon + HOUR - 2 * SLACK, 0)], Some("did not wait")),
        ] {
            let runs: Vec<(i64, &Run)> = runs.iter().map(|run| (id, run)).collect();
            let said = kept(&policy, &runs, false).err();
            assert_eq!(said.is_some(), wrong.is_some(), "{policy}: {said:?}");
            assert!(said.unwrap_or_default().contains(wrong.unwrap_or_default()), "{policy}");
        }
    }
}
