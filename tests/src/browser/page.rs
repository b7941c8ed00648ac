//! One page of a browser.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::Connection;
use super::seen::{ConsoleLine, Fetch, exception};
use crate::wait::{DEADLINE, wait_for};

const SHOWN_LINES: usize = 30;
const SHOWN_REQUESTS: usize = 20;

/// A page with cookies and a cache of its own. Dropping it closes it.
///
/// When a test panics with a page in its hands, its address, its console and its last requests are printed.
pub struct Page {
    connection: Arc<Connection>,
    session: String,
    context: String,
    deadline: Duration,
}

/// A cookie that the browser keeps.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whose it is; with a dot in front where subdomains get it too.
    pub domain: String,
    /// Under which paths it is sent.
    pub path: String,
    /// Until when it is kept, in seconds since 1970; -1 until the browser ends.
    pub expires: f64,
    /// Whether scripts cannot read it.
    pub http_only: bool,
    /// Whether it is sent by HTTPS alone.
    pub secure: bool,
    /// `Strict`, `Lax` or `None`, where it says.
    pub same_site: Option<String>,
}

impl Page {
    pub(super) fn open(connection: &Arc<Connection>) -> Result<Self> {
        let call =
            |method: &str, parameters: &Value| connection.call(None, method, parameters, DEADLINE);
        let text = |answer: &Value, name: &str| {
            let text = answer[name].as_str().map(str::to_owned);
            text.with_context(|| format!("the browser's answer has no {name}"))
        };
        let context = call(
            "Target.createBrowserContext",
            &json!({"disposeOnDetach": true}),
        )?;
        let context = text(&context, "browserContextId")?;
        let target = call(
            "Target.createTarget",
            &json!({"url": "about:blank", "browserContextId": context}),
        )?;
        let session = call(
            "Target.attachToTarget",
            &json!({"targetId": target["targetId"], "flatten": true}),
        )?;
        let page = Self {
            connection: Arc::clone(connection),
            session: text(&session, "sessionId")?,
            context,
            deadline: DEADLINE,
        };
        connection.watch(&page.session);
        for domain in ["Inspector", "Log", "Network", "Page", "Runtime"] {
            page.call(&format!("{domain}.enable"), &json!({}))?;
        }
        page.call("Page.setLifecycleEventsEnabled", &json!({"enabled": true}))?;
        Ok(page)
    }

    /// How long it waits for anything; [`DEADLINE`] unless set.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Goes to an address and waits until what is there has loaded, after redirects of any kind that come before
    /// that. A status such as 404 is no error: [`Page::requests`] has it.
    ///
    /// It fails where nothing can be shown, with the browser's name for it, such as
    /// `net::ERR_CONNECTION_REFUSED`.
    pub fn goto(&self, url: &str) -> Result<()> {
        self.try_goto(url).with_context(|| {
            // What is on its way must not come in between later.
            self.tell("Page.stopLoading");
            format!("{}the browser cannot go to {url}", self.report())
        })
    }

    fn try_goto(&self, url: &str) -> Result<()> {
        let begun = self.call("Page.navigate", &json!({"url": url}))?;
        let loader = begun["loaderId"].as_str();
        if let Some(error) = begun["errorText"].as_str() {
            // The browser's page about it is still to come; of what has no content there is none.
            if error != "net::ERR_ABORTED" {
                self.loaded_from(loader).ok();
            }
            bail!(error.to_owned());
        }
        // Without one it is a move to another part of the same document.
        match loader {
            Some(_) => self.loaded_from(loader),
            None => Ok(()),
        }
    }

    fn loaded_from(&self, loader: Option<&str>) -> Result<()> {
        self.wait("the page to load", |seen| {
            let mut navigations = seen.navigations.iter();
            let from = navigations.position(|one| Some(one.loader.as_str()) == loader)?;
            seen.loaded_since(from)
        })?
        .map_err(|error| anyhow!(error))
    }

    /// What an expression of JavaScript comes to, as JSON; a promise is waited for. `undefined` is null.
    ///
    /// An exception is an error with its text. The page's policies do not bind it.
    pub fn evaluate(&self, expression: &str) -> Result<Value> {
        let parameters = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
        });
        let mut answer = self
            .call("Runtime.evaluate", &parameters)
            .with_context(|| format!("cannot evaluate {expression}"))?;
        if let Some(details) = answer.get("exceptionDetails") {
            bail!("{} in {expression}", exception(details));
        }
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an expression of JavaScript is true, also across documents. One that throws is not true.
    pub fn wait_for(&self, condition: &str) -> Result<()> {
        let asked = format!("(async () => !!(await ({condition})))()");
        let mut last = None;
        let held = wait_for(condition, self.deadline, || {
            self.connection.check(&self.session)?;
            let value = self.evaluate(&asked);
            last = value.as_ref().err().map(|error| format!("{error:#}"));
            Ok(value.is_ok_and(|value| value == true).then_some(()))
        });
        held.with_context(|| self.report() + &last.unwrap_or_default())
    }

    /// What stands in the console so far: what scripts write, exceptions, violations of policies.
    pub fn console(&self) -> Vec<ConsoleLine> {
        let lines = self.connection.seen(&self.session, |s| s.console.clone());
        lines.unwrap_or_default()
    }

    /// Waits for a line in the console that contains this.
    pub fn wait_for_console(&self, text: &str) -> Result<ConsoleLine> {
        self.wait(&format!("{text:?} in the console"), |seen| {
            let mut lines = seen.console.iter();
            lines.find(|line| line.text.contains(text)).cloned()
        })
    }

    /// Every request of the page so far, the one for `/favicon.ico` among them, which a browser sends
    /// by itself after a page has loaded.
    pub fn requests(&self) -> Vec<Fetch> {
        let requests = self.connection.seen(&self.session, |s| s.requests());
        requests.unwrap_or_default()
    }

    /// Waits for a request that fits, such as one that has an answer.
    pub fn wait_for_request(&self, what: &str, fits: impl Fn(&Fetch) -> bool) -> Result<Fetch> {
        self.wait(what, |seen| seen.requests().into_iter().find(&fits))
    }

    /// The cookies that this page's requests may get, of all sites.
    pub fn cookies(&self) -> Result<Vec<Cookie>> {
        let context = json!({"browserContextId": self.context});
        let mut answer =
            self.connection
                .call(None, "Storage.getCookies", &context, self.deadline)?;
        Ok(serde_json::from_value(answer["cookies"].take())?)
    }

    /// Where it is.
    pub fn url(&self) -> Result<String> {
        let url = self.evaluate("location.href")?;
        Ok(url.as_str().unwrap_or_default().to_owned())
    }

    /// The text that an element shows.
    pub fn text(&self, selector: &str) -> Result<String> {
        let text = self.with_element(selector, "return element.innerText")?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Clicks on an element as a user does: it has to be seen.
    pub fn click(&self, selector: &str) -> Result<()> {
        let middle = self.with_element(
            selector,
            "element.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
             const box = element.getBoundingClientRect();
             const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
             const there = document.elementFromPoint(x, y);
             if (!element.contains(there))
               throw `cannot be clicked: it is hidden, or covered by ${there?.outerHTML}`;
             return [x, y]",
        )?;
        for step in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": step,
                "x": middle[0],
                "y": middle[1],
                "button": "left",
                "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", &event)?;
        }
        Ok(())
    }

    /// Clicks on what leads to another document, and waits until that has loaded.
    pub fn click_through(&self, selector: &str) -> Result<()> {
        let before = self.before()?;
        self.click(selector)?;
        self.loaded_since(before)
            .with_context(|| format!("after the click on {selector}"))
    }

    /// Writes into a field, in place of what stands there.
    pub fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let fill = format!(
            "element.focus();
             element.select();
             document.execCommand('insertText', false, {text});
             if (element.value !== {text}) throw `does not take the text, it has ${{element.value}}`",
            text = Value::from(text),
        );
        self.with_element(selector, &fill)?;
        Ok(())
    }

    /// Goes back by one, and waits until that has loaded.
    pub fn back(&self) -> Result<()> {
        let history = self.call("Page.getNavigationHistory", &json!({}))?;
        let at = history["currentIndex"].as_u64().unwrap_or_default();
        let Some(at) = at.checked_sub(1).and_then(|at| usize::try_from(at).ok()) else {
            bail!("there is nothing to go back to");
        };
        let before = self.before()?;
        let entry = json!({"entryId": history["entries"][at]["id"]});
        self.call("Page.navigateToHistoryEntry", &entry)?;
        self.loaded_since(before).context("on the way back")
    }

    /// Loads it again, and waits for that.
    pub fn reload(&self) -> Result<()> {
        let (documents, _) = self.before()?;
        self.call("Page.reload", &json!({}))?;
        self.loaded_since((documents, usize::MAX))
            .context("on loading it again")
    }

    /// Where it is, its console and its last requests.
    pub fn report(&self) -> String {
        let mut report = format!("── the browser is at {}\n", self.shown_url());
        let lines = self.console();
        let from = lines.len().saturating_sub(SHOWN_LINES);
        writeln!(report, "── its console, the end of {} lines", lines.len()).ok();
        for line in &lines[from..] {
            writeln!(report, "{line}").ok();
        }
        let requests = self.requests();
        let from = requests.len().saturating_sub(SHOWN_REQUESTS);
        writeln!(report, "── its requests, the last of {}", requests.len()).ok();
        for request in &requests[from..] {
            writeln!(report, "{request}").ok();
        }
        report
    }

    fn shown_url(&self) -> String {
        let url = self.connection.seen(&self.session, |s| s.url().to_owned());
        url.unwrap_or_else(|error| error.to_string())
    }

    /// Runs the body of a function of `element`. What it throws is said of the selector.
    fn with_element(&self, selector: &str, body: &str) -> Result<Value> {
        let answer = self.evaluate(&format!(
            "(() => {{
               try {{
                 const element = document.querySelector({selector});
                 if (!element) throw 'is not there';
                 const value = (() => {{ {body} }})();
                 return {{value}};
               }} catch (error) {{
                 return {{error: `${{error}}`}};
               }}
             }})()",
            selector = Value::from(selector),
        ))?;
        if let Some(error) = answer["error"].as_str() {
            bail!("{selector} on {}: {error}", self.shown_url());
        }
        Ok(answer["value"].clone())
    }

    /// How many documents it has been to, and how often it has moved within one.
    fn before(&self) -> Result<(usize, usize)> {
        let count = |seen: &super::seen::Seen| (seen.navigations.len(), seen.moves);
        self.connection.seen(&self.session, count)
    }

    fn loaded_since(&self, (documents, moves): (usize, usize)) -> Result<()> {
        self.wait("the page to load", |seen| {
            let moved = (seen.moves > moves).then_some(Ok(()));
            seen.loaded_since(documents).or(moved)
        })?
        .map_err(|error| anyhow!(error))
    }

    fn wait<T>(&self, what: &str, look: impl FnMut(&super::seen::Seen) -> Option<T>) -> Result<T> {
        self.connection
            .wait_for(&self.session, what, self.deadline, look)
            .with_context(|| self.report())
    }

    fn call(&self, method: &str, parameters: &Value) -> Result<Value> {
        self.connection
            .call(Some(&self.session), method, parameters, self.deadline)
    }

    fn tell(&self, method: &str) {
        self.connection
            .tell(Some(&self.session), method, &json!({}))
            .ok();
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.report());
        }
        let context = json!({"browserContextId": self.context});
        self.connection
            .tell(None, "Target.disposeBrowserContext", &context)
            .ok();
        self.connection.forget(&self.session);
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Page({})", self.shown_url())
    }
}
