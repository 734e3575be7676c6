//! Bodies of answers: whole, streamed from the registry, or cut off on purpose.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};

pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Body = UnsyncBoxBody<Bytes, Error>;

pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

pub(super) fn streamed(incoming: Incoming) -> Body {
    incoming.map_err(Error::from).boxed_unsync()
}

/// Lets `after` bytes pass, then breaks; where there are no more than that, before the last one.
/// The promised length stays that of the whole. `None`: there is nothing to cut.
pub(super) fn cut_after(body: Body, after: u64) -> Option<Body> {
    let left = match body.size_hint().exact() {
        Some(0) => return None,
        Some(length) => after.min(length - 1),
        None => after,
    };
    let flushed = false;
    Some(
        Cut {
            body,
            left,
            flushed,
        }
        .boxed_unsync(),
    )
}

/// The same with another first byte.
pub(super) fn altered(body: Body) -> Body {
    let mut is_first = true;
    let altered = body.map_frame(move |frame| match frame.into_data() {
        Ok(data) if is_first && !data.is_empty() => {
            is_first = false;
            let mut bytes = data.to_vec();
            bytes[0] ^= 1;
            Frame::data(bytes.into())
        }
        Ok(data) => Frame::data(data),
        Err(other) => other,
    });
    altered.boxed_unsync()
}

struct Cut {
    body: Body,
    left: u64,
    /// Whether what went before had its chance to leave.
    flushed: bool,
}

impl hyper::body::Body for Cut {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left == 0 {
            if self.flushed {
                return Poll::Ready(Some(Err("cut off on purpose".into())));
            }
            // hyper writes out what it holds whenever a body is not ready; an error at once would
            // throw that away, and the client would see no answer instead of half of one.
            self.flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(mut data) => {
                    let length = usize::try_from(self.left).unwrap_or(usize::MAX);
                    data.truncate(length);
                    self.left -= u64::try_from(data.len()).unwrap_or(self.left);
                    Some(Ok(Frame::data(data)))
                }
                Err(other) => Some(Ok(other)),
            },
            // Of unknown length, and shorter than the cut: it breaks at its end.
            None => Some(Err("cut off on purpose".into())),
            broken @ Some(Err(_)) => broken,
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
