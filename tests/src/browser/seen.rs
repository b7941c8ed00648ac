//! What a page has said by its events.

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;

use crate::headers::Headers;

/// A line in the page's console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleLine {
    /// Who wrote it: `console` for the page's own scripts, `exception` for one that nobody caught, `dialog`
    /// for `alert` and its like (which are accepted at once), otherwise the part of the browser:
    /// `security` for violations of a policy, `network` for what could not be loaded.
    pub source: String,
    /// `log`, `info`, `warning`, `error` and so on; a dialog's kind.
    pub level: String,
    /// What it says.
    pub text: String,
    /// The page or script where it comes from; empty where nobody knows.
    pub url: String,
}

impl fmt::Display for ConsoleLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "[{} {}] {}", self.source, self.level, self.text)?;
        if !self.url.is_empty() {
            write!(out, " ({})", self.url)?;
        }
        Ok(())
    }
}

/// A request that the page made, and what became of it. One that is redirected is followed by another.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Its method.
    pub method: String,
    /// Its address.
    pub url: String,
    /// What it is for: `Document`, `Script`, `Stylesheet`, `Image`, `Fetch`, `XHR`, `Other` and so on.
    pub kind: String,
    /// Its header fields as they were sent, cookies among them; what the page meant to send where it was not.
    pub headers: Headers,
    /// The status of the answer; none where there is none yet.
    pub status: Option<u16>,
    /// The header fields of the answer.
    pub response_headers: Headers,
    /// Why it has failed, such as `net::ERR_CONNECTION_REFUSED`, or `blocked: csp` where it was never sent.
    pub failure: Option<String>,
}

impl fmt::Display for Fetch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} ({}): ", self.method, self.url, self.kind)?;
        match (&self.failure, self.status) {
            (Some(failure), _) => write!(out, "{failure}"),
            (None, Some(status)) => write!(out, "{status}"),
            (None, None) => write!(out, "no answer yet"),
        }
    }
}

/// A document that the page has gone to.
#[derive(Clone, Debug, Default)]
pub(super) struct Navigation {
    pub(super) loader: String,
    pub(super) url: String,
    /// The browser's own page of an error stands there instead.
    pub(super) failed: bool,
    pub(super) loaded: bool,
    frame: String,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) console: Vec<ConsoleLine>,
    pub(super) navigations: Vec<Navigation>,
    /// How often it has moved within one document.
    pub(super) moves: usize,
    /// Why there is no page any more.
    pub(super) gone: Option<String>,
    requests: Vec<Tracked>,
    /// Header fields that came before the request that they belong to.
    early: HashMap<String, Early>,
}

#[derive(Debug)]
struct Tracked {
    id: String,
    fetch: Fetch,
    /// Whether the fields of the wire are in.
    has_sent: bool,
    has_received: bool,
}

#[derive(Debug, Default)]
struct Early {
    sent: Option<Headers>,
    received: Option<(Option<u16>, Headers)>,
}

impl Seen {
    pub(super) fn event(&mut self, method: &str, event: &Value) {
        match method {
            "Runtime.consoleAPICalled" => self.console_call(event),
            "Runtime.exceptionThrown" => self.exception(&event["exceptionDetails"]),
            "Log.entryAdded" => self.log_entry(&event["entry"]),
            "Page.javascriptDialogOpening" => self.line(
                "dialog",
                &event["type"],
                text(&event["message"]),
                &event["url"],
            ),
            "Page.frameNavigated" => self.navigated(event),
            "Page.navigatedWithinDocument" => self.moved(event),
            "Page.lifecycleEvent" if event["name"] == "load" => {
                let mut navigations = self.navigations.iter_mut();
                let loaded = navigations.rfind(|one| one.loader == event["loaderId"]);
                if let Some(navigation) = loaded {
                    navigation.loaded = true;
                }
            }
            "Inspector.targetCrashed" => self.gone = Some("the page has crashed".to_owned()),
            "Inspector.detached" => self.gone = Some("the page is closed".to_owned()),
            "Network.requestWillBeSent" => self.request(event),
            "Network.requestWillBeSentExtraInfo" => self.sent(event),
            "Network.responseReceived" => self.response(event),
            "Network.responseReceivedExtraInfo" => self.received(event),
            "Network.loadingFailed" => self.failed(event),
            _ => {}
        }
    }

    pub(super) fn requests(&self) -> Vec<Fetch> {
        self.requests.iter().map(|one| one.fetch.clone()).collect()
    }

    pub(super) fn url(&self) -> &str {
        self.navigations
            .last()
            .map_or("about:blank", |one| &one.url)
    }

    /// Whether, after so many, a document has loaded; why not, where it cannot.
    pub(super) fn loaded_since(&self, navigations: usize) -> Option<Result<(), String>> {
        let since = self.navigations.get(navigations..)?;
        let loaded = since.iter().rfind(|one| one.loaded)?;
        Some(if loaded.failed {
            Err(self.failure_of(loaded))
        } else {
            Ok(())
        })
    }

    fn failure_of(&self, navigation: &Navigation) -> String {
        // A document's request has the name of its loader.
        let mut requests = self.requests.iter();
        let request = requests.rfind(|one| one.id == navigation.loader);
        let failure = request.and_then(|one| one.fetch.failure.clone());
        format!(
            "{}: {}",
            navigation.url,
            failure.as_deref().unwrap_or("it cannot be shown")
        )
    }

    fn line(&mut self, source: &str, level: &Value, text: String, url: &Value) {
        self.console.push(ConsoleLine {
            source: source.to_owned(),
            level: self::text(level),
            text,
            url: self::text(url),
        });
    }

    fn console_call(&mut self, event: &Value) {
        let arguments = event["args"].as_array().into_iter().flatten();
        let words: Vec<_> = arguments.map(remote).collect();
        let url = &event["stackTrace"]["callFrames"][0]["url"];
        self.line("console", &event["type"], words.join(" "), url);
    }

    fn exception(&mut self, details: &Value) {
        let text = exception(details);
        self.line("exception", &"error".into(), text, &details["url"]);
    }

    fn log_entry(&mut self, entry: &Value) {
        let source = text(&entry["source"]);
        let said = text(&entry["text"]);
        self.line(&source, &entry["level"], said, &entry["url"]);
    }

    fn navigated(&mut self, event: &Value) {
        let frame = &event["frame"];
        if frame["parentId"].is_string() {
            return;
        }
        let unreachable = frame["unreachableUrl"].as_str();
        let url = text(&frame["url"]) + &text(&frame["urlFragment"]);
        self.navigations.push(Navigation {
            loader: text(&frame["loaderId"]),
            url: unreachable.map_or(url, str::to_owned),
            failed: unreachable.is_some(),
            // A page that was kept does not load again.
            loaded: event["type"] == "BackForwardCacheRestore",
            frame: text(&frame["id"]),
        });
    }

    fn moved(&mut self, event: &Value) {
        if let Some(navigation) = self.navigations.last_mut()
            && navigation.frame == event["frameId"]
        {
            navigation.url = text(&event["url"]);
            self.moves += 1;
        }
    }

    fn request(&mut self, event: &Value) {
        // The pictures on the browser's own pages.
        if text(&event["documentURL"]).starts_with("chrome-error:") {
            return;
        }
        let id = text(&event["requestId"]);
        let redirect = &event["redirectResponse"];
        if redirect.is_object()
            && let Some(before) = self.tracked(&id)
        {
            before.answered(redirect);
            // Where it came from a cache there was nothing on the wire.
            if event["redirectHasExtraInfo"] != true {
                (before.has_sent, before.has_received) = (true, true);
            }
        }
        let request = &event["request"];
        let fetch = Fetch {
            method: text(&request["method"]),
            url: text(&request["url"]) + &text(&request["urlFragment"]),
            kind: text(&event["type"]),
            headers: headers(&request["headers"]),
            status: None,
            response_headers: Headers::new(),
            failure: None,
        };
        let mut tracked = Tracked {
            id: id.clone(),
            fetch,
            has_sent: false,
            has_received: false,
        };
        let early = self.early.remove(&id).unwrap_or_default();
        if let Some(fields) = early.sent {
            tracked.sent(fields);
        }
        if let Some((status, fields)) = early.received {
            tracked.received(status, fields);
        }
        self.requests.push(tracked);
    }

    fn sent(&mut self, event: &Value) {
        let id = text(&event["requestId"]);
        let fields = headers(&event["headers"]);
        let mut requests = self.requests.iter_mut();
        match requests.find(|one| one.id == id && !one.has_sent) {
            Some(tracked) => tracked.sent(fields),
            None => self.early.entry(id).or_default().sent = Some(fields),
        }
    }

    fn received(&mut self, event: &Value) {
        let id = text(&event["requestId"]);
        let fields = headers(&event["headers"]);
        let status = status(&event["statusCode"]);
        let mut requests = self.requests.iter_mut();
        match requests.find(|one| one.id == id && !one.has_received) {
            Some(tracked) => tracked.received(status, fields),
            None => self.early.entry(id).or_default().received = Some((status, fields)),
        }
    }

    fn response(&mut self, event: &Value) {
        if let Some(tracked) = self.tracked(&text(&event["requestId"])) {
            tracked.answered(&event["response"]);
        }
    }

    fn failed(&mut self, event: &Value) {
        let Some(tracked) = self.tracked(&text(&event["requestId"])) else {
            return;
        };
        tracked.fetch.failure = Some(match event["blockedReason"].as_str() {
            Some(reason) => format!("blocked: {reason}"),
            None => text(&event["errorText"]),
        });
    }

    /// The last request of this name: those before it were redirected.
    fn tracked(&mut self, id: &str) -> Option<&mut Tracked> {
        self.requests.iter_mut().rfind(|one| one.id == id)
    }
}

impl Tracked {
    /// What the page gets to see of an answer.
    fn answered(&mut self, response: &Value) {
        if !self.has_received {
            self.fetch.status = status(&response["status"]);
            self.fetch.response_headers = headers(&response["headers"]);
        }
    }

    fn sent(&mut self, fields: Headers) {
        self.has_sent = true;
        self.fetch.headers = fields;
    }

    fn received(&mut self, status: Option<u16>, fields: Headers) {
        self.has_received = true;
        self.fetch.status = status;
        self.fetch.response_headers = fields;
    }
}

/// What an exception says, with where it was thrown.
pub(super) fn exception(details: &Value) -> String {
    match &details["exception"] {
        Value::Null => text(&details["text"]),
        thrown => format!("{} {}", text(&details["text"]), remote(thrown)),
    }
}

/// A value of JavaScript as a console shows it.
fn remote(object: &Value) -> String {
    match &object["value"] {
        Value::Null if object["description"].is_string() => text(&object["description"]),
        Value::Null if object["type"] == "undefined" => "undefined".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn status(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|status| u16::try_from(status).ok())
}

/// Repeated fields come as one, a line for each.
fn headers(fields: &Value) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields.as_object().into_iter().flatten() {
        for line in value.as_str().unwrap_or_default().split('\n') {
            headers.push(name, line);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_redirect_has_its_own_header_fields_whatever_order_the_events_come_in() {
        let request = |path: &str| json!({"method": "GET", "url": path, "headers": {}});
        let mut seen = Seen::default();
        let events = [
            (
                "requestWillBeSent",
                json!({"requestId": "1", "request": request("/a")}),
            ),
            (
                "requestWillBeSentExtraInfo",
                json!({"requestId": "1", "headers": {"Cookie": "a=1"}}),
            ),
            (
                "responseReceivedExtraInfo",
                json!({"requestId": "1", "statusCode": 302, "headers": {"set-cookie": "b=2\nc=3"}}),
            ),
            // Before the request that it belongs to.
            (
                "requestWillBeSentExtraInfo",
                json!({"requestId": "1", "headers": {"Cookie": "b=2"}}),
            ),
            (
                "requestWillBeSent",
                json!({
                    "requestId": "1",
                    "request": request("/b"),
                    "redirectResponse": {"status": 302, "headers": {}},
                    "redirectHasExtraInfo": true,
                }),
            ),
            (
                "responseReceived",
                json!({"requestId": "1", "response": {"status": 200}}),
            ),
        ];
        for (method, event) in &events {
            seen.event(&format!("Network.{method}"), event);
        }

        let requests = seen.requests();

        let told: Vec<_> = requests
            .iter()
            .map(|one| (one.url.as_str(), one.status, one.headers.text("cookie")))
            .collect();
        assert_eq!(
            told,
            [
                ("/a", Some(302), Some("a=1".to_owned())),
                ("/b", Some(200), Some("b=2".to_owned())),
            ]
        );
        let cookies = requests[0].response_headers.all("set-cookie");
        assert_eq!(cookies, [b"b=2", b"c=3"]);
    }
}
