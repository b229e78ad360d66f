//! `area user create|list`.

use clap::{Args, Subcommand};
use engine::store::people::{self, NewUser, Role};

use super::{Context, Failure, out};

/// Create and list people
#[derive(Debug, Subcommand)]
pub enum User {
    Create(Create),
    List(List),
}

/// Create a person and print their id
#[derive(Debug, Args)]
#[command(after_help = "\
Without a password they use the API by a token: area token create --email me@example.org

Examples:
  area user create --email me@example.org
  area user create --email boss@example.org --role ADMIN --name 'The Boss' --json")]
pub struct Create {
    /// Their e-mail address: unique, in any case
    #[arg(long, value_name = "ADDRESS")]
    email: String,
    /// SUPER-ADMIN, ADMIN, EDITOR or VIEWER
    #[arg(long, default_value_t = Role::default())]
    role: Role,
    /// How they are shown
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// Print the person as JSON instead of the id alone
    #[arg(long)]
    json: bool,
}

/// List all people
#[derive(Debug, Args)]
pub struct List {
    /// Print JSON: {"items":[{id,email,display_name,role,created_at}]}
    #[arg(long)]
    json: bool,
}

impl User {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Create(c) => c.run(context).await,
            Self::List(c) => c.run(context).await,
        }
    }
}

impl Create {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let db = context.db().await?;
        let new = NewUser { email: &self.email, display_name: &self.name, role: self.role, ..NewUser::default() };
        let user = people::create(&db, &new, context.clock.now()).await?;
        db.close().await;
        if self.json {
            return out::json(&user);
        }
        println!("{}", user.id);
        Ok(())
    }
}

impl List {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let db = context.db().await?;
        let all = people::list(&db).await?;
        db.close().await;
        if self.json {
            return out::json(&serde_json::json!({ "items": all }));
        }
        let row = |u: &people::User| [u.id.to_string(), u.role.to_string(), u.email.clone(), u.display_name.clone()];
        out::columns(&all.iter().map(row).collect::<Vec<_>>());
        Ok(())
    }
}
