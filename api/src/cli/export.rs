//! `area export`: AREAs as `area apply` reads them. Secrets are left out: `{"$env": "NAME"}` stands for each.

use std::path::{Path, PathBuf};

use clap::Args;
use engine::area::secrets;
use engine::store::Db;
use engine::store::areas::{self, AreaRow, AreaState, Filter};
use serde_json::Value;

use super::{Context, Failure, owner};

/// AREAs read at a time.
const PAGE: i64 = 500;

/// Print a user's AREAs as `area apply` reads them, without their secrets
#[derive(Debug, Args)]
#[command(after_help = "\
Where a secret was, {\"$env\": \"NAME\"} stands: set those variables before `area apply`. Their names are told on stderr.

Examples:
  area export > areas.json
  area export --user me@example.org -o areas/      one file for each AREA, in a folder that exists")]
pub struct Export {
    /// Whose AREAs; without it the only user's
    #[arg(long, value_name = "ADDRESS")]
    user: Option<String>,
    /// A file to write, or a folder that exists: one file for each AREA
    #[arg(short, long, value_name = "FILE|DIR")]
    output: Option<PathBuf>,
}

impl Export {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let db = context.db().await?;
        let found = async { all(&db, owner::of(&db, self.user.as_deref()).await?.id).await };
        let found = found.await;
        db.close().await;
        let rows = found?;
        let (mut documents, mut names) = (Vec::new(), Vec::new());
        for row in &rows {
            let mut document: Value = serde_json::from_str(&row.body).map_err(|e| {
                Failure::failed(format!("what is stored of the AREA {:?} cannot be read: {e}", row.name))
            })?;
            names.extend(secrets::export(&mut document, &slug(&row.name)));
            documents.push(document);
        }
        self.write(&rows, &documents)?;
        if !names.is_empty() {
            eprintln!("set these before `area apply`: {}", names.join(" "));
        }
        let silent = rows.iter().filter(|row| row.state != AreaState::Active).count();
        if silent > 0 {
            eprintln!("{silent} of them are paused here: where they are applied anew, they are active");
        }
        Ok(())
    }

    fn write(&self, rows: &[AreaRow], documents: &[Value]) -> Result<(), Failure> {
        match &self.output {
            None => println!("{}", text(&documents)?),
            Some(folder) if folder.is_dir() => {
                for (number, (row, document)) in rows.iter().zip(documents).enumerate() {
                    let name = format!("{:04}-{}.json", number + 1, slug(&row.name));
                    put(&folder.join(name), &text(document)?)?;
                }
                eprintln!("wrote {} files to {}", rows.len(), folder.display());
            }
            Some(file) => put(file, &text(&documents)?)?,
        }
        Ok(())
    }
}

/// All AREAs of a user, the oldest first.
async fn all(db: &Db, user: engine::ids::UserId) -> Result<Vec<AreaRow>, Failure> {
    let (mut rows, mut before): (Vec<AreaRow>, _) = (Vec::new(), None);
    loop {
        let page = areas::list(db, user, before, PAGE, &Filter::default()).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.no);
        rows.extend(page);
    }
    rows.reverse();
    Ok(rows)
}

fn text(json: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(json).map_err(|e| Failure::failed(e.to_string()))
}

fn put(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, format!("{text}\n")).map_err(|e| Failure::file(file, &e))
}

/// The name as a file may be called: ASCII letters and digits in lower case, the rest as `-`.
fn slug(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let words: Vec<&str> = plain.split('-').filter(|w| !w.is_empty()).collect();
    let short: String = words.join("-").chars().take(60).collect();
    if short.is_empty() { "area".to_owned() } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_file_name_that_no_system_refuses() {
        let check = |name: &str, want: &str| assert_eq!(slug(name), want);
        check("Mail with invoice → note", "mail-with-invoice-note");
        check("../../etc/passwd", "etc-passwd");
        check("→", "area");
        check(&"x".repeat(200), &"x".repeat(60));
    }
}
