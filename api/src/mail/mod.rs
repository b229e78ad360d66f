//! Mail to people. A letter is queued and sent in the background, so that nobody can tell by the time of an answer whether one was
//! written. Where no server is set it goes to the log instead, loudly: a first sign-up needs no server. What must not be lost is
//! [`Post::deliver`]ed instead, by whoever keeps it until it is sent: `accounts` does so.

pub mod accounts;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::sync::mpsc;

use crate::settings::Mail;

type Smtp = AsyncSmtpTransport<Tokio1Executor>;

/// Between tries to send a letter; after the last it is given up.
const AGAIN: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(15), Duration::from_secs(60)];

/// A letter.
#[derive(Clone, Debug)]
pub struct Letter {
    /// To whom.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// Its `Message-ID`, where the same letter may be sent once more; else each has one of its own.
    pub id: Option<String>,
}

/// Takes letters.
#[derive(Clone, Debug)]
pub struct Post {
    queue: mpsc::Sender<Letter>,
    van: Van,
}

/// Carries letters.
#[derive(Clone)]
struct Van {
    /// `None`: no server is set.
    smtp: Option<Smtp>,
    from: Mailbox,
    told: Arc<AtomicBool>,
}

impl std::fmt::Debug for Van {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Van").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Why a letter was not sent.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// The server was not reached: nothing else goes through either.
    #[error("the mail server cannot be reached: {0}")]
    Away(lettre::transport::smtp::Error),
    /// The server did not take this one.
    #[error("the mail server did not take it: {0}")]
    Refused(lettre::transport::smtp::Error),
    /// It is none.
    #[error("it cannot be written: {0}")]
    Unwritable(String),
}

/// The server that a setting means; `None`: none.
///
/// # Errors
/// Says what would be right.
pub fn transport(mail: &Mail) -> Result<Option<Smtp>, String> {
    let url = mail.smtp.expose().trim();
    if url.is_empty() {
        return Ok(None);
    }
    let right =
        "must be like smtps://user:password@mail.example.org or smtp://localhost:25 (?tls=required for STARTTLS)";
    let builder = Smtp::from_url(url).map_err(|e| format!("{right}: {e}"))?;
    Ok(Some(builder.timeout(Some(mail.timeout.duration())).build()))
}

impl Post {
    /// Opens the post: letters are sent till the last clone is dropped.
    ///
    /// # Errors
    /// A setting that is wrong.
    pub fn open(mail: &Mail) -> Result<Self, String> {
        let (queue, letters) = mpsc::channel(mail.queue);
        let from: Mailbox = mail.from.parse().map_err(|e| format!("mail.from: {e}"))?;
        let van = Van { smtp: transport(mail)?, from, told: Arc::default() };
        tokio::spawn(work(letters, van.clone()));
        Ok(Self { queue, van })
    }

    /// Sends a letter and waits for the server's word. Where none is set it is in the log.
    ///
    /// # Errors
    /// It is not sent.
    pub async fn deliver(&self, letter: &Letter) -> Result<(), Undelivered> {
        let Some(smtp) = &self.van.smtp else {
            log(letter, &self.van.told);
            return Ok(());
        };
        let message = message(letter, &self.van.from).map_err(Undelivered::Unwritable)?;
        let sent = smtp.send(message).await.map(drop);
        sent.map_err(|error| match error.is_permanent() || error.is_transient() {
            true => Undelivered::Refused(error),
            false => Undelivered::Away(error),
        })?;
        metrics::counter!("area_mail_total", "state" => "sent").increment(1);
        Ok(())
    }

    /// Queues a letter. Where too many wait it is dropped, and said so: whoever asked asks again.
    pub fn send(&self, letter: Letter) {
        if let Err(error) = self.queue.try_send(letter) {
            metrics::counter!("area_mail_total", "state" => "dropped").increment(1);
            tracing::error!(%error, "a letter was dropped: too many wait for the mail server");
        }
    }
}

async fn work(mut letters: mpsc::Receiver<Letter>, van: Van) {
    while let Some(letter) = letters.recv().await {
        let Some(smtp) = van.smtp.clone() else {
            log(&letter, &van.told);
            continue;
        };
        match message(&letter, &van.from) {
            // One that does not go through holds nobody else's up.
            Ok(message) => drop(tokio::spawn(deliver(smtp, message))),
            Err(error) => tracing::error!(%error, "a letter could not be written"),
        }
    }
}

fn log(letter: &Letter, told: &AtomicBool) {
    if !told.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "no mail server is set ([mail] smtp): what would be mailed is written here, for whoever reads this log"
        );
    }
    tracing::warn!(to = letter.to, subject = letter.subject, "NOT MAILED: {}", letter.text);
}

fn message(letter: &Letter, from: &Mailbox) -> Result<Message, String> {
    let to = letter.to.parse::<lettre::Address>().map_err(|e| e.to_string())?;
    let message = Message::builder().from(from.clone()).to(Mailbox::new(None, to)).subject(&letter.subject);
    let message = message.header(ContentType::TEXT_PLAIN).message_id(letter.id.clone()).body(letter.text.clone());
    message.map_err(|e| e.to_string())
}

async fn deliver(smtp: Smtp, message: Message) {
    let mut waits = AGAIN.into_iter();
    loop {
        let Err(error) = smtp.send(message.clone()).await else {
            metrics::counter!("area_mail_total", "state" => "sent").increment(1);
            return;
        };
        let wait = waits.next().filter(|_| !error.is_permanent());
        let Some(wait) = wait else {
            metrics::counter!("area_mail_total", "state" => "failed").increment(1);
            return tracing::error!(%error, "a letter could not be sent and is given up");
        };
        tracing::warn!(%error, "a letter could not be sent; it is tried again in {} s", wait.as_secs());
        tokio::time::sleep(wait).await;
    }
}
