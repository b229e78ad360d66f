//! What a person picks by name.

use engine::fault::Fault;
use engine::port::{Choice, Choices, OptionsCx, OptionsSpec};

use super::labels;
use crate::call::Caller;

/// Offered at once.
const MOST: usize = 100;

/// The labels of a mailbox.
pub static LABEL: OptionsSpec =
    OptionsSpec { name: "label", scopes: &["gmail.labels"], list: |cx| Box::pin(mail_labels(cx)) };

async fn mail_labels(cx: OptionsCx<'_>) -> Result<Choices, Fault> {
    let all = labels::list(&Caller::options(&cx)?).await?;
    let choices = all.into_iter().map(|label| Choice {
        detail: (label.r#type == "system").then(|| "Gmail's own".to_owned()),
        value: label.id,
        title: label.name,
    });
    Ok(Choices::of(choices, cx.q, MOST, false))
}
