//! The reactions `area.run`, `area.pause` and `area.resume`. The port knows the owner: another user's AREA is one that is not there.

use engine::fault::Fault;
use engine::ids::AreaId;
use engine::port::{About, Guarantee, Invalid, ReactCx, Reacted, ReactionSpec, params};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Which AREA to start, and with what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Run {
    /// The AREA to start: its reactions run as if its own action had fired.
    area: AreaId,
    /// What its templates see as `event`.
    #[serde(default)]
    event: Map<String, Value>,
}

/// Which AREA.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Target {
    /// The AREA's id.
    area: AreaId,
}

/// Starts another AREA.
pub static RUN: ReactionSpec = ReactionSpec {
    name: "run",
    title: "Start another AREA",
    description: "Starts another of your AREAs with an event of your making.",
    params: params::<Run>,
    sample_params: r#"{"area": "019a9f3e-7c1b-7cc2-9d0e-3a1f6f1f7a10", "event": {"text": "{{ event.text }}"}}"#,
    sample_output: r#"{"event": "247160815681536"}"#,
    scopes: &[],
    about: About::NONE,
    guarantee: Guarantee::Idempotent,
    check: check_id,
    react: |cx| Box::pin(run(cx)),
};

/// Pauses an AREA.
pub static PAUSE: ReactionSpec = ReactionSpec {
    name: "pause",
    title: "Pause an AREA",
    description: "Pauses one of your AREAs, as its user would.",
    params: params::<Target>,
    sample_params: r#"{"area": "019a9f3e-7c1b-7cc2-9d0e-3a1f6f1f7a10"}"#,
    sample_output: r#"{"area": "019a9f3e-7c1b-7cc2-9d0e-3a1f6f1f7a10"}"#,
    scopes: &[],
    about: About::NONE,
    guarantee: Guarantee::Idempotent,
    check: check_id,
    react: |cx| Box::pin(pause(cx)),
};

/// Resumes an AREA.
pub static RESUME: ReactionSpec = ReactionSpec {
    name: "resume",
    title: "Resume an AREA",
    description: "Resumes one of your AREAs.",
    params: params::<Target>,
    sample_params: r#"{"area": "019a9f3e-7c1b-7cc2-9d0e-3a1f6f1f7a10"}"#,
    sample_output: r#"{"area": "019a9f3e-7c1b-7cc2-9d0e-3a1f6f1f7a10"}"#,
    scopes: &[],
    about: About::NONE,
    guarantee: Guarantee::Idempotent,
    check: check_id,
    react: |cx| Box::pin(resume(cx)),
};

/// An id that is written out must be one; a template says later what it is.
fn check_id(data: &Value) -> Vec<Invalid> {
    match data.get("area").and_then(Value::as_str) {
        Some(id) if !id.contains("{{") && id.parse::<AreaId>().is_err() => {
            vec![Invalid::new("/area", "must be the id of an AREA")]
        }
        _ => Vec::new(),
    }
}

fn read<T: DeserializeOwned>(cx: ReactCx<'_>) -> Result<T, Fault> {
    T::deserialize(cx.params).map_err(|e| Fault::rejected(format!("the params cannot be read: {e}")))
}

async fn run(cx: ReactCx<'_>) -> Result<Reacted, Fault> {
    let run: Run = read(cx)?;
    let started = cx.areas.run(run.area, &Value::Object(run.event), cx.key).await?;
    Ok(Reacted::Done(json!({ "event": started.event })))
}

async fn pause(cx: ReactCx<'_>) -> Result<Reacted, Fault> {
    let target: Target = read(cx)?;
    cx.areas.pause(target.area).await?;
    Ok(Reacted::Done(json!({ "area": target.area })))
}

async fn resume(cx: ReactCx<'_>) -> Result<Reacted, Fault> {
    let target: Target = read(cx)?;
    cx.areas.resume(target.area).await?;
    Ok(Reacted::Done(json!({ "area": target.area })))
}
