//! A consumer as a stream.

use super::handle::Consumer;
use super::records::ConsumerRecords;
use crate::{ErrorKind, Result};
use futures_core::{FusedStream, Stream};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The polls of a consumer, one after the other. See [`Consumer::into_stream`].
///
/// An item is empty when the consumer was [woken](Consumer::wakeup). After an error the stream goes on as the consumer
/// would; after `Closed` it ends.
#[derive(Debug)]
pub struct ConsumerStream {
    consumer: Consumer,
    is_over: bool,
}

impl ConsumerStream {
    pub(super) fn new(consumer: Consumer) -> Self {
        Self { consumer, is_over: false }
    }

    /// The consumer, to commit or to ask where it is between two items.
    #[must_use]
    pub fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    /// The consumer, to seek or pause between two items.
    #[must_use]
    pub fn consumer_mut(&mut self) -> &mut Consumer {
        &mut self.consumer
    }

    /// The consumer, which goes on where the stream was.
    #[must_use]
    pub fn into_consumer(self) -> Consumer {
        self.consumer.waiting_ends();
        self.consumer
    }
}

impl Stream for ConsumerStream {
    type Item = Result<ConsumerRecords>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let polled = self.consumer.poll_records(context);
        if polled.is_ready() {
            // An empty item came without a look at the group.
            self.consumer.waiting_ends();
        }
        if let Poll::Ready(Err(error)) = &polled {
            self.is_over = error.kind() == ErrorKind::Closed;
        }
        polled.map(Some)
    }
}

impl FusedStream for ConsumerStream {
    fn is_terminated(&self) -> bool {
        self.is_over
    }
}
