//! What schemars leaves out and a form needs: words for the property that tells an enum's forms apart.

use schemars::Schema;
use serde_json::{Map, Value};

/// A transform for enums (`#[schemars(transform = crate::schema::describe)]`): the tag of each form (`kind`) and the only
/// property of a form like `{"header": name}` get a description, so that every property has one.
pub fn describe(schema: &mut Schema) {
    let Some(Value::Array(forms)) = schema.get_mut("oneOf") else { return };
    for form in forms {
        let words = form.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(Value::Object(properties)) = form.get_mut("properties") {
            describe_form(properties, words);
        }
    }
}

fn describe_form(properties: &mut Map<String, Value>, words: String) {
    let alone = properties.len() == 1;
    for property in properties.values_mut().filter_map(Value::as_object_mut) {
        if property.contains_key("description") {
            continue;
        }
        let text = match property.contains_key("const") {
            true => "Says that it is this form.".to_owned(),
            false if alone => words.clone(),
            false => continue,
        };
        property.insert("description".into(), text.into());
    }
}
