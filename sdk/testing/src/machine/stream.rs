//! What the host knows of a stream.

use std::collections::HashMap;

use crate::call::{Served, status};
use crate::headers::{HeaderList, Kind};

/// The last of the ABI's map types.
pub(super) const LAST_MAP: u32 = 7;

pub(crate) const REQUEST_HEADERS: u32 = 0;
pub(crate) const REQUEST_TRAILERS: u32 = 1;
pub(crate) const RESPONSE_HEADERS: u32 = 2;
pub(crate) const RESPONSE_TRAILERS: u32 = 3;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

impl Direction {
    pub(crate) fn headers(self) -> u32 {
        match self {
            Self::Request => REQUEST_HEADERS,
            Self::Response => RESPONSE_HEADERS,
        }
    }

    pub(crate) fn trailers(self) -> u32 {
        self.headers() + 1
    }
}

/// What the host does once the callback has returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Continue(Direction),
    Close(Direction),
    Reply(LocalReply),
}

/// What a filter gave to `proxy_send_local_response`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LocalReply {
    pub(crate) status: u32,
    pub(crate) details: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: HeaderList,
    pub(crate) grpc_status: i32,
}

#[derive(Default)]
pub(crate) struct StreamState {
    pub(crate) root: u32,
    /// Headers and trailers by their number in the ABI.
    maps: [Option<HeaderList>; 4],
    /// Which of them a callback may see: Envoy takes headers away from the
    /// filter once it has let them go on.
    visible: [bool; 4],
    /// What the body callback that is running sees, or what it holds.
    pieces: [Option<Piece>; 2],
    pub(crate) in_log: bool,
    pub(crate) replied: bool,
    pub(crate) attributes: HashMap<Vec<u8>, Vec<u8>>,
    pub(crate) wasm_state: HashMap<Vec<u8>, Vec<u8>>,
    pub(crate) facts: Facts,
}

/// A piece of a body.
struct Piece {
    bytes: Vec<u8>,
    is_last: bool,
}

/// What is known of a stream beside its maps.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) started: u64,
    pub(crate) request_size: usize,
    pub(crate) response_size: usize,
    pub(crate) response_code: Option<u16>,
    pub(crate) code_details: Option<String>,
    pub(crate) went_upstream: bool,
    pub(crate) over: bool,
}

impl StreamState {
    /// Shows headers or trailers to the callback that comes.
    pub(crate) fn show(&mut self, map: u32, list: HeaderList) {
        let kind = match map {
            REQUEST_HEADERS => Kind::Request,
            RESPONSE_HEADERS => Kind::Response,
            RESPONSE_TRAILERS => Kind::ResponseTrailers,
            _ => Kind::Plain,
        };
        let at = map as usize;
        self.maps[at] = Some(list.into_kind(kind));
        self.visible[at] = true;
    }

    /// Takes headers or trailers out of the filter's sight again.
    pub(crate) fn hide(&mut self, map: u32) {
        self.visible[map as usize] = false;
    }

    /// Headers or trailers as they are now.
    pub(crate) fn list(&self, map: u32) -> HeaderList {
        self.maps[map as usize].clone().unwrap_or_default()
    }

    pub(crate) fn has(&self, map: u32) -> bool {
        self.maps[map as usize].is_some()
    }

    /// What a read sees.
    pub(super) fn readable(&self, map: u32) -> Option<&HeaderList> {
        let at = map as usize;
        let shown = if self.in_log {
            map != REQUEST_TRAILERS
        } else {
            *self.visible.get(at)?
        };
        self.maps.get(at)?.as_ref().filter(|_| shown)
    }

    /// What a write changes.
    pub(super) fn writable(&mut self, map: u32) -> Option<&mut HeaderList> {
        let at = map as usize;
        // At the end of a body trailers may be added.
        for direction in [Direction::Request, Direction::Response] {
            let piece = self.pieces[direction as usize].as_ref();
            if map == direction.trailers()
                && self.maps[at].is_none()
                && piece.is_some_and(|piece| piece.is_last)
            {
                self.show(map, HeaderList::default());
            }
        }
        if *self.visible.get(at)? && !self.in_log {
            self.maps[at].as_mut()
        } else {
            None
        }
    }

    pub(super) fn map_value(&self, map: u32, name: &[u8]) -> Served {
        match self.readable(map) {
            None if self.in_log => Served::status(status::NOT_FOUND),
            None => Served::status(status::BAD_ARGUMENT),
            Some(list) => value_of(list, name),
        }
    }

    /// Who has the stream go on sees no more of its request, whichever side it
    /// was that goes on.
    pub(super) fn lose_request(&mut self) {
        self.hide(REQUEST_HEADERS);
        self.hide(REQUEST_TRAILERS);
    }

    /// Shows a piece of a body to the callback that comes.
    pub(crate) fn show_body(&mut self, direction: Direction, bytes: Vec<u8>, is_last: bool) {
        self.pieces[direction as usize] = Some(Piece { bytes, is_last });
    }

    /// What the callback made of the piece, or what it holds.
    pub(crate) fn take_body(&mut self, direction: Direction) -> Option<Vec<u8>> {
        let piece = self.pieces[direction as usize].take();
        piece.map(|piece| piece.bytes)
    }

    pub(super) fn buffer(&self, buffer: u32) -> &[u8] {
        match self.pieces.get(buffer as usize) {
            Some(Some(piece)) => &piece.bytes,
            _ => &[],
        }
    }

    pub(super) fn set_buffer(
        &mut self,
        buffer: u32,
        start: usize,
        size: usize,
        data: &[u8],
    ) -> u32 {
        let Some(Some(Piece { bytes: body, .. })) = self.pieces.get_mut(buffer as usize) else {
            return status::BAD_ARGUMENT;
        };
        if start == 0 {
            body.splice(..size.min(body.len()), data.iter().copied());
        } else if start >= body.len() {
            body.extend_from_slice(data);
        } else {
            return status::BAD_ARGUMENT;
        }
        status::OK
    }
}

pub(super) fn value_of(list: &HeaderList, name: &[u8]) -> Served {
    match list.get(name) {
        Some(value) => Served::bytes(value),
        None => Served::status(status::NOT_FOUND),
    }
}
