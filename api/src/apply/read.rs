//! Reads AREAs from a file, or from the `*.json` files of a folder in the order of their names. A file holds one document, a
//! list of documents, or an object whose `items` are such a list.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The largest file, in bytes: room for some hundred thousand AREAs.
pub const FILE_BYTES: u64 = 256 << 20;

/// A document, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct FileDocument {
    /// The file; in a list with the element's JSON pointer, as in `areas.json#/3`.
    pub place: String,
    /// The document as it was written.
    pub json: Value,
}

/// Why files were not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system said no.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The text is not what it should be.
    #[error("{0}")]
    Text(String),
}

/// Reads a file, a folder, or `-` for the standard input.
///
/// # Errors
/// The first file that cannot be read.
pub fn read(path: &Path) -> Result<Vec<FileDocument>, ReadError> {
    let failed = |e| ReadError::File(path.to_owned(), e);
    if path == Path::new("-") {
        let text = std::io::read_to_string(std::io::stdin()).map_err(failed)?;
        return parse("standard input", &text).map_err(ReadError::Text);
    }
    if !path.metadata().map_err(failed)?.is_dir() {
        return file(path);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.retain(|file| file.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")));
    files.sort();
    if files.is_empty() {
        return Err(ReadError::Text(format!("{} holds no file whose name ends in .json", path.display())));
    }
    Ok(files.iter().map(|f| file(f)).collect::<Result<Vec<_>, _>>()?.concat())
}

fn file(path: &Path) -> Result<Vec<FileDocument>, ReadError> {
    let failed = |e| ReadError::File(path.to_owned(), e);
    let size = path.metadata().map_err(failed)?.len();
    if size > FILE_BYTES {
        return Err(ReadError::Text(format!("{} has {size} bytes, more than {FILE_BYTES}: split it", path.display())));
    }
    parse(&path.display().to_string(), &std::fs::read_to_string(path).map_err(failed)?).map_err(ReadError::Text)
}

/// The documents of a file called `name`.
///
/// # Errors
/// A sentence that names file, line and column.
pub fn parse(name: &str, text: &str) -> Result<Vec<FileDocument>, String> {
    let json: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| format!("{name}: {e}"))?;
    let list = |at: &str, items: Vec<Value>| {
        let place = |i: usize| format!("{name}#{at}/{i}");
        items.into_iter().enumerate().map(|(i, json)| FileDocument { place: place(i), json }).collect()
    };
    Ok(match json {
        Value::Array(items) => list("", items),
        Value::Object(mut object) if object.contains_key("items") && !object.contains_key("action") => {
            match object.remove("items") {
                Some(Value::Array(items)) => list("/items", items),
                _ => return Err(format!("{name}: /items must be a list of AREAs")),
            }
        }
        json => vec![FileDocument { place: name.to_owned(), json }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_document_or_a_list_and_each_knows_its_place() {
        let check = |text: &str, want: Result<&[&str], &str>| {
            let got =
                parse("f.json", text).map(|all| all.into_iter().map(|d| format!("{} {}", d.place, d.json)).collect());
            let got: Result<Vec<String>, String> = got;
            match want {
                Ok(want) => assert_eq!(got.unwrap(), want, "{text}"),
                Err(part) => assert!(got.as_ref().unwrap_err().contains(part), "{text}: {got:?}"),
            }
        };
        check(r#"{"name": "a"}"#, Ok(&[r#"f.json {"name":"a"}"#]));
        check("\u{feff}[1, 2]", Ok(&["f.json#/0 1", "f.json#/1 2"]));
        check(r#"{"items": [{}], "next": null}"#, Ok(&["f.json#/items/0 {}"]));
        check(r#"{"items": 1}"#, Err("f.json: /items must be a list"));
        check("[]", Ok(&[]));
        check("{\n  \"name\": }", Err("f.json: expected value at line 2 column 11"));
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("b.json", "[2, 3]"), ("a.json", "1"), ("c.txt", "no JSON"), ("D.JSON", "4")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let read: Vec<String> = read(folder.path()).unwrap().into_iter().map(|d| d.json.to_string()).collect();
        assert_eq!(read, ["4", "1", "2", "3"]);
        let empty = tempfile::tempdir().unwrap();
        assert!(super::read(empty.path()).unwrap_err().to_string().contains(".json"));
    }
}
