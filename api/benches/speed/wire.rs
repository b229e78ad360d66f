//! As much HTTP/1.1 as the far side needs, and not a cycle more: what the far side costs is taken from both who are measured.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Room for a message.
const ROOM: usize = 16 * 1024;

/// One side of a connection.
pub struct Wire {
    pub stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// Where a message stands in the buffer.
pub struct Message {
    head: std::ops::Range<usize>,
    body: std::ops::Range<usize>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self { stream, buffer: vec![0; ROOM], start: 0, end: 0 }
    }

    pub async fn connect(port: u16) -> io::Result<Self> {
        TcpStream::connect(("127.0.0.1", port)).await.map(Self::new)
    }

    /// The next message, whose body has a stated length; `None` at the end of the stream.
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(message) = self.parse()? {
                self.start = message.body.end;
                return Ok(Some(message));
            }
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            if self.end == self.buffer.len() {
                return Err(io::Error::other("a message is larger than the buffer"));
            }
            let read = self.stream.read(&mut self.buffer[self.end..]).await?;
            if read == 0 {
                return Ok(None);
            }
            self.end += read;
        }
    }

    pub fn head(&self, message: &Message) -> &[u8] {
        &self.buffer[message.head.clone()]
    }

    pub fn body(&self, message: &Message) -> &[u8] {
        &self.buffer[message.body.clone()]
    }

    fn parse(&self) -> io::Result<Option<Message>> {
        let data = &self.buffer[self.start..self.end];
        let Some(head) = data.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let length = header(&data[..head], b"content-length").map_or(Ok(0), |text| {
            std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(io::Error::other("no length"))
        })?;
        let (head, body) = (self.start + head, self.start + head + 4);
        let whole = body + length <= self.end;
        Ok(whole.then_some(Message { head: self.start..head, body: body..body + length }))
    }
}

/// The value of a header in a message's head.
pub fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|&byte| byte == b'\n').skip(1).find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = found.eq_ignore_ascii_case(name).then_some(value)?.strip_prefix(b":")?;
        Some(value.trim_ascii())
    })
}

/// The number that follows `"n":` in a body.
pub fn number(body: &[u8]) -> Option<usize> {
    let at = body.windows(4).position(|four| four == br#""n":"#)? + 4;
    let digits = body[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}
