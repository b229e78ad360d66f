//! A wire that can be cut: what goes through it stops, without a word to either side, and never goes on.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The wire. It lives as long as the test.
pub struct Wire {
    /// The port at this end.
    pub port: u16,
    /// How often it was cut and mended: even while it is whole.
    cuts: Arc<watch::Sender<u64>>,
}

impl Wire {
    /// A wire to a port of this machine.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().port();
        let cuts = Arc::new(watch::channel(0).0);
        let seen = Arc::clone(&cuts);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, port, seen.subscribe()));
            }
        });
        Self { port: here, cuts }
    }

    /// Cuts it: connections stay open and silent, for ever.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Mends it for new connections.
    pub fn mend(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn carry(mut near: TcpStream, port: u16, mut cuts: watch::Receiver<u64>) {
    if cuts.borrow_and_update().is_multiple_of(2)
        && let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await
    {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
            _ = cuts.changed() => {}
        }
        silent(&mut cuts).await;
        drop(far);
    } else {
        silent(&mut cuts).await;
    }
    drop(near);
}

/// Until the test ends.
async fn silent(cuts: &mut watch::Receiver<u64>) {
    while cuts.changed().await.is_ok() {}
}
