//! Header maps and buffers, of whatever is in effect.

use super::{State, callouts, stream};
use crate::call::{Call, Callback, Served, status};
use crate::headers::{self, HeaderList};

impl State {
    pub(super) fn serve_map(&mut self, call: &Call<'_>) -> Served {
        match *call {
            Call::Map { map } => self.map(map),
            Call::MapValue { map, name } if map >= callouts::HTTP_CALL_HEADERS => {
                match self.callouts.told.map(self.root_id(), map) {
                    Some(list) => stream::value_of(list, name),
                    None => Served::status(status::BAD_ARGUMENT),
                }
            }
            Call::MapValue { map, name } => match self.here() {
                Some(stream) => stream.map_value(map, name),
                None => Served::status(status::BAD_ARGUMENT),
            },
            Call::SetMap { map, pairs } => self.change(map, |list| {
                let pairs = HeaderList::decode(pairs).unwrap_or_default();
                list.clear();
                for (name, value) in pairs.iter() {
                    list.add(name, value);
                }
            }),
            Call::ReplaceMapValue { map, name, value } => {
                self.change(map, |list| list.set(name, value))
            }
            Call::AddMapValue { map, name, value } => {
                self.change(map, |list| list.add(name, value))
            }
            Call::RemoveMapValue { map, name } => self.change(map, |list| {
                list.remove(name);
            }),
            _ => Served::status(status::UNIMPLEMENTED),
        }
    }

    pub(super) fn buffer(&mut self, buffer: u32, start: usize, max_size: usize) -> Served {
        const VM_CONFIGURATION: u32 = 6;
        const PLUGIN_CONFIGURATION: u32 = 7;
        const LAST: u32 = 8;
        let bytes = match buffer {
            0 | 1 => self.here().map(|stream| stream.buffer(buffer).to_vec()),
            PLUGIN_CONFIGURATION => {
                let readable =
                    self.running(Callback::Configure) || self.running(Callback::ContextCreate);
                match self.root() {
                    Some(root) if readable => Some(root.configuration.clone()),
                    _ => return Served::status(status::NOT_FOUND),
                }
            }
            VM_CONFIGURATION => None,
            callouts::HTTP_CALL_BODY | callouts::GRPC_MESSAGE => {
                match self.callouts.told.buffer(self.root_id(), buffer) {
                    Some(bytes) => Some(bytes),
                    None => return Served::status(status::NOT_FOUND),
                }
            }
            2..=LAST => return Served::status(status::NOT_FOUND),
            _ => return Served::status(status::BAD_ARGUMENT),
        };
        let Some(end) = start.checked_add(max_size) else {
            return Served::status(status::BAD_ARGUMENT);
        };
        let bytes = bytes.unwrap_or_default();
        let end = end.min(bytes.len());
        Served::bytes(bytes.get(start..end).unwrap_or_default())
    }

    fn map(&mut self, map: u32) -> Served {
        if map > stream::LAST_MAP {
            return Served::status(status::BAD_ARGUMENT);
        }
        let list = if map >= callouts::HTTP_CALL_HEADERS {
            self.callouts.told.map(self.root_id(), map)
        } else {
            let context = self.context();
            let stream = self.streams.get(&context);
            stream.and_then(|stream| stream.readable(map))
        };
        match list {
            Some(list) if !list.is_empty() => Served::bytes(headers::encode(list.iter())),
            _ => Served::ok(),
        }
    }

    fn change(&mut self, map: u32, change: impl FnOnce(&mut HeaderList)) -> Served {
        match self.here().and_then(|stream| stream.writable(map)) {
            Some(list) => {
                change(list);
                Served::ok()
            }
            None => Served::status(status::BAD_ARGUMENT),
        }
    }
}
