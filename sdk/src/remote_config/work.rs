//! What runs in the background, on each worker.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::hash::Hasher;
use std::pin::{Pin, pin};
use std::time::Duration;

use siphasher::sip::SipHasher24;

use super::RemoteConfig;
use super::shared::{Board, Document, State};
use crate::callout::{CalloutError, ServiceUrl};
use crate::clock::nanoseconds;
use crate::configure::Configure;
use crate::metrics::{Counter, Gauge};
use crate::resilience::HttpService;
use crate::shared::{Leader, SharedError};
use crate::{clock, random};

/// Between two looks at shared data.
const LOOK: Duration = Duration::from_millis(200);

/// For so long the right to fetch is taken. It is taken again with each look.
const LEASE: Duration = Duration::from_secs(2);

/// Makes a document's text the configuration in effect; else the lines that say what is wrong with it.
pub(crate) type Install = Box<dyn Fn(&[u8]) -> Result<(), Vec<String>>>;

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statistics {
    updated: Counter,
    unchanged: Counter,
    rejected: Counter,
    failed: Counter,
    pub(crate) refused: Counter,
    update_time: Gauge,
    version: Gauge,
}

impl Statistics {
    pub(crate) fn new(host: &mut Configure) -> Self {
        let counter = |host: &mut Configure, name| host.counter(&format!("remote_config.{name}"));
        Self {
            updated: counter(host, "updated"),
            unchanged: counter(host, "unchanged"),
            rejected: counter(host, "rejected"),
            failed: counter(host, "failed"),
            refused: counter(host, "refused"),
            update_time: host.gauge("remote_config.update_time"),
            version: host.gauge("remote_config.version"),
        }
    }
}

/// Why a fetch brought nothing. The words are for the log; they hold nothing of the answer but what a person needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Callout(CalloutError),
    #[error("the answer has status {0}, and only 200 and 304 are taken")]
    Status(u16),
    #[error("the answer says 304, and nothing was asked that it could mean")]
    NothingToMean,
}

/// What a fetch brought.
enum Fetched {
    NotModified,
    Document { etag: Vec<u8>, text: Vec<u8> },
}

/// Looks at shared data from time to time, and fetches where it is its turn.
pub(crate) struct Work {
    service: HttpService,
    url: ServiceUrl,
    refresh_delay: Duration,
    board: Board,
    leader: Leader,
    install: Install,
    statistics: Statistics,
    /// The number of the document that is in effect here. 0: none.
    in_effect: Cell<u64>,
    /// The number of the document of the board that was tried last.
    tried: Cell<u64>,
    /// The hash of the document that was refused last: its errors are told once.
    refused: Cell<Option<u64>>,
    has_complained: Cell<bool>,
}

impl Work {
    /// For what this filter's configuration names. Fails where the host has no randomness.
    pub(crate) fn new<C>(
        filter: &str,
        config: &RemoteConfig<C>,
        install: Install,
        statistics: Statistics,
        host: &mut Configure,
    ) -> Result<Self, SharedError> {
        let url = config.http_uri.uri().clone();
        let cluster = config.http_uri.cluster().as_str();
        // Names of one `vm_id` are for all its filters.
        let name = format!("{filter}\n{cluster}\n{}", url.to_name());
        Ok(Self {
            service: HttpService::new(&config.service(), host),
            url,
            refresh_delay: config.refresh_delay(),
            leader: Leader::new(format!("legation.remote_config.leader\n{name}"))?,
            board: Board::new(&name),
            install,
            statistics,
            in_effect: Cell::new(0),
            tried: Cell::new(0),
            refused: Cell::new(None),
            has_complained: Cell::new(false),
        })
    }

    /// Puts the last good document into effect, if there is one that others have fetched.
    pub(crate) fn begin(&self) -> bool {
        match self.board.state() {
            Ok(state) => self.take_over(state),
            Err(error) => self.complain(&error),
        }
        let has_begun = self.in_effect.get() != 0;
        if !has_begun {
            // A gauge keeps what a configuration of before has set.
            self.statistics.version.set(0);
        }
        has_begun
    }

    /// For as long as the configuration lives.
    pub(crate) async fn run(self) {
        let mut fetch: Option<Pin<Box<dyn Future<Output = ()> + '_>>> = None;
        loop {
            let may_fetch = self.look();
            if may_fetch && fetch.is_none() {
                fetch = Some(Box::pin(self.fetch()));
            }
            let mut pause = pin!(clock::pause(LOOK));
            let paused = poll_fn(|context| {
                if let Some(fetching) = &mut fetch
                    && fetching.as_mut().poll(context).is_ready()
                {
                    // Whatever came of it, the next look comes after the pause: where the
                    // host fails, a fetch may be over at once and due again.
                    fetch = None;
                }
                pause.as_mut().poll(context)
            })
            .await;
            if let Err(error) = paused {
                log::error!(url:% = self.url, error:%; "the configuration is not fetched any more");
                return;
            }
        }
    }

    /// Takes over what others have fetched. Whether it is this one's turn to fetch.
    fn look(&self) -> bool {
        let Ok(now) = clock::now() else {
            return false;
        };
        let state = match self.board.state() {
            Ok(state) => state,
            Err(error) => {
                self.complain(&error);
                return false;
            }
        };
        if state.document != self.tried.get() {
            self.take_over(state);
        }
        if !state.is_due(nanoseconds(now), self.refresh_delay) {
            return false;
        }
        self.leader.try_lead(now, LEASE).unwrap_or_else(|error| {
            self.complain(&error);
            false
        })
    }

    /// Puts the document that is there into effect.
    fn take_over(&self, state: State) {
        if state.document == 0 {
            return;
        }
        match self.board.document() {
            Ok(Some(document)) => {
                self.tried.set(state.document);
                // It may be newer than the state that was read before, and in effect by then.
                if document.number != self.in_effect.get()
                    && let Err(lines) = self.put_in_effect(&document)
                {
                    self.tell(&document.text, &lines);
                }
            }
            // It is looked for again.
            Ok(None) => {}
            Err(error) => self.complain(&error),
        }
    }

    fn put_in_effect(&self, document: &Document) -> Result<(), Vec<String>> {
        // Nothing at all would be read as no options, and all of a filter's defaults.
        if !document.text.trim_ascii_start().starts_with(b"{") {
            return Err(vec!["expected a JSON object".to_owned()]);
        }
        (self.install)(&document.text)?;
        let version = hash(&document.text);
        self.in_effect.set(document.number);
        self.tried.set(document.number);
        self.refused.set(None);
        self.statistics.version.set(version);
        log::info!(url:% = self.url, version; "a fetched configuration is in effect");
        Ok(())
    }

    /// One fetch, and what comes of it.
    async fn fetch(&self) {
        let known = self.board.document().unwrap_or_else(|error| {
            self.complain(&error);
            None
        });
        // What is not in effect here is not known.
        let known = known.filter(|known| known.number == self.in_effect.get());
        let fetched = self.get(known.as_ref()).await;
        let Ok(now) = clock::now() else {
            return;
        };
        if !self.leader.leads(now) {
            // It took so long to look that another one took over.
            return;
        }
        let state = self.settle(known, fetched, nanoseconds(now));
        if let Err(error) = self.board.set_state(state) {
            self.complain(&error);
        }
    }

    /// What is known by all after a fetch.
    fn settle(
        &self,
        known: Option<Document>,
        fetched: Result<Fetched, Failure>,
        now: u64,
    ) -> State {
        let before = self.board.state().unwrap_or_default();
        let random = || random::next_u64().unwrap_or_default();
        let next = |document| State::fetched(document, now, self.refresh_delay, random());
        let (etag, text) = match fetched {
            Err(failure) => {
                self.statistics.failed.increment();
                log::warn!(url:% = self.url, failure:%; "the configuration could not be fetched");
                return before.failed(now, self.refresh_delay);
            }
            Ok(Fetched::NotModified) => {
                self.unchanged(now);
                return next(before.document);
            }
            Ok(Fetched::Document { etag, text }) => (etag, text),
        };
        if let Some(mut known) = known.filter(|known| known.text == text) {
            if known.etag != etag {
                known.etag = etag;
                self.share(&known);
            }
            self.unchanged(now);
            return next(known.number);
        }
        let document = Document {
            number: random().max(1),
            etag,
            text,
        };
        match self.put_in_effect(&document) {
            Ok(()) => {
                self.share(&document);
                self.statistics.updated.increment();
                self.statistics.update_time.set(now / 1_000_000);
                next(document.number)
            }
            Err(lines) => {
                self.statistics.rejected.increment();
                self.tell(&document.text, &lines);
                next(before.document)
            }
        }
    }

    fn unchanged(&self, now: u64) {
        self.statistics.unchanged.increment();
        self.statistics.update_time.set(now / 1_000_000);
        self.refused.set(None);
    }

    fn share(&self, document: &Document) {
        if let Err(error) = self.board.set_document(document) {
            self.complain(&error);
        }
    }

    async fn get(&self, known: Option<&Document>) -> Result<Fetched, Failure> {
        let mut request = self
            .service
            .get(self.url.path())
            .scheme(self.url.scheme())
            .authority(self.url.authority())
            .header("accept", "application/json");
        let known = known.filter(|known| !known.etag.is_empty());
        if let Some(known) = known {
            request = request.header("if-none-match", known.etag.as_slice());
        }
        let answer = self.service.send(request).await.map_err(Failure::Callout)?;
        match answer.status() {
            200 => {
                let etag = answer.header("etag").unwrap_or_default().to_vec();
                let text = answer.into_body();
                Ok(Fetched::Document { etag, text })
            }
            304 if known.is_some() => Ok(Fetched::NotModified),
            304 => Err(Failure::NothingToMean),
            status => Err(Failure::Status(status)),
        }
    }

    /// Tells what is wrong with a document, once.
    fn tell(&self, text: &[u8], lines: &[String]) {
        let hash = hash(text);
        if self.refused.replace(Some(hash)) == Some(hash) {
            return;
        }
        for line in lines {
            log::error!(url:% = self.url; "fetched configuration refused: {line}");
        }
    }

    /// Once: what fails each time would fill the log.
    fn complain(&self, error: &SharedError) {
        if !self.has_complained.replace(true) {
            log::error!(url:% = self.url, error:%; "shared data fails");
        }
    }
}

impl Drop for Work {
    /// The configuration is gone, maybe in the middle of a fetch: another one may begin at once.
    fn drop(&mut self) {
        if clock::now().is_ok_and(|now| self.leader.leads(now)) {
            let _ = self.leader.resign();
        }
    }
}

/// The same on every Envoy.
fn hash(text: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(text);
    hasher.finish()
}
