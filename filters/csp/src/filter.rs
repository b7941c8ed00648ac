//! When things happen.

use std::time::Duration;

use legation::config::{ConfigErrors, StatPrefix};
use legation::matcher::normalize_path;
use legation::{
    Configure, Error, Flow, HttpFilter, RequestHeaders, ResponseBody, ResponseHeaders,
    ResponseTrailers, Result, clock,
};

use crate::collector::Collector;
use crate::core::{Core, Seen};
use crate::html::{self, Failure, Page, Plan};
use crate::learning::Learning;
use crate::plans::PageConfig;

/// How long a worker reads one page, in all. It serves nobody else meanwhile, and a page of 50 MB takes
/// half of it.
const LONGEST_READ: Duration = Duration::from_secs(1);

/// The filter.
pub struct Csp {
    core: Core,
    /// What is looked for in the pages of each rule.
    plans: Box<[Option<Plan>]>,
    collector: Option<Collector>,
    learning: Option<Learning>,
}

/// What is remembered of a request, and of its response while it is rewritten.
#[derive(Default)]
pub struct Stream {
    seen: Seen,
    page: Option<Passing>,
}

struct Passing {
    page: Page,
    /// Whether what comes out of it goes on in its place.
    changes: bool,
    /// How long it has been read, by this worker's clock.
    took: Duration,
}

#[legation::filter]
impl HttpFilter for Csp {
    const NAME: &'static str = "csp";
    const REMOTE_CONFIG: bool = true;
    type Config = PageConfig;
    type Stream = Stream;

    fn configure(config: PageConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let PageConfig { mut config, plans } = config;
        let core = Core::new(&mut config, host);
        // A report is taken in before its request goes anywhere.
        host.allow_on_headers_stop_iteration(config.collector.0.is_some());
        let prefix = config.stat_prefix.0.as_ref();
        let scope = prefix.map_or("csp", StatPrefix::as_str);
        Ok(Self {
            learning: config
                .learning
                .0
                .map(|learning| Learning::new(learning, scope, host)),
            collector: config
                .collector
                .0
                .map(|collector| Collector::new(&collector, host)),
            core,
            plans,
        })
    }

    fn on_request_headers_at_once(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        self.answer_at_once(stream, request).transpose()
    }

    async fn on_request_headers(
        &self,
        _: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        // What is not answered at once is a report.
        match &self.collector {
            Some(collector) => Ok(collector
                .take(request, self.learning.as_ref())
                .await?
                .into()),
            None => Ok(Flow::Continue),
        }
    }

    fn on_response_headers(
        &self,
        stream: &mut Stream,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        let Some(looked) = self.core.on_response(&mut stream.seen, response)? else {
            return Ok(Flow::Finish);
        };
        let Some(Some(plan)) = self.plans.get(looked.rule) else {
            return Ok(Flow::Finish);
        };
        let nonce = looked
            .nonce
            .and_then(|nonce| html::Nonce::new(nonce.as_str()));
        let charset = looked.charset.as_deref();
        stream.page = Some(Passing {
            page: Page::new(plan, nonce.as_ref(), looked.coding, charset),
            changes: looked.changes,
            took: Duration::ZERO,
        });
        Ok(Flow::Continue)
    }

    fn on_response_body(&self, stream: &mut Stream, response: &mut ResponseBody) -> Result<Flow> {
        let Some(passing) = &mut stream.page else {
            return Ok(Flow::Finish);
        };
        let changes = passing.changes;
        let piece = response.read(0, response.size())?;
        let mut out = Vec::with_capacity(piece.len());
        // The end may come with nothing before it.
        if !piece.is_empty() {
            let begun = clock::now()?;
            let pushed = passing.page.push(&piece, &mut out);
            pushed.map_err(|failure| self.fail(failure))?;
            // The system's clock: one that is set back says nothing.
            let took = clock::now()?.duration_since(begun).unwrap_or_default();
            passing.took = passing.took.saturating_add(took);
            if passing.took > LONGEST_READ {
                passing.page.give_up(&mut out);
            }
        }
        if response.is_end_of_stream() {
            self.end(stream, &mut out)?;
        }
        if changes && !(piece.is_empty() && out.is_empty()) {
            response.replace(&out)?;
        }
        Ok(Flow::Continue)
    }

    fn on_response_trailers(&self, stream: &mut Stream, _: &mut ResponseTrailers) -> Result<Flow> {
        // What was held back is a tag without an end, which no browser reads.
        self.end(stream, &mut Vec::new())?;
        Ok(Flow::Continue)
    }

    fn on_tick(&self) {
        self.core.counts.flush();
        self.collector.iter().for_each(Collector::flush);
        self.learning.iter().for_each(Learning::flush);
    }
}

impl Csp {
    /// Ends a page.
    fn end(&self, stream: &mut Stream, out: &mut Vec<u8>) -> Result<()> {
        let Some(passing) = stream.page.take() else {
            return Ok(());
        };
        let found = passing
            .page
            .finish(out)
            .map_err(|failure| self.fail(failure))?;
        self.core.counts.page(&found);
        if let (Some(learning), Some(seen)) = (&self.learning, &found.seen) {
            learning.note_page(seen, &stream.seen.path);
        }
        Ok(())
    }

    /// What is out is out: the response ends as one that was cut off.
    fn fail(&self, failure: Failure) -> Error {
        self.core.counts.failed.add(1);
        Error::other(format!("a page cannot go on: {failure}"))
    }

    /// Answers all but reports.
    fn answer_at_once(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Option<Flow>> {
        if let Some(collector) = &self.collector
            && is_path(request, collector.path())?
        {
            return Ok(Collector::answer_at_once(request)?.map(Flow::from));
        }
        if let Some(learning) = &self.learning
            && is_path(request, learning.path())?
        {
            return learning.answer(request).map(|reply| Some(reply.into()));
        }
        let is_awaited = self.core.on_request(&mut stream.seen, request)?;
        Ok(Some(if is_awaited {
            Flow::Continue
        } else {
            Flow::Finish
        }))
    }
}

/// Whether a request is for a path of the filter's own.
fn is_path(request: &mut RequestHeaders, path: &str) -> Result<bool> {
    let asked = request.path()?.unwrap_or_default();
    Ok(normalize_path(asked).as_ref() == path.as_bytes())
}
