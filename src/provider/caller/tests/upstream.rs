//! A provider on loopback that does with one connection what a test tells it to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::PATIENCE;

/// What a provider does with a connection, one thing after the other.
pub(super) enum Act {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Does nothing until the other side leaves.
    Stall,
}

/// What a provider saw.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Request(String),
    Departure,
}

/// A provider that serves one connection by a script.
pub(super) struct Upstream {
    pub(super) url: String,
    seen: Receiver<Seen>,
}

impl Upstream {
    pub(super) fn follows(acts: Vec<Act>) -> Self {
        Self::serves(move |mut stream, seen| {
            seen.send(Seen::Request(read_request(&mut stream))).unwrap();
            for act in acts {
                match act {
                    // The other side may leave at any time; what it missed is for the test to say.
                    Act::Send(bytes) => drop(stream.write_all(&bytes)),
                    Act::Stall => drop(stream.read(&mut [0])),
                }
            }
            drop(seen.send(Seen::Departure));
        })
    }

    pub(super) fn answers(reply: &str) -> Self {
        Self::follows(vec![Act::Send(reply.as_bytes().to_vec())])
    }

    pub(super) fn serves(serve: impl FnOnce(TcpStream, &Sender<Seen>) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (sender, seen) = channel();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            serve(stream, &sender);
        });
        Self { url, seen }
    }

    pub(super) fn saw(&self) -> Seen {
        self.seen.recv_timeout(PATIENCE).unwrap()
    }
}

/// Reads the head and the body of a request.
fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n_read = stream.read(&mut buffer).unwrap();
        text.extend_from_slice(&buffer[..n_read]);
        let read = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = read.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let (_, length) = head.split_once("content-length: ").unwrap();
            let length = length.lines().next().unwrap();
            if length.parse::<usize>().unwrap() <= body.len() {
                return read;
            }
        }
    }
}
