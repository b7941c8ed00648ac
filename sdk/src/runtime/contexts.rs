//! Which streams there are, and which configuration each belongs to.
//!
//! Nothing here calls a filter's code or the host: what a method takes away it
//! gives back, for the caller to drop where a `Drop` may do as it likes.

use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;

use super::tasks::{Event, Kind, Task};
use crate::filter::HttpFilter;
use crate::headers::HeaderList;

/// Streams remembered before it is worth asking the host which are left.
const SWEEP_FROM: usize = 1_024;

pub(super) struct Contexts<F: HttpFilter> {
    /// One for each configuration: few, and one most of the time.
    roots: Vec<Root<F>>,
    /// The stream that came last. Many are over before the next one comes, and
    /// never see the map.
    newest: Option<(u32, Stream<F>)>,
    older: HashMap<u32, Stream<F>>,
    /// What of the streams is not over yet: few in number, none in a filter that
    /// awaits nothing.
    pending: HashMap<u32, Pending<F>>,
    sweep_from: usize,
}

pub(super) struct Root<F> {
    id: u32,
    filter: Option<Rc<F>>,
    pub(super) plugin: Plugin,
}

/// What a configuration asked of the host.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plugin {
    /// The time between the filter's ticks.
    pub(super) tick_period: Option<Duration>,
    /// Whether headers can wait for the body.
    pub(super) holds_headers: bool,
    /// Which of the filters it is that a fetched configuration has had.
    pub(super) generation: u64,
}

/// A future of a stream, and what arrived since it began.
pub(super) struct Pending<F: HttpFilter> {
    pub(super) kind: Kind,
    /// `None` while it is polled.
    pub(super) task: Option<Task<F>>,
    pub(super) later: Later,
}

/// Events whose callbacks wait for that of another one to be over.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Later {
    request: [Option<Event>; 2],
    response: [Option<Event>; 3],
}

impl Later {
    fn place(&mut self, kind: Kind) -> &mut Option<Event> {
        let [request_body, request_trailers] = &mut self.request;
        let [response_headers, response_body, response_trailers] = &mut self.response;
        match kind {
            // A stream's first event has none to wait for.
            Kind::RequestHeaders | Kind::RequestBody => request_body,
            Kind::RequestTrailers => request_trailers,
            Kind::ResponseHeaders => response_headers,
            Kind::ResponseBody => response_body,
            Kind::ResponseTrailers => response_trailers,
        }
    }

    pub(super) fn put(&mut self, event: Event) {
        *self.place(event.kind) = Some(event);
    }

    pub(super) fn take(&mut self, kind: Kind) -> Option<Event> {
        self.place(kind).take()
    }

    /// Takes the event that is to be served next.
    pub(super) fn next(&mut self) -> Option<Event> {
        let events = self.request.iter_mut().chain(&mut self.response);
        events.into_iter().find_map(Option::take)
    }
}

pub(super) struct Stream<F: HttpFilter> {
    /// The configuration that it runs under.
    pub(super) root: u32,
    /// `None` where the configuration was yet to be fetched when the stream came.
    pub(super) filter: Option<Rc<F>>,
    /// `None` while a callback of the stream has it.
    pub(super) state: Option<F::Stream>,
    pub(super) request: Option<HeaderList>,
    pub(super) standing: Standing,
}

/// How a stream stands with its filter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its callbacks are made.
    Open,
    /// The filter has let it go: it passes.
    Finished,
    /// As `Finished`, of a response whose request goes nowhere.
    Left,
    /// A response came although the request is not let on: nothing more of the
    /// request goes on.
    Overtaken,
    /// A local reply is on its way, through the response's callbacks.
    Replied,
    /// It is broken off, or no reply could be sent: nothing of it goes on.
    Broken,
}

impl Standing {
    /// How a stream stands when the filter lets it go.
    pub(super) fn finished(self) -> Self {
        match self {
            Self::Open | Self::Finished => Self::Finished,
            Self::Overtaken | Self::Replied | Self::Left => Self::Left,
            Self::Broken => Self::Broken,
        }
    }

    /// Whether no more callbacks are made.
    pub(super) fn is_finished(self) -> bool {
        matches!(self, Self::Finished | Self::Left)
    }
}

/// Filters that a new configuration has replaced.
pub(super) type Former<F> = (Vec<Root<F>>, Option<Rc<F>>);

impl<F: HttpFilter> Default for Contexts<F> {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            newest: None,
            older: HashMap::new(),
            pending: HashMap::new(),
            sweep_from: SWEEP_FROM,
        }
    }
}

impl<F: HttpFilter> Contexts<F> {
    pub(super) fn add_root(&mut self, id: u32) {
        if self.roots.iter().all(|root| root.id != id) {
            let (filter, plugin) = (None, Plugin::default());
            self.roots.push(Root { id, filter, plugin });
        }
    }

    #[inline]
    pub(super) fn has_root(&self, id: u32) -> bool {
        self.roots.iter().any(|root| root.id == id)
    }

    pub(super) fn remove_root(&mut self, id: u32) -> Option<Root<F>> {
        let at = self.roots.iter().position(|root| root.id == id)?;
        Some(self.roots.remove(at))
    }

    /// The filter of a configuration.
    pub(super) fn filter(&self, root: u32) -> Option<Rc<F>> {
        let root = self.roots.iter().find(|known| known.id == root)?;
        root.filter.clone()
    }

    /// The filter of whatever configuration came last.
    pub(super) fn last_filter(&self) -> Option<Rc<F>> {
        self.roots.last()?.filter.clone()
    }

    /// What a configuration asked of the host.
    pub(super) fn plugin(&self, root: u32) -> Plugin {
        let root = self.roots.iter().find(|known| known.id == root);
        root.map(|root| root.plugin).unwrap_or_default()
    }

    /// A configuration that the host has.
    pub(super) fn first_root(&self) -> Option<u32> {
        self.roots.first().map(|root| root.id)
    }

    /// Sets the filter of a configuration. `alone`: it replaces all others.
    pub(super) fn set_filter(
        &mut self,
        root: u32,
        (filter, plugin): (Option<Rc<F>>, Plugin),
        alone: bool,
    ) -> Former<F> {
        let gone = if alone {
            std::mem::take(&mut self.roots)
        } else {
            Vec::new()
        };
        let known = self.roots.iter_mut().find(|known| known.id == root);
        let replaced = if let Some(known) = known {
            known.plugin = plugin;
            std::mem::replace(&mut known.filter, filter)
        } else {
            let id = root;
            self.roots.push(Root { id, filter, plugin });
            None
        };
        (gone, replaced)
    }

    /// The configurations but one.
    pub(super) fn other_roots(&self, id: u32) -> Vec<u32> {
        let ids = self.roots.iter().map(|root| root.id);
        ids.filter(|root| *root != id).collect()
    }

    #[inline]
    pub(super) fn insert(&mut self, id: u32, stream: Stream<F>) -> Option<Stream<F>> {
        match self.newest.replace((id, stream)) {
            Some((former, stream)) if former == id => Some(stream),
            former => {
                // A host that uses a number twice leaves no second stream under it.
                let stale = self.remove_older(id);
                if let Some((former, stream)) = former {
                    self.older.insert(former, stream);
                }
                stale
            }
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Stream<F>> {
        match &mut self.newest {
            Some((newest, stream)) if *newest == id => Some(stream),
            _ => self.older.get_mut(&id),
        }
    }

    #[inline]
    pub(super) fn remove(&mut self, id: u32) -> Option<Stream<F>> {
        match self.newest.take_if(|(newest, _)| *newest == id) {
            Some((_, stream)) => Some(stream),
            None => self.remove_older(id),
        }
    }

    /// Most of the time there is none to look for.
    #[inline]
    fn remove_older(&mut self, id: u32) -> Option<Stream<F>> {
        if self.older.is_empty() {
            return None;
        }
        self.older.remove(&id)
    }

    pub(super) fn pending(&mut self, id: u32) -> Option<&mut Pending<F>> {
        self.pending.get_mut(&id)
    }

    pub(super) fn set_pending(&mut self, id: u32, pending: Pending<F>) -> Option<Pending<F>> {
        self.pending.insert(id, pending)
    }

    pub(super) fn take_pending(&mut self, id: u32) -> Option<Pending<F>> {
        self.pending.remove(&id)
    }

    pub(super) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn len(&self) -> usize {
        let newest = usize::from(self.newest.is_some());
        self.older.len().saturating_add(newest)
    }

    /// The streams whose filter is one of these.
    pub(super) fn streams_of(&self, is_one: impl Fn(&Rc<F>) -> bool) -> Vec<u32> {
        let newest = self.newest.iter().map(|(id, stream)| (id, stream));
        newest
            .chain(&self.older)
            .filter(|(_, stream)| stream.filter.as_ref().is_some_and(&is_one))
            .map(|(id, _)| *id)
            .collect()
    }

    /// The streams to ask the host about, where there are many enough. Asking
    /// is worth it again when there are twice as many as are left by then.
    #[inline]
    pub(super) fn to_sweep(&self) -> Option<Vec<u32>> {
        (self.older.len() >= self.sweep_from).then(|| self.older.keys().copied().collect())
    }

    pub(super) fn swept(&mut self) {
        self.sweep_from = self.older.len().saturating_mul(2).max(SWEEP_FROM);
    }
}
