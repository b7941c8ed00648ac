//! csp, as a real browser sees what comes of it.

use anyhow::{Context, Result};
use legation_tests::browser::{Page, run_tests};
use legation_tests::{Browser, Config, DEADLINE, Reply, Stage};
use serde_json::{Value, json};

const FILTER: &str = "csp";
const REPORTS: &str = "/.well-known/csp-reports";

fn main() {
    run_tests(&[
        (
            "an_injected_script_does_not_run_and_the_one_with_the_nonce_does",
            an_injected_script_does_not_run_and_the_one_with_the_nonce_does,
        ),
        (
            "the_upstreams_own_nonce_is_the_policys",
            the_upstreams_own_nonce_is_the_policys,
        ),
        (
            "a_script_of_a_known_hash_runs",
            a_script_of_a_known_hash_runs,
        ),
        (
            "report_only_lets_it_run_and_the_report_is_counted",
            report_only_lets_it_run_and_the_report_is_counted,
        ),
        (
            "what_was_learned_lets_the_page_work_and_nothing_else",
            what_was_learned_lets_the_page_work_and_nothing_else,
        ),
        (
            "hostile_markup_gets_no_script_to_run",
            hostile_markup_gets_no_script_to_run,
        ),
        (
            "the_other_headers_keep_others_out",
            the_other_headers_keep_others_out,
        ),
    ]);
}

fn html(page: impl AsRef<[u8]>) -> Reply {
    Reply::ok()
        .header("content-type", "text/html; charset=utf-8")
        .body(page)
}

fn start(configuration: &Value) -> Result<Stage> {
    // As the shipped file: headers wait for the body, which the collector needs.
    let config = Config::filter(FILTER)?.configuration(FILTER, configuration.clone());
    Ok(Stage::start(&config)?)
}

/// A site that answers each path with a page; scripts are at `/static/`.
fn serve(stage: &Stage, page: &str) {
    let page = page.to_owned();
    stage.upstream().answer(move |request| {
        if request.path.starts_with("/static/") {
            let body = "document.documentElement.dataset.loaded = 'yes'";
            return Reply::ok()
                .header("content-type", "text/javascript")
                .body(body);
        }
        html(&page)
    });
}

fn open(browser: &Browser, stage: &Stage) -> Result<Page> {
    let page = browser.page()?;
    let port = stage.envoy().address()?.port();
    page.goto(&format!("http://shop.localhost:{port}/"))?;
    Ok(page)
}

/// What ran, by the marks that scripts leave on the page.
fn marks(page: &Page) -> Result<Value> {
    page.evaluate("({...document.documentElement.dataset})")
}

const MARK: &str = "document.documentElement.dataset";

fn an_injected_script_does_not_run_and_the_one_with_the_nonce_does(
    browser: &Browser,
) -> Result<()> {
    let stage = start(&json!({"rules": [{
        "policy": "script-src 'nonce-{nonce}'; object-src 'none'; base-uri 'none'",
        "nonce": {
            "placeholder": "{{csp-nonce-8f3b1c}}",
            "elements": "script[src^=\"/static/\"]"
        }
    }]}))?;
    serve(
        &stage,
        &format!(
            "<!doctype html><script nonce='{{{{csp-nonce-8f3b1c}}}}'>{MARK}.trusted = 'yes'</script>
             <script src=/static/app.js></script>
             <script>{MARK}.injected = 'yes'</script>
             <img src=x onerror=\"{MARK}.handler = 'yes'\">
             <a href=\"javascript:{MARK}.link = 'yes'\" id=link>x</a>"
        ),
    );

    let page = open(browser, &stage)?;
    page.click("#link")?;
    let line = page.wait_for_console("Content Security Policy")?;

    assert_eq!(marks(&page)?, json!({"trusted": "yes", "loaded": "yes"}));
    assert!(line.text.contains("script-src"), "{}", line.text);
    Ok(())
}

fn the_upstreams_own_nonce_is_the_policys(browser: &Browser) -> Result<()> {
    let stage = start(&json!({"rules": [
        {"preset": "strict", "nonce": {"request_header": "x-csp-nonce"}}
    ]}))?;
    stage.upstream().answer(|request| {
        let nonce = request.headers.text("x-csp-nonce").unwrap_or_default();
        html(format!(
            "<!doctype html><script nonce={nonce}>{MARK}.trusted = 'yes';
               const script = document.createElement('script');
               script.text = \"{MARK}.created = 'yes'\"; document.head.append(script)</script>
             <script>{MARK}.injected = 'yes'</script>"
        ))
    });

    let page = open(browser, &stage)?;

    // 'strict-dynamic': what a trusted script adds is trusted, but not its inline text.
    assert_eq!(marks(&page)?["trusted"], "yes");
    assert_eq!(marks(&page)?["injected"], Value::Null);
    page.reload()?;
    assert_eq!(marks(&page)?["trusted"], "yes");
    Ok(())
}

fn a_script_of_a_known_hash_runs(browser: &Browser) -> Result<()> {
    // Of `document.documentElement.dataset.known = 'yes'`.
    let script = format!("{MARK}.known = 'yes'");
    let hash = csp_hash(&script);
    let stage = start(&json!({"rules": [{"policy": {"script-src": [hash]}}]}))?;
    serve(
        &stage,
        &format!("<script>{script}</script><script>{MARK}.other = 'yes'</script>"),
    );

    let page = open(browser, &stage)?;

    assert_eq!(marks(&page)?, json!({"known": "yes"}));
    Ok(())
}

fn report_only_lets_it_run_and_the_report_is_counted(browser: &Browser) -> Result<()> {
    let stage = start(&json!({
        "rules": [{"report_only_policy": "script-src 'report-sample'"}],
        "collector": {"path": REPORTS}
    }))?;
    serve(&stage, &format!("<script>{MARK}.inline = 'yes'</script>"));

    let page = open(browser, &stage)?;

    assert_eq!(marks(&page)?, json!({"inline": "yes"}));
    let name = "wasmcustom.csp.reports";
    stage
        .envoy()
        .wait_for_log("a policy was violated", DEADLINE)?;
    let stats = stage.admin().stats_with_prefix(name)?;
    let counted = stats
        .iter()
        .find(|(name, _)| name.contains("script-src-elem") && name.contains("report"))
        .context("a counter of the directive")?;
    assert!(*counted.1 >= 1, "{stats:#?}");
    assert!(
        stage
            .upstream()
            .requests()
            .iter()
            .all(|request| request.path != REPORTS)
    );
    Ok(())
}

fn what_was_learned_lets_the_page_work_and_nothing_else(browser: &Browser) -> Result<()> {
    let site = format!(
        "<!doctype html><title>A page nobody wrote a policy for</title>
         <style>body {{ color: rgb(1, 2, 3) }}</style>
         <script>{MARK}.inline = 'yes'</script>
         <script src=/static/app.js></script>
         <button id=go onclick=\"{MARK}.clicked = 'yes'\" style='color: rgb(4, 5, 6)'>Go</button>
         <script>fetch('/data').then(() => {MARK}.fetched = 'yes')</script>"
    );
    let proposal = "/.well-known/csp-proposal";
    let learning = start(&json!({
        "rules": [{"learn": true}],
        "collector": {"path": REPORTS},
        "learning": {"path": proposal, "allow": {"headers": [{"name": "x-operator", "exact": "of the test"}]}}
    }))?;
    serve(&learning, &site);
    let page = open(browser, &learning)?;
    page.click("#go")?;
    page.wait_for(&format!("{MARK}.fetched == 'yes'"))?;
    // What it fetches stands in no page: only the browser tells.
    let read = || legation_tests::Request::get(proposal).header("x-operator", "of the test");
    let policy = legation_tests::wait_for("the report of the fetch", DEADLINE, || {
        let policy = learning.send(read())?.json()?["policy"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Ok(policy.contains("connect-src").then_some(policy))
    })?;

    let enforced = start(&json!({"rules": [{"policy": policy}]}))?;
    serve(
        &enforced,
        &format!("{site}<script>{MARK}.injected = 'yes'</script>"),
    );
    let page = open(browser, &enforced)?;
    page.click("#go")?;
    page.wait_for(&format!("{MARK}.fetched == 'yes'"))?;

    assert_eq!(
        marks(&page)?,
        json!({"inline": "yes", "loaded": "yes", "clicked": "yes", "fetched": "yes"}),
        "{policy}"
    );
    let colour = "getComputedStyle(document.querySelector('#go')).color";
    assert_eq!(page.evaluate(colour)?, "rgb(4, 5, 6)", "{policy}");
    assert_eq!(
        page.evaluate("getComputedStyle(document.body).color")?,
        "rgb(1, 2, 3)"
    );
    Ok(())
}

/// What an attacker may put into a page beside a trusted script, and a browser must not run.
fn hostile_markup_gets_no_script_to_run(browser: &Browser) -> Result<()> {
    let stage = start(&json!({"rules": [{
        "policy": "script-src 'nonce-{nonce}'",
        "nonce": {"elements": "script[data-trusted=\"8f3b1c\"]"}
    }]}))?;
    let bad = format!("{MARK}.bad = 'yes'");
    let trusted = format!("<script data-trusted=8f3b1c>{MARK}.good = 'yes'</script>");
    for (name, injected) in [
        (
            "a dangling tag",
            format!("<script src='data:text/javascript,{bad}' "),
        ),
        (
            "a dangling attribute",
            format!("<script src='data:text/javascript,{bad}' x="),
        ),
        (
            "a copied mark, an attribute twice",
            format!("<script data-trusted=x data-trusted=8f3b1c>{bad}</script>"),
        ),
        (
            "a mark in a comment",
            format!("<!-- <script data-trusted=8f3b1c> --><script>{bad}</script>"),
        ),
        (
            "a bogus comment",
            format!("<!-->\u{20}<script>{bad}</script><!-- -->"),
        ),
        (
            "a text area",
            format!("<textarea><script data-trusted=8f3b1c></textarea><script>{bad}</script>"),
        ),
        (
            "a title",
            format!("<title><script data-trusted=8f3b1c></title><script>{bad}</script>"),
        ),
        (
            "CDATA",
            format!("<![CDATA[<script data-trusted=8f3b1c>]]><script>{bad}</script>"),
        ),
        (
            "svg",
            format!("<svg><script data-trusted=x>{bad}</script></svg>"),
        ),
        (
            "a template",
            format!("<template><script data-trusted=8f3b1c>{bad}</script></template>"),
        ),
        (
            "an iframe's srcdoc",
            format!("<iframe srcdoc='<script>parent.{bad}</script>'></iframe>"),
        ),
        (
            "noscript",
            format!("<noscript><p title=\"</noscript><script>{bad}</script>\"></noscript>"),
        ),
        (
            "upper case and NUL",
            format!("<SCRI\0PT DATA-TRUSTED=8f3b1c></SCRI\0PT><SCRIPT>{bad}</SCRIPT>"),
        ),
    ] {
        let site = format!("<!doctype html><body>{injected}\n{trusted}<p id=end>");
        serve(&stage, &site);
        let page = open(browser, &stage)?;
        assert_eq!(marks(&page)?["bad"], Value::Null, "{name}: {site}");
    }
    // And without any of it the trusted one runs.
    serve(&stage, &trusted);
    assert_eq!(marks(&open(browser, &stage)?)?, json!({"good": "yes"}));
    Ok(())
}

fn the_other_headers_keep_others_out(browser: &Browser) -> Result<()> {
    let stage = start(&json!({"rules": [
        {"when": {"path": {"exact": "/frame"}}, "preset": "helmet",
         "security_headers": {"x_frame_options": "DENY"}, "policy": "frame-ancestors 'none'"},
        {"policy": "default-src * 'unsafe-inline'"}
    ]}))?;
    serve(&stage, "<p>a page</p>");
    let outer = open(browser, &stage)?;
    outer.evaluate(
        "new Promise(done => { const frame = document.createElement('iframe'); frame.onload = done; frame.src = '/frame'; document.body.append(frame) })",
    )?;
    let line = outer.wait_for_console("frame")?;
    assert!(line.text.to_lowercase().contains("frame"), "{}", line.text);
    assert_eq!(
        outer.evaluate("document.querySelector('iframe').contentDocument")?,
        Value::Null
    );
    Ok(())
}

/// `'sha256-…'` of a script.
fn csp_hash(script: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(script.as_bytes());
    format!(
        "'sha256-{}'",
        base64::engine::general_purpose::STANDARD.encode(hash)
    )
}
