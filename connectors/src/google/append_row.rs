//! The reaction `google.append_row`: a row behind the last one of a sheet, its values put under the sheet's own headers. What is written
//! stays what it is: no text becomes a formula, unless that is asked for.

use engine::fault::Fault;
use engine::port::{About, Guarantee, Invalid, ReactCx, Reacted, ReactionSpec, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::new_file::id_of;
use super::{SHEETS, TRIED_FAKE};
use crate::call::{ApiCall, Caller, Reason, Refused};

static READ: ApiCall = ApiCall::get(&SHEETS, "values.get", "v4/spreadsheets/{id}/values/{range}").scopes(SPEC.scopes);
static WRITE: ApiCall =
    ApiCall::put(&SHEETS, "values.update", "v4/spreadsheets/{id}/values/{range}").scopes(SPEC.scopes);
static APPEND: ApiCall =
    ApiCall::post(&SHEETS, "values.append", "v4/spreadsheets/{id}/values/{range}:append").scopes(SPEC.scopes);

/// What goes where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Append {
    /// The spreadsheet: its id or its link.
    #[schemars(length(min = 1), extend("x-options" = "spreadsheet"), example = &"1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs")]
    spreadsheet: String,
    /// The name of the sheet in it; the first one where it is left out.
    #[serde(default)]
    #[schemars(extend("x-options" = "sheet"), example = &"Invoices")]
    sheet: String,
    /// The values, by the headers in the sheet's first row, whatever their case.
    #[schemars(
        extend("minProperties" = 1, "additionalProperties" = {"type": ["string", "number", "boolean", "null"]}),
        example = json!({"Subject": "{{ event.subject }}"})
    )]
    row: Map<String, Value>,
    /// Whether a header that is not there is written behind the others; the sheet needs a free column for it.
    #[serde(default)]
    add_columns: bool,
    /// Whether values are read as if somebody typed them: dates, formulas. Texts of others may then become formulas.
    #[serde(default)]
    typed: bool,
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
struct Output {
    /// The spreadsheet's id.
    spreadsheet: String,
    /// The cells that were written: `Invoices!A12:C12`.
    range: String,
    /// The number of the row; null where Google does not say it.
    number: Option<u64>,
    /// The spreadsheet's page.
    link: String,
}

/// See the module.
pub static SPEC: ReactionSpec = ReactionSpec {
    name: "append_row",
    title: "Add a row to a spreadsheet",
    description: "Writes a row behind the last one of a sheet in Google Sheets, each value under its header.",
    params: params::<Append>,
    sample_params: r#"{"spreadsheet": "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs", "sheet": "Invoices",
        "row": {"Subject": "Invoice 42", "Amount": 19.9, "Paid": false}, "add_columns": true}"#,
    sample_output: r#"{"spreadsheet": "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs", "range": "Invoices!A12:C12", "number": 12,
        "link": "https://docs.google.com/spreadsheets/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs"}"#,
    scopes: &["spreadsheets"],
    about: About {
        cost: "2 calls; 2 more where headers are added",
        tried: TRIED_FAKE,
        gives: Some(params::<Output>),
        large: &[],
    },
    guarantee: Guarantee::AtLeastOnce,
    check,
    react: |cx| Box::pin(react(cx)),
};

fn check(data: &Value) -> Vec<Invalid> {
    let mut names: Vec<String> = data["row"].as_object().into_iter().flatten().map(|(name, _)| folded(name)).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    let twice = names.len() != count || names.iter().any(String::is_empty);
    twice.then(|| Invalid::new("/row", "each value needs a header of its own, whatever its case")).into_iter().collect()
}

fn folded(header: &str) -> String {
    header.trim().to_lowercase()
}

#[derive(Deserialize)]
struct Values {
    #[serde(default)]
    values: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct Appended {
    updates: Updates,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Updates {
    #[serde(default)]
    updated_range: String,
}

async fn react(cx: ReactCx<'_>) -> Result<Reacted, Fault> {
    let append = Append::deserialize(cx.params).map_err(|e| Fault::rejected(format!("google.append_row: {e}")))?;
    let (caller, id) = (Caller::react(&cx)?, id_of(&append.spreadsheet).to_owned());
    let at = |call: &'static ApiCall, cells| call.ask().at("id", &id).at("range", range(&append.sheet, cells));
    let read = async || Ok::<_, Fault>(headers(caller.json(&at(&READ, "1:1")).await?));
    let missing = |headers: &[String]| {
        append.row.keys().map(|name| name.trim()).filter(|name| place(headers, name).is_none()).collect::<Vec<_>>()
    };
    let mut headers = read().await?;
    if headers.first().is_some_and(String::is_empty) {
        return Err(Fault::rejected("the first cell of the sheet is empty: give the first column a header"));
    }
    let new = missing(&headers);
    if !new.is_empty() {
        let names = new.join("`, `");
        if !append.add_columns {
            let known = headers.join(", ");
            let why = format!("there is no header `{names}`; there are: {known}. `add_columns` adds what is not there");
            return Err(Fault::rejected(why));
        }
        // Null leaves a cell as it is: what is there may be a formula, or have come meanwhile.
        let row: Vec<Option<&str>> = headers.iter().map(|_| None).chain(new.into_iter().map(Some)).collect();
        let ask = at(&WRITE, "1:1").query("valueInputOption", "RAW").json(&json!({ "values": [row] }));
        caller.json::<Value>(&ask).await.map_err(widened)?;
        // Somebody else may have written a header to the same place.
        headers = read().await?;
        if !missing(&headers).is_empty() {
            return Err(Fault::later(format!("the header `{names}` was written and is gone again")));
        }
    }
    let mut row = vec![Value::Null; headers.len()];
    for (name, value) in append.row {
        if let Some(place) = place(&headers, &name) {
            // Null would leave a cell as it is; in a new row that is empty.
            row[place] = value;
        }
    }
    let how = if append.typed { "USER_ENTERED" } else { "RAW" };
    // Behind the table in the corner, which begins in the first column. Of a whole row it would be behind the last of its tables, and
    // a column that is empty makes two of one.
    let ask = at(&APPEND, "A1").query("valueInputOption", how).query("insertDataOption", "INSERT_ROWS");
    let done: Appended = caller.json(&ask.json(&json!({ "values": [row] }))).await?;
    let range = done.updates.updated_range;
    let link = format!("https://docs.google.com/spreadsheets/d/{id}");
    Ok(Reacted::Done(json!(Output { spreadsheet: id, number: number(&range), range, link })))
}

/// What the first row shows.
fn headers(found: Values) -> Vec<String> {
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    found.values.into_iter().next().unwrap_or_default().into_iter().map(text).collect()
}

/// A header is written where there is a column: only rows are made as they are needed.
fn widened(refused: Refused) -> Fault {
    match refused.fault {
        Fault::Rejected { why } if refused.reason == Reason::Wrong => Fault::rejected(format!(
            "{why}; where the sheet has no free column left, add columns to it in Google Sheets"
        )),
        fault => fault,
    }
}

fn place(headers: &[String], name: &str) -> Option<usize> {
    headers.iter().position(|header| folded(header) == folded(name))
}

/// Cells of a sheet, as Sheets writes it; of the first sheet where no name is given.
fn range(sheet: &str, cells: &str) -> String {
    match sheet.trim() {
        "" => cells.to_owned(),
        sheet => format!("'{}'!{cells}", sheet.replace('\'', "''")),
    }
}

/// The row of a range: 12 of `Invoices!A12:C12`.
fn number(range: &str) -> Option<u64> {
    let cell = range.rsplit('!').next()?.split(':').next()?;
    cell.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '$').parse().ok()
}
