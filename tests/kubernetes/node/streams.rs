//! Exec and port-forward over a WebSocket, whose messages begin with the number of their channel: `v4.channel.k8s.io`,
//! and for exec also `v5`, which says when its input ends.

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::net::Ipv4Addr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
/// In v5: what follows is the number of a channel that ends.
const CLOSE: u8 = 255;
/// So many messages wait for their reader.
const WAITING: usize = 16;
const PIECE: usize = 32 * 1024;
/// What a program has written is read to its end for so long after it has ended.
const REST: Duration = Duration::from_secs(2);

fn message(channel: u8, bytes: &[u8]) -> Message {
    Message::binary([&[channel], bytes].concat())
}

/// Sends what comes as messages of a channel, to its end.
async fn pass(channel: u8, mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Message>) {
    let mut piece = vec![0; PIECE];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        if to.send(message(channel, &piece[..count])).await.is_err() {
            return;
        }
    }
}

/// Runs a program to its end, with what comes as its input.
pub async fn exec(mut socket: Socket, mut command: Command, input: bool, protocol: &'static str) {
    command.stdin(if input { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            let failed =
                json!({"metadata": {}, "status": "Failure", "reason": "InternalError", "message": e.to_string()});
            // Nobody may listen any more.
            let _gone = socket.send(message(STATUS, failed.to_string().as_bytes())).await;
            return;
        }
    };
    let (send, mut written) = mpsc::channel(WAITING);
    let passed = [
        tokio::spawn(pass(STDOUT, child.stdout.take().unwrap(), send.clone())),
        tokio::spawn(pass(STDERR, child.stderr.take().unwrap(), send)),
    ];
    let (mut to, mut from) = socket.split();
    for channel in [STDOUT, STDERR, STATUS] {
        let _gone = to.send(message(channel, &[])).await;
    }
    let mut stdin = child.stdin.take();
    let mut ended = None;
    loop {
        tokio::select! {
            // What was written before the end is sent before it.
            biased;
            Some(message) = written.recv() => if to.send(message).await.is_err() { return },
            status = child.wait(), if ended.is_none() => ended = Some(status),
            () = tokio::time::sleep(REST), if ended.is_some() => break,
            came = from.next(), if ended.is_none() => match came {
                Some(Ok(Message::Binary(bytes))) => take(&bytes, &mut stdin, protocol).await,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            else => break,
        }
        if ended.is_some() && passed.iter().all(tokio::task::JoinHandle::is_finished) && written.is_empty() {
            break;
        }
    }
    let status = ended.and_then(Result::ok).map(said).unwrap_or_else(|| json!({"status": "Failure"}));
    let _gone = to.send(message(STATUS, status.to_string().as_bytes())).await;
    close(to, from).await;
}

/// Says that all is said, and hears the client out, so that nothing that it has not read yet is lost.
async fn close(mut to: SplitSink<Socket, Message>, mut from: SplitStream<Socket>) {
    let good = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let _gone = to.send(Message::Close(Some(good))).await;
    let _gone = tokio::time::timeout(REST, async { while let Some(Ok(_)) = from.next().await {} }).await;
}

/// A message from the client: input for the program, or its end.
async fn take(bytes: &[u8], stdin: &mut Option<ChildStdin>, protocol: &str) {
    let input = bytes.first() == Some(&STDIN);
    if protocol.starts_with("v5") && bytes == [CLOSE, STDIN] {
        *stdin = None;
    } else if input
        && let Some(pipe) = stdin
        && pipe.write_all(&bytes[1..]).await.is_err()
    {
        *stdin = None;
    }
}

fn said(status: ExitStatus) -> serde_json::Value {
    use std::os::unix::process::ExitStatusExt;
    if status.success() {
        return json!({"metadata": {}, "status": "Success"});
    }
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// Passes bytes to and from ports of a pod: two channels each, the second for what goes wrong.
pub async fn forward(mut socket: Socket, address: Ipv4Addr, ports: Vec<u16>) {
    let (send, mut written) = mpsc::channel(WAITING);
    let mut writers = Vec::new();
    for (port, number) in ports.iter().zip((0..=254_u8).step_by(2)) {
        for channel in [number, number + 1] {
            if socket.send(message(channel, &port.to_le_bytes())).await.is_err() {
                return;
            }
        }
        // A pod's loopback is this machine's.
        let mut connected = TcpStream::connect((address, *port)).await;
        if connected.is_err() {
            connected = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await;
        }
        match connected {
            Ok(stream) => {
                let (from, to) = stream.into_split();
                writers.push(Some(to));
                tokio::spawn(pass(number, from, send.clone()));
            }
            Err(e) => {
                writers.push(None);
                let why = format!("an error occurred forwarding {port} -> {port}: {e}");
                let _gone = socket.send(message(number + 1, why.as_bytes())).await;
            }
        }
    }
    drop(send);
    let (mut to, mut from) = socket.split();
    loop {
        tokio::select! {
            passed = written.recv() => match passed {
                Some(message) => if to.send(message).await.is_err() { return },
                // Every pod's end of it is closed.
                None => break,
            },
            came = from.next() => match came {
                Some(Ok(Message::Binary(bytes))) => {
                    let Some(channel) = bytes.first() else { continue };
                    let writer = writers.get_mut(usize::from(*channel / 2)).and_then(Option::as_mut);
                    if let Some(writer) = writer && writer.write_all(&bytes[1..]).await.is_err() {
                        break;
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    close(to, from).await;
}
