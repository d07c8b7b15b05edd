//! A stream that tells what its caller has sent and taken.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;

/// What a caller of HTTP/2 sends unasked: the preface and the head of its SETTINGS (RFC 9113, section 3.4), in bytes.
const PREFACE_BYTES: usize = 24 + 9;

pub(super) struct Counted<S> {
    stream: S,
    activity: Arc<Activity>,
    /// Whether bytes say that the caller has begun, until it has.
    preface_counts: bool,
}

impl<S> Counted<S> {
    /// `preface_counts`: the connection begins with its preface, and not with its first request.
    pub(super) const fn new(stream: S, activity: Arc<Activity>, preface_counts: bool) -> Self {
        Self { stream, activity, preface_counts }
    }

    fn note(&self, taken: &Poll<io::Result<usize>>) {
        if matches!(taken, Poll::Ready(Ok(bytes)) if *bytes > 0) {
            self.activity.taken();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if this.preface_counts {
            this.activity.received(buf.filled().len() - before, PREFACE_BYTES);
            this.preface_counts = !this.activity.has_begun();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(&taken);
        taken
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note(&taken);
        taken
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
