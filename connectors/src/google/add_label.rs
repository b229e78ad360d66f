//! The reaction `google.add_label`. Adding a label that is there changes nothing; so does making one that was made.

use engine::fault::Fault;
use engine::port::{About, Guarantee, Invalid, ReactCx, Reacted, ReactionSpec, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::labels::{self, Label, folded};
use super::{GMAIL, TRIED_EMULATOR};
use crate::call::{ApiCall, Caller, Reason};

static CREATE: ApiCall =
    ApiCall::post(&GMAIL, "labels.create", "gmail/v1/users/me/labels").units(5).scopes(&["gmail.modify"]);
static MODIFY: ApiCall = ApiCall::post(&GMAIL, "messages.modify", "gmail/v1/users/me/messages/{id}/modify")
    .units(10)
    .scopes(&["gmail.modify"]);

/// Which label on which mail.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    /// The mail: Gmail's id of it.
    #[schemars(length(min = 1), example = "{{ event.id }}")]
    message: String,
    /// The label, by its name or id: `Work/Invoices`, `STARRED`.
    #[schemars(length(min = 1, max = 225), extend("x-options" = "label"), example = "Work/Invoices")]
    label: String,
    /// Whether a label that is not there is made.
    #[serde(default)]
    create: bool,
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
struct Output {
    /// Gmail's id of the mail.
    message: String,
    /// The label's name.
    label: String,
    /// The label's id.
    label_id: String,
    /// Whether the label was made for it.
    created: bool,
}

/// See the module.
pub static SPEC: ReactionSpec = ReactionSpec {
    name: "add_label",
    title: "Label a mail",
    description: "Puts a label on a mail in Gmail, and makes the label if you ask for it.",
    params: params::<Add>,
    sample_params: r#"{"message": "18c2f0a1b2c3d4e5", "label": "Work/Invoices", "create": true}"#,
    sample_output: r#"{"message": "18c2f0a1b2c3d4e5", "label": "Work/Invoices", "label_id": "Label_7", "created": false}"#,
    scopes: &["gmail.modify"],
    about: About {
        cost: "11 units; 5 more where the label is made",
        tried: TRIED_EMULATOR,
        gives: Some(params::<Output>),
        large: &[],
    },
    guarantee: Guarantee::Idempotent,
    check: |data| {
        let label = data["label"].as_str().unwrap_or_default();
        let by_gmail = matches!(label, "SENT" | "DRAFT" | "CHAT");
        by_gmail
            .then(|| Invalid::new("/label", format!("only Gmail gives a mail the label {label}")))
            .into_iter()
            .collect()
    },
    react: |cx| Box::pin(react(cx)),
};

async fn react(cx: ReactCx<'_>) -> Result<Reacted, Fault> {
    let add = Add::deserialize(cx.params).map_err(|e| Fault::rejected(format!("google.add_label: {e}")))?;
    let caller = Caller::react(&cx)?;
    let (label, created) = match find(&caller, &add.label).await? {
        Some(label) => (label, false),
        None if add.create => make(&caller, add.label.trim()).await?,
        None => {
            let why = format!("there is no label `{}` in this mailbox; with `create` it is made", add.label);
            return Err(Fault::rejected(why));
        }
    };
    let ask = MODIFY.ask().at("id", &add.message).json(&json!({ "addLabelIds": [label.id] }));
    caller.json::<Value>(&ask).await?;
    Ok(Reacted::Done(json!(Output { message: add.message, label: label.name, label_id: label.id, created })))
}

/// By id or name; by what Gmail takes for the same name else.
async fn find(caller: &Caller<'_>, wanted: &str) -> Result<Option<Label>, Fault> {
    let (all, wanted) = (labels::list(caller).await?, wanted.trim());
    let exact = all.iter().find(|label| label.id == wanted || label.name == wanted);
    let alike = || all.iter().find(|label| folded(&label.name) == folded(wanted));
    Ok(exact.or_else(alike).cloned())
}

/// Makes it; whether it was us who did.
async fn make(caller: &Caller<'_>, name: &str) -> Result<(Label, bool), Fault> {
    let body = json!({ "name": name, "labelListVisibility": "labelShow", "messageListVisibility": "show" });
    match caller.json::<Label>(&CREATE.ask().json(&body)).await {
        Ok(label) => Ok((label, true)),
        // Another run was faster.
        Err(refused) if refused.reason == Reason::Wrong => match find(caller, name).await? {
            Some(label) => Ok((label, false)),
            None => Err(refused.fault),
        },
        Err(refused) => Err(refused.fault),
    }
}
