//! `area token create|list|revoke`.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use engine::duration::Span;
use engine::store::Db;
use engine::store::people::{self, NewUser, Role, User};
use engine::store::tokens::{self, NewToken, Scope, Scopes};
use uuid::Uuid;

use super::{Code, Context, Failure, out, owner};

/// Create, list and revoke the tokens that open the API
#[derive(Debug, Subcommand)]
pub enum Token {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Create a token and print it, alone, on stdout; it is shown this once
#[derive(Debug, Args)]
#[command(after_help = "\
Creates the user if there is none with this address.

Examples:
  TOKEN=$(area token create --email me@example.org)
  area token create --email ci@example.org --name deploy --scope read --scope areas --expires 30d
  curl -H \"Authorization: Bearer $TOKEN\" localhost:8080/v1/areas")]
pub struct Create {
    /// Whose token
    #[arg(long, value_name = "ADDRESS")]
    email: String,
    /// The user's role: SUPER-ADMIN, ADMIN, EDITOR (a new user's default) or VIEWER; changes that of an existing user
    #[arg(long)]
    role: Option<Role>,
    /// To tell it from others
    #[arg(long, default_value = "cli")]
    name: String,
    /// What it opens: read, areas, accounts, admin; may be repeated. Without it everything that the role allows
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// When it stops working, from now, as in 30d; without it: when it is revoked
    #[arg(long, value_name = "TIME")]
    expires: Option<Span>,
    /// Print {"id","token","user","email","role"} as JSON
    #[arg(long)]
    json: bool,
}

/// List a user's tokens, without their secrets
#[derive(Debug, Args)]
pub struct List {
    /// Whose tokens
    #[arg(long, value_name = "ADDRESS")]
    email: String,
    /// Print JSON: {"items":[{id,name,scopes,created_at,expires_at}]}
    #[arg(long)]
    json: bool,
}

/// End a token at once
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  area token revoke --email me@example.org 019a…   (the id is in `area token list`)")]
pub struct Revoke {
    /// Whose token
    #[arg(long, value_name = "ADDRESS")]
    email: String,
    /// The token's id
    id: Uuid,
}

impl Token {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let db = context.db().await?;
        let now = context.clock.now();
        let done = match self {
            Self::Create(c) => c.run(&db, now).await,
            Self::List(c) => c.run(&db).await,
            Self::Revoke(c) => c.run(&db).await,
        };
        db.close().await;
        done
    }
}

impl Create {
    async fn run(self, db: &Db, now: DateTime<Utc>) -> Result<(), Failure> {
        let user = self.user(db, now).await?;
        let scopes = if self.scopes.is_empty() { Scopes::default() } else { self.scopes.iter().copied().collect() };
        let expires_at = self.expires.map(|span| now + span.duration());
        let new = NewToken { name: &self.name, scopes, expires_at };
        let (id, token) = tokens::create(db, user.id, &new, now).await?;
        if !self.json {
            println!("{}", token.expose());
            return Ok(());
        }
        out::json(&serde_json::json!({
            "id": id, "token": token.expose(), "user": user.id, "email": user.email, "role": user.role,
        }))
    }

    async fn user(&self, db: &Db, now: DateTime<Utc>) -> Result<User, Failure> {
        let Some(mut user) = people::by_email(db, &self.email).await? else {
            let role = self.role.unwrap_or_default();
            let user = people::create(db, &NewUser { email: &self.email, role, ..NewUser::default() }, now).await?;
            eprintln!("created the user {} ({role})", user.email);
            return Ok(user);
        };
        if let Some(role) = self.role.filter(|role| *role != user.role) {
            people::set_role(db, user.id, role, now).await?;
            eprintln!("changed the role of {} from {} to {role}", user.email, user.role);
            user.role = role;
        }
        Ok(user)
    }
}

impl List {
    async fn run(self, db: &Db) -> Result<(), Failure> {
        let all = tokens::list(db, owner::named(db, &self.email).await?.id).await?;
        if self.json {
            return out::json(&serde_json::json!({ "items": all }));
        }
        let until = |t: &tokens::Token| t.expires_at.map_or("until revoked".to_owned(), |at| format!("until {at}"));
        let row = |t: &tokens::Token| [t.id.to_string(), t.name.clone(), t.scopes.to_string(), until(t)];
        out::columns(&all.iter().map(row).collect::<Vec<_>>());
        Ok(())
    }
}

impl Revoke {
    async fn run(self, db: &Db) -> Result<(), Failure> {
        if tokens::revoke(db, owner::named(db, &self.email).await?.id, self.id).await? {
            return Ok(());
        }
        Err(Failure::new(Code::NotFound, format!("{} has no token {}", self.email, self.id)))
    }
}
