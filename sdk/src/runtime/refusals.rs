//! What becomes of a stream whose callback failed, or answers it itself.

use super::contexts::Standing;
use super::{CONTINUE, PAUSE, Phase, Runtime};
use crate::abi::{self, StreamType};
use crate::error::Error;
use crate::filter::HttpFilter;
use crate::logging::StreamScope;
use crate::reply::{GrpcStatus, LocalReply};

impl<F: HttpFilter> Runtime<F> {
    #[cold]
    pub(super) fn refuse_unknown(&self, id: u32, phase: Phase) -> u32 {
        let _scope = StreamScope::enter(None);
        let error = Error::other("a callback for a stream that is not known");
        self.refuse(id, &error, phase)
    }

    #[cold]
    pub(super) fn refuse(&self, id: u32, error: &Error, phase: Phase) -> u32 {
        // First of all: to log is to call the host, which may call for this stream.
        let before = self.set_standing(id, Standing::Replied);
        if error.is_body_too_large() {
            log::info!(error:%; "the body is refused");
            let status = if phase == Phase::Request { 413 } else { 502 };
            let reply = LocalReply::new(status)
                .body("the body is too large\n")
                .details("legation_body_too_large")
                .grpc_status(GrpcStatus::ResourceExhausted);
            return self.send(id, &reply, phase, before);
        }
        self.errors.get().increment();
        log::error!(error:%; "the filter failed; the request is refused");
        let reply = LocalReply::new(500)
            .body("internal error\n")
            .details("legation_internal_error")
            .grpc_status(GrpcStatus::Internal);
        self.send(id, &reply, phase, before)
    }

    #[cold]
    pub(super) fn reply(&self, id: u32, reply: &LocalReply, phase: Phase) -> u32 {
        let before = self.set_standing(id, Standing::Replied);
        self.send(id, reply, phase, before)
    }

    /// Answers a stream, once: a second local reply crashes some hosts. `before` is how
    /// it stood.
    fn send(&self, id: u32, reply: &LocalReply, phase: Phase, before: Standing) -> u32 {
        if !matches!(before, Standing::Open | Standing::Overtaken) {
            self.set_standing(id, before);
            log::warn!("the stream has its local reply; a second one is not sent");
            return if before.lets(phase) { CONTINUE } else { PAUSE };
        }
        let sent = if phase == Phase::Response {
            // The headers are gone to the client: all that is left is to break off.
            self.set_standing(id, Standing::Broken);
            abi::close_stream(StreamType::HttpResponse).map_err(Error::from)
        } else {
            reply.send()
        };
        if let Err(error) = sent {
            self.set_standing(id, Standing::Broken);
            self.errors.get().increment();
            log::error!(error:%; "the local reply could not be sent; the stream is reset");
            // If this fails too, the stream stays paused: it is let in nowhere.
            let _ = abi::close_stream(StreamType::HttpResponse);
        }
        PAUSE
    }

    /// Notes how a stream stands: how it stood before.
    pub(super) fn set_standing(&self, id: u32, standing: Standing) -> Standing {
        match self.contexts.try_borrow_mut() {
            Ok(mut contexts) => match contexts.get_mut(id) {
                Some(stream) => std::mem::replace(&mut stream.standing, standing),
                None => Standing::Open,
            },
            Err(_) => Standing::Open,
        }
    }
}
