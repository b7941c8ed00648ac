//! The requests that pages send by curl, sent by the harness: as curl says, and no other options.

use anyhow::{Context, Result, bail};
use legation_tests::{Client, Request, Response};

/// Where the pages' Envoy listens, as `cargo xtask run --port 10000` does.
const ORIGIN: &str = "http://localhost:10000";

/// A command line of curl's.
#[derive(Default)]
pub(crate) struct Curl {
    method: Option<String>,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    show_headers: bool,
    format: Option<String>,
}

impl Curl {
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut curl = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "-s" => {}
                "-i" => curl.show_headers = true,
                "-X" => curl.method = Some(value()?.clone()),
                "-d" => curl.body = Some(value()?.clone()),
                "-H" => {
                    let (name, value) = value()?.split_once(": ").context("no `NAME: VALUE`")?;
                    curl.headers.push((name.to_owned(), value.to_owned()));
                }
                "-o" if value()? == "/dev/null" => {}
                "-w" => curl.format = Some(value()?.clone()),
                url => match url.strip_prefix(ORIGIN) {
                    Some(path) if path.starts_with('/') => path.clone_into(&mut curl.path),
                    _ => bail!("{word}: no option that the tests know, and no {ORIGIN}/…"),
                },
            }
        }
        Ok(curl)
    }

    /// What curl would print.
    pub(crate) fn run(self, client: &Client) -> Result<String> {
        let usual = if self.body.is_some() { "POST" } else { "GET" };
        let method = self.method.as_deref().unwrap_or(usual);
        let mut request = Request::new(method, &self.path).host("localhost:10000");
        request = request.headers(self.headers);
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let response = client.send(request)?;
        Ok(match (self.format, self.show_headers) {
            (Some(format), _) => format
                .replace("%{http_code}", &response.status.to_string())
                .replace("\\n", "\n"),
            (None, true) => with_headers(&response),
            (None, false) => response.text(),
        })
    }
}

fn with_headers(response: &Response) -> String {
    let status = http_status(response.status);
    let headers = response.headers.iter();
    let headers =
        headers.map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value)));
    let headers: String = headers.collect();
    format!("HTTP/1.1 {status}\n{headers}\n{}\n", response.text())
}

/// With the reason that Envoy puts behind it.
fn http_status(status: u16) -> String {
    let reason = match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        413 => "Payload Too Large",
        414 => "URI Too Long",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "",
    };
    format!("{status} {reason}").trim_end().to_owned()
}
