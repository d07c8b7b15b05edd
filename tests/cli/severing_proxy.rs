//! A network that brings requests to the service and loses the replies.

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
};

/// Types of HTTP/2 frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const FRAME_HEADER_LENGTH: usize = 9;

/// Where a reply is cut off.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// Not a byte of it arrives.
    BeforeTheReply,
    /// Its headers and half of its message arrive.
    WithinTheMessage,
}

/// Starts a proxy in front of the service at `upstream`, and gives its address. It ends with the runtime.
pub(crate) async fn start(upstream: &str, cut: Cut) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, upstream) = (listener.local_addr().unwrap().to_string(), upstream.to_owned());
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&upstream).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let requests = tokio::spawn(forward(from_client, to_server));
            tokio::spawn(async move {
                // Fails where the client hangs up first.
                let _ = forward_until(cut, from_server, to_client).await;
                requests.abort();
            });
        }
    });
    address
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ = io::copy(&mut from, &mut to).await;
}

/// Forwards what the server says until the reply to a request, then hangs up.
async fn forward_until(cut: Cut, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
    loop {
        let mut frame = vec![0; FRAME_HEADER_LENGTH];
        from.read_exact(&mut frame).await?;
        let payload = usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2]);
        let kind = frame[3];
        frame.resize(FRAME_HEADER_LENGTH + payload, 0);
        from.read_exact(&mut frame[FRAME_HEADER_LENGTH..]).await?;
        match (cut, kind) {
            (Cut::BeforeTheReply, HEADERS) => return Ok(()),
            (Cut::WithinTheMessage, DATA) => {
                let half = FRAME_HEADER_LENGTH + payload / 2;
                return to.write_all(&frame[..half]).await;
            }
            _ => to.write_all(&frame).await?,
        }
    }
}
